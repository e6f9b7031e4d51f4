//! The plots of a report: what a table of many rows hides.

mod chart;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{
    file::Results,
    questions,
    row::MachineKind,
    summary::{Found, Line, Summary},
    words,
};
use crate::scenario::{Comparison, Keys, Metric, PathName, Scenario, Sink};
use chart::{Chart, Point};

/// Draws every plot that the file has rows for into a folder; their files.
pub fn draw(results: &Results, folder: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut drawn = Vec::new();
    for (name, chart) in charts(results) {
        if chart.is_empty() {
            continue;
        }
        let path = folder.join(name);
        let svg = chart.svg().with_context(|| format!("cannot draw {name}"))?;
        fs::write(&path, svg).with_context(|| format!("cannot write {}", path.display()))?;
        drawn.push(path);
    }
    Ok(drawn)
}

fn charts(results: &Results) -> [(&'static str, Chart); 4] {
    let summaries: Vec<Summary> = results.runs.iter().map(Summary::of).collect();
    // The guest has the plain point only.
    let host = summaries
        .iter()
        .position(|summary| summary.run.machine == MachineKind::Host);
    let host = &summaries[host.unwrap_or(0)..][..1];
    [
        ("records.svg", records(host)),
        ("peers.svg", peers(&summaries)),
        ("frames.svg", frames(host)),
        ("tcp.svg", tcp(&summaries)),
    ]
}

const TWIN: &str = "packet rate, share of the do-nothing twin";

/// Share of the twin by records and keys, at XDP.
fn records(summaries: &[Summary]) -> Chart {
    let mut chart = Chart::new(
        &of_kernel("Encap + decap at XDP, 60-byte frames", summaries),
        "lookup records",
        TWIN,
    );
    gather(&mut chart, summaries, |_, of| {
        let Scenario { records, keys, .. } = of.scenario;
        let plain = Scenario {
            records,
            keys,
            ..Scenario::PLAIN
        };
        let fits = of.ours == PathName::NveXdp && questions::twin(of) && of.scenario == plain;
        fits.then(|| {
            (
                u64::from(records),
                words::count(records),
                order(keys),
                format!("keys: {}", words::keys(keys)),
            )
        })
    });
    chart
}

/// Ours over each peer, smallest and largest frames.
fn peers(summaries: &[Summary]) -> Chart {
    let mut chart = Chart::new(
        "Encap + decap beside other ways",
        "other path and its kernel",
        "packet rate, ours / other",
    );
    chart.logarithmic = true;
    gather(&mut chart, summaries, |summary, of| {
        let plain = Scenario {
            frame: of.scenario.frame,
            sink: of.scenario.sink,
            ..Scenario::PLAIN
        };
        // The textbook's rows end at XDP, not in a stack.
        let fits = !questions::twin(of)
            && !questions::textbook(of.ours)
            && of.scenario == plain
            && of.scenario.sink == Sink::Skb;
        let series = format!("{}, {} B", of.ours, of.scenario.frame);
        fits.then(|| {
            (
                place(summary, of.twin),
                peer(summary, of.twin),
                place_of(of.ours) * 10_000 + u64::from(of.scenario.frame),
                series,
            )
        })
    });
    chart
}

/// Share of the twin by the length of the frame.
fn frames(summaries: &[Summary]) -> Chart {
    let mut chart = Chart::new(
        &of_kernel("Encap + decap, 1k records", summaries),
        "length of the tenant's frame, bytes",
        TWIN,
    );
    gather(&mut chart, summaries, |summary, of| {
        let Scenario { frame, .. } = of.scenario;
        let plain = Scenario {
            frame,
            ..questions::at(of)
        };
        let fits = questions::twin(of) && !questions::textbook(of.ours) && of.scenario == plain;
        let series = words::paths(of.ours, of.twin);
        fits.then(|| {
            (
                u64::from(frame),
                frame.to_string(),
                place(summary, of.ours),
                series,
            )
        })
    });
    chart
}

/// TCP of ours over each other path.
fn tcp(summaries: &[Summary]) -> Chart {
    let mut chart = Chart::new(
        "TCP between two tenants",
        "other path and its kernel",
        "throughput, ours / other",
    );
    chart.logarithmic = true;
    chart.metric = |metric| matches!(metric, Metric::TcpBulk(_));
    gather(&mut chart, summaries, |summary, of| {
        let Metric::TcpBulk(streams) = of.metric else {
            return None;
        };
        let series = format!("{}, {}", of.ours, words::metric(of.metric));
        Some((
            place(summary, of.twin),
            peer(summary, of.twin),
            place_of(of.ours) * 100 + u64::from(streams),
            series,
        ))
    });
    chart
}

fn of_kernel(title: &str, summaries: &[Summary]) -> String {
    let kernels: Vec<&str> = summaries
        .iter()
        .map(|summary| summary.run.kernel.as_str())
        .collect();
    format!("{title}, kernel {}", kernels.join(", "))
}

fn peer(summary: &Summary, path: PathName) -> String {
    format!("{path}\nkernel {}", summary.run.kernel)
}

/// Order of paths on an axis: runs one after the other.
fn place(summary: &Summary, path: PathName) -> u64 {
    let guest = summary.run.machine == MachineKind::Guest;
    u64::from(guest) * 100 + place_of(path)
}

fn place_of(path: PathName) -> u64 {
    (0..)
        .zip(PathName::ALL)
        .find(|(_, known)| *known == path)
        .map_or(99, |(index, _)| index)
}

fn order(keys: Keys) -> u64 {
    match keys {
        Keys::OneHot => 0,
        Keys::ThousandHot => 1,
        Keys::Zipf => 2,
        Keys::Uniform => 3,
    }
}

/// Where on the axis, its label, the order among series, the series' name.
type Where = (u64, String, u64, String);

fn gather(
    chart: &mut Chart,
    summaries: &[Summary],
    pick: impl Fn(&Summary, &Comparison) -> Option<Where>,
) {
    let fits = chart.metric;
    for summary in summaries {
        for line in summary
            .lines
            .iter()
            .filter(|line| fits(line.comparison.metric))
        {
            let Some((place, label, order, series)) = pick(summary, &line.comparison) else {
                continue;
            };
            chart.put((place, label), (order, series), point(line));
        }
    }
}

/// `None` where there is nothing to draw; the place stays, and says so.
fn point(line: &Line) -> Option<Point> {
    let Found::Measured { verdict, .. } = &line.found else {
        return None;
    };
    Some(Point {
        estimate: verdict.estimate?,
        clear: verdict.doubt.is_none(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample;

    #[test]
    fn each_plot_has_its_labels_and_its_rows() {
        let folder = xtask::lab::TempDir::new("plots").expect("a folder");
        let drawn = draw(&sample::results(), folder.path()).expect("drawn");
        let names: Vec<_> = drawn
            .iter()
            .filter_map(|path| path.file_name()?.to_str())
            .collect();
        assert_eq!(names, ["records.svg", "peers.svg", "frames.svg", "tcp.svg"]);
        let svg = fs::read_to_string(&drawn[1]).expect("a plot");
        for part in [
            "gretap-bridge",
            "not available",
            "packet rate, ours / other",
            "nve-xdp, 60 B",
            "inconclusive",
        ] {
            assert!(svg.contains(part), "{part:?} is not in {svg}");
        }
    }
}
