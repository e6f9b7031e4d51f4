//! Whole decisions about the bytes of a frame.

use super::{Bytes, HostTables};
use crate::{
    forward::{
        self, Deliver, Egress, Encap, Halt, Tables as _,
        ingress::{self, Ingress},
        outer,
        parse::{self, Frame as _},
    },
    reason::DropReason,
    wire::gre::GreHeader,
};

/// What becomes of a frame that the port sends.
pub(crate) fn egress(tables: &HostTables, ifindex: u32, frame: &[u8]) -> Result<Egress, Halt> {
    let from = tables.vport(ifindex).expect("port");
    forward::egress(tables, from, &parse::headers(&Bytes::new(frame), 0)?)
}

pub(crate) fn halted(tables: &HostTables, ifindex: u32, frame: &[u8]) -> Halt {
    egress(tables, ifindex, frame).expect_err("not forwarded")
}

/// Why the frame is dropped, and nobody asked.
pub(crate) fn dropped(tables: &HostTables, ifindex: u32, frame: &[u8]) -> DropReason {
    let halt = halted(tables, ifindex, frame);
    assert_eq!(halt.punt, None, "asked about");
    halt.reason
}

pub(crate) fn encapped(tables: &HostTables, ifindex: u32, frame: &[u8]) -> Encap {
    match egress(tables, ifindex, frame) {
        Ok(Egress::Encap(encap)) => encap,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn delivered(tables: &HostTables, ifindex: u32, frame: &[u8]) -> Deliver {
    match egress(tables, ifindex, frame) {
        Ok(Egress::Deliver(deliver)) => deliver,
        other => panic!("{other:?}"),
    }
}

/// The steps of `pipeline::ingress`; `None` is a pass.
pub(crate) fn ingress(tables: &HostTables, frame: &[u8]) -> Result<Option<Ingress>, Halt> {
    let frame = Bytes::new(frame);
    let Some(ip) = outer::ip(&frame) else {
        return Ok(None);
    };
    if !outer::is_ours(tables, &ip) {
        return Ok(None);
    }
    let offset = outer::gre_offset(&ip)?;
    let word: [u8; 4] = frame.load(offset).ok_or(DropReason::Truncated)?;
    if !outer::is_nvgre(tables, &ip, &GreHeader::from_word(word))? {
        return Ok(None);
    }
    outer::valid(&frame, &ip, true)?;
    let gre: GreHeader = frame.load(offset).ok_or(DropReason::Truncated)?;
    let inner = outer::inner(&frame, offset);
    let tunnel = outer::tunnel(tables, &ip, &gre, &inner)?;
    let headers = parse::headers(&frame, tunnel.outer_len())?;
    ingress::ingress(tables, &tunnel, &headers).map(Some)
}

pub(crate) fn dropped_in(tables: &HostTables, frame: &[u8]) -> DropReason {
    let halt = ingress(tables, frame).expect_err("dropped");
    assert_eq!(halt.punt, None, "asked about");
    halt.reason
}

pub(crate) fn decapped(tables: &HostTables, frame: &[u8]) -> Deliver {
    match ingress(tables, frame) {
        Ok(Some(Ingress::Deliver(deliver))) => deliver,
        other => panic!("{other:?}"),
    }
}
