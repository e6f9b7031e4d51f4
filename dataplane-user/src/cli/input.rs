//! The files that verbs read: YAML, JSON, or NDJSON of any length.

mod sent;

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use sent::Sent;

use super::failure::{Failure, Fault};
use crate::{
    control::{client::Lines, protocol::Problem},
    policy::{Diagnostic, Located, document::Document, load, read_ndjson},
};

/// The largest file but for NDJSON.
const MAX_TEXT: u64 = 64 << 20;

/// How much of a file is read at a time, bytes.
const BUFFER: usize = 256 << 10;

/// What standard input is called.
const STDIN: &str = "-";

/// The flag that names files.
#[derive(Debug, clap::Args)]
pub(super) struct Files {
    /// Files with documents: YAML or JSON, or with the suffix .ndjson one JSON document a line;
    /// `-` reads standard input.
    #[arg(short, long, value_name = "FILE", num_args = 1.., required = true)]
    pub(super) file: Vec<PathBuf>,
}

/// All files of a command, without a fault in their syntax.
pub(super) struct Inputs(Vec<Input>);

struct Input {
    /// The name that faults are shown with.
    name: String,
    content: Content,
}

enum Content {
    /// Text and what is in it.
    Memory(String, Vec<Located>),
    /// A file of lines and how many documents it has.
    Lines(PathBuf, usize),
}

impl Inputs {
    /// Reads and checks all files; the faults of all are told together.
    pub(super) fn read(paths: &[PathBuf]) -> Result<Self, Failure> {
        Self::read_to(paths, Lines::nowhere())
    }

    /// As [`Self::read`], and puts the documents into the lines meanwhile: all of them, unless
    /// there is a fault.
    pub(super) fn read_to(paths: &[PathBuf], mut lines: Lines) -> Result<Self, Failure> {
        // What may be long in coming or in reading comes first: no agent waits for it.
        let text = |path: &PathBuf| (!is_lines(path)).then(|| text_of(&display_name(path), path));
        let texts: Vec<Option<Result<Content, Failure>>> = paths.iter().map(text).collect();
        if texts.iter().flatten().any(Result::is_err) {
            lines.cut();
        }
        let mut inputs = Vec::new();
        let mut faults = Vec::new();
        for (path, text) in paths.iter().zip(texts) {
            let name = display_name(path);
            let content = text.unwrap_or_else(|| lines_of(&name, path, &mut lines));
            match content {
                Ok(content) if content.len() == 0 => faults.push(empty(name)),
                Ok(content) => {
                    if let Content::Memory(_, located) = &content {
                        lines.push(&written(located));
                    }
                    inputs.push(Input { name, content });
                }
                Err(Failure::Invalid(more)) => faults.extend(more),
                Err(other) => return Err(other),
            }
            if !faults.is_empty() {
                lines.cut();
            }
        }
        if faults.is_empty() {
            lines.finish();
            Ok(Self(inputs))
        } else {
            Err(Failure::Invalid(faults))
        }
    }

