//! Names: of objects, interfaces and network namespaces.

use super::{Checker, Subject};
use crate::policy::{
    document::{Document, Metadata},
    key::Key,
};

/// Longest name of an object.
const LABEL_MAX: usize = 63;
/// Longest name of an interface (`IFNAMSIZ` less the final zero).
const INTERFACE_MAX: usize = 15;
const LABEL_HINT: &str = "use 1 to 63 lower-case letters, digits and inner dashes";

impl Checker<'_> {
    pub(super) fn metadata(&mut self, at: &Subject, document: &Document) {
        let (metadata, named, in_network) = match document {
            Document::ProviderNetwork(d) => (&d.metadata, true, false),
            Document::Host(d) => (&d.metadata, true, false),
            Document::VMNetwork(d) => (&d.metadata, true, false),
            Document::Port(d) => (&d.metadata, true, true),
            Document::LookupRecord(d) => (&d.metadata, false, true),
            Document::CustomerRoute(d) => (&d.metadata, true, true),
        };
        self.name(at, metadata, named);
        match &metadata.vm_network {
            Some(_) if in_network => {}
            Some(network) => {
                let message = format!("vmNetwork {network} has no meaning here");
                self.fault(at, "metadata.vmNetwork", message, "remove it");
            }
            None if in_network => {
                let hint = "add the name of the object's VMNetwork";
                self.fault(at, "metadata", "vmNetwork is missing", hint);
            }
            None => {}
        }
        if matches!(&at.key, Key::ProviderNetwork(name) if name != "default") {
            let message = "there is one provider network, and its name is default";
            self.fault(at, "metadata.name", message, "name it default");
        }
    }

    fn name(&mut self, at: &Subject, metadata: &Metadata, named: bool) {
        match &metadata.name {
            Some(name) => self.label(at, "metadata.name", name),
            None if named => self.fault(at, "metadata", "name is missing", "add one"),
            None => {}
        }
    }

    pub(super) fn label(&mut self, at: &Subject, path: &str, name: &str) {
        if !is_label(name) {
            self.fault(at, path, format!("`{name}` is no valid name"), LABEL_HINT);
        }
    }

    pub(super) fn interface_name(&mut self, at: &Subject, path: &str, name: &str) {
        let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
        if name.is_empty() || name.len() > INTERFACE_MAX || is_dots(name) || name.contains(bad) {
            let message = format!("`{name}` is no interface name");
            self.fault(
                at,
                path,
                message,
                "use 1 to 15 bytes without spaces, slashes and colons",
            );
        }
    }

    pub(super) fn netns_name(&mut self, at: &Subject, path: &str, name: &str) {
        let bad = |c: char| c == '/' || c.is_control();
        if name.is_empty() || name.len() > 255 || is_dots(name) || name.contains(bad) {
            let message = format!("`{name}` is no name of a network namespace");
            self.fault(
                at,
                path,
                message,
                "use the name that `ip netns` shows, without slashes",
            );
        }
    }
}

fn is_dots(name: &str) -> bool {
    name == "." || name == ".."
}

pub(super) fn is_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=LABEL_MAX).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for good in ["a", "host-a", "0", &"x".repeat(63)] {
            assert!(is_label(good), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a_b",
            "a.b",
            "a/b",
            "ä",
            &"x".repeat(64),
        ] {
            assert!(!is_label(bad), "{bad}");
        }
    }
}
