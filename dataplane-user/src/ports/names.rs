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

/// Whether a device with this alias was made by the nved of this host; another
/// in the same namespace has devices of its own.
pub fn is_ours(host: &str, alias: &str) -> bool {
    owner(alias) == Some(host)
}

/// Whether a device with this alias was made by any nved.
pub fn is_port(alias: &str) -> bool {
    owner(alias).is_some()
}

fn owner(alias: &str) -> Option<&str> {
    let (host, _) = alias.strip_prefix("nve ")?.split_once(" port ")?;
    Some(host)
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
    fn the_hash_is_fnv_1a() {
        assert_eq!(fnv(b""), 0x811c_9dc5);
        assert_eq!(fnv(b"a"), 0xe40c_292c);
    }
}
