//! Reads the frames of a capture file, in the classic format that tcpdump writes.

use anyhow::{Context, Result, ensure};

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
const MAGICS: [u32; 2] = [0xa1b2_c3d4, 0xa1b2_3c4d];

/// The captured bytes of each frame. A last record that is cut off is left out.
pub(super) fn frames(file: &[u8]) -> Result<Vec<&[u8]>> {
    let header = file
        .get(..FILE_HEADER)
        .context("the capture has no header")?;
    let magic = u32_at(header, 0);
    ensure!(
        magic.is_some_and(|magic| MAGICS.contains(&magic)),
        "this is no capture of this machine"
    );
    let mut frames = Vec::new();
    let mut rest = &file[FILE_HEADER..];
    while let Some(length) = u32_at(rest, 8) {
        let end = RECORD_HEADER + length as usize;
        let Some(frame) = rest.get(RECORD_HEADER..end) else {
            break;
        };
        frames.push(frame);
        rest = &rest[end..];
    }
    Ok(frames)
}

/// Does the word stand anywhere in the frame? It is not empty.
pub(super) fn contains(frame: &[u8], word: impl AsRef<[u8]>) -> bool {
    let word = word.as_ref();
    frame.windows(word.len()).any(|window| window == word)
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(frames: &[&[u8]]) -> Vec<u8> {
        let mut file = MAGICS[0].to_ne_bytes().to_vec();
        file.resize(FILE_HEADER, 0);
        for frame in frames {
            let length = u32::try_from(frame.len()).unwrap().to_ne_bytes();
            file.extend([[0; 4], [0; 4], length, length].concat());
            file.extend(*frame);
        }
        file
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let capture = file(&[b"one", b"", b"a nve-blue b"]);
        let read = frames(&capture).unwrap();
        assert_eq!(read, [&b"one"[..], b"", b"a nve-blue b"]);
        assert!(contains(read[2], "nve-blue") && !contains(read[0], "nve-blue"));
    }

    #[test]
    fn a_cut_file_gives_its_whole_frames() {
        let capture = file(&[b"one", b"two"]);
        for cut in FILE_HEADER..capture.len() {
            assert!(frames(&capture[..cut]).unwrap().len() < 2, "cut at {cut}");
        }
        assert!(frames(&capture[..FILE_HEADER - 1]).is_err());
        assert!(frames(&[0; FILE_HEADER]).is_err());
    }
}
