//! Who has which CA and MAC, and in which subnet.

use std::{collections::HashMap, net::IpAddr};

use dataplane_common::id::Mac;

use super::{Checker, Subject, SubnetAt};
use crate::policy::{
    document::VirtualSubnetSpec,
    ids::gateway_mac,
    key::Key,
    model::{Isolation, VmNetwork},
};

/// Who has what.
#[derive(Default)]
pub(super) struct Ends<'d> {
    /// Hosts by PA.
    pub(super) provider: HashMap<IpAddr, Key>,
    /// Ports and records by PA: whose own it is, or the first that has its host's.
    pub(super) users: HashMap<IpAddr, (Key, Use)>,
    /// By VM network and CA.
    pub(super) addresses: HashMap<(&'d str, IpAddr), Key>,
    macs: HashMap<(Segment<'d>, Mac), (Key, Claim)>,
    /// By host, network namespace (empty: the host's own) and interface.
    pub(super) devices: HashMap<(&'d str, &'d str, &'d str), Key>,
    /// External interfaces by VM network.
    pub(super) externals: HashMap<&'d str, &'d str>,
}

/// Where a MAC is a station's.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Segment<'d> {
    /// The virtual subnet of this VSID.
    Subnet(u32),
    /// A VM network without isolation.
    Network(&'d str),
    /// A VLAN, whatever VM networks have it.
    Vlan(u16),
    /// What is behind an interface of this name of a host.
    Interface(&'d str, &'d str),
}

/// How a CA's PA is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It stands for that CA (rule `TranslationMethodNat`).
    Own,
    /// It is that of the CA's host.
    Shared,
    /// Nobody may use it.
    Refused,
}

/// How an object has a MAC.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is the one station with it.
    Station,
    /// So, and its CAs are learned.
    L2Only,
    /// It is a learned CA of a station.
    Learned,
}

impl Claim {
    /// Whether both may be of the same station.
    fn agrees(self, other: Self) -> bool {
        use Claim::{L2Only, Learned};
        matches!(
            (self, other),
            (Learned, Learned | L2Only) | (L2Only, Learned)
        )
    }
}

impl<'d> Ends<'d> {
    /// All MACs, and how somebody has them.
    pub(super) fn claims(&self) -> impl Iterator<Item = (&(Segment<'d>, Mac), &Claim)> {
        self.macs.iter().map(|(at, (_, claim))| (at, claim))
    }

    /// Who has the MAC.
    pub(super) fn station(&self, segment: Segment<'d>, mac: Mac) -> Option<&Key> {
        self.macs.get(&(segment, mac)).map(|(key, _)| key)
    }
}

impl<'d> Checker<'d> {
    /// The VM network, if there is one.
    pub(super) fn network(&mut self, at: &Subject, network: &str) -> Option<&VmNetwork> {
        if network.is_empty() {
            return None;
        }
        if !self.policy.networks.contains_key(network) {
            let message = format!("VM network {network} is not defined");
            let hint = "add a VMNetwork document, or correct the name";
            self.fault(at, "metadata.vmNetwork", message, hint);
            self.relates_to(Key::VmNetwork(network.to_owned()));
        }
        self.policy.networks.get(network)
    }

    /// The subnet of the VSID, if it belongs to the VM network.
    pub(super) fn subnet(
        &mut self,
        at: &Subject,
        network: &str,
        number: u32,
    ) -> Option<&'d VirtualSubnetSpec> {
        let place = self.vsids.get(&number);
        if let Some(place) = place.filter(|place| !network.is_empty() && place.network == network) {
            return Some(place.spec);
        }
        let known = self.network(at, network)?;
        let virtualized = known.isolation == Isolation::NetworkVirtualization;
        let key = Key::VmNetwork(network.to_owned());
        let (message, hint) = match self.vsids.get(&number) {
            _ if !virtualized => (
                format!("{key} is not virtualized and has no virtual subnets"),
                "remove this document, or use isolation NetworkVirtualization there",
            ),
            Some(place) => (
                format!(
                    "VSID {number} belongs to vmnetwork/{}, not to {key}",
                    place.network
                ),
                "use a VSID of the object's own VM network",
            ),
            None => (
                format!("VSID {number} is not defined in {key}"),
                "use one of its virtualSubnets, or add it there",
            ),
        };
        self.fault(at, "spec.virtualSubnetId", message, hint);
        self.relates_to(key);
        None
    }

    /// The MAC of one station, and of nobody else in its segment.
    pub(super) fn mac(&mut self, at: &Subject, segment: Segment<'d>, mac: Mac, claim: Claim) {
        if !self.station_mac(at, segment, mac) {
            return;
        }
        let Some((other, theirs)) = self.ends.macs.get(&(segment, mac)).cloned() else {
            let entry = (at.key.clone(), claim);
            self.ends.macs.insert((segment, mac), entry);
            return;
        };
        if !claim.agrees(theirs) {
            let message = format!("{mac} is the MAC of {other} already");
            let hint = "give each adapter of a subnet its own";
            self.fault(at, "spec.macAddress", message, hint);
            self.relates_to(other);
        } else if claim == Claim::L2Only {
            // A learned record says who has its MAC only where nothing else does.
            let entry = (at.key.clone(), claim);
            self.ends.macs.insert((segment, mac), entry);
        }
    }

    /// Whether a MAC can be that of a VM.
    pub(super) fn station_mac(&mut self, at: &Subject, segment: Segment<'_>, mac: Mac) -> bool {
        let gateway = |place: &SubnetAt<'_>| gateway_mac(place.rdid) == mac;
        let (message, hint) = if !mac.is_station() {
            let message = format!("{mac} is not the address of one station");
            (message, "use a unicast MAC address")
        } else if let Segment::Subnet(vsid) = segment
            && self.vsids.get(&vsid).is_some_and(gateway)
        {
            let message = format!("{mac} is the gateway's MAC in this routing domain");
            (message, "use another one")
        } else {
            return true;
        };
        self.fault(at, "spec.macAddress", message, hint);
        false
    }

    /// A CA of a station, and of nobody else in its VM network.
    pub(super) fn address(
        &mut self,
        at: &Subject,
        path: &str,
        (network, subnet): (&'d str, &VirtualSubnetSpec),
        ca: IpAddr,
    ) {
        if !self.customer_address(at, path, subnet, ca) {
            self.relates_to(Key::VmNetwork(network.to_owned()));
        } else if self.is_routers(subnet, ca) {
            let message = format!("{ca} is the gateway of subnet {}", subnet.name);
            self.fault(at, path, message, "use another address");
            self.relates_to(Key::VmNetwork(network.to_owned()));
        } else if let Some(other) = self.ends.addresses.get(&(network, ca)).cloned() {
            let derived = matches!((&at.key, &other), (Key::LookupRecord(..), Key::Port(_)));
            let hint = if derived {
                "remove this record, a port's records are derived"
            } else {
                "use another address"
            };
            let message = format!("{ca} is the address of {other} already");
            self.fault(at, path, message, hint);
            self.relates_to(other);
        } else {
            self.ends.addresses.insert((network, ca), at.key.clone());
        }
    }

    /// Whether hosts answer for a CA, as it is a gateway of their distributed router.
    pub(super) fn is_routers(&self, subnet: &VirtualSubnetSpec, ca: IpAddr) -> bool {
        let place = self.vsids.get(&subnet.virtual_subnet_id);
        place.is_some_and(|place| place.distributed_router && place.gateways.contains(&ca))
    }
}
