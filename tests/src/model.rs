//! The decision run in user space over tables, and its verdict applied to the bytes: what the programs
//! must agree with.

mod bytes;
mod flood;
mod rewrite;

use std::time::Duration;

use dataplane_common::wire::outer::OuterHeaders as _;
use dataplane_common::{
    abi::{
        lookup::LookupEntry,
        stats::Direction,
        upcall::{self},
        vport::Vport,
    },
    forward::{
        self, Egress, Halt, Tables,
        ingress::Ingress,
        outer::{self, Tunnel},
        parse::{self, Frame as _, Headers},
    },
    reason::DropReason,
    wire::{
        ether,
        gre::GreHeader,
        outer::{OverV4, OverV6},
    },
};
use rustix::time::{ClockId, clock_gettime};

pub use bytes::Bytes;
use bytes::{bytes_of, edited, replied, turned};

use crate::{policy::SENDER, want::Want};

/// How the programs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Whether the outer checksum is looked at, as at XDP.
    pub verify: bool,
    /// Whether user space listens.
    pub attended: bool,
}

/// What the decision says of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What becomes of it.
    pub want: Want,
    /// Whether XDP leaves it to TC.
    pub left_by_xdp: bool,
}

impl From<Want> for Said {
    fn from(want: Want) -> Self {
        let left_by_xdp = matches!(want, Want::Passed | Want::Flooded(..));
        Self { want, left_by_xdp }
    }
}

/// Why a packet ends, and what there is of it by then.
struct Ends(Halt, Vec<u8>);

impl From<DropReason> for Ends {
    fn from(reason: DropReason) -> Self {
        Self(reason.into(), Vec::new())
    }
}

/// Decides. The frame comes from [`SENDER`].
pub fn decide(tables: &impl Tables, direction: Direction, frame: &[u8], setting: Setting) -> Said {
    let (slot, decided) = match direction {
        Direction::Egress => {
            let Some(port) = tables.vport(SENDER) else {
                return Want::Dropped(0, DropReason::PortUnknown).into();
            };
            (port.slot, egress(tables, port, frame))
        }
        Direction::Ingress => (0, ingress(tables, frame, setting.verify)),
    };
    match decided {
        Ok(said) => said,
        Err(Ends(Halt { reason, punt: None }, _)) => Want::Dropped(slot, reason).into(),
        Err(Ends(
            Halt {
                reason,
                punt: Some(punt),
            },
            frame,
        )) => {
            let fits = frame.len() <= upcall::MOST_FRAME as usize;
            let want = match (setting.attended, fits) {
                (true, true) => Want::Punted(slot, punt, frame),
                (true, false) => Want::Dropped(slot, DropReason::PuntFailed),
                (false, _) => Want::Dropped(slot, reason),
            };
            Said {
                want,
                left_by_xdp: true,
            }
        }
    }
}

fn egress(tables: &impl Tables, port: &Vport, frame: &[u8]) -> Result<Said, Ends> {
    let tags = count_tags(frame);
    forward::egress::strip_tags(port, tags)?;
    let behind = 12 + usize::from(tags) * ether::TAG_LEN;
    // A tag is stripped where an EtherType is behind it.
    let rest = frame
        .get(behind..)
        .filter(|rest| tags == 0 || rest.len() >= 2);
    let Some(rest) = rest else {
        return Ok(Said {
            want: Want::Dropped(port.slot, DropReason::InnerVlan),
            left_by_xdp: true,
        });
    };
    let frame = [&frame[..12], rest].concat();
    let headers = parse::headers(&Bytes(&frame), 0);
    // XDP leaves a tagged frame to TC before it knows what becomes of it, and what an error quotes.
    let mut left_by_xdp = tags > 0;
    let want = headers.map_err(Ends::from).and_then(|headers| {
        let decided = forward::egress(tables, port, &headers);
        let decided = decided.map_err(|halt| Ends(halt, frame.clone()))?;
        left_by_xdp |= matches!(decided, Egress::Rewrite(_)) && headers.is_error();
        sent(tables, port, (&headers, &frame), &decided)
    });
    match want {
        Ok(want) => {
            let mut said = Said::from(want);
            said.left_by_xdp |= left_by_xdp;
            Ok(said)
        }
        Err(Ends(halt, _)) if left_by_xdp && halt.punt.is_none() => Ok(Said {
            want: Want::Dropped(port.slot, halt.reason),
            left_by_xdp: true,
        }),
        Err(ends) => Err(ends),
    }
}

