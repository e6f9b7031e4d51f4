//! Why a program could not be attached, and what to do about it.

use super::{
    foreign::Foreign,
    links::{Hook, LinkFailure},
};

/// Whether the kernel or the device cannot do it, now or later.
pub(super) fn is_lack(failure: &LinkFailure) -> bool {
    let lacks = [
        libc::EOPNOTSUPP,
        libc::EPERM,
        libc::EACCES,
        libc::EINVAL,
        libc::ERANGE,
    ];
    failure.errno().is_some_and(|errno| lacks.contains(&errno))
}

/// What a TC attachment failed for, and what to do.
pub(super) fn tc(failure: &LinkFailure, hook: Hook) -> String {
    match (failure.errno(), hook) {
        (Some(libc::EEXIST), Hook::Clsact) => {
            "a filter of somebody else has priority 25944 and handle 1, and nved displaces nobody; remove it (`tc filter show dev DEV ingress`), or use `--tc-hook tcx`".to_owned()
        }
        (Some(libc::ENOENT), Hook::Clsact) => {
            "the kernel has no clsact qdisc or no bpf classifier, or cannot load their modules by itself; run `modprobe -a sch_ingress cls_bpf`".to_owned()
        }
        (_, _) => format!("{}; see --tc-hook", chain(failure)),
    }
}

/// What an XDP attachment failed for, and what to do.
pub(super) fn xdp(failure: &LinkFailure, other: Option<Foreign>, driver: Option<&str>) -> String {
    let way_out = if driver.is_some() {
        "use `--uplink-mode tc`"
    } else {
        "give the port `mode: tc`"
    };
    let cause = match (failure.errno(), other) {
        (Some(libc::EBUSY | libc::EEXIST), Some(other)) => {
            return format!(
                "XDP program {} (id {}) is attached to it, and nved displaces nobody; detach that, or {way_out}",
                other.name, other.id
            );
        }
        (Some(libc::EOPNOTSUPP), _) => format!(
            "its driver{} has no native XDP",
            driver.map(|name| format!(" {name}")).unwrap_or_default()
        ),
        (Some(libc::ERANGE | libc::EINVAL), _) => {
            format!(
                "its MTU or settings do not allow native XDP ({})",
                chain(failure)
            )
        }
        (_, _) => chain(failure),
    };
    format!("{cause}; {way_out}")
}

/// An error and its causes, each once.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn failure(errno: i32) -> LinkFailure {
        LinkFailure::Io(io::Error::from_raw_os_error(errno))
    }

    #[test]
    fn failures_name_a_way_out() {
        let text = xdp(&failure(libc::EOPNOTSUPP), None, Some("e1000"));
        assert_eq!(
            text,
            "its driver e1000 has no native XDP; use `--uplink-mode tc`"
        );
        let text = tc(&failure(libc::ENOENT), Hook::Clsact);
        assert!(text.ends_with("run `modprobe -a sch_ingress cls_bpf`"));
        let other = Foreign {
            hook: "xdp",
            id: 17,
            name: "theirs".to_owned(),
            before: true,
        };
        let text = xdp(&failure(libc::EBUSY), Some(other), None);
        assert!(text.contains("program theirs (id 17)") && text.contains("`mode: tc`"));
    }
}
