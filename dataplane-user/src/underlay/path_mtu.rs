//! Path MTUs that routers of the underlay told of. Pure.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::IpAddr,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::mtu_cost;

/// How long a value counts: the path may have become wider (RFC 1191, section 6.3; RFC 8201,
/// section 4).
const LIFE: Duration = Duration::from_mins(10);
/// Values at most, so that nobody fills memory.
const ROOM: usize = 4096;
/// The smallest MTU of an IPv4 link (RFC 791) ...
const LEAST_IPV4: u16 = 68;
/// ... and of one of IPv6 (RFC 8200, section 5).
pub const LEAST_IPV6: u16 = 1280;
/// What is told at once at most; who cannot tell tells with the next packet that is too large.
const BACKLOG: usize = 256;

/// Tells the agent that the path to a PA has this MTU, in bytes.
pub type Teller = mpsc::Sender<(IpAddr, u16)>;
/// The agent's end.
pub type Told = mpsc::Receiver<(IpAddr, u16)>;

/// The way by which the agent is told.
pub fn channel() -> (Teller, Told) {
    mpsc::channel(BACKLOG)
}

/// A value by PA.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathMtus {
    values: BTreeMap<IpAddr, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Value {
    mtu: u16,
    until: Instant,
}

impl PathMtus {
    /// Takes the MTU of the path to `pa` if it is lower than what is known; whether it was.
    ///
    /// What no link may have is not believed (RFC 8201, section 4): for IPv4 that is what leaves
    /// a tenant less than the smallest MTU of a link.
    pub fn lower(&mut self, pa: IpAddr, mtu: u16, now: Instant) -> bool {
        if mtu < least(pa) {
            return false;
        }
        let value = Value {
            mtu,
            until: now + LIFE,
        };
        let full = self.values.len() >= ROOM;
        match self.values.entry(pa) {
            Entry::Occupied(known) if known.get().mtu <= mtu => false,
            Entry::Occupied(mut known) => {
                known.insert(value);
                true
            }
            Entry::Vacant(_) if full => false,
            Entry::Vacant(free) => {
                free.insert(value);
                true
            }
        }
    }

    /// Forgets what is too old; whether there was any.
    pub fn expire(&mut self, now: Instant) -> bool {
        let before = self.values.len();
        self.values.retain(|_, value| value.until > now);
        self.values.len() < before
    }

    /// What is known of the path to `pa`.
    pub fn of(&self, pa: IpAddr) -> Option<u16> {
        self.values.get(&pa).map(|value| value.mtu)
    }

    /// When the next value is too old.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.values.values().map(|value| value.until).min()
    }
}

fn least(pa: IpAddr) -> u16 {
    match pa {
        IpAddr::V4(_) => LEAST_IPV4 + mtu_cost(pa),
        IpAddr::V6(_) => LEAST_IPV6,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2));

    #[test]
    fn only_what_is_lower_counts() {
        let (mut known, now) = (PathMtus::default(), Instant::now());
        assert!(known.lower(V4, 1400, now));
        let later = now + Duration::from_secs(1);
        assert!(!known.lower(V4, 1400, later) && !known.lower(V4, 1500, later));
        assert_eq!(known.next_expiry(), Some(now + LIFE));
        assert!(known.lower(V4, 1300, later));
        assert_eq!((known.of(V4), known.of(V6)), (Some(1300), None));
        assert_eq!(known.next_expiry(), Some(later + LIFE));
    }

    #[test]
    fn what_no_link_has_is_not_believed() {
        let (mut known, now) = (PathMtus::default(), Instant::now());
        assert!(!known.lower(V4, 109, now) && known.lower(V4, 110, now));
        assert!(!known.lower(V6, 1279, now) && known.lower(V6, 1280, now));
        assert!(!known.lower(V4, 0, now));
    }

    #[test]
    fn a_value_is_forgotten_after_ten_minutes() {
        let (mut known, now) = (PathMtus::default(), Instant::now());
        assert!(!known.expire(now) && known.next_expiry().is_none());
        assert!(known.lower(V4, 1400, now));
        assert!(known.lower(V6, 1400, now + Duration::from_secs(1)));
        assert!(!known.expire(now + LIFE.saturating_sub(Duration::from_nanos(1))));
        assert!(known.expire(now + LIFE));
        assert_eq!((known.of(V4), known.of(V6)), (None, Some(1400)));
        assert!(known.lower(V4, 1500, now + LIFE));
    }

    #[test]
    fn when_full_what_is_known_still_becomes_lower() {
        let (mut known, now) = (PathMtus::default(), Instant::now());
        let address = |host: usize| IpAddr::from(Ipv6Addr::from_bits(host as u128));
        for host in 0..ROOM {
            assert!(known.lower(address(host), 1400, now));
        }
        assert!(!known.lower(V4, 1400, now));
        assert!(known.lower(address(7), 1300, now));
        assert!(known.expire(now + LIFE) && known.lower(V4, 1400, now + LIFE));
    }
}