fn sent(
    tables: &impl Tables,
    port: &Vport,
    (headers, frame): (&Headers, &[u8]),
    decided: &Egress,
) -> Result<Want, Ends> {
    let slot = port.slot;
    Ok(match decided {
        Egress::Encap(encap) => {
            let inner = edited(frame, headers, &encap.edit);
            let outer = if encap.outer.dst.is_v4() {
                bytes_of(&OverV4::new(&encap.outer))
            } else {
                bytes_of(&OverV6::new(&encap.outer))
            };
            Want::Encapped(slot, [outer, inner].concat())
        }
        Egress::Rewrite(found) => {
            let frame = edited(frame, headers, &found.edit);
            let frame = rewrite::readdressed(frame, headers, &found.pair)?;
            Want::Rewritten(slot, frame)
        }
        Egress::Deliver(deliver) => {
            let frame = edited(frame, headers, &deliver.edit);
            Want::Delivered(slot, deliver.slot, frame)
        }
        Egress::Neighbour(reply) => Want::Replied(slot, replied(frame, headers, *reply)),
        Egress::Echo => Want::Replied(slot, turned(frame, headers)),
        Egress::Flood => flood::egress(tables, port, headers)?,
    })
}

fn count_tags(frame: &[u8]) -> u8 {
    let is_tag = |at: usize| {
        let bytes = frame.get(at..at + 2);
        bytes.is_some_and(|b| ether::is_tag(u16::from_be_bytes([b[0], b[1]])))
    };
    match [12, 16, 20].map(is_tag) {
        [false, ..] => 0,
        [true, false, _] => 1,
        [true, true, false] => 2,
        [true, true, true] => 3,
    }
}

fn ingress(tables: &impl Tables, frame: &[u8], verify: bool) -> Result<Said, Ends> {
    let whole = |halt: Halt| Ends(halt, frame.to_vec());
    if count_tags(frame) > 0 {
        return Ok(Want::Passed.into());
    }
    let Some(tunnel) = tunnel(tables, frame, verify).map_err(whole)? else {
        return rewrite::ingress(tables, frame);
    };
    let headers = parse::headers(&Bytes(frame), tunnel.outer_len())?;
    let accepted = forward::ingress::ingress(tables, &tunnel, &headers).map_err(whole)?;
    let inner = &frame[tunnel.outer_len()..];
    Ok(match accepted {
        Ingress::Deliver(deliver) => {
            let frame = edited(inner, &headers, &deliver.edit);
            Want::Delivered(0, deliver.slot, frame)
        }
        Ingress::Flood => flood::ingress(tables, &tunnel, &headers)?,
    }
    .into())
}

/// The steps of the pipeline; `None`: it is the host's, or a port's with a PA of its own.
fn tunnel(tables: &impl Tables, frame: &[u8], verify: bool) -> Result<Option<Tunnel>, Halt> {
    let frame = Bytes(frame);
    let Some(ip) = outer::ip(&frame) else {
        return Ok(None);
    };
    if !outer::is_ours(tables, &ip) {
        if outer::is_too_big(tables, &frame, &ip) {
            let reason = DropReason::PuntFailed;
            return Err(Halt::ask(dataplane_common::punt::Punt::PathMtu, reason));
        }
        return Ok(None);
    }
    let at = outer::gre_offset(&ip)?;
    let word: [u8; 4] = frame.load(at).ok_or(DropReason::Truncated)?;
    if !outer::is_nvgre(tables, &ip, &GreHeader::from_word(word))? {
        return Ok(None);
    }
    outer::valid(&frame, &ip, verify)?;
    let gre: GreHeader = frame.load(at).ok_or(DropReason::Truncated)?;
    let inner = outer::inner(&frame, at);
    Ok(Some(outer::tunnel(tables, &ip, &gre, &inner)?))
}

/// The time as programs stamp records with it.
pub fn second() -> u32 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    let nanos = Duration::new(now.tv_sec.unsigned_abs(), 0).as_nanos()
        + u128::from(now.tv_nsec.unsigned_abs());
    u32::try_from(nanos >> LookupEntry::SECOND_SHIFT).expect("a hundred years")
}
