//! The tables of [`super::tables`] where CAs have PAs of their own: as many as there can be.

use anyhow::Result;
use dataplane_common::abi::lookup::LookupRecord;
use dataplane_user::dataplane::maps::Maps;

use super::tables::{self, CA, FIRST, SENDER, address, mac};
use crate::{
    paths::room,
    tables::{stands_for, vport},
};

/// PA of the first port's CA, and of record 0's.
const OWN_PA: u32 = 0xC613_FF05;
pub(super) const FIRST_PA: u32 = 0xC612_0001;
/// Their indexes.
const OWN: u32 = 2;
const FIRST_INDEX: u32 = 8;

/// How many of so many records have a PA of their own.
pub(super) fn with_pa(records: u32) -> u32 {
    tables::remotes(records).min(room::PAS)
}

/// Changes what [`tables::fill`] wrote: the first port's CA and as many records as can be have PAs of
/// their own. What goes to other hosts is rewritten from now on.
pub(super) fn give_pas(maps: &mut Maps, records: u32) -> Result<()> {
    let mut config = maps.config.get(&0, 0)?;
    config.rewrites = 1;
    maps.config.set(0, config, 0)?;
    let mut port = tables::port(1, SENDER, CA);
    port.pa = Some((address(OWN_PA), OWN));
    maps.vports.insert(SENDER, vport(&port))?;
    maps.underlay.set(OWN, tables::hop(OWN_PA), 0)?;
    let own = stands_for(port.ca, port.mac, (OWN, Some(SENDER)));
    maps.rewrites.insert(address(OWN_PA), own, 0)?;
    for k in 0..with_pa(records) {
        let (ca, pa, index) = (FIRST + k, FIRST_PA + k, FIRST_INDEX + k);
        maps.underlay.set(index, tables::hop(pa), 0)?;
        let entry = stands_for(address(ca), mac(ca), (index, None));
        maps.rewrites.insert(address(pa), entry, 0)?;
    }
    crate::tables::records(maps, (0..with_pa(records)).map(record))
}

fn record(k: u32) -> (dataplane_common::abi::lookup::LookupKey, LookupRecord) {
    let (key, record) = tables::remote(k);
    let record = LookupRecord {
        pa_index: FIRST_INDEX + k,
        flags: LookupRecord::REWRITE,
        ..record
    };
    (key, record)
}

/// The frame of record `k` for the first port, as the underlay carries it.
pub(super) fn rewritten(k: u32) -> Vec<u8> {
    let (to, from) = (mac(tables::OUR_PA), mac(FIRST_PA + k));
    tables::frame_to((to, from), FIRST_PA + k, OWN_PA)
}
