//! Interfaces' unicast filters: the MACs that an interface takes frames for beside its own.

use std::collections::BTreeSet;

use dataplane_common::id::Mac;
use netlink_packet_route::{
    AddressFamily,
    neighbour::{NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState},
};
use rtnetlink::{Error, Handle};

/// Index of the interface, and a MAC.
pub type Entry = (u32, Mac);

/// The entries that nved made.
///
/// The kernel does not say who made an entry, and it stays when nved is gone. What the tables that
/// an earlier nved left say that it needed, it made: an entry is made after the tables ask for it,
/// and removed after they do so no more. One that was there before it was needed is somebody else's
/// and is left alone; only a restart takes it for ours.
#[derive(Debug)]
pub struct Filter {
    handle: Handle,
    own: BTreeSet<Entry>,
}

impl Filter {
    /// With the entries that an earlier nved made.
    pub fn adopt(handle: Handle, own: BTreeSet<Entry>) -> Self {
        Self { handle, own }
    }

    /// Makes what is wanted and is not there, and removes what of ours is not wanted; what could not
    /// be made, and why. That is tried again by the next call.
    pub async fn follow(&mut self, wanted: &BTreeSet<Entry>) -> Vec<(Entry, Error)> {
        let mut refused = Vec::new();
        for entry in wanted {
            // A device that is made again may have the same index.
            match self.add(*entry).await {
                Ok(()) => drop(self.own.insert(*entry)),
                Err(error) if is(&error, libc::EEXIST) => {}
                Err(error) => refused.push((*entry, error)),
            }
        }
        let idle: Vec<_> = self.own.difference(wanted).copied().collect();
        for entry in idle {
            match self.remove(entry).await {
                Err(error) if !is(&error, libc::ENOENT) && !is(&error, libc::ENODEV) => {
                    let (ifindex, mac) = entry;
                    tracing::warn!("interface {ifindex} still takes frames for {mac}: {error}");
                }
                Ok(()) | Err(_) => drop(self.own.remove(&entry)),
            }
        }
        refused
    }

    async fn add(&self, (ifindex, mac): Entry) -> Result<(), Error> {
        let neighbours = self.handle.neighbours();
        let request = neighbours.add_bridge(ifindex, &mac.0);
        request.flags(NeighbourFlags::Own).execute().await
    }

    async fn remove(&self, (ifindex, mac): Entry) -> Result<(), Error> {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Bridge;
        message.header.ifindex = ifindex;
        message.header.state = NeighbourState::Permanent;
        message.header.flags = NeighbourFlags::Own;
        message.attributes = vec![NeighbourAttribute::LinkLayerAddress(mac.0.to_vec())];
        self.handle.neighbours().del(message).execute().await
    }
}

fn is(error: &Error, code: i32) -> bool {
    matches!(error, Error::NetlinkError(answer) if answer.raw_code() == -code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_made_is_told_and_what_is_gone_is_forgotten() {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        tokio::spawn(connection);
        let nowhere = (i32::MAX.cast_unsigned(), Mac([2, 0, 0, 0, 0, 1]));
        let mut filter = Filter::adopt(handle, BTreeSet::from([nowhere]));
        let refused = filter.follow(&BTreeSet::from([nowhere])).await;
        assert!(matches!(refused.as_slice(), [(told, _)] if *told == nowhere));
        filter.own.insert(nowhere);
        let refused = filter.follow(&BTreeSet::new()).await;
        // Who may not ask is refused before anything is looked for.
        assert!(refused.is_empty());
        let may = rustix::process::geteuid().is_root();
        assert_eq!(filter.own.is_empty(), may);
    }
}