    /// Calls `each` with every document.
    pub(super) fn for_each(&self, mut each: impl FnMut(&str, &Document)) -> Result<(), Failure> {
        for input in &self.0 {
            match &input.content {
                Content::Memory(_, located) => {
                    for l in located {
                        each(&input.name, &l.document);
                    }
                }
                Content::Lines(path, _) => {
                    for located in read_ndjson(&input.name, open(&input.name, path)?) {
                        let located = located.map_err(|found| Failure::Invalid(plain(found)))?;
                        each(&input.name, &located.document);
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts a problem of the agent's at its place.
    pub(super) fn locate(&self, problem: &Problem) -> Fault {
        let Some(mut index) = problem.document else {
            return nowhere(problem);
        };
        for input in &self.0 {
            let count = input.content.len();
            if index < count {
                return input.locate(problem, index);
            }
            index -= count;
        }
        nowhere(problem)
    }
}

impl Content {
    fn len(&self) -> usize {
        match self {
            Self::Memory(_, located) => located.len(),
            Self::Lines(_, count) => *count,
        }
    }
}

impl Input {
    /// `index` counts within this file.
    fn locate(&self, problem: &Problem, index: usize) -> Fault {
        let at = |document| Problem {
            document: Some(document),
            ..problem.clone()
        };
        match &self.content {
            Content::Memory(text, located) => {
                let diagnostic = Diagnostic::locate(&self.name, &at(index), located);
                let excerpt = diagnostic.excerpt(text);
                Fault {
                    diagnostic,
                    excerpt,
                }
            }
            Content::Lines(path, _) => {
                let line = open(&self.name, path)
                    .ok()
                    .and_then(|file| read_ndjson(&self.name, file).nth(index)?.ok());
                let located: Vec<Located> = line.into_iter().collect();
                Fault {
                    diagnostic: Diagnostic::locate(&self.name, &at(0), &located),
                    excerpt: String::new(),
                }
            }
        }
    }
}

fn is_lines(path: &Path) -> bool {
    path.extension().is_some_and(|suffix| suffix == "ndjson")
}

fn lines_of(name: &str, path: &Path, lines: &mut Lines) -> Result<Content, Failure> {
    let reader = open(name, path)?;
    let sent = Sent { reader, lines };
    let count = checked(name, sent)?;
    lines.end_line();
    Ok(Content::Lines(path.to_owned(), count))
}

fn text_of(name: &str, path: &Path) -> Result<Content, Failure> {
    let text = text(name, path)?;
    let located = if name == STDIN && is_ndjson(&text) {
        checked(name, text.as_bytes())?;
        read_ndjson(name, text.as_bytes()).flatten().collect()
    } else {
        load(name, &text).map_err(|found| Failure::Invalid(excerpted(found, &text)))?
    };
    Ok(Content::Memory(text, located))
}

/// Counts the documents of a file of lines, or tells all its faults.
fn checked(name: &str, reader: impl io::BufRead) -> Result<usize, Failure> {
    let mut count = 0;
    let mut faults = Vec::new();
    let mut lines = read_ndjson(name, reader);
    loop {
        count += lines.skim();
        match lines.next() {
            Some(Ok(_)) => count += 1,
            Some(Err(found)) => faults.extend(plain(found)),
            None => break,
        }
    }
    if faults.is_empty() {
        Ok(count)
    } else {
        Err(Failure::Invalid(faults))
    }
}

/// Standard input has no suffix: it is NDJSON when its first line is a document.
fn is_ndjson(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty());
    first.is_some_and(|line| serde_json::from_str::<Document>(line).is_ok())
}

fn text(name: &str, path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = if name == STDIN {
        io::stdin().lock().read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MAX_TEXT + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| Failure::File(name.to_owned(), error))?;
    if bytes.len() as u64 > MAX_TEXT && name != STDIN {
        return Err(refused(
            name,
            "larger than 64 MiB",
            "split it, or write one JSON document a line into a file with the suffix .ndjson",
        ));
    }
    String::from_utf8(bytes).map_err(|_| refused(name, "is not UTF-8 text", "save it as UTF-8"))
}

fn refused(name: &str, message: &str, hint: &str) -> Failure {
    Failure::Invalid(plain(vec![Diagnostic {
        file: name.to_owned(),
        message: message.to_owned(),
        hint: hint.to_owned(),
        ..Diagnostic::default()
    }]))
}

fn open(name: &str, path: &Path) -> Result<BufReader<File>, Failure> {
    let file = File::open(path).map_err(|error| Failure::File(name.to_owned(), error))?;
    Ok(BufReader::with_capacity(BUFFER, file))
}

fn written(located: &[Located]) -> Vec<u8> {
    let mut lines = Vec::new();
    for Located { document, .. } in located {
        serde_json::to_writer(&mut lines, document).expect("documents are plain data");
        lines.push(b'\n');
    }
    lines
}

fn excerpted(found: Vec<Diagnostic>, text: &str) -> Vec<Fault> {
    let fault = |diagnostic: Diagnostic| Fault {
        excerpt: diagnostic.excerpt(text),
        diagnostic,
    };
    found.into_iter().map(fault).collect()
}

fn plain(found: Vec<Diagnostic>) -> Vec<Fault> {
    excerpted(found, "")
}

/// An empty file is rather a pipe that broke than a wish.
fn empty(file: String) -> Fault {
    let diagnostic = Diagnostic {
        file,
        message: "no documents".into(),
        hint: "write at least one; docs/policy.md describes them".into(),
        ..Diagnostic::default()
    };
    Fault {
        diagnostic,
        excerpt: String::new(),
    }
}

/// A problem of the whole request, or of an object that no file names.
fn nowhere(problem: &Problem) -> Fault {
    Fault {
        diagnostic: Diagnostic {
            object: problem.object.clone(),
            path: problem.path.clone(),
            message: problem.message.clone(),
            hint: problem.hint.clone(),
            ..Diagnostic::default()
        },
        excerpt: String::new(),
    }
}

fn display_name(path: &Path) -> String {
    path.display().to_string()
}
