//! What does not go on: it is cut, or its sender is told why.

use dataplane_common::{
    abi::{
        lookup::LookupRecord,
        upcall::{Task, UpcallHeader},
        vport::Vport,
    },
    forward::{self, Halt, Tables},
    punt::Punt,
    reason::DropReason,
    wire::outer::mtu_cost,
};

use super::{Act, headers};
use crate::slowpath::{
    directory::Directory,
    fragment,
    icmp::{self, Gateway, Told},
    upcall::{Origin, Upcall},
};

/// A packet that the path does not carry is cut before it is encapsulated; or, where the sender forbids that, the sender is told.
pub(super) fn oversize(directory: &Directory, upcall: &Upcall) -> Act {
    let Some(port) = upcall.port(directory) else {
        return Act::Drop(DropReason::PortUnknown);
    };
    let Some((mtu, reason)) = path_mtu_of(directory, port, &upcall.frame) else {
        // It fits, as the tables are now.
        return Act::again(upcall);
    };
    if !fragment::forbidden(&upcall.frame) {
        return fragment::cut(&upcall.frame, mtu).map_or(Act::Drop(reason), Act::Again);
    }
    refused(directory, upcall, Told::TooBig(mtu), reason)
}

/// The sender is told by its gateway why the packet does not go on.
pub(super) fn refused(
    directory: &Directory,
    upcall: &Upcall,
    told: Told,
    reason: DropReason,
) -> Act {
    let (Origin::Port(ifindex, _), Some(port)) = (upcall.origin, upcall.port(directory)) else {
        return Act::Drop(DropReason::PortUnknown);
    };
    let headers = headers(&upcall.frame, 0).ok();
    let answer = headers
        .and_then(|headers| gateway(directory, port, headers.src.is_v4()))
        .and_then(|gateway| icmp::answer(&upcall.frame, &gateway, told));
    let Some(frame) = answer else {
        return Act::Drop(reason);
    };
    let header = UpcallHeader::new(Task::Deliver, ifindex, port.slot, 0);
    let frame = (header, frame);
    Act::Tell { frame, reason }
}

/// The gateway of the port's subnet, with its CA of this family.
pub(super) fn gateway(directory: &Directory, port: &Vport, v4: bool) -> Option<Gateway> {
    let gateways = directory.gateways.get(&port.vsid)?;
    let ca = *gateways.iter().find(|gateway| gateway.is_ipv4() == v4)?;
    let mac = port.gateway_mac;
    Some(Gateway { mac, ca })
}

/// The largest packet that the way to the frame's destination carries, and why no larger one;
/// `None`: the decision finds that the frame fits.
fn path_mtu_of(directory: &Directory, port: &Vport, frame: &[u8]) -> Option<(u16, DropReason)> {
    let tables = &directory.tables;
    let headers = headers(frame, 0).ok()?;
    let decided = forward::egress(tables, port, &headers);
    let Err(Halt {
        punt: Some(Punt::Oversize),
        reason,
    }) = decided
    else {
        return None;
    };
    let record = forward::way::find(tables, port, &headers).ok()?;
    if reason == DropReason::PortMtu {
        return Some((tables.vport(record.ifindex)?.mtu, reason));
    }
    let hop = tables.next_hop(record.pa_index)?;
    let cost = if record.has(LookupRecord::REWRITE) {
        0
    } else {
        mtu_cost(&hop.pa)
    };
    Some((hop.path_mtu.checked_sub(cost)?, reason))
}
