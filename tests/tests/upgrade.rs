//! Restarts, crashes and upgrades under a stream of 20,000 numbered datagrams a second.

use anyhow::{Context, Result, ensure};
use aya::{
    EbpfLoader,
    maps::{Array, HashMap, Map, MapData, MapInfo},
    programs::{ProgramInfo, SchedClassifier, TcAttachType, links::FdLink},
};
use dataplane_common::abi::{VERSION, config::Config, stats::COUNTERS_LEN};
use dataplane_tests::{
    net::{
        SOON, Site, inside, ping, proof, refused,
        stream::{STEADY, Stream},
    },
    other_build::{other_build, tags},
};
use dataplane_user::dataplane::{
    OBJECT,
    layout::MAPS,
    records::{Outer, Table},
};
use rustix::net::{AddressFamily, SocketType, netdevice::name_to_index};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use xtask::lab::{TempDir, output, wait_until};

const B: &str = "10.0.0.7";

/// Every host is a link of the chain: one encapsulates, the other decapsulates.
const HOSTS: [usize; 2] = [0, 1];

fn stream(site: &Site) -> Result<Stream> {
    let stream = Stream::start(site.vm("blue-vm1"), site.vm("blue-vm2"), B, STEADY)?;
    stream.flows(u64::from(STEADY / 4))?;
    Ok(stream)
}

/// Starts the agent of a host again, and waits until it has been through a round.
fn again(site: &mut Site, host: usize) -> Result<()> {
    site.resume(host)?;
    site.nvectl(host, &["status", "--wait=20"])?.success()?;
    Ok(())
}

