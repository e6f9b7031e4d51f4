//! Files of shell script that tell the guest what to do.

use anyhow::{Result, bail};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

/// Goes to the command's folder and becomes the command.
///
/// The guest's shell has programs of its own by the names of others; `env` runs the real ones.
pub(super) fn command(command: &Command, folder: &Path) -> Result<Vec<u8>> {
    let mut script = b"cd ".to_vec();
    script.extend(quoted(folder.as_os_str()));
    script.extend_from_slice(b" || exit 126\nexec /usr/bin/env");
    let set = command
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    for (name, value) in set {
        let mut word = name.as_bytes().to_vec();
        word.push(b'=');
        word.extend_from_slice(value.as_bytes());
        script.push(b' ');
        script.extend(quoted(OsStr::from_bytes(&word)));
    }
    let program = command.get_program();
    if program.as_bytes().contains(&b'=') {
        bail!(
            "{} cannot be run in a guest: its name contains =",
            program.display()
        );
    }
    for word in std::iter::once(program).chain(command.get_args()) {
        script.push(b' ');
        script.extend(quoted(word));
    }
    script.push(b'\n');
    Ok(script)
}

/// One line that calls a function of the guest's scripts.
pub(super) fn call(function: &str, words: &[&OsStr]) -> Vec<u8> {
    let mut line = function.as_bytes().to_vec();
    for word in words {
        line.push(b' ');
        line.extend(quoted(word));
    }
    line.push(b'\n');
    line
}

fn quoted(word: &OsStr) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in word.as_bytes() {
        match byte {
            b'\'' => quoted.extend_from_slice(br"'\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_arrives_as_it_was() {
        let mut wanted = Command::new("printf");
        wanted
            .args(["%s\n", "a b", "it's", "$(reboot)", ""])
            .env("A", "x y");
        let script = command(&wanted, Path::new("/tmp")).unwrap();
        let script = String::from_utf8(script).unwrap();
        let line = script.lines().nth(1).unwrap();
        assert!(
            line.starts_with("exec /usr/bin/env 'A=x y' 'printf' '%s"),
            "{line}"
        );
        let said = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&said.stdout),
            "a b\nit's\n$(reboot)\n\n"
        );
    }
}
