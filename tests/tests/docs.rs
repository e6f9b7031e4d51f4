//! The samples of the documentation are run against a real agent, and tests that it names exist.

use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{Site, proof};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A command line of a sample, and the exit code that it shows (`; echo $?`), if it does.
struct Sample {
    line: String,
    code: Option<i32>,
}

/// A place of the project.
fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// The `$ nvectl ...` lines of a page's `console` blocks, in their order.
fn samples(page: &str) -> Result<Vec<Sample>> {
    let text = read(&place(page))?;
    let mut samples: Vec<Sample> = Vec::new();
    let blocks = text.split("```console\n").skip(1);
    for line in blocks
        .filter_map(|block| block.split("```").next())
        .flat_map(str::lines)
    {
        if let Some(command) = line.strip_prefix("$ nvectl ") {
            let line = command.split(" ; ").next().unwrap_or(command).to_owned();
            let code = (!command.contains("echo $?")).then_some(0);
            samples.push(Sample { line, code });
        } else if let (Some(last), Ok(code)) = (samples.last_mut(), line.parse()) {
            last.code = last.code.or(Some(code));
        }
    }
    Ok(samples)
}

/// What the samples' files hold: the demo, and a host that takes another's PA.
fn files(site: &Site) -> Result<()> {
    site.file("demo.yaml", site.demo())?;
    let host = "apiVersion: nve/v1\nkind: Host\nmetadata: {name: host-c}\nspec: {providerAddresses: [{address: 192.0.2.1}]}\n";
    site.file("hosts.yaml", host)?;
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn every_nvectl_sample_does_what_it_shows() {
    proof(Site::bare("docs", &["blue-vm1", "red-vm1"]), |site| {
        site.start(0, "tc")?;
        files(site)?;
        let samples = samples("docs/nvectl.md")?;
        ensure!(samples.len() >= 10, "{} samples found", samples.len());
        // A host alone is never whole: its peer's PA does not answer.
        let degraded = |line: &str| line.starts_with("status");
        let folder = site.file("marker", "")?;
        let folder = folder.parent().context("a folder")?.to_owned();
        // The last things to try are those that end the agent.
        let (end, samples): (Vec<_>, Vec<_>) = samples
            .into_iter()
            .partition(|sample| sample.line == "unload");
        for sample in samples.iter().chain(&end) {
            let line = sample
                .line
                .replace("-f ", &format!("-f {}/", folder.display()));
            let args: Vec<&str> = line.split_whitespace().collect();
            let said = site.nvectl(0, &args)?;
            let want = sample
                .code
                .context("a sample with `echo $?` shows no code")?;
            let honest = degraded(&sample.line) && said.code() == 1;
            ensure!(
                said.code() == want || honest,
                "`nvectl {}` gave {}, not {want}\n{}{}",
                sample.line,
                said.code(),
                said.stdout,
                said.stderr
            );
        }
        Ok(())
    });
}

/// All Rust sources below a folder, in one text.
fn sources(folder: &Path) -> Result<String> {
    let mut text = String::new();
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            text += &sources(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &read(&path)?;
        }
    }
    Ok(text)
}

/// Every second part of a text that this mark divides: what stands between two of them.
fn between(text: &str, mark: char) -> impl Iterator<Item = &str> {
    text.split(mark).skip(1).step_by(2)
}

/// A row of a table of checks: its number, and the names of tests and fixtures in its last cell.
fn check(row: &str) -> Option<(u32, &str)> {
    let row = row.strip_prefix("| N")?.trim_end().strip_suffix('|')?;
    let number = row.split(' ').next()?.parse().ok()?;
    Some((number, row.rsplit('|').next()?))
}

#[test]
fn every_test_that_the_conformance_page_names_exists() -> Result<()> {
    let page = read(&place("docs/conformance.md"))?;
    let mut code = String::new();
    for folder in [
        "tests/src",
        "tests/tests",
        "dataplane-common/src",
        "dataplane-user/src",
    ] {
        code += &sources(&place(folder))?;
    }
    let fixtures = sources(&place("tests/src/fixtures"))?;
    let checks: Vec<_> = page.lines().filter_map(check).collect();
    let mut numbers: Vec<u32> = checks.iter().map(|(number, _)| *number).collect();
    numbers.sort_unstable();
    ensure!(numbers.iter().copied().eq(1..=30), "checks {numbers:?}");
    for (number, cell) in checks {
        let mut tests = between(cell, '`').peekable();
        ensure!(tests.peek().is_some(), "N{number:02} names no test");
        for test in tests {
            let there = code.contains(&format!("fn {test}()"));
            ensure!(there, "N{number:02}: there is no test {test}");
        }
        for fixture in between(cell, '"') {
            let there = fixtures.contains(&format!("\"{fixture}\""));
            ensure!(there, "N{number:02}: there is no fixture {fixture:?}");
        }
    }
    Ok(())
}
