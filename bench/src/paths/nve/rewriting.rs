//! What is in the tables where each CA has a PA of its own.

use dataplane_common::{
    abi::lookup::LookupRecord,
    id::{Address, Mac},
};

use super::tables::{self, FIRST_INDEX, OTHER, OWN, Spec};
use crate::{
    paths::{
        frames::octets,
        room,
        topology::{FIRST_PA, MAC_A, MAC_B, MAC_HOST_A, MAC_HOST_B, PA_A, PA_B, TENANT_A},
    },
    scenario::Work,
    tables::{Station, key, stands_for},
};

/// The PA of a key.
fn pa(number: u32) -> Address {
    Address::v4(FIRST_PA.wrapping_add(number).to_be_bytes())
}

/// The PA that the CA of port `b` has, and its index: that of key 0 where keys are `b`'s.
pub(super) fn own_of_b(work: Work) -> (Address, u32) {
    if work == Work::RewriteIn {
        (Address::v4(PA_B), OWN)
    } else {
        (pa(0), FIRST_INDEX)
    }
}

/// Gives keys their PAs. Of a host that only gets packets from or for keys, the table of lookup
/// records is not asked: it has those of the ports and of their peers alone.
pub(super) fn add(spec: &mut Spec, work: Work) {
    spec.image.config.rewrites = 1;
    let from_keys = work == Work::RewriteIn;
    // Whose the keys are, and on which host that is.
    let (mac, host) = if from_keys {
        (MAC_A, MAC_HOST_A)
    } else {
        (MAC_B, MAC_HOST_B)
    };
    let here = spec.is_b && !from_keys;
    let device = here.then_some(spec.record.ifindex);
    for number in 0..spec.pas {
        let index = FIRST_INDEX + number;
        let station = Station {
            pa: pa(number),
            mac: host,
        };
        let hop = spec.uplink.hop(station);
        spec.image.underlay.insert(index, hop);
        let entry = stands_for(Address::v4(tables::ca(number)), mac, (index, device));
        spec.image.rewrites.insert(station.pa, entry);
    }
    if spec.is_b {
        spec.keys = 0;
        spec.room = room::room(0);
        spec.owner = None;
    }
    if here {
        other(
            spec,
            Address::v4(PA_A),
            (octets(TENANT_A), MAC_A, MAC_HOST_A),
        );
    }
}

/// The one sender to port `b`, for answers too.
fn other(spec: &mut Spec, pa: Address, (ca, mac, host): ([u8; 4], Mac, Mac)) {
    let hop = spec.uplink.hop(Station { pa, mac: host });
    spec.image.underlay.insert(OTHER, hop);
    let record = LookupRecord {
        pa_index: OTHER,
        flags: LookupRecord::REWRITE,
        ..tables::remote(mac)
    };
    spec.image.lookup.insert(key(ca), record);
    let entry = stands_for(Address::v4(ca), mac, (OTHER, None));
    spec.image.rewrites.insert(pa, entry);
}
