//! A fault with its place in a file, and how it is shown.

use std::fmt;

use super::source::Located;
use crate::control::protocol::Problem;

/// What is wrong, where, and what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostic {
    /// Name of the file.
    pub file: String,
    /// Line, from 1; 0 when it concerns no line.
    pub line: u32,
    /// Column in characters, from 1; 0 when it concerns the whole line.
    pub column: u32,
    /// The object, as `port/blue/vm1`; may be empty.
    pub object: String,
    /// The field; may be empty.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
}

impl Diagnostic {
    /// Puts a problem, found by validation here or in the agent, at its place in
    /// the file that the documents were loaded from. `Problem::document` counts
    /// within `documents`.
    pub fn locate(file: &str, problem: &Problem, documents: &[Located]) -> Self {
        let located = problem.document.and_then(|i| documents.get(i));
        let (line, column) = located.map_or((0, 0), |l| l.positions.find(&problem.path));
        Self {
            file: file.to_owned(),
            line,
            column,
            object: problem.object.clone(),
            path: problem.path.clone(),
            message: problem.message.clone(),
            hint: problem.hint.clone(),
        }
    }

    /// The line of the source with a caret under the column; empty when the
    /// place is not known. `text` is the file's.
    pub fn excerpt(&self, text: &str) -> String {
        let Some(index) = self.line.checked_sub(1) else {
            return String::new();
        };
        let Some(source) = text.lines().nth(index as usize) else {
            return String::new();
        };
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let skipped = (self.column.saturating_sub(1) as usize).saturating_sub(LEFT);
        let shown: String = source.chars().skip(skipped).take(WIDTH).collect();
        let shown = shown.replace(|c: char| c.is_control(), " ");
        if self.column == 0 {
            return format!("{number} | {shown}\n");
        }
        let caret = " ".repeat(self.column as usize - 1 - skipped);
        format!("{number} | {shown}\n{margin} | {caret}^\n")
    }
}

/// Characters of a source line to show, and how many of them before the caret.
const WIDTH: usize = 100;
const LEFT: usize = 60;

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        match (self.line, self.column) {
            (0, _) => {}
            (line, 0) => write!(f, ":{line}")?,
            (line, column) => write!(f, ":{line}:{column}")?,
        }
        for part in [&self.object, &self.path] {
            if !part.is_empty() {
                write!(f, ": {part}")?;
            }
        }
        write!(f, ": {}", self.message)?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_points_at_the_column() {
        let at = |line, column| Diagnostic {
            line,
            column,
            ..Diagnostic::default()
        };
        let text = "a: 1\n\tbb: x\n";
        assert_eq!(at(2, 2).excerpt(text), "2 |  bb: x\n  |  ^\n");
        assert_eq!(at(0, 0).excerpt(text), "");
        assert_eq!(at(9, 1).excerpt(text), "");
        let long = "x".repeat(500);
        let shown = at(1, 400).excerpt(&long);
        assert!(shown.lines().all(|line| line.len() <= WIDTH + 4), "{shown}");
    }
}
