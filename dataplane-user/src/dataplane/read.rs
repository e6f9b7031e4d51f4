//! What the kernel's maps hold, read back at start so that the first diff reconciles.

use aya::maps::{IterableMap, MapError};
use dataplane_common::{abi::underlay::NextHop, id::Address};

use super::{
    Dataplane, Error,
    maps::{Maps, failed},
};
use crate::policy::table_image::{Prefix, TableImage};

/// An empty entry of `UNDERLAY`.
pub(super) const EMPTY_HOP: NextHop = {
    let mut hop = NextHop::unrouted(Address::UNSPECIFIED, Address::UNSPECIFIED);
    hop.state = NextHop::EMPTY;
    hop
};

impl Dataplane {
    /// Reads all tables.
    pub fn read(&self) -> Result<TableImage, Error> {
        let maps = &self.maps;
        let mut image = TableImage {
            config: maps.config.get(&0, 0).map_err(failed("CONFIG"))?,
            underlay: underlay(maps)?,
            ..TableImage::default()
        };
        image.vports = maps.vports.read().map_err(failed("VPORTS"))?;
        for key in maps.port_cas.keys() {
            image.port_cas.insert(key.map_err(failed("PORT_CAS"))?);
        }
        image.local_ports = maps.local_ports.read().map_err(failed("LOCAL_PORTS"))?;
        maps.lookup.each(|key, record| {
            image.lookup.insert(key, record);
        })?;
        for item in maps.stations.current() {
            image.stations.extend(Some(item.map_err(failed("MACS"))?));
        }
        for item in &maps.floods {
            image.floods.extend(Some(item.map_err(failed("FLOODS"))?));
        }
        for item in &maps.routes {
            let (key, record) = item.map_err(failed("ROUTES"))?;
            let (key, bits) = (key.data(), key.prefix_len());
            image.routes.insert(Prefix { key, bits }, record);
        }
        for item in &maps.subnets {
            image.subnets.extend(Some(item.map_err(failed("VSIDS"))?));
        }
        for key in maps.local_pas.keys() {
            image.local_pas.insert(key.map_err(failed("LOCAL_PAS"))?);
        }
        for item in &maps.rewrites {
            image
                .rewrites
                .extend(Some(item.map_err(failed("REWRITES"))?));
        }
        Ok(image)
    }
}

fn underlay(maps: &Maps) -> Result<std::collections::BTreeMap<u32, NextHop>, Error> {
    let entries = entries(maps).map_err(failed("UNDERLAY"))?;
    let mut hops = std::collections::BTreeMap::new();
    for index in 0..entries {
        let hop = maps.underlay.get(&index, 0).map_err(failed("UNDERLAY"))?;
        if hop.state != NextHop::EMPTY {
            hops.insert(index, hop);
        }
    }
    Ok(hops)
}

fn entries(maps: &Maps) -> Result<u32, MapError> {
    Ok(maps.underlay.map().info()?.max_entries())
}
