//! Why a packet was dropped. The numbers are ABI: append only, never reuse.

macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $direction:ident, $text:literal;)+) => {
        /// Why a packet was dropped; one value per cause.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum DropReason {
            $($(#[doc = $doc])+ $name = $number,)+
        }

        impl DropReason {
            /// Every reason, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name that users see, in counters, metrics and docs.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// One sentence for users.
            pub const fn describe(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+)),+ }
            }

            /// The direction(s) in which it occurs: `egress`, `ingress` or `both`.
            pub const fn direction(self) -> &'static str {
                match self { $(Self::$name => stringify!($direction)),+ }
            }
        }
    };
}

drop_reasons! {
    /// The frame ends before the headers that it announces.
    Truncated = 1, both, "TRUNCATED";
    /// The source MAC (or the ARP sender's MAC) is not the port's.
    SpoofMac = 2, egress, "SPOOF_MAC";
    /// The source CA (or the ARP sender's CA) is not one of the port's.
    SpoofCa = 3, egress, "SPOOF_CA";
    /// The tenant's frame bears a VLAN tag where none may be: the subnet drops tags, or there are more than two; or a decapsulated frame is tagged (RFC 7637, section 3.2).
    InnerVlan = 4, both, "INNER_VLAN";
    /// The EtherType is neither IP nor ARP, in a subnet without `allowNonIP`.
    NonIp = 5, both, "NON_IP";
    /// The CA is IPv6. Not in use any more: IPv6 is forwarded.
    Ipv6Unsupported = 6, both, "IPV6_UNSUPPORTED";
    /// Broadcast or multicast in a subnet with `broadcast: {mode: none}`.
    BcastDisabled = 7, both, "BCAST_DISABLED";
    /// The inner IP header contradicts itself or the frame's length, or has an IPv4-mapped IPv6 address.
    IpMalformed = 8, both, "IP_MALFORMED";
    /// An ARP packet that is not Ethernet/IPv4, or neither request nor reply.
    ArpMalformed = 9, both, "ARP_MALFORMED";
    /// An ARP request or neighbour solicitation for a CA that the subnet has no lookup record of.
    ArpNoRecord = 10, egress, "ARP_NO_RECORD";
    /// An announcement or probe (ARP, neighbour discovery) of the port's own CA; nobody needs to answer.
    GarpIgnored = 11, egress, "GARP_IGNORED";
    /// To a gateway, which answers pings and nothing else, and user space that would say so cannot be reached.
    GatewayBound = 12, egress, "GATEWAY_BOUND";
    /// Sent to the gateway for a CA that no subnet or customer route covers.
    NoRoute = 13, egress, "NO_ROUTE";
    /// No lookup record for the destination CA.
    NoLookupRecord = 14, egress, "NO_LOOKUP_RECORD";
    /// Larger than the path to the remote PA carries after encapsulation.
    MtuExceeded = 15, egress, "MTU_EXCEEDED";
    /// The kernel has no route to the record's PA.
    PaNoRoute = 16, egress, "PA_NO_ROUTE";
    /// The MAC of the next hop towards the record's PA is not known (yet).
    PaNeighUnresolved = 17, egress, "PA_NEIGH_UNRESOLVED";
    /// No room for the outer header, a packet too long for one, or an uplink that XDP cannot send to.
    EncapFailed = 18, egress, "ENCAP_FAILED";
    /// Addressed to the port that sent it.
    Hairpin = 19, egress, "HAIRPIN";
    /// GRE of protocol 0x6558 to one of our PAs whose first 16 bits are not 0x2000.
    DecapBadGre = 20, ingress, "DECAP_BAD_GRE";
    /// GRE of another protocol to one of our PAs while the provider network has `foreignGre: drop`.
    ForeignGre = 21, ingress, "FOREIGN_GRE";
    /// VSID 0..4095, which RFC 7637 reserves.
    VsidReserved = 22, ingress, "VSID_RESERVED";
    /// VSID 0xFFFFFF, vendor-specific messages between NVEs.
    VsidVendor = 23, ingress, "VSID_VENDOR";
    /// No port of this host is in the VSID's routing domain.
    VsidUnknown = 24, ingress, "VSID_UNKNOWN";
    /// Fewer than 14 bytes behind the GRE header.
    InnerShort = 25, ingress, "INNER_SHORT";
    /// The outer packet is a fragment.
    OuterFrag = 26, ingress, "OUTER_FRAG";
    /// The outer IPv4 header contradicts itself or the frame's length, or has options.
    OuterMalformed = 27, ingress, "OUTER_MALFORMED";
    /// The outer IPv4 header checksum is wrong.
    OuterChecksum = 28, ingress, "OUTER_CHECKSUM";
    /// The outer source is not the PA of the inner source's lookup record.
    PaMismatch = 29, ingress, "PA_MISMATCH";
    /// No lookup record for the inner source CA.
    SrcUnknown = 30, ingress, "SRC_UNKNOWN";
    /// No port of this host has the inner destination MAC in this VSID, or the port is not attached.
    NoLocalPort = 31, both, "NO_LOCAL_PORT";
    /// The inner destination CA is not one of the port's that has the MAC.
    CaPortMismatch = 32, both, "CA_PORT_MISMATCH";
    /// Larger than the destination port's MTU.
    PortMtu = 33, both, "PORT_MTU";
    /// Congestion was marked on the outer header and the inner packet cannot carry the mark (RFC 6040, section 4.2).
    EcnInvalid = 34, ingress, "ECN_INVALID";
    /// The outer header could not be removed.
    DecapFailed = 35, ingress, "DECAP_FAILED";
    /// The device is not a port in the tables (yet); its frames must not reach the host's stack.
    PortUnknown = 36, egress, "PORT_UNKNOWN";
    /// The port asked for more of user space than its share of the slow path.
    PuntRate = 37, both, "PUNT_RATE";
    /// User space cannot be reached: `nved` is not running, or the upcall pair is gone.
    PuntFailed = 38, both, "PUNT_FAILED";
    /// User space had an answer and the tables still have none; it is not asked twice about one packet.
    PuntLoop = 39, both, "PUNT_LOOP";
    /// Too many packets of the VM network, or for this CA, wait for an answer.
    HoldFull = 40, both, "HOLD_FULL";
    /// The VM network asked for more of the slow path than its share.
    TenantBudget = 41, both, "TENANT_BUDGET";
    /// The answer took longer than a packet may wait.
    HoldExpired = 42, both, "HOLD_EXPIRED";
    /// A worker of the slow path ended with the packet in its hands.
    WorkerLost = 43, both, "WORKER_LOST";
    /// The record was found, and the kernel's table has no room for it.
    TableFull = 44, both, "TABLE_FULL";
    /// The TTL or hop limit ended at the gateway.
    TtlExceeded = 45, egress, "TTL_EXCEEDED";
    /// More IPv6 extension headers than programs read.
    ExtensionHeaders = 46, both, "EXTENSION_HEADERS";
    /// A neighbour message against RFC 4861: hop limit, length, option or target.
    NeighbourMalformed = 47, both, "NEIGHBOUR_MALFORMED";
    /// More broadcasts than the port may send.
    BcastRate = 48, egress, "BCAST_RATE";
    /// A broadcast that nobody else is there for.
    BcastNobody = 49, both, "BCAST_NOBODY";
    /// The record has rule `TranslationMethodNone` and its host is another.
    NoTranslation = 50, egress, "NO_TRANSLATION";
    /// The next hop of the packet's customer route is the port that sent it.
    RouteLoop = 51, egress, "ROUTE_LOOP";
    /// A port whose addresses are learned uses one of somebody else's, or too many.
    LearnRefused = 52, egress, "LEARN_REFUSED";
    /// The program that makes copies of a broadcast cannot be reached.
    BcastFailed = 53, both, "BCAST_FAILED";
    /// A frame of or for a port in a VLAN without the VLAN's tag where it needs one, with another's, or with a second one.
    VlanForeign = 54, both, "VLAN_FOREIGN";
    /// The CA's rule is another than the port's: one is reached by IP rewrite, the other by encapsulation.
    RuleMismatch = 55, egress, "RULE_MISMATCH";
    /// Of a port whose addresses are rewritten, from an address that has no PA of its own: a link-local one, or another station's.
    NatNoSrcPa = 56, egress, "NAT_NO_SRC_PA";
    /// What IP rewrite cannot carry: no IP, broadcast, a neighbour message, to a link-local address or through a next hop, or an ICMP error about a packet of others.
    NatNotCarried = 57, both, "NAT_NOT_CARRIED";
    /// Addressed to the PA of a port here, from no PA of its routing domain.
    NatSrcUnknown = 58, ingress, "NAT_SRC_UNKNOWN";
    /// The lookup record's place in the table changed each time that it was read.
    LookupBusy = 59, both, "LOOKUP_BUSY";
}

/// Room for reasons in the counter arrays; numbers stay below it.
pub const REASONS: u32 = 64;

impl DropReason {
    /// The number, as in the counter arrays.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The reason of a number, `None` for a hole or a number of a newer build.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|r| r.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_in_range() {
        let mut seen = [false; REASONS as usize];
        for reason in DropReason::ALL {
            let slot = seen.get_mut(reason.number() as usize).expect("in range");
            assert!(!*slot, "{} used twice", reason.number());
            *slot = true;
            assert_eq!(DropReason::from_number(reason.number()), Some(*reason));
        }
        assert_eq!(DropReason::from_number(0), None);
    }

    #[test]
    fn names_are_the_variants_in_screaming_snake() {
        for reason in DropReason::ALL {
            let camel: String = reason
                .as_str()
                .split('_')
                .map(|word| {
                    let (head, tail) = word.split_at(1);
                    head.to_owned() + &tail.to_lowercase()
                })
                .collect();
            assert_eq!(camel, format!("{reason:?}"));
        }
    }
}
