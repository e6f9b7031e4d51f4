//! What a request did, or why it did not.

use std::io::{self, Write};

use crate::control::protocol::{Action, Change, Problem, Restarted, Unloaded};

/// `kind/name action` a line; objects that did not change are left out.
pub fn changes_into(out: &mut impl Write, changes: &[Change], dry_run: bool) -> io::Result<()> {
    let mark = if dry_run { " (dry run)" } else { "" };
    for Change { object, action } in changes {
        if *action != Action::Unchanged {
            writeln!(out, "{} {}{mark}", lower_kind(object), action_word(*action))?;
        }
    }
    Ok(())
}

/// How many objects were created and so on, in one sentence.
pub fn summary(changes: &[Change]) -> String {
    let count = |action| changes.iter().filter(|c| c.action == action).count();
    let counts: Vec<String> = [
        Action::Created,
        Action::Configured,
        Action::Deleted,
        Action::Unchanged,
    ]
    .into_iter()
    .filter(|action| count(*action) > 0)
    .map(|action| format!("{} {}", count(action), action_word(action)))
    .collect();
    if counts.is_empty() {
        return "nothing to do".to_owned();
    }
    counts.join(", ")
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
        let change = |object: &str, action| Change {
            object: object.into(),
            action,
        };
        let changes = [
            change("Port/Blue/VM1", Action::Created),
            change("host/host-a", Action::Unchanged),
        ];
        let told = text(|out| changes_into(out, &changes, false));
        assert_eq!(told, "port/Blue/VM1 created\n");
        let dry = text(|out| changes_into(out, &changes, true));
        assert_eq!(dry, "port/Blue/VM1 created (dry run)\n");
        assert_eq!(summary(&changes), "1 created, 1 unchanged");
        assert_eq!(summary(&[]), "nothing to do");
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
