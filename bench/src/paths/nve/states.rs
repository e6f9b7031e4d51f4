//! Records that change from one complete state to another, and what each looks like on the wire.

use dataplane_common::{
    abi::lookup::LookupRecord,
    id::{Address, Mac},
};

use super::tables::{self, Spec};
use crate::{
    paths::{
        frames::octets,
        room,
        topology::{HOST_B, MAC_B, MAC_HOST_B},
    },
    scenario::Scenario,
    sink::Shown,
    tables::{Station, VSID},
};

/// Of the second state: nothing is as in the first.
const OTHER_VSID: u32 = 6002;
const OTHER_PA: [u8; 4] = [192, 0, 2, 3];
const OTHER_MAC: Mac = Mac([2, 0, 0, 0, 0, 9]);
/// Index of its PA.
const INDEX: u32 = 5;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum States {
    /// The two complete states.
    Whole,
    /// These, and one that has something of both: that it is seen proves who looks.
    Mixed,
}

/// What packets show of the two complete states.
pub fn looks() -> [Shown; 2] {
    [
        Shown::new(octets(HOST_B), VSID, MAC_B),
        Shown::new(OTHER_PA, OTHER_VSID, OTHER_MAC),
    ]
}

impl States {
    /// The next state of each of a scenario's records, in turns.
    pub(super) fn turns(
        self,
        scenario: &Scenario,
    ) -> impl FnMut(u32) -> LookupRecord + Send + use<> {
        let first = tables::remote(MAC_B);
        let second = LookupRecord {
            vsid: OTHER_VSID,
            pa_index: INDEX,
            ..tables::remote(OTHER_MAC)
        };
        let mixed = LookupRecord {
            vsid: OTHER_VSID,
            ..first
        };
        // Three, for a writer that wakes up every millisecond writes an even number at once: of two in
        // turns, packets would always see the same.
        let last = match self {
            Self::Whole => second,
            Self::Mixed => mixed,
        };
        let states = [second, first, last];
        let mut turns = vec![0_usize; room::keys(scenario.records) as usize];
        move |number| {
            let turn = turns.get_mut(number as usize).map_or(0, |turn| {
                *turn += 1;
                *turn - 1
            });
            states.get(turn % states.len()).copied().unwrap_or(first)
        }
    }
}

/// The host that knows both states: the second leads to another PA, in another subnet.
pub(super) fn with_both(mut spec: Spec) -> Spec {
    let there = Station {
        pa: Address::v4(OTHER_PA),
        mac: MAC_HOST_B,
    };
    let hop = spec.uplink.hop(there);
    spec.image.underlay.insert(INDEX, hop);
    let elsewhere = std::net::Ipv4Addr::new(12, 0, 0, 0);
    crate::tables::subnet(&mut spec.image, OTHER_VSID, (elsewhere, 8));
    spec
}
