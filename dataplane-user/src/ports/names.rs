//! Names of the devices that nved makes.

use crate::policy::PortKey;

/// Prefix of the alias by which a device of ours is recognized.
const ALIAS: &str = "nve port ";

/// The device name of a port: `nve` and a hash, 11 characters, the same after a restart.
pub fn device(port: &PortKey) -> String {
    format!("nve{:08x}", fnv(port.to_string().as_bytes()))
}

/// The alias of a port's device; it names the port in full.
pub fn alias(port: &PortKey) -> String {
    format!("{ALIAS}{port}")
}

/// Whether a device with this alias was made by nved.
pub fn is_ours(alias: &str) -> bool {
    alias.starts_with(ALIAS)
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
        assert_eq!(device(&blue).len(), 11);
        assert_eq!(device(&blue), device(&blue.clone()));
        assert_ne!(device(&blue), device(&green));
        assert_eq!(alias(&blue), "nve port blue/vm1");
        assert!(is_ours(&alias(&blue)) && !is_ours("uplink to rack 3"));
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(fnv(b""), 0x811c_9dc5);
        assert_eq!(fnv(b"a"), 0xe40c_292c);
    }
}
