//! A record of a subnet or a routing domain, as it is kept.

use dataplane_common::id::Mac;

use super::chunks::Item;

/// `S` says what it shares with others, in bytes: so none is lost to alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<A, S> {
    pub(super) ca: A,
    pub(super) mac: Mac,
    pub(super) site: S,
}

impl<A: Copy + Ord, S: Copy + PartialEq> Item for Entry<A, S> {
    type Key = A;
    fn key(&self) -> A {
        self.ca
    }
}
