//! Who gets a port's broadcast (packet walk W6).

use super::{Answer, Halt, Tables, parse::Headers};
use crate::{
    abi::{flood::Flood, lookup::LookupRecord, vport::Vport},
    punt::Punt,
    reason::DropReason,
};

/// Who gets copies of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replicate<'t> {
    /// Who gets copies.
    pub flood: &'t Flood,
    /// Index in `UNDERLAY` of a multicast group that gets one in place of the other hosts; 0: they
    /// get theirs.
    pub group: u32,
}

impl Replicate<'_> {
    /// Index in `UNDERLAY` of the copy's receiver with this number; `None` behind the last.
    #[inline(always)]
    pub fn pa(&self, number: usize) -> Option<u32> {
        if self.group != 0 {
            return (number == 0).then_some(self.group);
        }
        if number as u32 >= self.flood.pa_count {
            return None;
        }
        self.flood.pas.get(number).copied()
    }
}

/// Everybody in the virtual subnet, or in a group of it.
#[inline(always)]
pub fn flood<'t, T: Tables>(
    tables: &'t T,
    from: &Vport,
    headers: &Headers,
) -> Result<Replicate<'t>, Halt> {
    if headers.is_router_solicitation() && from.has(Vport::ADVERTISES) {
        return Err(Halt::ask(Punt::RouterSolicit, DropReason::PuntFailed));
    }
    if from.has(Vport::REWRITES) {
        return Err(DropReason::NatNotCarried.into());
    }
    let looked_for = headers.kind.is_neighbour() && from.has(Vport::UNKNOWN_CAS);
    if !from.has(Vport::BROADCAST) && !looked_for {
        return Err(DropReason::BcastDisabled.into());
    }
    let flood = tables.flood(from.vsid).ok_or(DropReason::BcastNobody)?;
    if flood.is_wide() {
        return Err(Halt::ask(Punt::Wide, DropReason::PuntFailed));
    }
    let group = group(tables, from, headers)?;
    Ok(Replicate { flood, group })
}

/// Index in `UNDERLAY` of the PA group that the packet's group is mapped to in its subnet; 0: none.
#[inline(always)]
pub fn group<T: Tables>(tables: &T, from: &Vport, headers: &Headers) -> Result<u32, DropReason> {
    if !headers.kind.is_routable() || !headers.dst.is_group() {
        return Ok(0);
    }
    let mut record = LookupRecord::NONE;
    match tables.lookup(from.rdid, headers.dst, &mut record) {
        Answer::Busy => Err(DropReason::LookupBusy),
        Answer::Found if record.has(LookupRecord::GROUP) && record.vsid == from.vsid => {
            Ok(record.pa_index)
        }
        Answer::Found | Answer::Absent => Ok(0),
    }
}
