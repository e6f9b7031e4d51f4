//! Result files: written row by row, read with the line of every fault.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;

use super::{
    merge,
    row::{FORMAT, Row, Run},
};

/// Writes rows to the end of a file.
pub struct Writer {
    file: File,
    path: PathBuf,
    rows: usize,
}

impl Writer {
    /// Opens the file for appending, less a row that was cut off; makes it, and its folder, when they are missing.
    pub fn append(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let open = || {
            let file = File::options().create(true).append(true).open(path)?;
            // A row that was cut off would spoil the next one.
            let whole = fs::read(path)?.iter().rposition(|byte| *byte == b'\n');
            file.set_len(whole.map_or(0, |end| end as u64 + 1))?;
            Ok::<_, std::io::Error>(file)
        };
        let file = open().with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            rows: 0,
        })
    }

    /// Appends one row at once, so that a run that ends early keeps it.
    pub fn row(&mut self, row: &Row) -> Result<()> {
        let mut line = serde_json::to_string(row).context("a row is no JSON")?;
        line.push('\n');
        let written = self
            .file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.flush());
        written.with_context(|| format!("cannot write {}", self.path.display()))?;
        self.rows += 1;
        Ok(())
    }

    /// Rows that this writer wrote.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The rows of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The row that begins it.
    pub run: Run,
    /// The rows after it.
    pub rows: Vec<Row>,
}

/// A result file.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// One a kernel, machine and profile, in the order of the file.
    pub runs: Vec<Recorded>,
    /// The number of the last line, where it is cut off in its middle.
    pub truncated: Option<usize>,
}

impl Results {
    /// Reads a file; an error has the file and the line.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads the text of a file; `name` is what errors call it.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let mut results = Self {
            runs: Vec::new(),
            truncated: None,
        };
        let mut number = 0;
        for line in text.split_inclusive('\n') {
            number += 1;
            match row(line) {
                Ok(Row::Run(run)) => results.runs.push(Recorded {
                    run,
                    rows: Vec::new(),
                }),
                Ok(row) => {
                    let run = results.runs.last_mut();
                    let run = run.ok_or_else(|| {
                        anyhow!("{name}:{number}: a row before any run; is this a result file?")
                    })?;
                    run.rows.push(row);
                }
                // Only what a run was about to write when it ended can lack its line's end.
                Err(_) if !line.ends_with('\n') => results.truncated = Some(number),
                Err(error) => bail!("{name}:{number}: {error:#}"),
            }
        }
        ensure!(!results.runs.is_empty(), "{name}: no run is in it");
        results.runs = merge::merged(results.runs);
        Ok(results)
    }

    /// What to tell of a file that ends in the middle of a row.
    pub fn warning(&self, path: &Path) -> Option<String> {
        let line = self.truncated?;
        let path = path.display();
        Some(format!(
            "{path}:{line}: the last row is cut off and left out; the run ended while it wrote"
        ))
    }
}

fn row(line: &str) -> Result<Row> {
    let value: Value = serde_json::from_str(line).context("no JSON")?;
    if value["row"] == "run" {
        let format = &value["format"];
        ensure!(
            format.as_u64() == Some(FORMAT.into()),
            "format {format}, and this program reads format {FORMAT}; use the `bench` of the revision that wrote it ({})",
            value["revision"].as_str().unwrap_or("not told")
        );
    }
    serde_json::from_value(value).context("not a row of a result file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample;

    fn text(rows: &[Row]) -> String {
        rows.iter()
            .map(|row| serde_json::to_string(row).expect("JSON") + "\n")
            .collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = xtask::lab::TempDir::new("rows").expect("a folder");
        let path = folder.path().join("new/rows.jsonl");
        let rows = sample::rows();
        for part in rows.chunks(3) {
            let mut writer = Writer::append(&path).expect("a file");
            for row in part {
                writer.row(row).expect("written");
            }
            assert_eq!(writer.rows(), part.len());
        }
        let results = Results::read(&path).expect("rows");
        let again = results.runs.iter().flat_map(|run| {
            std::iter::once(Row::Run(run.run.clone())).chain(run.rows.iter().cloned())
        });
        assert!(again.eq(rows));
        assert_eq!(results.warning(&path), None);
    }

    #[test]
    fn a_broken_row_is_named_by_its_line() {
        let whole = text(&sample::rows());
        let broken = whole.replacen("\"pair\":0", "\"pair\":\"zero\"", 1);
        let error = Results::parse(&broken, "a.jsonl").expect_err("broken");
        let error = format!("{error:#}");
        assert!(
            error.starts_with("a.jsonl:2: not a row of a result file: "),
            "{error}"
        );
        let error = Results::parse("{\"row\": \"trial\"\n", "a.jsonl").expect_err("no JSON");
        assert!(
            format!("{error:#}").starts_with("a.jsonl:1: no JSON"),
            "{error:#}"
        );
    }

    #[test]
    fn another_format_is_refused() {
        let whole = text(&sample::rows()).replacen("\"format\":1", "\"format\":99", 1);
        let error = Results::parse(&whole, "a.jsonl").expect_err("another format");
        let told = "a.jsonl:1: format 99, and this program reads format 1; use the `bench` of the revision";
        assert!(error.to_string().starts_with(told), "{error:#}");
    }

    #[test]
    fn a_last_line_that_is_cut_off_is_tolerated_and_told() {
        let whole = text(&sample::rows());
        let cut = &whole[..whole.len() - 20];
        let results = Results::parse(cut, "a.jsonl").expect("the other rows");
        let line = sample::rows().len();
        assert_eq!(results.truncated, Some(line));
        let warning = results.warning(Path::new("a.jsonl")).expect("a warning");
        assert!(
            warning.starts_with(&format!("a.jsonl:{line}: the last row is cut off")),
            "{warning}"
        );
    }

    #[test]
    fn rows_that_are_appended_replace_one_that_was_cut_off() {
        let folder = xtask::lab::TempDir::new("cut").expect("a folder");
        let path = folder.path().join("rows.jsonl");
        let rows = sample::rows();
        let whole = text(&rows);
        fs::write(&path, &whole[..whole.len() - 20]).expect("a file");
        let mut writer = Writer::append(&path).expect("a file");
        writer.row(&rows[rows.len() - 1]).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("rows"), whole);
    }

    #[test]
    fn a_file_without_a_run_is_refused() {
        let trials = text(&sample::rows()[1..2]);
        let error = Results::parse(&trials, "a.jsonl").expect_err("no run");
        assert!(
            error
                .to_string()
                .starts_with("a.jsonl:1: a row before any run"),
            "{error:#}"
        );
        assert!(Results::parse("", "a.jsonl").is_err());
    }
}
