//! nved's flags, of which `load` has to know a few.

use super::State;
use anyhow::{Result, bail};
use std::path::PathBuf;

/// The flags with what `load` adds: store and socket are in its own folder unless they are
/// given. And the socket.
pub(super) fn complete(given: &[String], state: &State) -> (Vec<String>, PathBuf) {
    let mut flags = given.to_vec();
    if value(given, "--store").is_none() {
        let store = state.file("policy.redb");
        flags.extend(["--store".into(), format!("redb://{}", store.display())]);
    }
    let socket = value(given, "--socket").map_or_else(
        || {
            let socket = state.file("nved.sock");
            flags.extend(["--socket".into(), socket.display().to_string()]);
            socket
        },
        PathBuf::from,
    );
    (flags, socket)
}

/// Fails where other flags mean another dataplane: the old one would stay without an agent.
pub(super) fn same_dataplane(before: &[String], now: &[String]) -> Result<()> {
    for name in ["--pin", "--config"] {
        let (old, new) = (value(before, name), value(now, name));
        if old != new {
            let told = |value: Option<&str>| match value {
                Some(value) => format!("with {name} {value}"),
                None => format!("without {name}"),
            };
            bail!(
                "nved was loaded {}, not {}; run `cargo xtask unload` first",
                told(old),
                told(new)
            );
        }
    }
    Ok(())
}

/// The value of a flag, as `--flag value` or `--flag=value`; the last one counts.
fn value<'f>(flags: &'f [String], name: &str) -> Option<&'f str> {
    let next = flags.iter().skip(1).map(Some).chain([None]);
    let values = flags.iter().zip(next).filter_map(|(flag, next)| {
        if flag == name {
            return next.map(String::as_str);
        }
        flag.strip_prefix(name)?.strip_prefix('=')
    });
    values.last()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_flag_has_its_value_in_either_form() {
        let line = flags("--host a --pin /x --socket=/s --pin=/y --store");
        assert_eq!(value(&line, "--pin"), Some("/y"));
        assert_eq!(value(&line, "--socket"), Some("/s"));
        assert_eq!(value(&line, "--store"), None);
        assert_eq!(value(&line, "--sock"), None);
    }

    #[test]
    fn other_pins_are_another_dataplane() {
        let (a, b) = (flags("--host a --pin /x"), flags("--pin=/x --host b"));
        assert!(same_dataplane(&a, &b).is_ok());
        let error = same_dataplane(&a, &flags("--host a")).unwrap_err();
        let text = "nved was loaded with --pin /x, not without --pin";
        assert!(error.to_string().starts_with(text), "{error}");
    }
}
