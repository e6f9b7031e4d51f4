//! Where things are on the picture, in pixels.

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{Area, Drawn, Point, scale::Scale, tick};

const LEFT: i32 = 80;
const TOP: i32 = 50;
const HEIGHT: i32 = 340;
/// Below the axis: two lines of a place's label, and the axis's name.
const BELOW: i32 = 90;
/// Right of the axis, for the legend.
const LEGEND: i32 = 250;
/// Distance of two series at one place.
const APART: i32 = 18;
const TEXT: RGBColor = RGBColor(40, 40, 40);
const FAINT: RGBColor = RGBColor(215, 215, 215);

/// Okabe and Ito's colours, which the colour-blind can tell apart; markers differ as well.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(0, 0, 0),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];

/// The corners of markers around their middle, radius 5.
const MARKERS: [&[(i32, i32)]; 4] = [
    &[(-5, -5), (5, -5), (5, 5), (-5, 5)],
    &[(0, -6), (6, 5), (-6, 5)],
    &[(0, -7), (7, 0), (0, 7), (-7, 0)],
    &[(0, 6), (6, -5), (-6, -5)],
];

/// The picture's measures.
pub(super) struct Canvas {
    pub(super) places: usize,
    pub(super) series: usize,
    /// Lines of a place's label.
    pub(super) lines: i32,
    pub(super) scale: Scale,
}

fn pixels(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn style(size: u32, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    TextStyle::from(("sans-serif", size).into_font())
        .color(&TEXT)
        .pos(Pos::new(horizontal, vertical))
}

impl Canvas {
    /// Width and height.
    pub(super) fn size(&self) -> (u32, u32) {
        let sides = (LEFT + self.width() + LEGEND, TOP + HEIGHT + BELOW);
        (sides.0.unsigned_abs(), sides.1.unsigned_abs())
    }

    fn width(&self) -> i32 {
        (pixels(self.places) * self.pitch()).max(440)
    }

    /// Distance of two places that leaves room for labels and for all series.
    fn pitch(&self) -> i32 {
        (pixels(self.series) * APART + 20).max(104)
    }

    fn x(&self, place: usize) -> i32 {
        let room = self.width() / pixels(self.places).max(1);
        LEFT + pixels(place) * room + room / 2
    }

    fn x_of(&self, (place, series): (usize, usize)) -> i32 {
        self.x(place) + (2 * pixels(series) + 1 - pixels(self.series)) * APART / 2
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "within the picture's height"
    )]
    fn y(&self, value: f64) -> i32 {
        TOP + HEIGHT - (self.scale.height(value).clamp(0.0, 1.0) * f64::from(HEIGHT)).round() as i32
    }

    /// Title, axes and their names, lines at ticks.
    pub(super) fn axes(&self, area: &Area, [title, x_axis, y_axis]: [&str; 3]) -> Drawn {
        let (right, bottom) = (LEFT + self.width(), TOP + HEIGHT);
        area.draw(&Text::new(
            title,
            (LEFT, 16),
            style(18, HPos::Left, VPos::Top),
        ))?;
        for value in &self.scale.ticks {
            let y = self.y(*value);
            let colour = if (*value - 1.0).abs() < 1e-9 {
                TEXT
            } else {
                FAINT
            };
            area.draw(&PathElement::new([(LEFT, y), (right, y)], colour))?;
            area.draw(&Text::new(
                tick(*value),
                (LEFT - 8, y),
                style(13, HPos::Right, VPos::Center),
            ))?;
        }
        area.draw(&PathElement::new(
            [(LEFT, TOP), (LEFT, bottom), (right, bottom)],
            TEXT,
        ))?;
        let middle = LEFT + self.width() / 2;
        area.draw(&Text::new(
            x_axis,
            (middle, bottom + 24 + self.lines * 17),
            style(14, HPos::Center, VPos::Top),
        ))?;
        let upwards = style(14, HPos::Center, VPos::Top).transform(FontTransform::Rotate270);
        area.draw(&Text::new(y_axis, (14, TOP + HEIGHT / 2), upwards))
    }

    /// The label of a place, on as many lines as it has.
    pub(super) fn place(&self, area: &Area, place: usize, label: &str) -> Drawn {
        let x = self.x(place);
        let bottom = TOP + HEIGHT;
        area.draw(&PathElement::new([(x, bottom), (x, bottom + 5)], TEXT))?;
        for (line, text) in (0..).zip(label.lines()) {
            let at = (x, bottom + 10 + line * 17);
            area.draw(&Text::new(text, at, style(13, HPos::Center, VPos::Top)))?;
        }
        Ok(())
    }

    /// A point with its error bar.
    pub(super) fn point(&self, area: &Area, at: (usize, usize), point: Point) -> Drawn {
        let (x, colour) = (self.x_of(at), colour(at.1));
        let (low, high) = (self.y(point.estimate.low), self.y(point.estimate.high));
        for line in [
            [(x, low), (x, high)],
            [(x - 5, low), (x + 5, low)],
            [(x - 5, high), (x + 5, high)],
        ] {
            area.draw(&PathElement::new(line, colour.stroke_width(2)))?;
        }
        marker(area, (x, self.y(point.estimate.median)), at.1, point.clear)
    }

    /// A word where a point cannot be.
    pub(super) fn gap(&self, area: &Area, at: (usize, usize)) -> Drawn {
        let upwards = style(11, HPos::Left, VPos::Center).transform(FontTransform::Rotate270);
        let colour = colour(at.1);
        let upwards = upwards.color(&colour);
        area.draw(&Text::new(
            "not available",
            (self.x_of(at), TOP + HEIGHT - 6),
            upwards,
        ))
    }

    /// The name of a series beside its marker.
    pub(super) fn legend(&self, area: &Area, series: usize, name: &str) -> Drawn {
        let at = (LEFT + self.width() + 24, TOP + 12 + pixels(series) * 24);
        marker(area, at, series, true)?;
        area.draw(&Text::new(
            name,
            (at.0 + 14, at.1),
            style(13, HPos::Left, VPos::Center),
        ))
    }

    /// How to read the points.
    pub(super) fn notes(&self, area: &Area, doubt: bool) -> Drawn {
        let mut notes = vec!["bars: 95 % interval of the median"];
        if doubt {
            notes.push("hollow: inconclusive");
        }
        let top = TOP + 24 + pixels(self.series) * 24;
        for (line, note) in (0..).zip(notes) {
            let at = (LEFT + self.width() + 18, top + line * 20);
            area.draw(&Text::new(note, at, style(12, HPos::Left, VPos::Center)))?;
        }
        Ok(())
    }
}

fn colour(series: usize) -> RGBColor {
    COLOURS[series % COLOURS.len()]
}

fn marker(area: &Area, (x, y): (i32, i32), series: usize, full: bool) -> Drawn {
    let shape = MARKERS[series % MARKERS.len()];
    let corners: Vec<_> = shape
        .iter()
        .map(|(right, down)| (x + right, y + down))
        .collect();
    let inside = if full { colour(series) } else { WHITE };
    area.draw(&Polygon::new(corners.clone(), inside.filled()))?;
    let around: Vec<_> = corners.iter().chain(corners.first()).copied().collect();
    area.draw(&PathElement::new(around, colour(series).stroke_width(2)))
}
