//! What tshark makes of frames: the checksums of every layer, by a decoder that shares no code with ours.

use super::{Frame, Site};
use anyhow::{Context, Result, ensure};
use std::{collections::BTreeMap, ops::Range, path::Path, process::Command};
use xtask::lab::run;

/// The start of a capture file of this machine's byte order: magic, version 2.4, zone, accuracy, 256 KiB
/// at most of each frame, Ethernet.
const HEADER: [u32; 6] = [0xA1B2_C3D4, 0x0004_0002, 0, 0, 1 << 18, 1];

/// Layers that have a checksum, as tshark names them.
const LAYERS: [&str; 5] = ["ip", "tcp", "udp", "icmp", "icmpv6"];

/// Those of them that an ICMP error may quote in part.
const UPPER: Range<usize> = 1..3;

/// What tshark says of a checksum.
const BAD: &str = "0";
const GOOD: &str = "1";

/// How many checksums of each layer were right.
pub type Right = BTreeMap<&'static str, usize>;

/// Decodes frames; a wrong checksum is an error.
pub fn checksums(site: &Site, name: &str, frames: &[Frame]) -> Result<Right> {
    ensure!(!frames.is_empty(), "{name}: nothing was captured");
    let file = site.file(&format!("{name}.pcap"), capture(frames)?)?;
    let said = decoded(&file)?;
    let mut right = Right::new();
    for (line, frame) in said.lines().zip(frames) {
        let cells: Vec<&str> = line.split('\t').collect();
        let is_message = cells.iter().skip(UPPER.end).any(|cell| !cell.is_empty());
        for (column, (layer, cell)) in LAYERS.into_iter().zip(cells).enumerate() {
            // An ICMP error may quote less than the checksum of what it quotes covers.
            if is_message && UPPER.contains(&column) {
                continue;
            }
            // Its own headers and those that it quotes.
            for status in cell.split(',') {
                ensure!(status != BAD, "{name}: {layer} of {frame:02x?}");
                *right.entry(layer).or_default() += usize::from(status == GOOD);
            }
        }
    }
    let read = said.lines().count();
    ensure!(read == frames.len(), "{read} of {} were read", frames.len());
    Ok(right)
}

fn decoded(file: &Path) -> Result<String> {
    let mut tshark = Command::new("tshark");
    tshark.arg("-n").arg("-r").arg(file).args(["-T", "fields"]);
    for layer in LAYERS {
        tshark.args(["-e", &format!("{layer}.checksum.status")]);
    }
    for layer in ["ip", "tcp", "udp"] {
        tshark.args(["-o", &format!("{layer}.check_checksum:TRUE")]);
    }
    Ok(run(&mut tshark)?.stdout)
}

/// The frames as a file of the classic format.
fn capture(frames: &[Frame]) -> Result<Vec<u8>> {
    let mut file: Vec<u8> = HEADER.iter().flat_map(|word| word.to_ne_bytes()).collect();
    for (second, frame) in frames.iter().enumerate() {
        let len = u32::try_from(frame.len()).context("a frame too long for the format")?;
        for word in [u32::try_from(second)?, 0, len, len] {
            file.extend(word.to_ne_bytes());
        }
        file.extend(frame);
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::udp;

    #[test]
    fn a_file_has_a_header_and_one_for_each_frame() {
        let frame = udp([10, 0, 0, 7], [10, 0, 0, 5], 30);
        let file = capture(&[frame.clone(), frame.clone()]).expect("short frames");
        assert_eq!(file.len(), 24 + 2 * (16 + frame.len()));
        assert!(file.ends_with(&frame));
    }
}
