//! What a request did, or why it did not.

use std::{
    fmt,
    io::{self, Write},
};

use crate::control::protocol::{Action, Problem, Restarted, Unloaded};

/// `kind/name action` on a line; nothing for an object that did not change.
pub fn change_into(
    out: &mut impl Write,
    object: &str,
    action: Action,
    dry_run: bool,
) -> io::Result<()> {
    if action == Action::Unchanged {
        return Ok(());
    }
    let (kind, rest) = object.split_at(object.find('/').unwrap_or(0));
    let mark = if dry_run { " (dry run)" } else { "" };
    for part in [
        &kind.to_ascii_lowercase(),
        rest,
        " ",
        action_word(action),
        mark,
        "\n",
    ] {
        out.write_all(part.as_bytes())?;
    }
    Ok(())
}

/// How many objects were created and so on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary([usize; 4]);

impl Summary {
    const ORDER: [Action; 4] = [
        Action::Created,
        Action::Configured,
        Action::Deleted,
        Action::Unchanged,
    ];

    /// Counts one more.
    pub fn add(&mut self, action: Action) {
        let place = Self::ORDER.iter().position(|known| *known == action);
        self.0[place.unwrap_or(3)] += 1;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.into_iter().zip(Self::ORDER);
        let counts = counts.filter(|(count, _)| *count > 0);
        let mut before = "";
        for (count, action) in counts {
            write!(f, "{before}{count} {}", action_word(action))?;
            before = ", ";
        }
        if before.is_empty() {
            return f.write_str("nothing to do");
        }
        Ok(())
    }
}

/// One problem, its hint on a line of its own.
pub fn problem_into(out: &mut impl Write, problem: &Problem) -> io::Result<()> {
    let parts = [
        &lower_kind(&problem.object),
        &problem.path,
        &problem.message,
    ];
    let parts: Vec<&str> = parts
        .into_iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    writeln!(out, "error: {}", parts.join(": "))?;
    if problem.hint.is_empty() {
        return Ok(());
    }
    writeln!(out, "  hint: {}", problem.hint)
}

/// What was removed, a line each.
pub fn unloaded_into(out: &mut impl Write, unloaded: &Unloaded) -> io::Result<()> {
    for program in &unloaded.detached {
        writeln!(out, "program {program} detached")?;
    }
    for device in &unloaded.devices {
        writeln!(out, "device {device} removed")?;
    }
    writeln!(out, "{} pins removed", unloaded.pins)
}

/// How many workers were restarted.
pub fn restarted_into(out: &mut impl Write, restarted: &Restarted) -> io::Result<()> {
    match restarted.workers {
        0 => writeln!(out, "the slow path has no worker; `nvectl status` says why"),
        1 => writeln!(out, "1 worker of the slow path restarted"),
        workers => writeln!(out, "{workers} workers of the slow path restarted"),
    }
}

/// The word that users see.
fn action_word(action: Action) -> &'static str {
    match action {
        Action::Created => "created",
        Action::Configured => "configured",
        Action::Unchanged => "unchanged",
        Action::Deleted => "deleted",
    }
}

/// `Port/blue/vm1` and `port/blue/vm1` are shown alike.
fn lower_kind(object: &str) -> String {
    match object.split_once('/') {
        Some((kind, name)) => format!("{}/{name}", kind.to_ascii_lowercase()),
        None => object.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).expect("written");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn unchanged_objects_are_only_counted() {
        let changes = [
            ("Port/Blue/VM1", Action::Created),
            ("host/host-a", Action::Unchanged),
        ];
        let told = |dry_run| {
            text(|out| {
                let mut changes = changes.iter();
                changes.try_for_each(|(object, action)| change_into(out, object, *action, dry_run))
            })
        };
        assert_eq!(told(false), "port/Blue/VM1 created\n");
        assert_eq!(told(true), "port/Blue/VM1 created (dry run)\n");
        let mut summary = Summary::default();
        assert_eq!(summary.to_string(), "nothing to do");
        for (_, action) in changes {
            summary.add(action);
        }
        assert_eq!(summary.to_string(), "1 created, 1 unchanged");
    }

    #[test]
    fn a_problem_says_what_where_and_what_to_do() {
        let problem = Problem {
            object: "port/blue/vm1".into(),
            document: Some(0),
            path: "spec.host".into(),
            message: "no host `host-z`".into(),
            hint: "apply a Host of this name".into(),
        };
        assert_eq!(
            text(|out| problem_into(out, &problem)),
            "error: port/blue/vm1: spec.host: no host `host-z`\n  hint: apply a Host of this name\n"
        );
    }
}
