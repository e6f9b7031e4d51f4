//! Tables, packets and decisions for the unit tests.
//!
//! The host has PAs 192.0.2.1 and `2001:db8::1`, its neighbour 192.0.2.2 and `2001:db8::2`. Blue (VSID
//! 6001, RDID 1) and red (7001, RDID 2) both have 10.0.0.5 and `fd00::5` here and 10.0.0.7 and `fd00::7`
//! there; blue also has 10.0.0.6 here, and a second subnet (6002) with 10.0.1.26 here and 10.0.1.27
//! there. The last byte of a CA is that of its MAC.

mod decide;
mod neighbours;
mod packets;

use std::{
    collections::{HashMap, HashSet},
    vec::Vec,
};

use super::{Answer, Tables};
use crate::{
    abi::{
        config::Config,
        flood::Flood,
        lookup::{LookupKey, LookupRecord},
        port_ca::PortCaKey,
        rewrite::RewriteEntry,
        route,
        underlay::NextHop,
        vport::{LocalPortKey, Vport},
        vsid::VirtualSubnet,
    },
    id::{Address, Mac},
};

pub(crate) use decide::{
    decapped, delivered, dropped, dropped_in, egress, encapped, halted, ingress,
};
pub(crate) use neighbours::*;
pub(crate) use packets::*;

pub(crate) const BLUE: u32 = 6001;
pub(crate) const BLUE_B: u32 = 6002;
pub(crate) const RED: u32 = 7001;
pub(crate) const BLUE_IF: u32 = 11;
pub(crate) const BLUE2_IF: u32 = 12;
pub(crate) const BLUE_B_IF: u32 = 13;
pub(crate) const RED_IF: u32 = 21;
pub(crate) const GATEWAY_MAC: Mac = Mac([2, 0xEE, 0, 0, 0, 1]);
/// Indexes in `UNDERLAY`.
pub(crate) const HERE: u32 = 1;
pub(crate) const PEER: u32 = 2;
pub(crate) const PEER6: u32 = 12;
pub(crate) const GROUP: u32 = 20;

pub(crate) fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

/// The IPv4 CA with this last byte; from 20 on in the second subnet.
pub(crate) fn ca4(last: u8) -> [u8; 4] {
    [10, 0, last / 20, last]
}

/// The IPv6 CA with this last byte; from 20 on in the second subnet.
pub(crate) fn ca6(last: u8) -> Address {
    let mut bytes = [0; 16];
    (bytes[0], bytes[7], bytes[15]) = (0xFD, last / 20, last);
    Address::v6(bytes)
}

pub(crate) fn pa6(last: u8) -> Address {
    address(&format!("2001:db8::{last:x}"))
}

pub(crate) fn address(text: &str) -> Address {
    let ip: core::net::IpAddr = text.parse().expect("address");
    ip.into()
}

#[derive(Default)]
pub(crate) struct HostTables {
    pub(crate) config: Option<Config>,
    pub(crate) vports: HashMap<u32, Vport>,
    pub(crate) port_cas: HashSet<PortCaKey>,
    pub(crate) local_ports: HashMap<LocalPortKey, u32>,
    pub(crate) lookup: HashMap<LookupKey, LookupRecord>,
    /// No record can be read.
    pub(crate) busy: bool,
    /// Scope, prefix, its bits of 128, record.
    pub(crate) routes: Vec<(u32, Address, u32, LookupRecord)>,
    pub(crate) stations: HashMap<LocalPortKey, LookupRecord>,
    pub(crate) floods: HashMap<u32, Flood>,
    pub(crate) underlay: HashMap<u32, NextHop>,
    pub(crate) vsids: HashMap<u32, VirtualSubnet>,
    pub(crate) local_pas: HashSet<Address>,
    pub(crate) rewrites: HashMap<Address, RewriteEntry>,
}

