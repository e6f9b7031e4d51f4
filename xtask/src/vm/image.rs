//! The kernel inside a `bzImage`: QEMU enters it directly, which saves the slow unpacking inside the
//! guest.

use super::tools::Tools;
use anyhow::{Context, Result, bail};
use std::path::Path;

// Offsets in the setup header, Documentation/arch/x86/boot.rst.
const SETUP_SECTORS: usize = 0x1f1;
const MAGIC: usize = 0x202;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

/// Programs that undo a compression, by the first bytes of what they take.
const UNPACKERS: [(&[u8], &str); 2] = [(b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zstd")];

/// Writes the ELF image to `to`.
pub(super) fn unpack(from: &Path, to: &Path, tools: &Tools) -> Result<()> {
    let image = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    let (packed, size) =
        payload(&image).with_context(|| format!("{} is not a bzImage", from.display()))?;
    let unpacker = UNPACKERS
        .iter()
        .find(|(magic, _)| packed.starts_with(magic));
    let Some((_, program)) = unpacker else {
        bail!("{} is compressed in an unknown way", from.display());
    };
    tools.unpack(program, packed, to)?;
    let written = std::fs::metadata(to)?.len();
    if written != u64::from(size) {
        bail!("{} has {written} bytes instead of {size}", to.display());
    }
    Ok(())
}

/// The compressed kernel, and its size when it is not.
fn payload(image: &[u8]) -> Option<(&[u8], u32)> {
    if image.get(MAGIC..MAGIC + 4)? != b"HdrS" {
        return None;
    }
    // Zero stands for four, as ancient boot loaders know it.
    let sectors = match image[SETUP_SECTORS] {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = (sectors + 1) * 512 + usize::try_from(word(image, PAYLOAD_OFFSET)?).ok()?;
    let length = usize::try_from(word(image, PAYLOAD_LENGTH)?).ok()?;
    let payload = image.get(start..start.checked_add(length)?)?;
    // The build appends the size for whoever unpacks it.
    let (packed, size) = payload.split_at_checked(length.checked_sub(4)?)?;
    Some((packed, word(size, 0)?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_where_the_header_says() {
        let mut image = vec![0; 1024 + 16];
        image[SETUP_SECTORS] = 1;
        image[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
        image[PAYLOAD_OFFSET] = 4;
        image[PAYLOAD_LENGTH] = 8;
        image[1028..1036].copy_from_slice(b"abcd\x07\x01\0\0");
        assert_eq!(payload(&image), Some((&b"abcd"[..], 0x107)));
        image[PAYLOAD_LENGTH] = 200;
        assert_eq!(payload(&image), None, "beyond the end");
        assert_eq!(payload(b"\x7fELF"), None);
    }
}
