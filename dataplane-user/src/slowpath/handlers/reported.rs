//! What the underlay reports of packets whose addresses were rewritten.

use std::net::IpAddr;

use dataplane_common::{
    abi::{
        rewrite::RewriteEntry,
        upcall::{Task, UpcallHeader},
    },
    forward::Tables,
    reason::DropReason,
};

use super::{Act, headers, refused::gateway};
use crate::slowpath::{
    directory::Directory,
    icmp::{self, Gateway},
    report,
    upcall::Upcall,
};

/// The routing domain of the port whose PA is told.
pub(super) fn whose(directory: &Directory, upcall: &Upcall) -> Result<u32, DropReason> {
    let headers = headers(&upcall.frame, 0)?;
    let entry = directory.tables.rewrite(headers.dst);
    entry
        .map(|entry| entry.rdid)
        .ok_or(DropReason::NatSrcUnknown)
}

/// The sender is told in its own words, by its gateway.
pub(super) fn translated(directory: &Directory, upcall: &Upcall) -> Act {
    match told(directory, &upcall.frame) {
        Some((header, frame)) => Act::Answer(header, frame),
        None => Act::Drop(DropReason::NatSrcUnknown),
    }
}

/// Believed if a router quotes a packet that the port may have sent: from its PA to one of the same
/// routing domain.
fn told(directory: &Directory, frame: &[u8]) -> Option<(UpcallHeader, Vec<u8>)> {
    let tables = &directory.tables;
    let of = |pa: IpAddr| tables.rewrite(pa.into());
    let report = report::read(frame)?;
    let own = of(report.own).filter(|own| own.has(RewriteEntry::LOCAL))?;
    let far = of(report.far).filter(|far| far.rdid == own.rdid)?;
    if of(report.router).is_some() {
        // A station: what it says goes another way.
        return None;
    }
    // The device may be another port's by now.
    let port = tables.vport(own.ifindex)?;
    if (port.rdid, port.vsid, port.mac) != (own.rdid, own.vsid, own.mac) {
        return None;
    }
    let quote = report.quote(own.ca, far.ca)?;
    // Where no host is the gateway it comes from whom the packet was for.
    let teller = gateway(directory, port, own.ca.is_v4()).unwrap_or(Gateway {
        mac: port.gateway_mac,
        ca: far.ca.into(),
    });
    let to = (own.mac, own.ca.into());
    let frame = icmp::relayed(&teller, to, (report.kind, report.rest), &quote)?;
    let header = UpcallHeader::new(Task::Deliver, own.ifindex, port.slot, 0);
    Some((header, frame))
}