impl Tables for HostTables {
    fn config(&self) -> Option<&Config> {
        self.config.as_ref()
    }
    fn vport(&self, ifindex: u32) -> Option<&Vport> {
        self.vports.get(&ifindex)
    }
    fn port_has_ca(&self, slot: u32, ca: Address) -> bool {
        self.port_cas.contains(&PortCaKey { slot, ca })
    }
    fn local_port(&self, vsid: u32, mac: Mac) -> Option<u32> {
        self.local_ports.get(&LocalPortKey::new(vsid, mac)).copied()
    }
    fn lookup(&self, rdid: u32, ca: Address, record: &mut LookupRecord) -> Answer {
        if self.busy {
            return Answer::Busy;
        }
        let Some(found) = self.lookup.get(&LookupKey { rdid, ca }) else {
            return Answer::Absent;
        };
        *record = *found;
        Answer::Found
    }
    fn route(&self, scope: u32, ca: Address) -> Option<&LookupRecord> {
        let covers = |prefix: &Address, bits: u32| {
            let differ =
                u128::from_be_bytes(prefix.to_bytes()) ^ u128::from_be_bytes(ca.to_bytes());
            differ.leading_zeros() >= bits
        };
        self.routes
            .iter()
            .filter(|(of, prefix, bits, _)| *of == scope && covers(prefix, *bits))
            .max_by_key(|(_, _, bits, _)| *bits)
            .map(|(.., record)| record)
    }
    fn station(&self, vsid: u32, mac: Mac) -> Option<&LookupRecord> {
        self.stations.get(&LocalPortKey::new(vsid, mac))
    }
    fn flood(&self, vsid: u32) -> Option<&Flood> {
        self.floods.get(&vsid)
    }
    fn next_hop(&self, pa_index: u32) -> Option<&NextHop> {
        self.underlay.get(&pa_index)
    }
    fn subnet(&self, vsid: u32) -> Option<&VirtualSubnet> {
        self.vsids.get(&vsid)
    }
    fn is_local_pa(&self, pa: Address) -> bool {
        self.local_pas.contains(&pa)
    }
    fn rewrite(&self, pa: Address) -> Option<&RewriteEntry> {
        self.rewrites.get(&pa)
    }
}

impl HostTables {
    pub(crate) fn two_tenants() -> Self {
        let mut tables = Self::default();
        let (here, here6) = (Address::v4([192, 0, 2, 1]), pa6(1));
        for (index, pa, src) in [
            (HERE, here, here),
            (PEER, Address::v4([192, 0, 2, 2]), here),
            (11, here6, here6),
            (PEER6, pa6(2), here6),
            (GROUP, Address::v4([239, 1, 1, 1]), here),
        ] {
            let mut hop = NextHop::unrouted(pa, src);
            (hop.ifindex, hop.state, hop.path_mtu) = (2, NextHop::RESOLVED, 1600);
            hop.src_mac = Mac([2, 0, 0, 0, 1, 1]);
            hop.dst_mac = Mac([2, 0, 0, 0, 1, index as u8]);
            tables.underlay.insert(index, hop);
        }
        tables.local_pas.extend([here, here6]);
        for (rdid, vsid, first, remote) in [(1, BLUE, 1, 7), (2, RED, 1, 7), (1, BLUE_B, 21, 27)] {
            let (flags, routes) = (0, route::of_domain(rdid));
            tables.vsids.insert(
                vsid,
                VirtualSubnet {
                    rdid,
                    flags,
                    routes,
                },
            );
            tables.record(rdid, vsid, remote, PEER, 0, 0);
            tables.record(rdid, vsid, first, 0, 0, LookupRecord::GATEWAY);
            let mut on_link = tables.of(rdid, ca6(remote));
            on_link.flags = LookupRecord::ON_LINK;
            tables
                .routes
                .push((routes, Address::v4(ca4(remote)), 96 + 24, on_link));
            tables.routes.push((routes, ca6(remote), 64, on_link));
        }
        tables.add_port((1, BLUE_IF), 1, BLUE, 5);
        tables.add_port((2, BLUE2_IF), 1, BLUE, 6);
        tables.add_port((3, RED_IF), 2, RED, 5);
        tables.add_port((4, BLUE_B_IF), 1, BLUE_B, 26);
        tables
    }

