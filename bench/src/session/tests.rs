//! Runs with made-up paths.

use std::{cell::RefCell, rc::Rc, time::Duration};

use anyhow::{anyhow, bail};

use super::*;
use crate::{
    noise::{Limits, Quiet},
    results::{
        file::Results,
        row::{Demands, MachineKind, Trial},
        sample::{self, against},
        summary::{Found, Summary},
    },
    subject::Measured,
};

/// Notes who is built and torn down.
type Diary = Rc<RefCell<Vec<String>>>;

struct Path(PathName, Diary);

impl Subject for Path {
    fn measure(&mut self, _: Duration) -> Result<Measured> {
        if self.0 == PathName::OvsKernelGre {
            bail!("the switch died");
        }
        let value = if self.0 == PathName::NveXdp {
            8.0
        } else {
            10.0
        };
        Ok(Measured {
            value,
            ..Measured::default()
        })
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        self.1.borrow_mut().push(format!("-{}", self.0));
    }
}

struct Yard(Diary);

impl Workshop for Yard {
    fn subject(
        &mut self,
        path: PathName,
        _: &Scenario,
        _: Metric,
    ) -> Result<Box<dyn Subject>, Absence> {
        if path == PathName::GretapBridge {
            return Err(Absence::NotAvailable("no gretap here".to_owned()));
        }
        if path == PathName::Veth {
            return Err(Absence::Failed(anyhow!("no more names")));
        }
        self.0.borrow_mut().push(format!("+{path}"));
        Ok(Box::new(Path(path, Rc::clone(&self.0))))
    }
}

struct Calm;

impl Watch for Calm {
    fn half(&mut self, subject: &mut dyn Subject, length: Duration) -> Result<(Measured, Quiet)> {
        Ok((
            subject.measure(length)?,
            Quiet {
                calibration_before: 1,
                calibration_after: 1,
                ..Quiet::default()
            },
        ))
    }
}

struct Silent;

impl Progress for Silent {
    fn begin(&mut self, _: usize, _: &Comparison) {}
    fn trial(&mut self, _: &Trial) {}
    fn measured(&mut self, _: &Comparison, _: &Verdict) {}
    fn missing(&mut self, _: &Unavailable) {}
}

fn run(comparisons: &[Comparison]) -> (Tally, Results, Vec<String>) {
    let folder = xtask::lab::TempDir::new("session").expect("a folder");
    let mut writer = Writer::append(&folder.path().join("rows.jsonl")).expect("a file");
    writer
        .row(&Row::Run(sample::run(18, MachineKind::Host)))
        .expect("written");
    let diary = Diary::default();
    let limits = Limits {
        calibration: 0.1,
        steal: 0.1,
    };
    let mut session = Session {
        rules: Rules {
            half: Duration::ZERO,
            max_pairs: 4,
            demands: Demands {
                min_pairs: 3,
                tolerance: 0.05,
                limits,
            },
        },
        seed: 1,
        workshop: &mut Yard(Rc::clone(&diary)),
        watch: &mut Calm,
        writer: &mut writer,
        progress: &mut Silent,
    };
    let tally = session.run(comparisons).expect("written");
    let results = Results::read(writer.path()).expect("rows");
    let diary = diary.borrow().clone();
    (tally, results, diary)
}

#[test]
fn whatever_happens_every_comparison_has_its_line() {
    let others = [
        PathName::TwinXdp,
        PathName::GretapBridge,
        PathName::Veth,
        PathName::OvsKernelGre,
    ];
    let comparisons = others.map(|other| against(PathName::NveXdp, other));
    let (tally, results, _) = run(&comparisons);
    assert_eq!(
        tally,
        Tally {
            clear: 1,
            doubtful: 0,
            unavailable: 1,
            failed: 2
        }
    );
    let summary = Summary::of(&results.runs[0]);
    let lines: Vec<_> = summary.lines.iter().map(|line| line.comparison).collect();
    assert_eq!(lines, comparisons);
    let why = summary.lines.iter().filter_map(|line| match &line.found {
        Found::Missing { path, why, failed } => Some((*path, why.as_str(), *failed)),
        Found::Measured { .. } => None,
    });
    let expected = [
        (PathName::GretapBridge, "no gretap here", false),
        (PathName::Veth, "no more names", true),
        (PathName::OvsKernelGre, "the switch died", true),
    ];
    assert_eq!(why.collect::<Vec<_>>(), expected);
}

#[test]
fn a_path_stands_as_long_as_the_next_comparison_needs_it() {
    let plain =
        [PathName::TwinXdp, PathName::VxlanBridge].map(|other| against(PathName::NveXdp, other));
    let mut long = plain[0];
    long.scenario.frame = 1514;
    let (_, _, diary) = run(&[plain[0], plain[1], long]);
    let expected = [
        "+nve-xdp",
        "+twin-xdp",
        "-twin-xdp",
        "+vxlan-bridge",
        "-nve-xdp",
        "-vxlan-bridge",
        "+nve-xdp",
        "+twin-xdp",
        "-nve-xdp",
        "-twin-xdp",
    ];
    assert_eq!(diary, expected);
}
