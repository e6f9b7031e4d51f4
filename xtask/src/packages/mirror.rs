//! Debian's archive: where it is.

use crate::shell;

/// Where packages come from.
#[derive(Debug, PartialEq)]
pub(super) struct Mirror {
    pub(super) main: String,
    pub(super) security: String,
}

impl Default for Mirror {
    /// Debian's own.
    fn default() -> Self {
        Self::among("")
    }
}

impl Mirror {
    /// The mirrors that this machine uses, as far as they are Debian's. Those of others may have
    /// the same path, but not the origin, which is in the lists that the machine has fetched.
    pub(super) fn used_here() -> Self {
        let format = [
            "indextargets",
            "--format",
            "$(REPO_URI)",
            "Created-By: Packages",
            "Origin: Debian",
        ];
        Self::among(&shell::ask("apt-get", &format).unwrap_or_default())
    }

    /// Those in lines of addresses, and Debian's own for what is not there.
    fn among(used: &str) -> Self {
        let ours = |name: &str| {
            let found = used
                .lines()
                .find(|uri| uri.trim_end_matches('/').ends_with(name));
            let default = || format!("http://deb.debian.org{name}/");
            found.map_or_else(default, str::to_owned)
        };
        Self {
            main: ours("/debian"),
            security: ours("/debian-security"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_used_for_what_it_has() {
        let mirror = Mirror::among("http://near/mirrors/debian/\nhttp://near/debian-ports/\n");
        assert_eq!(mirror.main, "http://near/mirrors/debian/");
        assert_eq!(mirror.security, Mirror::default().security);
        let general = Mirror::default();
        assert_eq!(general.main, "http://deb.debian.org/debian/");
        assert_eq!(general.security, "http://deb.debian.org/debian-security/");
    }
}
