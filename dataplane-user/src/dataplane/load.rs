//! Loading the object: maps pinned and reused, every program verified before any is attached.

use std::path::Path;

use aya::{
    Ebpf, EbpfLoader,
    maps::MapInfo,
    programs::{ProgramError, SchedClassifier, Xdp},
};
use dataplane_common::abi::programs;
use libbpf_rs::PrintLevel;

use super::{
    Dataplane, Error, OBJECT,
    adopt::Adoption,
    foreign::Own,
    layout,
    links::{Hook, LINKS},
    maps::{Maps, failed},
    require,
};
use crate::settings::Settings;

/// Program on a port, TC.
pub const TC_EGRESS: &str = "nve_tc_egress";
/// Program on an uplink, TC.
pub const TC_INGRESS: &str = "nve_tc_ingress";
/// Program on a port, XDP.
pub const XDP_EGRESS: &str = "nve_xdp_egress";
/// Program on an uplink, XDP.
pub const XDP_INGRESS: &str = "nve_xdp_ingress";
/// Program on an external interface, TC.
pub const TC_EXTERNAL: &str = "nve_tc_external";
/// Program on the near end of the upcall pair, TC: what user space gives back.
pub const TC_UPCALL: &str = "nve_tc_upcall";
/// Program on the far end of the upcall pair, XDP: into user space.
pub const XDP_UPCALL: &str = "nve_xdp_upcall";

/// Folder of map pins below the pin folder.
pub const MAPS_FOLDER: &str = "maps";

impl Dataplane {
    /// Loads the object; adopts the maps that an earlier nved left. A refusal changes nothing.
    pub fn load(settings: &Settings) -> Result<Self, Error> {
        require::machine()?;
        require::bpffs(&settings.pin)?;
        libbpf_rs::set_print(Some((PrintLevel::Debug, tell)));
        let adoption = Adoption::plan(&settings.pin)?;
        let loaded = Self::load_on(&adoption, settings);
        if loaded.is_err() {
            adoption.abandon();
        }
        loaded
    }

    fn load_on(adoption: &Adoption, settings: &Settings) -> Result<Self, Error> {
        make_folder(&settings.pin.join(MAPS_FOLDER))?;
        make_folder(&settings.pin.join(LINKS))?;
        adoption.prepare()?;
        let mut bpf = load_object(adoption)?;
        let mut maps = Maps::take(&mut bpf, settings.lookup_capacity)?;
        verify(&mut bpf)?;
        adoption.complete(&maps)?;
        place_programs(&mut bpf, &mut maps)?;
        let loaded = bpf
            .programs()
            .filter_map(|(_, program)| program.info().ok());
        let programs = loaded.map(|info| info.id()).chain(adoption.programs());
        let counters = MapInfo::from_pin(adoption.path("COUNTERS")).map_err(failed("COUNTERS"))?;
        Ok(Self {
            own: Own {
                programs: programs.collect(),
                counters: counters.id(),
            },
            bpf,
            maps,
            pin: settings.pin.clone(),
            tc_hook: Hook::choose(settings.tc_hook),
        })
    }

    /// A loaded TC program.
    pub(super) fn classifier(&mut self, name: &'static str) -> Result<&mut SchedClassifier, Error> {
        typed(&mut self.bpf, name)
    }

    /// A loaded XDP program.
    pub(super) fn xdp(&mut self, name: &'static str) -> Result<&mut Xdp, Error> {
        typed(&mut self.bpf, name)
    }
}

fn load_object(adoption: &Adoption) -> Result<Ebpf, Error> {
    let mut loader = EbpfLoader::new();
    for name in layout::MAPS {
        loader.map_pin_path(name, adoption.path(name));
    }
    loader
        .load(OBJECT)
        .map_err(|error| Error::Object(Box::new(error)))
}

/// What libbpf has to say is for whoever looks for a fault.
#[expect(clippy::needless_pass_by_value, reason = "the library's signature")]
fn tell(_: PrintLevel, text: String) {
    tracing::debug!("libbpf: {}", text.trim_end());
}

fn verify(bpf: &mut Ebpf) -> Result<(), Error> {
    let entered = [TC_EGRESS, TC_INGRESS, TC_EXTERNAL, TC_UPCALL];
    for name in entered.into_iter().chain(programs::NAMES) {
        let program: &mut SchedClassifier = typed(bpf, name)?;
        program.load().map_err(|error| refused(name, error))?;
    }
    for name in [XDP_EGRESS, XDP_INGRESS, XDP_UPCALL] {
        let program: &mut Xdp = typed(bpf, name)?;
        program.load().map_err(|error| refused(name, error))?;
    }
    Ok(())
}

/// Puts the programs that others go on in where those look for them. A dataplane that is adopted
/// goes on in the new ones at once, for they are of the same layout.
fn place_programs(bpf: &mut Ebpf, maps: &mut Maps) -> Result<(), Error> {
    for (place, name) in (0..).zip(programs::NAMES) {
        let program: &mut SchedClassifier = typed(bpf, name)?;
        let fd = program.fd().map_err(|source| Error::Program {
            name,
            source: Box::new(source),
        })?;
        let set = maps.programs.set(place, fd, 0);
        set.map_err(failed("PROGS"))?;
    }
    Ok(())
}

fn typed<'a, P>(bpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, Error>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
{
    bpf.program_mut(name)
        .ok_or(Error::Absent {
            kind: "program",
            name,
        })?
        .try_into()
        .map_err(|source| Error::Program {
            name,
            source: Box::new(source),
        })
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is the library's; all but one variant are treated alike"
)]
fn refused(name: &'static str, error: ProgramError) -> Error {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => Error::Verifier {
            name,
            cause: io_error,
            log: tail(&verifier_log.to_string(), LOG_LINES),
        },
        source => Error::Program {
            name,
            source: Box::new(source),
        },
    }
}

const LOG_LINES: usize = 12;

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim_end().lines().collect();
    let skipped = all.len().saturating_sub(lines);
    all.get(skipped..).unwrap_or_default().join("\n")
}

fn make_folder(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|source| Error::Pin {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
        assert_eq!(tail("", 2), "");
    }
}
