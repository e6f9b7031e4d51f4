//! What pktgen is told.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use dataplane_common::id::Mac;

use crate::{generator::keys::Pattern, paths::Frames};

/// Offset of the source address in a frame.
const SRC: usize = 26;
/// Offset of the destination address.
const DST: usize = 30;

/// What is the same for all frames. A veth takes each skb for good, so none is sent twice.
const FIXED: [&str; 6] = [
    "clone_skb 0",
    "delay 0",
    "udp_src_min 9",
    "udp_src_max 9",
    "udp_dst_min 9",
    "udp_dst_max 9",
];

/// What makes pktgen send these frames.
pub(super) fn commands(frames: &Frames, pattern: &Pattern) -> Result<Vec<String>> {
    ensure!(
        frames.key_offset == SRC || frames.key_offset == DST,
        "pktgen varies addresses only, and the key is at {}",
        frames.key_offset
    );
    let mac = |offset| Ok::<_, anyhow::Error>(Mac(at(frames, offset)?));
    let mut commands: Vec<String> = FIXED.map(str::to_owned).to_vec();
    commands.push(format!("pkt_size {}", frames.length));
    commands.push(format!("dst_mac {}", mac(0)?));
    commands.push(format!("src_mac {}", mac(6)?));
    for (side, offset) in [("src", SRC), ("dst", DST)] {
        let keys = if offset == frames.key_offset {
            pattern.keys
        } else {
            1
        };
        commands.extend(range(side, u32::from_be_bytes(at(frames, offset)?), keys));
    }
    Ok(commands)
}

/// So many addresses from the least one, each drawn for itself.
fn range(side: &str, least: u32, keys: u32) -> Vec<String> {
    // Drawn from below the maximum, which is not reached.
    let most = if keys > 1 {
        least.wrapping_add(keys)
    } else {
        least
    };
    let address = Ipv4Addr::from_bits;
    let mut commands = vec![
        format!("{side}_min {}", address(least)),
        format!("{side}_max {}", address(most)),
    ];
    if keys > 1 {
        commands.push(format!("flag IP{}_RND", side.to_uppercase()));
    }
    commands
}

fn at<const N: usize>(frames: &Frames, offset: usize) -> Result<[u8; N]> {
    let bytes = frames.head.get(offset..offset + N);
    Ok(bytes.context("a short head")?.try_into()?)
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
