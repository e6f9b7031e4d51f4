//! How many may be connected at once, and how many of their requests are worked on.
//!
//! Root comes first: a quarter of the connections is for uid 0 alone, and only
//! requests of others wait for each other.

use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::socket::Peer;

/// Connections at once, whatever the limit on open files.
pub const CONNECTIONS: usize = 4096;
/// Connections beyond them that are told so.
const REFUSALS: usize = 256;
/// Requests of others than root that are worked on at once. An answer counts until
/// it is taken, so that answers nobody reads fill no memory.
pub const TURNS: usize = 8;

/// Raises the limit on open files as far as it goes; how many connections fit: half
/// of it, at most [`CONNECTIONS`].
pub fn room() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let files = match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    // No limit at all is told by `None`.
    let files = files.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    });
    CONNECTIONS.min(files / 2)
}

/// The seats of a socket.
#[derive(Clone)]
pub struct Seats {
    all: Arc<Semaphore>,
    others: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

/// What a new connection gets; held as long as it lasts.
pub enum Seat {
    /// It is served.
    Served {
        /// Where its request waits for its turn; root's does not.
        turns: Option<Arc<Semaphore>>,
        /// Its place.
        held: Vec<OwnedSemaphorePermit>,
    },
    /// It is told that there is no room.
    Refused(OwnedSemaphorePermit),
}

impl Seats {
    /// Room for this many connections.
    pub fn new(connections: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(connections)),
            others: Arc::new(Semaphore::new(connections - connections / 4)),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            turns: Arc::new(Semaphore::new(TURNS)),
        }
    }

    /// A seat for a new connection; `None` when even saying no would be too much.
    pub fn take(&self, peer: Peer) -> Option<Seat> {
        let take = |seats: &Arc<Semaphore>| seats.clone().try_acquire_owned().ok();
        let root = peer.uid == Some(0);
        let held = if root {
            take(&self.all).map(|seat| vec![seat])
        } else {
            let own = take(&self.others);
            own.and_then(|own| Some(vec![own, take(&self.all)?]))
        };
        let turns = (!root).then(|| self.turns.clone());
        match held {
            Some(held) => Some(Seat::Served { turns, held }),
            None => take(&self.refusals).map(Seat::Refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_leave_room_for_root() {
        let seats = Seats::new(8);
        let (root, other) = (Peer { uid: Some(0) }, Peer { uid: Some(7) });
        let served = |seat: &Option<Seat>| matches!(seat, Some(Seat::Served { .. }));
        let mut held: Vec<_> = (0..6).map(|_| seats.take(other)).collect();
        assert!(held.iter().all(served));
        assert!(matches!(seats.take(other), Some(Seat::Refused(_))));
        assert!(matches!(
            seats.take(Peer { uid: None }),
            Some(Seat::Refused(_))
        ));
        held.extend((0..2).map(|_| seats.take(root)));
        assert!(held.iter().all(served));
        assert!(matches!(seats.take(root), Some(Seat::Refused(_))));
        held.truncate(7);
        assert!(served(&seats.take(root)));
    }

    #[test]
    fn whoever_cannot_even_be_told_is_dropped() {
        let seats = Seats::new(0);
        let peer = Peer { uid: Some(0) };
        let told: Vec<_> = (0..REFUSALS).map(|_| seats.take(peer)).collect();
        assert!(
            told.iter()
                .all(|seat| matches!(seat, Some(Seat::Refused(_))))
        );
        assert!(seats.take(peer).is_none());
    }
}
