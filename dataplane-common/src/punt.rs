//! What the programs leave to user space. The numbers are ABI: append only, never reuse.

macro_rules! punts {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $text:literal;)+) => {
        /// Why a packet is left to user space; each has one handler there.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum Punt {
            $($(#[doc = $doc])+ $name = $number,)+
        }

        impl Punt {
            /// Every reason, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name that users see.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// One sentence for users.
            pub const fn describe(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+)),+ }
            }
        }
    };
}

punts! {
    /// The destination CA has no record in the kernel's table, which holds only those in use (`tableMode: onDemand`).
    Miss = 1, "MISS";
    /// The inner source CA has no record in the kernel's table, which holds only those in use.
    SourceMiss = 2, "SOURCE_MISS";
    /// Larger than the path to the remote PA carries after encapsulation.
    Oversize = 3, "OVERSIZE";
    /// A super-packet that bears an earlier encapsulation: the kernel refuses to mark it for a second one.
    Encapsulated = 4, "ENCAPSULATED";
    /// The TTL or hop limit ended at the gateway; the sender is told.
    TtlExceeded = 5, "TTL_EXCEEDED";
    /// A neighbour solicitation whose answer does not fit in its place.
    Neighbour = 6, "NEIGHBOUR";
    /// A router solicitation in a subnet with `routerAdvertisement`.
    RouterSolicit = 7, "ROUTER_SOLICIT";
    /// A broadcast with more receivers than programs make copies for.
    Wide = 8, "WIDE";
    /// The underlay says that a packet of ours was too big.
    PathMtu = 9, "PATH_MTU";
    /// A port whose addresses are learned uses one that it does not have yet.
    Learn = 10, "LEARN";
    /// A DHCP server's answer to a port whose addresses are learned.
    DhcpAck = 11, "DHCP_ACK";
    /// To the gateway itself, and no ping: the sender is told that nobody listens.
    ToGateway = 12, "TO_GATEWAY";
    /// The underlay says what became of a packet whose addresses were rewritten; its sender is told in its own words.
    RewriteError = 13, "REWRITE_ERROR";
}

impl Punt {
    /// The number, as in the upcall header.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The reason of a number, `None` for one of another build.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|p| p.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique() {
        for punt in Punt::ALL {
            assert_eq!(Punt::from_number(punt.number()), Some(*punt));
        }
        assert_eq!(Punt::from_number(0), None);
    }
}
