//! The frames themselves: captured where they arrive, with the keys that were asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dataplane_bench::{
    generator::{Kind, Load, pktgen},
    paths::Built,
    scenario::{Keys, PathName, Scenario, Sink},
};
use dataplane_common::wire::checksum;
use dataplane_tests::net::PacketSocket;
use xtask::lab::wait_until;

use crate::{built, why};

/// Frames that are captured, by few at a time: each of them fits into the queues on the way.
const CAPTURED: usize = 512;
const AT_ONCE: u32 = 32;
/// Offset of the IPv4 header in a frame, and of its checksum.
const HEADER: usize = 14;
const CHECKSUM: usize = HEADER + 10;
/// Records of the tables that they ask for.
const RECORDS: u32 = 1 << 20;

/// The frames of a generator as they are where packets are counted.
fn captured(kind: Kind, built: &Built, load: &Load) -> Vec<Vec<u8>> {
    let generator = kind.make(built, load).map_err(why);
    let mut generator = generator.unwrap_or_else(|why| panic!("{kind:?}: {why}"));
    let sink = &built.sink;
    let socket = PacketSocket::open(&sink.netns, sink.device).expect("a socket");
    let mut frames = Vec::new();
    while frames.len() < CAPTURED {
        generator.send(AT_ONCE).expect("sent");
        let wanted = frames.len() + AT_ONCE as usize;
        let arrive = || {
            // Tenants' stacks send nothing of this length.
            let came = socket.drain()?.into_iter();
            frames.extend(came.filter(|frame| frame.len() == usize::from(built.frames.length)));
            Ok((frames.len() >= wanted).then_some(()))
        };
        wait_until("the frames", Duration::from_secs(30), arrive).expect("all arrive");
    }
    frames
}

/// How often each key was asked for, in frames with valid IPv4 headers.
fn keys_of(built: &Built, frames: &[Vec<u8>]) -> BTreeMap<u32, usize> {
    let mut keys = BTreeMap::new();
    for frame in frames {
        let mut words = [0; 10];
        for (word, pair) in words.iter_mut().zip(frame[HEADER..].chunks_exact(2)) {
            *word = u16::from_be_bytes([pair[0], pair[1]]);
        }
        assert_eq!(checksum::sum(words), 0xFFFF, "{frame:02x?}");
        let at = built.frames.key_offset;
        let key: [u8; 4] = frame[at..at + 4].try_into().expect("an address");
        *keys
            .entry(u32::from_be_bytes(key) - built.frames.first_key)
            .or_default() += 1;
    }
    keys
}

/// Frames differ in nothing but the key and the checksum over it.
fn alike(built: &Built, frames: &[Vec<u8>]) {
    let head = &built.frames.head;
    let key = built.frames.key_offset;
    for frame in frames {
        let mut plain = frame.clone();
        for varies in [key..key + 4, CHECKSUM..CHECKSUM + 2] {
            plain[varies.clone()].copy_from_slice(&head[varies]);
        }
        assert_eq!(plain[..head.len()], head[..]);
    }
}

/// What so many draws look like; far from what chance does to them.
fn are_of(pattern: Keys, keys: &BTreeMap<u32, usize>) {
    let few = keys.range(..1024).map(|(_, count)| count).sum::<usize>();
    let most = keys.values().max().copied().unwrap_or_default();
    let told = format!(
        "{pattern:?}: {} keys, {few} below 1,024, {most} of one",
        keys.len()
    );
    match pattern {
        Keys::OneHot => assert_eq!(*keys, BTreeMap::from([(0, CAPTURED)])),
        // Of 512 draws from 1,024, some 403 differ.
        Keys::ThousandHot => assert!(few == CAPTURED && keys.len() > 300, "{told}"),
        // The first of a million keys has one draw in 14, the first thousand half of them.
        Keys::Zipf => {
            assert_eq!(keys.get(&0), Some(&most), "{told}");
            assert!((10..100).contains(&most), "{told}");
            assert!((150..360).contains(&few) && keys.len() > 150, "{told}");
        }
        Keys::Uniform => {
            assert!(keys.len() > CAPTURED - 10 && few < 20, "{told}");
            let eighths: BTreeSet<u32> = keys.keys().map(|key| key / (RECORDS / 8)).collect();
            assert_eq!(eighths, (0..8).collect(), "{told}");
        }
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn frames_have_the_keys_that_are_asked_for_and_valid_checksums() {
    let scenario = Scenario {
        sink: Sink::Skb,
        ..Scenario::PLAIN
    };
    let built = built(PathName::Veth, &scenario);
    for keys in [Keys::OneHot, Keys::ThousandHot, Keys::Zipf, Keys::Uniform] {
        let load = Load {
            keys,
            records: RECORDS,
            threads: 1,
            seed: 1,
        };
        let pktgen = pktgen::available() && pktgen::can(&built.frames, &load).is_ok();
        let kinds = [Some(Kind::LiveFrames), pktgen.then_some(Kind::Pktgen)];
        for kind in kinds.into_iter().flatten() {
            let frames = captured(kind, &built, &load);
            are_of(keys, &keys_of(&built, &frames));
            // pktgen numbers its packets and dates them.
            if kind == Kind::LiveFrames {
                alike(&built, &frames);
            }
        }
    }
}
