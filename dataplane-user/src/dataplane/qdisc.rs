//! The clsact qdisc under a filter of ours.
//!
//! A folder `qdiscs/IFINDEX` among the pins says that nved made it (a bpffs takes no plain
//! files). Such a qdisc goes with our filter, unless somebody else has filters on it by then.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rtnetlink::{
    packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL},
    packet_route::{
        RouteNetlinkMessage,
        tc::{TcAttribute, TcHandle, TcHeader, TcMessage},
    },
    sys::protocols::NETLINK_ROUTE,
};

use rustix::net::{AddressFamily, SocketType, netdevice::index_to_name, socket};

use super::links::Device;
use crate::netlink::Netlink;

/// Sees to it that a device has one, and remembers whether it had none before.
pub(super) fn ensure(pins: &Path, device: &Device) -> io::Result<()> {
    let mut message = message(device.ifindex, CLSACT);
    message.header.handle = HANDLE;
    let create = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    match ask(RouteNetlinkMessage::NewQueueDiscipline(message), create) {
        // In this order: what is not remembered stays behind, and nobody's goes by mistake.
        Ok(_) => fs::create_dir_all(mark(pins, device.ifindex)),
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes the qdisc of a device if nved made it and no filter is left on it.
pub(super) fn release(pins: &Path, ifindex: u32) -> io::Result<()> {
    let mark = mark(pins, ifindex);
    if !mark.exists() {
        return Ok(());
    }
    // With its device it is gone already.
    if name_of(ifindex).is_some() && !has_filters(ifindex)? {
        let delete = RouteNetlinkMessage::DelQueueDiscipline(message(ifindex, CLSACT));
        match ask(delete, NLM_F_ACK) {
            Err(error) if !absent(&error) => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    fs::remove_dir(mark)
}

/// [`release`] for every device, and then nothing is remembered any more.
pub(super) fn release_all(pins: &Path) -> io::Result<()> {
    let folder = pins.join(QDISCS);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    for ifindex in names.filter_map(|name| name.to_str()?.parse().ok()) {
        release(pins, ifindex)?;
    }
    fs::remove_dir(folder)
}

/// Folder of the marks below the pin folder.
const QDISCS: &str = "qdiscs";

// linux/pkt_sched.h: TC_H_CLSACT, and its filters at TC_H_MIN_INGRESS and TC_H_MIN_EGRESS.
const HANDLE: TcHandle = TcHandle {
    major: u16::MAX,
    minor: 0,
};
const CLSACT: TcHandle = TcHandle::INGRESS;
const INGRESS: TcHandle = TcHandle {
    major: u16::MAX,
    minor: 0xfff2,
};
const EGRESS: TcHandle = TcHandle {
    major: u16::MAX,
    minor: 0xfff3,
};

fn mark(pins: &Path, ifindex: u32) -> PathBuf {
    pins.join(QDISCS).join(ifindex.to_string())
}

fn has_filters(ifindex: u32) -> io::Result<bool> {
    for parent in [INGRESS, EGRESS] {
        let question = RouteNetlinkMessage::GetTrafficFilter(message(ifindex, parent));
        match ask(question, NLM_F_DUMP) {
            Ok(filters) if filters.is_empty() => {}
            Ok(_) => return Ok(true),
            Err(error) if absent(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// The name of a device; `None` when it is gone.
fn name_of(ifindex: u32) -> Option<String> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    index_to_name(socket, ifindex).ok()
}

/// Somebody else removed the qdisc or its device, or put another qdisc in its place.
fn absent(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOENT | libc::ENODEV | libc::EINVAL)
    )
}

/// With the kind, so that nothing but a clsact qdisc is made or removed.
fn message(ifindex: u32, parent: TcHandle) -> TcMessage {
    let header = TcHeader {
        index: ifindex.cast_signed(),
        parent,
        ..TcHeader::default()
    };
    let kind = TcAttribute::Kind("clsact".to_owned());
    TcMessage::from_parts(header, vec![kind])
}

fn ask(question: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
    Netlink::open(NETLINK_ROUTE)?.ask(question, flags)
}
