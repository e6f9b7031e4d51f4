//! A build of `nved` with other program code, for upgrades.
//!
//! It is the build under test with its embedded object changed: every `r = K` of 64 bits with a
//! constant that is not negative becomes the same of 32 bits, which sets the register to the same
//! value. So the kernel sees other programs (their tags differ) that do the same.

use anyhow::{Context, Result, ensure};
use aya::programs::{ProgramInfo, loaded_programs};
use dataplane_user::dataplane::{OBJECT, running::Running};
use object::{Object, ObjectSection, SectionKind};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use xtask::lab::bin_dir;

/// Writes the other build to a folder.
pub fn other_build(folder: &Path) -> Result<PathBuf> {
    let mut program = fs::read(bin_dir()?.join("nved"))?;
    let mut found = find_all(&program, OBJECT);
    let place = found.next().context("nved does not embed the object")?;
    ensure!(found.next().is_none(), "nved embeds the object twice");
    drop(found);
    program[place..place + OBJECT.len()].copy_from_slice(&other_code(OBJECT)?);
    let path = folder.join("nved");
    fs::write(&path, program)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Tags of the programs that the pins of an `nved` run.
pub fn tags(pin: &Path) -> Result<BTreeSet<u64>> {
    let running = Running::read(pin)?;
    let ours = |info: &ProgramInfo| running.programs.contains(&info.id());
    let programs = loaded_programs().flatten().filter(ours);
    Ok(programs.map(|info| info.tag()).collect())
}

fn find_all<'b>(bytes: &'b [u8], wanted: &'b [u8]) -> impl Iterator<Item = usize> + 'b {
    // The start of an ELF file, so that few places are compared in full.
    let starts = bytes.windows(4).enumerate();
    let starts = starts.filter(|(_, start)| *start == b"\x7fELF");
    let places = starts.map(|(place, _)| place);
    places.filter(|place| bytes[*place..].starts_with(wanted))
}

const MOV64: u8 = 0xb7;
const MOV32: u8 = 0xb4;
/// The only instruction that takes two slots.
const LOAD64: u8 = 0x18;
const SLOT: usize = 8;

fn other_code(elf: &[u8]) -> Result<Vec<u8>> {
    let mut other = elf.to_vec();
    let file = object::File::parse(elf)?;
    let code = file.sections().filter(|s| s.kind() == SectionKind::Text);
    let mut changed = 0;
    for section in code {
        let Some((start, len)) = section.file_range() else {
            continue;
        };
        let (mut at, end) = (usize::try_from(start)?, usize::try_from(start + len)?);
        while at + SLOT <= end {
            let slot = &mut other[at..at + SLOT];
            at += if slot[0] == LOAD64 { 2 * SLOT } else { SLOT };
            if slot[0] == MOV64 && slot[7] < 0x80 {
                slot[0] = MOV32;
                changed += 1;
            }
        }
    }
    ensure!(changed > 0, "no instruction could be changed");
    Ok(other)
}
