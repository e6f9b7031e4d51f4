//! One kind of chart for all: points with error bars above named places.

use std::collections::{BTreeMap, btree_map::Entry};

use anyhow::{Result, anyhow};
use plotters::{coord::Shift, prelude::*};

use super::super::words;
use crate::{scenario::Metric, stats::Estimate};

mod draw;
mod scale;

use draw::Canvas;
use scale::Scale;

/// A ratio to draw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    /// Its middle and error bar.
    pub(super) estimate: Estimate,
    /// Drawn full; hollow when inconclusive.
    pub(super) clear: bool,
}

/// Name of a series and its points by the number of their place.
type Series = (String, BTreeMap<u64, Option<Point>>);

/// A chart.
pub(super) struct Chart {
    title: String,
    x_axis: &'static str,
    y_axis: &'static str,
    /// Whether equal distances are equal ratios.
    pub(super) logarithmic: bool,
    /// Whether a metric belongs here.
    pub(super) metric: fn(Metric) -> bool,
    places: BTreeMap<u64, String>,
    series: BTreeMap<(u64, String), Series>,
}

impl Chart {
    /// A chart of packet rates without points.
    pub(super) fn new(title: &str, x_axis: &'static str, y_axis: &'static str) -> Self {
        Self {
            title: title.to_owned(),
            x_axis,
            y_axis,
            logarithmic: false,
            metric: |metric| metric == Metric::PacketRate,
            places: BTreeMap::new(),
            series: BTreeMap::new(),
        }
    }

    /// Adds a point to a series; no point leaves a word in its place.
    pub(super) fn put(
        &mut self,
        place: (u64, String),
        series: (u64, String),
        point: Option<Point>,
    ) {
        self.places.insert(place.0, place.1);
        let name = series.1.clone();
        let series = self
            .series
            .entry(series)
            .or_insert_with(|| (name, BTreeMap::new()));
        match series.1.entry(place.0) {
            Entry::Vacant(vacant) => drop(vacant.insert(point)),
            Entry::Occupied(_) => {}
        }
    }

    /// Whether there is not one point.
    pub(super) fn is_empty(&self) -> bool {
        self.points().next().is_none()
    }

    fn points(&self) -> impl Iterator<Item = Point> + Clone {
        self.series
            .values()
            .flat_map(|series| series.1.values().copied().flatten())
    }

    /// The picture.
    pub(super) fn svg(&self) -> Result<String> {
        let scale = Scale::new(self.points().map(|point| point.estimate), self.logarithmic);
        let mut svg = String::new();
        let canvas = Canvas {
            places: self.places.len(),
            series: self.series.len(),
            lines: if self.places.values().any(|label| label.contains('\n')) {
                2
            } else {
                1
            },
            scale,
        };
        {
            let area = SVGBackend::with_string(&mut svg, canvas.size()).into_drawing_area();
            self.draw(&area, &canvas)
                .map_err(|error| anyhow!("{error}"))?;
        }
        Ok(svg)
    }

    fn draw(&self, area: &Area, canvas: &Canvas) -> Drawn {
        area.fill(&WHITE)?;
        canvas.axes(area, [&self.title, self.x_axis, self.y_axis])?;
        for (index, label) in self.places.values().enumerate() {
            canvas.place(area, index, label)?;
        }
        for (number, (name, points)) in self.series.values().enumerate() {
            canvas.legend(area, number, name)?;
            for (index, place) in self.places.keys().enumerate() {
                match points.get(place) {
                    Some(Some(point)) => canvas.point(area, (index, number), *point)?,
                    Some(None) => canvas.gap(area, (index, number))?,
                    None => {}
                }
            }
        }
        let doubt = self.points().any(|point| !point.clear);
        canvas.notes(area, doubt)?;
        area.present()
    }
}

/// Where it is drawn, in pixels.
type Area<'s> = DrawingArea<SVGBackend<'s>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// A tick's label.
fn tick(value: f64) -> String {
    let text = words::digits(value);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}
