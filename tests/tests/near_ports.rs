//! Ports are found by VSID and MAC, also where two share an entry of `NEAR_PORTS`.

use anyhow::{Context, Result, ensure};
use aya::{
    EbpfLoader,
    maps::{Array, MapData},
};
use dataplane_common::{
    abi::{
        stats::{Counter, Direction},
        vport::{LocalPortKey, NEAR_PORTS},
    },
    id::Mac,
};
use dataplane_tests::{
    packet::{patch, received, udp},
    policy::{BLUE, BLUE_5, BLUE_6, BLUE_6_DEVICE, PEER, SENDER, two_tenants, vm},
    prog_run::{Action, Hook, Programs},
};
use dataplane_user::{
    dataplane::{OBJECT, local_ports::LocalPorts},
    policy::table_image::TableImage,
};

/// Another MAC whose port shares its entry with that of `mac`.
fn beside(mac: Mac) -> Result<Mac> {
    let near = LocalPortKey::new(BLUE, mac).near();
    (0..64 * NEAR_PORTS)
        .map(|number| {
            let [a, b, c, d] = number.to_be_bytes();
            Mac([2, 0x77, a, b, c, d])
        })
        .find(|other| LocalPortKey::new(BLUE, *other).near() == near)
        .context("no MAC shares the entry")
}

/// Tables in which the port on `device` has this MAC.
fn with_mac(device: u32, mac: Mac) -> TableImage {
    let mut image = two_tenants();
    let vport = image.vports.get_mut(&device).expect("a port");
    let old = LocalPortKey::new(BLUE, vport.mac);
    vport.mac = mac;
    image.local_ports.remove(&old);
    image
        .local_ports
        .insert(LocalPortKey::new(BLUE, mac), device);
    image
}

/// Which port gets a frame from the underlay for the CA 10.0.0.`last` and this MAC.
fn gets(programs: &Programs, hook: Hook, last: u8, mac: Mac) -> Option<u32> {
    let inner = patch(&udp([10, 0, 0, 7], [10, 0, 0, last], 20), 0, &mac.0);
    let before = programs.counts();
    let ran = programs.run(hook, Direction::Ingress, &received(BLUE, PEER, 0, &inner));
    let since = programs.counts().since(&before);
    let got = [BLUE_5, BLUE_6]
        .into_iter()
        .find(|slot| since == one_for(*slot));
    assert_eq!(got.is_some(), ran.action == Action::Redirect, "{since:?}");
    got
}

fn one_for(slot: u32) -> dataplane_tests::prog_run::Counts {
    let mut counts = dataplane_tests::prog_run::Counts::default();
    counts.count(slot, Counter::IngressReceived);
    counts.count(slot, Counter::IngressDelivered);
    counts
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn two_ports_of_one_entry_are_both_found() -> Result<()> {
    let other = beside(vm(5))?;
    let mut programs = Programs::load(&with_mac(BLUE_6_DEVICE, other));
    for hook in [Hook::Tc, Hook::Xdp] {
        ensure!(gets(&programs, hook, 5, vm(5)) == Some(BLUE_5), "{hook:?}");
        ensure!(gets(&programs, hook, 6, other) == Some(BLUE_6), "{hook:?}");
        // Who has neither is not taken for one of them.
        ensure!(gets(&programs, hook, 6, vm(6)).is_none(), "{hook:?}");
    }
    // Whoever of the two stands in the entry goes: the other one is found on.
    for device in [BLUE_6_DEVICE, SENDER] {
        let mut image = with_mac(BLUE_6_DEVICE, other);
        image.local_ports.retain(|_, port| *port != device);
        programs.fill(&image);
        for hook in [Hook::Tc, Hook::Xdp] {
            let [five, six] =
                [(5, vm(5)), (6, other)].map(|(ca, mac)| gets(&programs, hook, ca, mac));
            let wanted = if device == SENDER {
                [None, Some(BLUE_6)]
            } else {
                [Some(BLUE_5), None]
            };
            ensure!(
                [five, six] == wanted,
                "{hook:?} without {device}: {five:?}, {six:?}"
            );
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_a_writer_left_half_done_is_done() -> Result<()> {
    let mut ebpf = EbpfLoader::new().load(OBJECT)?;
    let fd = |ebpf: &aya::Ebpf, name: &str| -> Result<u32> {
        match ebpf.map(name) {
            Some(aya::maps::Map::Array(map) | aya::maps::Map::HashMap(map)) => Ok(map.info()?.id()),
            _ => anyhow::bail!("no map {name}"),
        }
    };
    let [near, all] = [fd(&ebpf, "NEAR_PORTS")?, fd(&ebpf, "LOCAL_PORTS")?];
    let mut near: Array<MapData, u32> =
        aya::maps::Map::from_map_data(MapData::from_id(near)?)?.try_into()?;
    let mut all: aya::maps::HashMap<MapData, LocalPortKey, u32> =
        aya::maps::Map::from_map_data(MapData::from_id(all)?)?.try_into()?;
    let (here, gone) = (
        LocalPortKey::new(BLUE, vm(5)),
        LocalPortKey::new(BLUE, vm(6)),
    );
    all.insert(here, 7, 0)?;
    near.set(gone.near(), 8, 0)?;
    let mut ports = LocalPorts::take(&mut ebpf)?;
    ensure!(near.get(&here.near(), 0)? == 7 && near.get(&gone.near(), 0)? == 0);
    ports.remove(here)?;
    ports.remove(gone)?;
    ensure!(near.get(&here.near(), 0)? == 0 && ports.read()?.is_empty());
    Ok(())
}
