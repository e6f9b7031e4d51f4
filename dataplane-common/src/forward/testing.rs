//! Tables and packets for the unit tests of the decision.
//!
//! The host has PA 192.0.2.1; blue (VSID 6001, RDID 1) and red (7001, RDID 2)
//! both have 10.0.0.5 here and 10.0.0.7 at 192.0.2.2; blue also has 10.0.0.6 here.

use std::{collections::HashMap, vec::Vec};

use super::{Tables, parse::Frame};
use crate::{
    abi::{
        config::Config,
        lookup::{LookupKey, LookupRecord},
        pa::{self, PaKey},
        port_ca::PortCaKey,
        underlay::NextHop,
        vport::{LocalPortKey, Vport},
        vsid::VirtualSubnet,
    },
    id::Mac,
    wire::{
        Wire,
        arp::{self, ArpPacket},
        ether::{self, EthHeader},
        gre::GreHeader,
        ipv4::Ipv4Header,
        outer::OuterHeaders,
    },
};

pub(crate) const BLUE: u32 = 6001;
pub(crate) const RED: u32 = 7001;
pub(crate) const BLUE_IF: u32 = 11;
pub(crate) const BLUE2_IF: u32 = 12;
pub(crate) const RED_IF: u32 = 21;
pub(crate) const GATEWAY_MAC: Mac = Mac([2, 0xEE, 0, 0, 0, 1]);

pub(crate) fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

#[derive(Default)]
pub(crate) struct HostTables {
    pub(crate) config: Option<Config>,
    pub(crate) vports: HashMap<u32, Vport>,
    pub(crate) port_cas: HashMap<PortCaKey, u32>,
    pub(crate) local_ports: HashMap<LocalPortKey, u32>,
    pub(crate) lookup: HashMap<LookupKey, LookupRecord>,
    pub(crate) underlay: HashMap<u32, NextHop>,
    pub(crate) vsids: HashMap<u32, VirtualSubnet>,
    pub(crate) local_pas: HashMap<PaKey, u32>,
}

impl Tables for HostTables {
    fn config(&self) -> Option<&Config> {
        self.config.as_ref()
    }
    fn vport(&self, ifindex: u32) -> Option<&Vport> {
        self.vports.get(&ifindex)
    }
    fn port_has_ca(&self, slot: u32, ca: [u8; 4]) -> bool {
        self.port_cas.contains_key(&PortCaKey { slot, ca })
    }
    fn local_port(&self, vsid: u32, mac: Mac) -> Option<u32> {
        self.local_ports.get(&LocalPortKey::new(vsid, mac)).copied()
    }
    fn lookup(&self, rdid: u32, ca: [u8; 4]) -> Option<&LookupRecord> {
        self.lookup.get(&LookupKey { rdid, ca })
    }
    fn next_hop(&self, pa_index: u32) -> Option<&NextHop> {
        self.underlay.get(&pa_index)
    }
    fn subnet(&self, vsid: u32) -> Option<&VirtualSubnet> {
        self.vsids.get(&vsid)
    }
    fn is_local_pa(&self, pa: &PaKey) -> bool {
        self.local_pas.contains_key(pa)
    }
}

impl HostTables {
    pub(crate) fn two_tenants() -> Self {
        let mut tables = Self::default();
        let here = pa::from_v4([192, 0, 2, 1]);
        for (index, last) in [(1, 1), (2, 2)] {
            let mut hop = NextHop::unrouted(pa::from_v4([192, 0, 2, last]), here);
            hop.ifindex = 2;
            hop.state = NextHop::RESOLVED;
            hop.path_mtu = 1600;
            hop.src_mac = Mac([2, 0, 0, 0, 1, 1]);
            hop.dst_mac = Mac([2, 0, 0, 0, 1, last]);
            tables.underlay.insert(index, hop);
        }
        tables.local_pas.insert(here, 0);
        for (rdid, vsid) in [(1, BLUE), (2, RED)] {
            tables.vsids.insert(vsid, VirtualSubnet { rdid, flags: 0 });
            tables.record(rdid, vsid, 7, 2, 0, 0);
            tables.record(rdid, vsid, 1, 0, 0, LookupRecord::GATEWAY);
        }
        tables.port(1, 1, BLUE, BLUE_IF, 5);
        tables.port(2, 1, BLUE, BLUE2_IF, 6);
        tables.port(3, 2, RED, RED_IF, 5);
        tables
    }