/// Both agents end in every way and come again, as this build and as the other.
fn survives_all(site: &mut Site) -> Result<()> {
    let folder = TempDir::new("other")?;
    let other = other_build(folder.path())?;
    let stream = stream(site)?;
    let first = tags(&site.nves[0].spec().pin)?;
    for host in HOSTS {
        site.nves[host].kill()?;
        again(site, host)?;
        site.nves[host].stop();
        again(site, host)?;
        stream.flows(u64::from(STEADY / 10))?;
    }
    ensure!(
        tags(&site.nves[0].spec().pin)? == first,
        "the same build has other programs"
    );
    for program in [Some(other), None] {
        for host in HOSTS {
            site.nves[host].stop();
            site.nves[host].spec_mut().program.clone_from(&program);
            again(site, host)?;
            stream.flows(u64::from(STEADY / 10))?;
        }
        let same = tags(&site.nves[0].spec().pin)? == first;
        ensure!(same == program.is_none(), "which build's programs run?");
    }
    println!("{}", stream.lossless()?);
    site.conserved()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn nothing_is_lost_over_kill_restart_and_upgrade_at_tc() {
    proof(Site::up("uptc", "tc"), survives_all);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn nothing_is_lost_over_kill_restart_and_upgrade_at_clsact() {
    proof(Site::forced("upcls", "tc", "--tc-hook=clsact"), |site| {
        let pins = fs::read_dir(site.nves[0].spec().pin.join("links"))?;
        let names = pins.map(|pin| Ok(pin?.file_name().display().to_string()));
        let names: Vec<String> = names.collect::<Result<_>>()?;
        // The uplink, two ports and the upcall pair's near end; its far end is at XDP anyway.
        let with = |hook| names.iter().filter(|name| name.starts_with(hook)).count();
        ensure!(with("clsact-") == 4 && with("xdp-") == 1, "{names:?}");
        ensure!(names.len() == 5, "{names:?}");
        survives_all(site)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn nothing_is_lost_over_kill_restart_and_upgrade_at_xdp() {
    proof(Site::up("upxdp", "xdp"), |site| {
        site.like_wires()?;
        for host in HOSTS {
            site.apply(
                host,
                &site.demo().replace("  attach:", "  mode: xdp\n  attach:"),
            )?;
        }
        for vm in ["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"] {
            site.vm(vm).exec(&["ethtool", "-K", "eth0", "tx", "off"])?;
        }
        site.ready()?;
        survives_all(site)
    });
}

/// Starts `host-a` again with room for so many lookup records.
fn with_room(site: &mut Site, records: u32) -> Result<()> {
    site.nves[0].stop();
    site.nves[0].spec_mut().flags = vec![format!("--lookup-capacity={records}")];
    again(site, 0)
}

/// What `nved` with the flags of `host-a` says when it is refused.
fn refusal(site: &mut Site, words: &[&str]) -> Result<()> {
    let mut nved = site.nves[0].spec().daemon(site.host(0))?;
    refused(&output(&mut nved, SOON)?, 1, words)
}

fn pins(site: &Site) -> Result<BTreeSet<PathBuf>> {
    let folder = site.nves[0].spec().pin.join("maps");
    let files = fs::read_dir(folder)?.map(|file| Ok(file?.path()));
    files.collect()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn another_capacity_is_a_bound_and_loses_nothing() {
    proof(Site::up("upcap", "tc"), |site| {
        let before = pins(site)?;
        let stream = stream(site)?;
        for records in [200_000, 100] {
            with_room(site, records)?;
            stream.flows(u64::from(STEADY / 10))?;
        }
        ensure!(pins(site)? == before, "{:?}", pins(site)?);
        site.nves[0].stop();
        // Four records of VMs and gateways are there.
        site.nves[0].spec_mut().flags = vec!["--lookup-capacity=2".to_owned()];
        refusal(
            site,
            &["maps/LOOKUP ", "holds", "room for 2:", "lookup-capacity"],
        )?;
        ensure!(pins(site)? == before, "{:?}", pins(site)?);
        stream.flows(u64::from(STEADY / 10))?;
        with_room(site, 65_536)?;
        println!("{}", stream.lossless()?);
        site.conserved()
    });
}

/// What a build with another map layout would have left: pinned maps, and one pinned program
/// at the uplink unless `attached` says no.
fn left_by_another_build(site: &Site, counters: u32, version: u32, attached: bool) -> Result<()> {
    let folder = site.nves[0].spec().pin.clone();
    fs::create_dir_all(folder.join("maps"))?;
    fs::create_dir_all(folder.join("links"))?;
    let mut loader = EbpfLoader::new();
    loader.map_max_entries("COUNTERS", counters);
    for name in MAPS {
        loader.map_pin_path(name, folder.join("maps").join(name));
    }
    let mut object = loader.load(OBJECT)?;
    let config = object.map_mut("CONFIG").context("no CONFIG")?;
    let mut config: Array<_, Config> = config.try_into()?;
    let written = Config {
        abi_version: version,
        ..Config::DEFAULT
    };
    config.set(0, written, 0)?;
    if !attached {
        return Ok(());
    }
    let program = object.program_mut("nve_tc_ingress").context("no program")?;
    let program: &mut SchedClassifier = program.try_into()?;
    program.load()?;
    inside(site.host(0), || {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        let index = name_to_index(socket, "eth0")?;
        let id = program.attach("eth0", TcAttachType::Ingress)?;
        let link: FdLink = program.take_link(id)?.try_into()?;
        link.pin(folder.join(format!("links/tc-{index}")))?;
        Ok(())
    })
}

/// Puts a table in place whose header is not of this build.
fn foreign_table(site: &Site) -> Result<()> {
    let pin = site.nves[0].spec().pin.join("maps/LOOKUP");
    let outer = || -> Result<Outer> {
        let map = Map::from_map_data(MapData::from_pin(&pin)?)?;
        Ok(Outer::new(map.try_into()?))
    };
    Table::new(outer()?, 100)?;
    let mut table = outer()?.current()?.context("no table")?;
    let mut header = table.get(&0, 0)?;
    header[0] += 1;
    Ok(table.set(0, header, 0)?)
}

/// Ids of the programs at the uplink of `host-a`.
fn attached(site: &Site) -> Result<Vec<u32>> {
    let attached = || SchedClassifier::query_tcx("eth0", TcAttachType::Ingress).map_err(Into::into);
    let (_, programs) = inside(site.host(0), attached)?;
    Ok(programs.iter().map(ProgramInfo::id).collect())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn maps_of_another_layout_are_refused_as_long_as_programs_run_on_them() {
    proof(Site::bare("uplay", &["blue-vm1"]), |site| {
        // Its folders and flags, and then nothing of it.
        site.start(0, "tc")?;
        for (counters, version, foreign, told) in [
            (
                COUNTERS_LEN * 2,
                VERSION,
                false,
                ["COUNTERS", "this nved needs a PerCpuArray"],
            ),
            (
                COUNTERS_LEN,
                VERSION + 1,
                false,
                ["layout version", "this nved needs"],
            ),
            (
                COUNTERS_LEN,
                VERSION,
                true,
                ["map LOOKUP", "a table of another layout"],
            ),
        ] {
            site.nvectl(0, &["unload"])?.success()?;
            site.nves[0].stop();
            left_by_another_build(site, counters, version, true)?;
            if foreign {
                foreign_table(site)?;
            }
            let before = (pins(site)?, attached(site)?);
            ensure!(
                before.1.len() == 1,
                "the other build's program is not attached"
            );
            refusal(
                site,
                &[told[0], told[1], "nothing was changed", "nvectl unload"],
            )?;
            ensure!(
                (pins(site)?, attached(site)?) == before,
                "something was changed"
            );
            ping(site.host(1), "192.0.2.1", 56)?;
            // Once nothing runs on them, nobody needs them.
            fs::remove_dir_all(site.nves[0].spec().pin.join("links"))?;
            site.resume(0)?;
        }
        site.apply(0, &site.demo())?;
        site.becomes(0, "blue/blue-vm1", "Ready").map(drop)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn pins_that_a_killed_start_left_half_done_are_set_right() {
    proof(Site::up("uphalf", "tc"), |site| {
        let stream = stream(site)?;
        let before = pins(site)?;
        site.nves[0].stop();
        let maps = site.nves[0].spec().pin.join("maps");
        let id = |name: &str| Ok::<_, anyhow::Error>(MapInfo::from_pin(maps.join(name))?.id());
        let ids = (id("VSIDS")?, id("LOOKUP")?);
        fs::remove_file(maps.join("VSIDS"))?;
        // As if a migration was killed: the pin names a map that no program reads.
        fs::remove_file(maps.join("LOOKUP"))?;
        HashMap::<MapData, u32, u32>::create(100, 0)?.pin(maps.join("LOOKUP"))?;
        again(site, 0)?;
        ensure!(
            (id("VSIDS")?, id("LOOKUP")?) == ids,
            "other maps than before"
        );
        ensure!(pins(site)? == before, "{:?}", pins(site)?);
        stream.flows(u64::from(STEADY / 10))?;
        println!("{}", stream.lossless()?);
        site.conserved()
    });
}

/// Detaches what a pin holds, as `bpftool link detach` does.
fn detach(pin: &Path) -> Result<()> {
    let link = libbpf_rs::Link::open(pin)?;
    Ok(link.detach()?)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_program_that_somebody_detaches_is_attached_again() {
    proof(Site::up("updet", "tc"), |site| {
        let links = site.nves[0].spec().pin.join("links");
        for pin in fs::read_dir(links)? {
            detach(&pin?.path())?;
        }
        wait_until("programs at the uplink", SOON, || {
            ensure!(attached(site)?.len() == 1);
            ping(site.vm("blue-vm1"), B, 56).map(Some)
        })?;
        ping(site.vm("red-vm1"), B, 56)
    });
}
