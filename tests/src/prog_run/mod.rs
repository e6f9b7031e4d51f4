//! Runs the real programs on single packets (`BPF_PROG_TEST_RUN`).
//!
//! The kernel gives such a packet to the loopback device, ifindex 1. Redirects
//! are not carried out, but the return code and the counters tell them apart.

mod counts;
mod upcalls;

use std::collections::{BTreeMap, BTreeSet};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, HashMap, LpmTrie, MapData, ProgramArray, lpm_trie::Key, xdp::DevMapHash},
    programs::{ProgramError, ProgramInfo, SchedClassifier, TestRun as _, TestRunOptions, Xdp},
};
use dataplane_common::abi::{
    config::Config, lookup::LookupRecord, programs, route::RouteKey, stats::Direction,
    underlay::NextHop, vport::LocalPortKey,
};
use dataplane_user::{
    dataplane::{OBJECT, hash::Hash, local_ports::LocalPorts, lookups::Lookups, vports::Vports},
    policy::table_image::TableImage,
};

pub use counts::Counts;
pub use upcalls::{Listener, UPLINK, half};

use crate::policy::{SENDER, UPLINK_DEVICE};

/// The two hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Classifier at tcx or clsact.
    Tc,
    /// Native or generic XDP.
    Xdp,
}

impl Hook {
    /// What the names of its programs begin with.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Tc => "nve_tc",
            Self::Xdp => "nve_xdp",
        }
    }
}

/// What the kernel says of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// The program's return code.
    pub action: Action,
    /// The packet afterwards.
    pub frame: Vec<u8>,
}

/// A return code, the same words for both hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `TC_ACT_SHOT`, `XDP_DROP`.
    Drop,
    /// `TC_ACT_UNSPEC`, `XDP_PASS`.
    Pass,
    /// `TC_ACT_REDIRECT`, `XDP_REDIRECT`.
    Redirect,
}

/// Records that the tables may have: the default of `lookup-capacity`.
const ROOM: u32 = 65_536;

/// The loaded programs with tables.
pub struct Programs {
    ebpf: Ebpf,
    /// Where programs go on in others; the kernel empties the map when nobody has it open.
    _places: ProgramArray<MapData>,
    /// `LOOKUP` and `LOOKUP6`.
    lookups: Lookups,
    /// `MACS`.
    stations: Hash<LocalPortKey, LookupRecord>,
    vports: Vports,
    local_ports: LocalPorts,
    /// What is in the maps.
    image: TableImage,
}

impl Programs {
    /// Loads a private copy, nothing pinned, with the tables of `image`.
    pub fn load(image: &TableImage) -> Self {
        let mut ebpf = EbpfLoader::new().load(OBJECT).expect("object loads");
        for (name, program) in ebpf.programs_mut() {
            let loaded = if name.starts_with("nve_tc") {
                <&mut SchedClassifier>::try_from(program)
                    .expect("classifier")
                    .load()
            } else {
                <&mut Xdp>::try_from(program).expect("xdp").load()
            };
            loaded.unwrap_or_else(|error| panic!("{name}: {error:#?}"));
        }
        let lookups = Lookups::take(&mut ebpf, ROOM).expect("tables of records");
        let mut programs = Self {
            vports: Vports::take(&mut ebpf).expect("maps"),
            local_ports: LocalPorts::take(&mut ebpf).expect("maps"),
            _places: place_programs(&mut ebpf),
            lookups,
            stations: Hash::take(&mut ebpf, "MACS", ROOM).expect("maps"),
            ebpf,
            image: TableImage::default(),
        };
        programs.fill(image);
        programs
    }

    /// What the kernel made of each program, by its name.
    pub fn infos(&self) -> BTreeMap<String, ProgramInfo> {
        let programs = self.ebpf.programs();
        let infos = programs.map(|(name, program)| {
            let info = program.info().expect("the kernel knows its program");
            (name.to_owned(), info)
        });
        infos.collect()
    }

    /// Writes the entries of `image` into the maps, and removes all others.
    pub fn fill(&mut self, image: &TableImage) {
        let mut config: Array<_, Config> =
            Array::try_from(self.ebpf.map_mut("CONFIG").expect("map")).expect("array");
        config.set(0, image.config, 0).expect("set");
        let mut underlay: Array<_, NextHop> =
            Array::try_from(self.ebpf.map_mut("UNDERLAY").expect("map")).expect("array");
        for (index, hop) in &image.underlay {
            underlay.set(*index, hop, 0).expect("set");
        }
        let old = std::mem::replace(&mut self.image, image.clone());
        for ifindex in old.vports.keys() {
            self.vports.remove(*ifindex).expect("removed");
        }
        for (ifindex, vport) in &image.vports {
            self.vports.insert(*ifindex, *vport).expect("room");
        }
        for key in old.local_ports.keys() {
            self.local_ports.remove(*key).expect("removed");
        }
        for (key, ifindex) in &image.local_ports {
            self.local_ports.insert(*key, *ifindex).expect("room");
        }
        for key in old
            .lookup
            .keys()
            .filter(|key| !image.lookup.contains_key(key))
        {
            // A test may have removed it.
            let _ = self.lookups.remove(&key);
        }
        for (key, record) in image.lookup.iter() {
            self.set_entry(key, Some(record.into()));
        }
        for key in old
            .stations
            .keys()
            .filter(|key| !image.stations.contains_key(key))
        {
            self.stations.remove(key).expect("it was there");
        }
        for (key, record) in &image.stations {
            self.stations.insert(key, record).expect("room");
        }
        self.put("FLOODS", &old.floods, &image.floods);
        self.put("VSIDS", &old.subnets, &image.subnets);
        self.put(
            "PORT_CAS",
            &present(&old.port_cas),
            &present(&image.port_cas),
        );
        self.put(
            "LOCAL_PAS",
            &present(&old.local_pas),
            &present(&image.local_pas),
        );
        self.put("REWRITES", &old.rewrites, &image.rewrites);
        let routes = self.ebpf.map_mut("ROUTES").expect("map");
        let mut routes: LpmTrie<_, RouteKey, LookupRecord> =
            LpmTrie::try_from(routes).expect("trie");
        for prefix in old.routes.keys() {
            routes
                .remove(&Key::new(prefix.bits, prefix.key))
                .expect("it was there");
        }
        for (prefix, record) in &image.routes {
            routes
                .insert(&Key::new(prefix.bits, prefix.key), record, 0)
                .expect("room");
        }
        let mut devices =
            DevMapHash::try_from(self.ebpf.map_mut("TX_PORTS").expect("map")).expect("devmap");
        for ifindex in image.vports.keys().chain([&UPLINK_DEVICE]) {
            // The key is the port's; the device behind it need only exist.
            devices.insert(*ifindex, SENDER, None, 0).expect("insert");
        }
    }

