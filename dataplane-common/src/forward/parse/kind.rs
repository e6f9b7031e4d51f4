//! What a tenant's frame is.

/// What a tenant's frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// An IPv4 packet.
    Ipv4,
    /// An IPv6 packet that is neither of the neighbour messages.
    Ipv6,
    /// Who has an IPv4 CA?
    ArpRequest,
    /// Who has it.
    ArpReply,
    /// Who has an IPv6 CA?
    Solicitation,
    /// Who has it.
    Advertisement,
    /// Anything else.
    NonIp,
}

impl Kind {
    /// Whether it finds out or tells which MAC a CA has.
    #[inline(always)]
    pub const fn is_neighbour(self) -> bool {
        matches!(
            self,
            Self::ArpRequest | Self::ArpReply | Self::Solicitation | Self::Advertisement
        )
    }

    /// Whether it asks that.
    #[inline(always)]
    pub const fn asks(self) -> bool {
        matches!(self, Self::ArpRequest | Self::Solicitation)
    }

    /// Whether it has an IP header.
    #[inline(always)]
    pub const fn is_ip(self) -> bool {
        !matches!(self, Self::ArpRequest | Self::ArpReply | Self::NonIp)
    }

    /// Whether it is a packet that may be routed.
    #[inline(always)]
    pub const fn is_routable(self) -> bool {
        matches!(self, Self::Ipv4 | Self::Ipv6)
    }
}