    /// A record of the IPv4 CA and the IPv6 CA with this last byte, and of their station.
    pub(crate) fn record(
        &mut self,
        rdid: u32,
        vsid: u32,
        last: u8,
        pa_index: u32,
        ifindex: u32,
        flags: u16,
    ) {
        let gateway = flags & LookupRecord::GATEWAY != 0;
        let record = LookupRecord {
            vsid,
            pa_index,
            ifindex,
            mac: if gateway { GATEWAY_MAC } else { mac(last) },
            flags,
        };
        for ca in [Address::v4(ca4(last)), ca6(last)] {
            self.lookup.insert(LookupKey { rdid, ca }, record);
        }
        if !gateway {
            self.stations
                .insert(LocalPortKey::new(vsid, record.mac), record);
        }
    }

    /// The record of a CA.
    pub(crate) fn of(&self, rdid: u32, ca: Address) -> LookupRecord {
        *self.lookup.get(&LookupKey { rdid, ca }).expect("record")
    }

    /// Gives a subnet these flags, and its ports what they say of it, as the compiler does.
    pub(crate) fn set_subnet(&mut self, vsid: u32, flags: u32) {
        self.vsids.get_mut(&vsid).expect("subnet").flags = flags;
        for port in self.vports.values_mut().filter(|port| port.vsid == vsid) {
            port.flags &= !(Vport::ON_DEMAND | Vport::NON_IP);
            for (of_port, of_subnet) in [
                (Vport::ON_DEMAND, VirtualSubnet::ON_DEMAND),
                (Vport::NON_IP, VirtualSubnet::NON_IP),
            ] {
                if flags & of_subnet != 0 {
                    port.flags |= of_port;
                }
            }
        }
    }

    /// Gives a subnet and its ports the routes of a scope.
    pub(crate) fn set_routes(&mut self, vsid: u32, scope: u32) {
        self.vsids.get_mut(&vsid).expect("subnet").routes = scope;
        for port in self.vports.values_mut().filter(|port| port.vsid == vsid) {
            port.routes = scope;
        }
    }

    /// Sets flags of a port.
    pub(crate) fn allow(&mut self, ifindex: u32, flags: u16) {
        self.port(ifindex).flags |= flags;
    }

    pub(crate) fn port(&mut self, ifindex: u32) -> &mut Vport {
        self.vports.get_mut(&ifindex).expect("port")
    }

    /// A customer route in blue's domain to the station with this last byte.
    pub(crate) fn add_route(&mut self, prefix: &str, bits: u32, via: u8) {
        let mut hop = self.of(1, ca6(via));
        hop.flags |= LookupRecord::VIA;
        let prefix = address(prefix);
        let bits = bits + if prefix.is_v4() { 96 } else { 0 };
        self.routes.push((route::of_domain(1), prefix, bits, hop));
    }

    /// Puts the remote station of blue behind this PA.
    pub(crate) fn remote_at(&mut self, pa_index: u32) {
        self.record(1, BLUE, 7, pa_index, 0, 0);
    }

    fn add_port(&mut self, (slot, ifindex): (u32, u32), rdid: u32, vsid: u32, last: u8) {
        let cas = [Address::v4(ca4(last)), ca6(last)];
        let mut port = Vport::default();
        (port.slot, port.rdid, port.vsid) = (slot, rdid, vsid);
        (port.mac, port.gateway_mac) = (mac(last), GATEWAY_MAC);
        (port.routes, port.mtu, port.cas) = (route::of_domain(rdid), 1500, cas);
        self.vports.insert(ifindex, port);
        self.port_cas.extend(cas.map(|ca| PortCaKey { slot, ca }));
        self.local_ports
            .insert(LocalPortKey::new(vsid, mac(last)), ifindex);
        self.record(rdid, vsid, last, HERE, ifindex, LookupRecord::LOCAL);
    }
}
