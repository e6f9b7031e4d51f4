//! What pktgen is told.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use dataplane_common::id::Mac;

use crate::{generator::keys::Pattern, paths::Frames};

/// Offset of the source address in a frame.
const SRC: usize = 26;
/// Offset of the destination address.
const DST: usize = 30;

/// What makes pktgen send these frames. A veth takes each skb for good, so none is sent twice.
pub(super) fn commands(frames: &Frames, pattern: &Pattern) -> Result<Vec<String>> {
    let at = |offset: usize| -> Result<[u8; 4]> {
        let bytes = frames.head.get(offset..offset + 4);
        Ok(bytes.context("a short head")?.try_into()?)
    };
    let mac = |offset: usize| -> Result<String> {
        let bytes = frames.head.get(offset..offset + 6);
        let bytes: [u8; 6] = bytes.context("a short head")?.try_into()?;
        Ok(Mac(bytes).to_string())
    };
    let range = |side: &str, offset: usize| -> Result<Vec<String>> {
        let least = u32::from_be_bytes(at(offset)?);
        let keyed = offset == frames.key_offset && pattern.keys > 1;
        // Drawn from below the maximum, which is not reached.
        let most = if keyed {
            least.wrapping_add(pattern.keys)
        } else {
            least
        };
        let address = Ipv4Addr::from_bits;
        let mut commands = vec![
            format!("{side}_min {}", address(least)),
            format!("{side}_max {}", address(most)),
        ];
        if keyed {
            commands.push(format!("flag IP{}_RND", side.to_uppercase()));
        }
        Ok(commands)
    };
    ensure!(
        frames.key_offset == SRC || frames.key_offset == DST,
        "pktgen varies addresses only, and the key is at {}",
        frames.key_offset
    );
    let fixed = [
        "clone_skb 0",
        "delay 0",
        "udp_src_min 9",
        "udp_src_max 9",
        "udp_dst_min 9",
        "udp_dst_max 9",
    ];
    let mut commands: Vec<String> = fixed.map(str::to_owned).to_vec();
    commands.push(format!("pkt_size {}", frames.length));
    commands.push(format!("dst_mac {}", mac(0)?));
    commands.push(format!("src_mac {}", mac(6)?));
    commands.extend(range("src", SRC)?);
    commands.extend(range("dst", DST)?);
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{paths::frames::Datagram, scenario::Keys};

    #[test]
    fn a_range_of_keys_is_drawn_and_one_key_is_not() {
        let told = |keys| {
            let pattern = Pattern::new(keys, 65_536, 1);
            commands(&Datagram::to_b(60).frames(), &pattern).expect("commands")
        };
        let uniform = told(Keys::Uniform);
        for command in [
            "dst_min 10.64.0.1",
            "dst_max 10.65.0.1",
            "flag IPDST_RND",
            "src_max 10.0.0.5",
            "pkt_size 60",
        ] {
            assert!(
                uniform.iter().any(|said| said == command),
                "{command}: {uniform:?}"
            );
        }
        let hot = told(Keys::OneHot);
        assert!(
            hot.iter().any(|said| said == "dst_max 10.64.0.1"),
            "{hot:?}"
        );
        assert!(hot.iter().all(|said| !said.contains("RND")), "{hot:?}");
    }
}
