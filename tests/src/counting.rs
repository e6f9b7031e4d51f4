//! Tables that count how often they are asked: what a packet costs that no machine can blur.

use std::cell::Cell;

use dataplane_common::{
    abi::{
        config::Config, flood::Flood, lookup::LookupRecord, rewrite::RewriteEntry,
        underlay::NextHop, vport::Vport, vsid::VirtualSubnet,
    },
    forward::{Answer, Tables},
    id::{Address, Mac},
};
use dataplane_user::policy::table_image::TableImage;

/// The tables by the name of their map, in the order of [`Counting::counts`].
pub const TABLES: [&str; 13] = [
    "CONFIG",
    "VPORTS",
    "PORT_CAS",
    "LOCAL_PORTS",
    "LOOKUP",
    "LOOKUP6",
    "ROUTES",
    "MACS",
    "FLOODS",
    "UNDERLAY",
    "VSIDS",
    "LOCAL_PAS",
    "REWRITES",
];

/// A table image and how often each of its tables was asked.
pub struct Counting<'i> {
    image: &'i TableImage,
    counts: [Cell<u32>; TABLES.len()],
}

impl<'i> Counting<'i> {
    /// Over this image, not asked yet.
    pub fn over(image: &'i TableImage) -> Self {
        Self {
            image,
            counts: Default::default(),
        }
    }

    /// Look-ups by table, hits and misses.
    pub fn counts(&self) -> [u32; TABLES.len()] {
        self.counts.each_ref().map(Cell::get)
    }

    fn asked(&self, table: usize) -> &'i TableImage {
        let count = &self.counts[table];
        count.set(count.get() + 1);
        self.image
    }
}

impl Tables for Counting<'_> {
    fn config(&self) -> Option<&Config> {
        self.asked(0).config()
    }
    fn vport(&self, ifindex: u32) -> Option<&Vport> {
        self.asked(1).vport(ifindex)
    }
    fn port_has_ca(&self, slot: u32, ca: Address) -> bool {
        self.asked(2).port_has_ca(slot, ca)
    }
    fn local_port(&self, vsid: u32, mac: Mac) -> Option<u32> {
        self.asked(3).local_port(vsid, mac)
    }
    fn lookup(&self, rdid: u32, ca: Address, record: &mut LookupRecord) -> Answer {
        let image = self.asked(if ca.is_v4() { 4 } else { 5 });
        image.lookup(rdid, ca, record)
    }
    fn route(&self, scope: u32, ca: Address) -> Option<&LookupRecord> {
        self.asked(6).route(scope, ca)
    }
    fn station(&self, vsid: u32, mac: Mac) -> Option<&LookupRecord> {
        self.asked(7).station(vsid, mac)
    }
    fn flood(&self, vsid: u32) -> Option<&Flood> {
        self.asked(8).flood(vsid)
    }
    fn next_hop(&self, pa_index: u32) -> Option<&NextHop> {
        self.asked(9).next_hop(pa_index)
    }
    fn subnet(&self, vsid: u32) -> Option<&VirtualSubnet> {
        self.asked(10).subnet(vsid)
    }
    fn is_local_pa(&self, pa: Address) -> bool {
        self.asked(11).is_local_pa(pa)
    }
    fn rewrite(&self, pa: Address) -> Option<&RewriteEntry> {
        self.asked(12).rewrite(pa)
    }
}
