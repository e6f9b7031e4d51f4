//! Commands of the verbs: where the repository is, which cargo to call, and how to show what runs.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the repository.
///
/// Cargo tells the folder of the package that it runs; worktrees may share a built program.
pub fn root() -> PathBuf {
    let running = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let running = running.and_then(|dir| dir.parent().map(Path::to_owned));
    let running = running.filter(|root| root.join("xtask/Cargo.toml").is_file());
    running.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
}

/// The cargo that runs us, so that nested builds use the same toolchain and cache.
pub fn cargo<I>(args: I) -> Command
where
    I: IntoIterator,
    I::Item: AsRef<OsStr>,
{
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    command
}

/// Where cargo puts what `cargo install` builds.
pub fn cargo_bin() -> PathBuf {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    home.unwrap_or_else(|| PathBuf::from("/root/.cargo"))
        .join("bin")
}

/// Looks a program up in `PATH`.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// A command as a user would type it.
pub fn line(command: &Command) -> String {
    let program = command.get_program();
    let ours = std::env::var_os("CARGO").is_some_and(|cargo| cargo == program);
    let program = if ours { OsStr::new("cargo") } else { program };
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Shows the command, runs it with its output on the terminal, and fails when it does.
pub fn stream(command: &mut Command) -> Result<()> {
    let line = line(command);
    eprintln!("+ {line}");
    let status = command
        .status()
        .with_context(|| format!("cannot run `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed: {status}");
    }
    Ok(())
}

/// Runs cargo with its diagnostics on the terminal and gives its JSON messages.
pub fn cargo_messages(args: &[&str]) -> Result<Vec<Value>> {
    let mut command = cargo(args);
    eprintln!("+ {}", line(&command));
    command
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let output = command
        .output()
        .with_context(|| format!("cannot run `{}`", line(&command)))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", line(&command), output.status);
    }
    let text = String::from_utf8(output.stdout).context("cargo's messages are not text")?;
    // Build scripts may print between the messages.
    Ok(text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}

/// Builds these programs of these packages for release; where the first of them is.
pub fn release(packages: &[&str], programs: &[&str]) -> Result<PathBuf> {
    let mut args = vec!["build".to_owned(), "--release".to_owned()];
    args.extend(packages.iter().map(|name| format!("--package={name}")));
    args.extend(programs.iter().map(|name| format!("--bin={name}")));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let messages = cargo_messages(&args)?;
    let first = programs.first().context("no program to build")?;
    let built = messages
        .iter()
        .filter_map(|message| message["executable"].as_str());
    let found = built.map(Path::new).find(|file| file.ends_with(first));
    Ok(found
        .with_context(|| format!("cargo built no {first}"))?
        .to_owned())
}

/// Standard output of a quick question to a tool; `None` when the tool is not there or fails.
pub fn ask(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_quotes_what_a_shell_would_split() {
        let mut command = Command::new("ip");
        command.args(["netns", "add", "a b", "it's"]);
        assert_eq!(line(&command), r"ip netns add 'a b' 'it'\''s'");
    }

    #[test]
    fn ask_is_none_for_a_missing_tool() {
        assert_eq!(ask("no-such-tool-here", &[]), None);
        assert_eq!(ask("false", &[]), None);
        assert_eq!(ask("echo", &["hi"]).as_deref(), Some("hi"));
    }
}
