//! Figures of one path alone. Those that differ only in the keys, or in how they were taken, stand in
//! one line of a table of their own, since there are very many.

use std::fmt::Write as _;

use super::{cell, table};
use crate::{figures::Figure, results::words, stats::Estimate};

/// Conditions that make the columns of a wide table.
const ACROSS: [&str; 3] = ["keys", "method", "record"];
/// Figures with one of these stand in a wide table.
const WIDE: [&str; 2] = ["keys", "record"];

/// All figures of a run; nothing where there are none.
pub(super) fn section(figures: &[&Figure]) -> String {
    let mut out = String::new();
    if figures.is_empty() {
        return out;
    }
    out += "\n### Figures of one path alone\n\nMedians of so many trials; they are of this machine and this hour.\n\n";
    let (wide, plain): (Vec<&Figure>, Vec<&Figure>) = figures.iter().copied().partition(|figure| {
        WIDE.iter()
            .any(|name| figure.parameters.contains_key(*name))
    });
    if !plain.is_empty() {
        table(
            &mut out,
            &["figure", "conditions", "median", "95 % interval", "trials"],
        );
        for figure in plain {
            let _ = writeln!(out, "| {} |", cells(figure).join(" | "));
        }
    }
    let mut names: Vec<&str> = wide.iter().map(|figure| figure.name.as_str()).collect();
    names.dedup();
    for name in names {
        let alike: Vec<&Figure> = wide.iter().copied().filter(|f| f.name == name).collect();
        across(&mut out, name, &alike);
    }
    out
}

/// One line for each set of conditions, one column for each kind of keys and method.
fn across(out: &mut String, name: &str, figures: &[&Figure]) {
    let unit = figures
        .first()
        .map_or(String::new(), |f| f.unit.to_string());
    let _ = write!(
        out,
        "\n{} ({unit}); median, and half of the 95 % interval:\n\n",
        cell(name)
    );
    let columns = distinct(figures, |figure| parts(figure).1);
    let mut header = vec!["conditions"];
    header.extend(columns.iter().map(String::as_str));
    table(out, &header);
    for line in distinct(figures, |figure| parts(figure).0) {
        let of_line = |column: &String| {
            figures
                .iter()
                .find(|figure| parts(figure) == (line.clone(), column.clone()))
                .map_or("-".to_owned(), |figure| short(figure))
        };
        let cells: Vec<String> = columns.iter().map(of_line).collect();
        let _ = writeln!(out, "| {line} | {} |", cells.join(" | "));
    }
}

/// The texts that a figure's line and column bear.
fn parts(figure: &Figure) -> (String, String) {
    let text = |of: bool| {
        let chosen = figure
            .parameters
            .iter()
            .filter(|(name, _)| ACROSS.contains(&name.as_str()) == of);
        let words: Vec<String> = chosen
            .map(|(name, value)| {
                if of {
                    cell(value)
                } else {
                    format!("{} {}", cell(name), cell(value))
                }
            })
            .collect();
        words.join(", ")
    };
    (text(false), text(true))
}

fn distinct(figures: &[&Figure], text: impl Fn(&Figure) -> String) -> Vec<String> {
    let mut all = Vec::new();
    for figure in figures {
        let text = text(figure);
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

fn short(figure: &Figure) -> String {
    match (Estimate::of(&figure.trials, 0), &figure.absence) {
        (_, Some(why)) => format!("not available: {}", cell(why)),
        (None, None) => "not available: no trials".to_owned(),
        (Some(estimate), None) => format!(
            "**{}** ±{}",
            scaled(estimate.median),
            scaled(estimate.half_width())
        ),
    }
}

fn cells(figure: &Figure) -> [String; 5] {
    let conditions = parameters(figure);
    let name = cell(&figure.name);
    match (Estimate::of(&figure.trials, 0), &figure.absence) {
        (_, Some(why)) => [
            name,
            conditions,
            format!("not available: {}", cell(why)),
            "-".to_owned(),
            "-".to_owned(),
        ],
        (None, None) => [
            name,
            conditions,
            "not available: no trials".to_owned(),
            "-".to_owned(),
            "0".to_owned(),
        ],
        (Some(estimate), None) => [
            name,
            conditions,
            format!("**{}** {}", scaled(estimate.median), figure.unit),
            match figure.trials.len() {
                0..3 => "-".to_owned(),
                _ => format!("{} to {}", scaled(estimate.low), scaled(estimate.high)),
            },
            figure.trials.len().to_string(),
        ],
    }
}

/// The conditions of a figure by name.
pub(in crate::results) fn parameters(figure: &Figure) -> String {
    let parameters: Vec<String> = figure
        .parameters
        .iter()
        .map(|(name, value)| format!("{} {}", cell(name), cell(value)))
        .collect();
    parameters.join(", ")
}

/// A number of any size with its thousands set apart, or three digits.
pub(in crate::results) fn scaled(value: f64) -> String {
    if value.abs() < 10_000.0 {
        return words::digits(value);
    }
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Unit;

    fn cost(keys: &str, trials: &[f64]) -> Figure {
        Figure {
            trials: trials.to_vec(),
            ..Figure::new("ns-per-packet", Unit::Nanoseconds)
                .with("hook", "xdp")
                .with("keys", keys)
        }
    }

    #[test]
    fn figures_by_keys_share_a_line_and_gaps_are_told() {
        let mut gone = cost("zipf", &[]);
        gone.absence = Some("no room | at all".to_owned());
        let other = Figure {
            trials: vec![5.0; 3],
            ..Figure::new("cold-start", Unit::Seconds).with("records", 64)
        };
        let figures = [
            cost("one-hot", &[150.0; 3]),
            cost("uniform", &[400.0, 410.0, 420.0]),
            gone,
            other,
        ];
        let text = section(&figures.iter().collect::<Vec<_>>());
        for part in [
            "| cold-start | records 64 | **5.00** s | 5.00 to 5.00 | 3 |",
            "| conditions | one-hot | uniform | zipf |",
            "| hook xdp | **150** ±0.00 | **410** ±10.0 | not available: no room \\| at all |",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(
            [1.0, 25_000_000.0, 123_456.0, -12_345.0].map(scaled),
            ["1.00", "25,000,000", "123,456", "-12,345"]
        );
    }
}
