//! Tables without borders: upper-case headers, two blanks between columns.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, presets};

/// How much to show, and in what space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// All columns.
    pub wide: bool,
    /// Columns of the terminal; `None` when the output is none: then no cell is
    /// wrapped.
    pub width: Option<u16>,
}

/// A table. A wide column is left out of a view that is not wide.
#[derive(Clone, Debug, Default)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Clone, Debug)]
struct Column {
    header: &'static str,
    wide: bool,
}

impl Table {
    /// A table of these columns, `wide` ones last.
    pub fn new(headers: &[&'static str], wide: &[&'static str]) -> Self {
        let column = |wide| move |header: &&'static str| Column { header, wide };
        let columns = headers.iter().map(column(false));
        Self {
            columns: columns.chain(wide.iter().map(column(true))).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with a cell for each column; an empty cell is shown as `-`.
    pub fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the table.
    pub fn write_into(&self, out: &mut impl Write, view: View) -> io::Result<()> {
        let shown = |index: usize| view.wide || !self.columns[index].wide;
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        match view.width {
            Some(width) => table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        table.force_no_tty();
        let columns = self.columns.iter().enumerate();
        table.set_header(
            columns
                .filter(|(i, _)| shown(*i))
                .map(|(_, column)| column.header),
        );
        for row in &self.rows {
            let cells = row.iter().enumerate().filter(|(i, _)| shown(*i));
            table.add_row(cells.map(|(_, cell)| printable(cell)));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        writeln!(out, "{}", table.trim_fmt())
    }
}

/// A cell in one line, without control characters.
fn printable(cell: &str) -> String {
    if cell.is_empty() {
        return "-".to_owned();
    }
    cell.replace(|c: char| c.is_control(), " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["NAME", "STATE"], &["LABELS"]);
        table.row(vec!["blue".into(), String::new(), "a=b".into()]);
        table.row(vec![
            "r".into(),
            "Pending: \u{1b}[1mno".into(),
            "c=d".into(),
        ]);
        table
    }

    fn text(view: View) -> String {
        let mut out = Vec::new();
        sample().write_into(&mut out, view).expect("written");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn columns_are_aligned_and_lines_trimmed() {
        assert_eq!(
            text(View::default()),
            "NAME  STATE\nblue  -\nr     Pending:  [1mno\n"
        );
    }

    #[test]
    fn wide_shows_every_column() {
        let wide = View {
            wide: true,
            width: None,
        };
        let header = |view| text(view).lines().next().map(str::to_owned);
        let words = |line: Option<String>| line.map(|l| l.split_whitespace().count());
        assert_eq!(words(header(wide)), Some(3));
        assert_eq!(words(header(View::default())), Some(2));
    }

    #[test]
    fn a_narrow_terminal_wraps_and_loses_nothing() {
        let narrow = View {
            wide: true,
            width: Some(20),
        };
        let words: String = text(narrow).split_whitespace().collect();
        assert!(words.contains("a=b") && words.contains("Pend"), "{words}");
    }
}
