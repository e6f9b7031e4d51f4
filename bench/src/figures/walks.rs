//! The ways through programs that are timed.

use dataplane_common::abi::stats::Direction;

use super::{rewriting, tables, test_run::Hook};
use crate::scenario::{Keys, Refusal, Work};

/// A way through a program, and the packet that takes it.
pub(super) struct Walk {
    pub(super) work: Work,
    pub(super) direction: Direction,
    /// Patterns that make a difference.
    pub(super) keys: &'static [Keys],
    /// The frame for record `k` of so many.
    pub(super) frame: fn(k: u32, records: u32) -> Vec<u8>,
}

const ALL_KEYS: &[Keys] = &[Keys::OneHot, Keys::ThousandHot, Keys::Uniform];

/// All of them.
pub(super) const WALKS: [Walk; 8] = [
    Walk {
        work: Work::Encap,
        direction: Direction::Egress,
        keys: ALL_KEYS,
        frame: |k, _| sent(tables::CA, tables::FIRST + k),
    },
    Walk {
        work: Work::Decap,
        direction: Direction::Ingress,
        keys: ALL_KEYS,
        frame: |k, _| {
            let from = tables::FIRST + k;
            tables::tunnelled(k, &sent(from, tables::CA))
        },
    },
    Walk {
        work: Work::RewriteOut,
        direction: Direction::Egress,
        keys: &[Keys::Uniform],
        frame: |k, _| sent(tables::CA, tables::FIRST + k),
    },
    Walk {
        work: Work::RewriteIn,
        direction: Direction::Ingress,
        keys: &[Keys::Uniform],
        frame: |k, _| rewriting::rewritten(k),
    },
    Walk {
        work: Work::SameHost,
        direction: Direction::Egress,
        keys: &[Keys::OneHot],
        frame: |_, _| sent(tables::CA, tables::NEIGHBOUR_CA),
    },
    Walk {
        work: Work::Drop(Refusal::SpoofMac),
        direction: Direction::Egress,
        keys: &[Keys::OneHot],
        frame: |k, _| tables::frame(tables::mac(0), tables::CA, tables::FIRST + k),
    },
    Walk {
        work: Work::Drop(Refusal::SpoofCa),
        direction: Direction::Egress,
        keys: &[Keys::OneHot],
        frame: |k, _| tables::frame(tables::mac(tables::CA), tables::CA + 100, tables::FIRST + k),
    },
    Walk {
        work: Work::Drop(Refusal::NoLookupRecord),
        direction: Direction::Egress,
        keys: ALL_KEYS,
        // Behind the last record there is none.
        frame: |k, records| sent(tables::CA, tables::FIRST + records + k),
    },
];

fn sent(from: u32, to: u32) -> Vec<u8> {
    tables::frame(tables::mac(from), from, to)
}

impl Walk {
    /// What a program at the hook returns for it.
    pub(super) fn code(&self, hook: Hook) -> u32 {
        match self.work {
            Work::Drop(_) => hook.drops(),
            Work::Encap
            | Work::Decap
            | Work::EncapDecap
            | Work::RewriteOut
            | Work::RewriteIn
            | Work::RewriteOutIn
            | Work::SameHost => hook.redirects(),
        }
    }
}
