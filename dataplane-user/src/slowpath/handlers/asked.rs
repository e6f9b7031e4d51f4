//! Answers to who asks for a neighbour or a router.

use dataplane_common::{
    abi::{
        lookup::LookupRecord,
        upcall::{Task, UpcallHeader},
        vport::Vport,
    },
    id::{Address, Mac},
    reason::DropReason,
};

use super::{Act, headers};
use crate::slowpath::{
    directory::Directory,
    neighbour,
    upcall::{Origin, Upcall},
};

/// A solicitation whose answer does not fit where it stands is answered from here.
pub(super) fn neighbour(directory: &Directory, upcall: &Upcall) -> Act {
    const UNANSWERED: Act = Act::Drop(DropReason::ArpNoRecord);
    let (Some(port), Ok(headers)) = (upcall.port(directory), headers(&upcall.frame, 0)) else {
        return Act::Drop(DropReason::PortUnknown);
    };
    let Some((mac, router)) = station(directory, port, headers.target) else {
        return UNANSWERED;
    };
    answer(
        upcall,
        port,
        neighbour::neighbour_advertisement(&upcall.frame, mac, router),
        UNANSWERED,
    )
}

/// Who has the CA in the port's subnet, and whether that is its gateway.
fn station(directory: &Directory, port: &Vport, ca: Address) -> Option<(Mac, bool)> {
    if ca == Address::link_local_of(port.gateway_mac) && !port.has(Vport::EXTERNAL_ROUTER) {
        return Some((port.gateway_mac, true));
    }
    let record = directory.tables.record(port.rdid, ca)?;
    let here = record.vsid == port.vsid && !record.has(LookupRecord::NEGATIVE);
    here.then_some((record.mac, record.has(LookupRecord::GATEWAY)))
}

/// Whoever looks for routers hears of the gateway.
pub(super) fn advertise(directory: &Directory, upcall: &Upcall) -> Act {
    const UNANSWERED: Act = Act::Drop(DropReason::BcastDisabled);
    let Some(port) = upcall.port(directory) else {
        return Act::Drop(DropReason::PortUnknown);
    };
    let prefixes = directory.ipv6_prefixes(port.vsid);
    let made =
        neighbour::router_advertisement(&upcall.frame, port.gateway_mac, &prefixes, port.mtu);
    answer(upcall, port, made, UNANSWERED)
}

fn answer(upcall: &Upcall, port: &Vport, frame: Option<Vec<u8>>, otherwise: Act) -> Act {
    let (Origin::Port(ifindex, _), Some(frame)) = (upcall.origin, frame) else {
        return otherwise;
    };
    let header = UpcallHeader::new(Task::Deliver, ifindex, port.slot, 0);
    Act::Answer(header, frame)
}