    fn put<K: aya::Pod + Ord, V: aya::Pod>(
        &mut self,
        name: &str,
        old: &BTreeMap<K, V>,
        entries: &BTreeMap<K, V>,
    ) {
        let map = self.ebpf.map_mut(name).expect("map");
        let mut map: HashMap<_, K, V> = HashMap::try_from(map).expect("hash");
        for key in old.keys().filter(|key| !entries.contains_key(key)) {
            // A test may have removed it.
            let _ = map.remove(key);
        }
        for (key, value) in entries {
            map.insert(key, value, 0)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    /// Runs a program of the direction on a frame.
    pub fn run(&self, hook: Hook, direction: Direction, frame: &[u8]) -> Ran {
        self.run_gso(hook, direction, frame, 0)
    }

    /// The same with the frame as a super-packet (TC only) when `gso_size` is not 0.
    pub fn run_gso(&self, hook: Hook, direction: Direction, frame: &[u8], gso_size: u32) -> Ran {
        self.try_run(hook, direction, frame, gso_size)
            .unwrap_or_else(|error| {
                panic!("{hook:?} {direction:?} {} bytes: {error:#?}", frame.len())
            })
    }

    /// The same; the kernel refuses frames that no device can deliver.
    pub fn try_run(
        &self,
        hook: Hook,
        direction: Direction,
        frame: &[u8],
        gso_size: u32,
    ) -> Result<Ran, ProgramError> {
        self.try_program(
            hook,
            &format!("{}_{}", hook.prefix(), direction.as_str()),
            frame,
            gso_size,
        )
    }

    /// Runs the program `name` of a hook.
    pub(super) fn try_program(
        &self,
        hook: Hook,
        name: &str,
        frame: &[u8],
        gso_size: u32,
    ) -> Result<Ran, ProgramError> {
        let mut out = vec![0; frame.len() + 256];
        let context = skb_context(gso_size);
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            ctx_in: (gso_size > 0).then_some(&context),
            ..TestRunOptions::new()
        };
        let program = self.ebpf.program(name).expect("program");
        let result = match hook {
            Hook::Tc => <&SchedClassifier>::try_from(program)
                .expect("classifier")
                .test_run(options),
            Hook::Xdp => <&Xdp>::try_from(program).expect("xdp").test_run(options),
        }?;
        out.truncate(result.data_size_out as usize);
        Ok(Ran {
            action: action(hook, result.return_value),
            frame: out,
        })
    }
}

/// Puts the programs that others go on in where those look for them.
fn place_programs(ebpf: &mut Ebpf) -> ProgramArray<MapData> {
    let map = ebpf.take_map("PROGS").expect("map");
    let mut places = ProgramArray::try_from(map).expect("programs");
    for (place, name) in (0..).zip(programs::NAMES) {
        let program = ebpf.program(name).expect("program");
        let program = <&SchedClassifier>::try_from(program).expect("classifier");
        let fd = program.fd().expect("loaded");
        places.set(place, fd, 0).expect("set");
    }
    places
}

fn present<K: Ord + Copy>(keys: &BTreeSet<K>) -> BTreeMap<K, u32> {
    keys.iter().map(|key| (*key, 0)).collect()
}

fn action(hook: Hook, code: u32) -> Action {
    match (hook, code.cast_signed()) {
        (Hook::Tc, -1) | (Hook::Xdp, 2) => Action::Pass,
        (Hook::Tc, 2) | (Hook::Xdp, 1) => Action::Drop,
        (Hook::Tc, 7) | (Hook::Xdp, 4) => Action::Redirect,
        (hook, code) => panic!("unexpected return code {code} at {hook:?}"),
    }
}

/// `struct __sk_buff` with `gso_segs` and `gso_size` set: the only fields that are needed.
fn skb_context(gso_size: u32) -> [u8; 192] {
    const GSO_SEGS: usize = 164;
    const GSO_SIZE: usize = 176;
    let mut context = [0; 192];
    context[GSO_SEGS..GSO_SEGS + 4].copy_from_slice(&2_u32.to_ne_bytes());
    context[GSO_SIZE..GSO_SIZE + 4].copy_from_slice(&gso_size.to_ne_bytes());
    context
}
