//! `report`, `goals`, `compare`, `readme`: what is made of result files. They need no root.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Args;
use dataplane_bench::results::{compare, file::Results, goals, markdown, plot, readme};
use xtask::shell;

#[derive(Args)]
pub(crate) struct Report {
    /// The result file
    file: PathBuf,
    /// Write the tables here instead of showing them
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Draw plots into this folder
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Compare {
    /// The earlier result file
    before: PathBuf,
    /// The later one
    after: PathBuf,
}

#[derive(Args)]
pub(crate) struct Goals {
    /// The result file
    #[arg(default_value = readme::COMMITTED)]
    file: PathBuf,
}

#[derive(Args)]
pub(crate) struct Readme {
    /// The result file
    #[arg(default_value = readme::COMMITTED)]
    file: PathBuf,
}

/// Reads a file, and tells of a cut-off end.
fn read(path: &Path) -> Result<Results> {
    let results = Results::read(path)?;
    if let Some(warning) = results.warning(path) {
        eprintln!("warning: {warning}");
    }
    Ok(results)
}

pub(crate) fn report(options: &Report) -> Result<ExitCode> {
    let results = read(&options.file)?;
    let mut text = markdown::report(&results);
    if let Some(folder) = &options.plots {
        let drawn = plot::draw(&results, folder)?;
        text += &pictures(&drawn, options.markdown.as_deref());
        for path in &drawn {
            eprintln!("drawn: {}", path.display());
        }
    }
    match &options.markdown {
        Some(path) => {
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        None => print!("{text}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// The plots as Markdown shows them, relative to the file that does.
fn pictures(drawn: &[PathBuf], markdown: Option<&Path>) -> String {
    let folder = markdown.and_then(Path::parent).unwrap_or(Path::new(""));
    let mut text = String::new();
    for path in drawn {
        let name = path.file_stem().unwrap_or_default().display();
        let shown = path.strip_prefix(folder).unwrap_or(path).display();
        let _ = write!(text, "\n![{name}]({shown})\n");
    }
    if text.is_empty() {
        text
    } else {
        format!("\n## Plots\n{text}")
    }
}

pub(crate) fn compare(options: &Compare) -> Result<ExitCode> {
    let comparison = compare::compare(&read(&options.before)?, &read(&options.after)?)?;
    print!("{}", comparison.text);
    println!("{} worse", comparison.worse);
    Ok(ExitCode::from(u8::from(comparison.worse > 0)))
}

pub(crate) fn goals(options: &Goals) -> Result<ExitCode> {
    print!("{}", goals::table(&read(&options.file)?));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn readme(options: &Readme) -> Result<ExitCode> {
    let results = read(&options.file)?;
    let path = shell::root().join("README.md");
    let before =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let after = readme::replaced(&before, &readme::section(Some(&results)))?;
    fs::write(&path, after).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(ExitCode::SUCCESS)
}
