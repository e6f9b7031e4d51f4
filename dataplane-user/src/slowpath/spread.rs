//! A broadcast with more receivers than programs make copies for: the copies are made here.

use dataplane_common::{
    abi::{
        upcall::{Task, UpcallHeader},
        vport::Vport,
    },
    forward::{self, Halt},
    punt::Punt,
    reason::DropReason,
};

use super::{
    directory::Directory,
    handlers::{Act, headers, tunnelled},
    replicate::{LocalPort, Replica, Source, replicas},
    upcall::{Origin, Upcall},
};

/// The receivers of a broadcast, each with a copy.
pub fn spread(directory: &Directory, upcall: &Upcall) -> Act {
    let made = match upcall.origin {
        Origin::Port(ifindex, slot) => from_port(directory, upcall, LocalPort { ifindex, slot }),
        Origin::Uplink(_) => from_underlay(directory, upcall),
    };
    match made {
        Ok((headers, _)) if headers.is_empty() => Act::Drop(DropReason::BcastNobody),
        Ok((headers, frame)) => Act::Spread(headers, frame),
        Err(reason) => Act::Drop(reason),
    }
}

fn from_port(
    directory: &Directory,
    upcall: &Upcall,
    sender: LocalPort,
) -> Result<(Vec<UpcallHeader>, Vec<u8>), DropReason> {
    let tables = &directory.tables;
    let port = upcall.port(directory).ok_or(DropReason::PortUnknown)?;
    let headers = headers(&upcall.frame, 0)?;
    wide(forward::egress(tables, port, &headers).err())?;
    let group = forward::broadcast::group(tables, port, &headers)?;
    let receivers = directory.receivers.get(&port.vsid);
    let receivers = receivers.map_or(&[][..], Vec::as_slice);
    let pas = if group == 0 { receivers } else { &[group][..] };
    let copies = replicas(Source::Port(sender), &ports(directory, port.vsid), pas);
    let headers = copies.iter().map(|copy| header(copy, sender)).collect();
    Ok((headers, upcall.frame.clone()))
}

fn from_underlay(
    directory: &Directory,
    upcall: &Upcall,
) -> Result<(Vec<UpcallHeader>, Vec<u8>), DropReason> {
    let (tunnel, headers) = tunnelled(directory, &upcall.frame)?;
    let tables = &directory.tables;
    wide(forward::ingress::ingress(tables, &tunnel, &headers).err())?;
    // The decision comes to the sender only behind the receivers.
    forward::ingress::pa_valid(tables, &tunnel, &headers).map_err(sender)?;
    let copies = replicas(Source::Underlay, &ports(directory, tunnel.vsid), &[]);
    let nobody = LocalPort {
        ifindex: 0,
        slot: 0,
    };
    let headers = copies.iter().map(|copy| header(copy, nobody)).collect();
    let inner = upcall.frame.get(tunnel.outer_len()..);
    Ok((headers, inner.ok_or(DropReason::Truncated)?.to_vec()))
}

/// The decision leaves the frame to us, for this reason and no other.
fn wide(halt: Option<Halt>) -> Result<(), DropReason> {
    match halt {
        Some(Halt {
            punt: Some(Punt::Wide),
            ..
        }) => Ok(()),
        Some(halt) => Err(halt.reason),
        // It is not wide any more; the sender may try again.
        None => Err(DropReason::BcastNobody),
    }
}

/// Why the sender of a broadcast is not believed: here all senders are known.
fn sender(halt: Halt) -> DropReason {
    match halt.punt {
        Some(_) => DropReason::SrcUnknown,
        None => halt.reason,
    }
}

fn ports(directory: &Directory, vsid: u32) -> Vec<LocalPort> {
    let ports = directory.tables.vports.iter();
    let inside = ports.filter(|(_, port): &(_, &Vport)| port.vsid == vsid);
    let local = inside.map(|(ifindex, port)| LocalPort {
        ifindex: *ifindex,
        slot: port.slot,
    });
    local.collect()
}

fn header(copy: &Replica, sender: LocalPort) -> UpcallHeader {
    match *copy {
        Replica::Port(port) => UpcallHeader::new(Task::Replica, port.ifindex, port.slot, 0),
        Replica::Nve { pa_index } => UpcallHeader::new(Task::Encap, pa_index, sender.ifindex, 0),
    }
}

#[cfg(test)]
mod tests;