    pub(crate) fn record(
        &mut self,
        rdid: u32,
        vsid: u32,
        last: u8,
        pa: u32,
        ifindex: u32,
        flags: u16,
    ) {
        let mac = if flags & LookupRecord::GATEWAY == 0 {
            mac(last)
        } else {
            GATEWAY_MAC
        };
        let record = LookupRecord {
            vsid,
            pa_index: pa,
            ifindex,
            mac,
            flags,
        };
        self.lookup.insert(
            LookupKey {
                rdid,
                ca: [10, 0, 0, last],
            },
            record,
        );
    }

    fn port(&mut self, slot: u32, rdid: u32, vsid: u32, ifindex: u32, last: u8) {
        let ca = [10, 0, 0, last];
        let port = Vport {
            slot,
            rdid,
            vsid,
            mtu: 1500,
            flags: 0,
            mac: mac(last),
            gateway_mac: GATEWAY_MAC,
            ca,
        };
        self.vports.insert(ifindex, port);
        self.port_cas.insert(PortCaKey { slot, ca }, 0);
        self.local_ports
            .insert(LocalPortKey::new(vsid, mac(last)), ifindex);
        self.record(rdid, vsid, last, 1, ifindex, LookupRecord::LOCAL);
    }
}

/// A frame in a slice.
pub(crate) struct Bytes<'a> {
    bytes: &'a [u8],
    gso_size: u32,
}

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, gso_size: 0 }
    }
    pub(crate) fn gso(bytes: &'a [u8], gso_size: u32) -> Self {
        Self { bytes, gso_size }
    }
}

impl Frame for Bytes<'_> {
    fn len(&self) -> u32 {
        self.bytes.len() as u32
    }
    fn gso_size(&self) -> u32 {
        self.gso_size
    }
    fn load<T: Wire>(&self, offset: usize) -> Option<T> {
        let bytes = self.bytes.get(offset..)?.get(..size_of::<T>())?;
        // SAFETY: the slice is as long as `T`, and any bytes are a valid `Wire`.
        Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }
}

pub(crate) fn bytes_of<T: Wire>(value: &T) -> Vec<u8> {
    // SAFETY: a `Wire` has no padding, so all of its bytes are initialised.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast::<u8>(), size_of::<T>()) }
        .to_vec()
}

fn ipv4(src: [u8; 4], dst: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let eth = EthHeader::new(mac(dst[3]), mac(src[3]), ether::IPV4);
    let mut frame = bytes_of(&eth);
    let header = Ipv4Header::outer(0, 64, (20 + payload.len()) as u16, src, dst);
    frame.extend(bytes_of(&header));
    frame[23] = protocol;
    frame.extend(payload);
    frame
}

pub(crate) fn tcp_ports(src: [u8; 4], dst: [u8; 4], sport: u16, dport: u16) -> Vec<u8> {
    let mut payload = [0_u8; 20];
    payload[..2].copy_from_slice(&sport.to_be_bytes());
    payload[2..4].copy_from_slice(&dport.to_be_bytes());
    payload[12] = 0x50;
    // The parser needs ports only; the frame ends with them so that every cut shows.
    let mut frame = ipv4(src, dst, 6, &payload);
    frame[16..18].copy_from_slice(&40_u16.to_be_bytes());
    frame
}

pub(crate) fn tcp(src: [u8; 4], dst: [u8; 4]) -> Vec<u8> {
    tcp_ports(src, dst, 40_000, 80)
}

pub(crate) fn arp(op: u16, dst: Mac, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let mut packet = ArpPacket::reply(mac(sender[3]), sender, Mac([0; 6]), target);
    if op == arp::REQUEST {
        let mut bytes = bytes_of(&packet);
        bytes[7] = 1;
        packet = Bytes::new(&bytes).load(0).expect("28 bytes");
    }
    let mut frame = bytes_of(&EthHeader::new(dst, mac(sender[3]), ether::ARP));
    frame.extend(bytes_of(&packet));
    frame
}

pub(crate) fn arp_request(sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    arp(arp::REQUEST, Mac::BROADCAST, sender, target)
}

pub(crate) fn nvgre(vsid: u32, from: [u8; 4], inner: &[u8]) -> Vec<u8> {
    let outer = OuterHeaders {
        eth: EthHeader::new(
            Mac([2, 0, 0, 0, 1, 1]),
            Mac([2, 0, 0, 0, 1, 2]),
            ether::IPV4,
        ),
        ip: Ipv4Header::outer(0, 64, (28 + inner.len()) as u16, from, [192, 0, 2, 1]),
        gre: GreHeader::nvgre(vsid, 0x42),
    };
    let mut frame = bytes_of(&outer);
    frame.extend(inner);
    frame
}
