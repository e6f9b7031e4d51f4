//! Names of the devices that nved makes.

use crate::policy::{PortKey, document::Attach};

/// The device name of a port: `nve` and a hash, 11 characters, the same after a restart.
pub fn device(host: &str, port: &PortKey) -> String {
    format!("nve{:08x}", fnv(format!("{host} {port}").as_bytes()))
}

/// The alias of a port's device; it names host, port and tap in full, so that a device is
/// found under any name, and a port with another tap gets another device.
pub fn alias(host: &str, port: &PortKey, attach: &Attach) -> String {
    match &attach.tap {
        Some(tap) => format!("nve {host} port {port} tap {tap}"),
        None => format!("nve {host} port {port}"),
    }
}

/// The alias of an end of a host's upcall pair.
pub fn upcall(host: &str, end: &str) -> String {
    format!("nve {host} upcall {end}")
}

/// Whether a device with this alias was made by the nved of this host; another
/// in the same namespace has devices of its own.
pub fn is_ours(host: &str, alias: &str) -> bool {
    owner(alias) == Some(host)
}

/// Whether a device with this alias is an end of the upcall pair of another host than this.
pub fn is_upcall_of_another(host: &str, alias: &str) -> bool {
    upcall_owner(alias).is_some_and(|owner| owner != host)
}

/// Whether a device with this alias is an end of the upcall pair of any nved.
pub fn is_upcall(alias: &str) -> bool {
    upcall_owner(alias).is_some()
}

fn upcall_owner(alias: &str) -> Option<&str> {
    let (host, _) = alias.strip_prefix("nve ")?.split_once(" upcall ")?;
    Some(host)
}

/// Whether a device with this alias was made by any nved.
pub fn is_port(alias: &str) -> bool {
    owner(alias).is_some()
}

fn owner(alias: &str) -> Option<&str> {
    let (host, _) = alias.strip_prefix("nve ")?.split_once(" port ")?;
    Some(host)
}

/// A device's name as text, if it may stand in a command that somebody copies. A tenant chooses
/// the names in its namespace, and the kernel forbids no more than `/`, `:` and white space.
pub fn plain(name: &[u8]) -> Option<&str> {
    let name = str::from_utf8(name).ok()?;
    let harmless = |c: char| c.is_ascii_alphanumeric() || "_.@-".contains(c);
    let word = !name.is_empty() && !name.starts_with('-') && name.chars().all(harmless);
    word.then_some(name)
}

/// A text for people, in which characters that would steer a terminal are written out.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || c.is_ascii_graphic() || c == ' ' {
            shown.push(c);
        } else {
            shown.extend(c.escape_debug());
        }
    }
    shown
}

/// FNV-1a, 32 bits: no secret, only short and stable.
fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_an_interface_and_differ() {
        let blue = PortKey::new("blue", "vm1");
        let green = PortKey::new("green", "vm1");
        assert_eq!(device("a", &blue).len(), 11);
        assert_eq!(device("a", &blue), device("a", &blue.clone()));
        assert_ne!(device("a", &blue), device("a", &green));
        assert_ne!(device("a", &blue), device("b", &blue));
    }

    #[test]
    fn an_alias_tells_whose_a_device_is() {
        let port = PortKey::new("blue", "vm1");
        let tap = Attach {
            tap: Some("t1".into()),
            ..Attach::default()
        };
        assert_eq!(super::alias("a", &port, &tap), "nve a port blue/vm1 tap t1");
        let alias = alias("a", &port, &Attach::default());
        assert_eq!(alias, "nve a port blue/vm1");
        assert!(is_ours("a", &alias) && is_port(&alias));
        assert!(!is_ours("b", &alias) && !is_port("uplink to rack 3"));
    }

    #[test]
    fn a_name_that_a_shell_or_a_program_would_take_for_more_is_not_plain() {
        for name in ["eth0", "eth0.7", "ens3_a@b-c"] {
            assert_eq!(plain(name.as_bytes()), Some(name));
        }
        for name in ["", "-K", "$(reboot)", "a;b", "a`b", "a'b", "\u{1b}[2J", "ü"] {
            assert_eq!(plain(name.as_bytes()), None, "{name:?}");
        }
        assert_eq!(plain(b"\xff"), None);
    }

    #[test]
    fn what_steers_a_terminal_is_written_out() {
        let text = "interface 'ü\u{1b}[2J\r\u{202e}' is \"new\"\n";
        let shown = "interface 'ü\\u{1b}[2J\\r\\u{202e}' is \"new\"\n";
        assert_eq!(printable(text), shown);
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(fnv(b""), 0x811c_9dc5);
        assert_eq!(fnv(b"a"), 0xe40c_292c);
    }
}
