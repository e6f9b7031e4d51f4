//! Questions to the kernel about the ways to provider addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use futures_util::TryStreamExt;
use rtnetlink::{Error, Handle, RouteMessageBuilder};

use super::{
    crowd,
    entry::{Entry, Key},
    neighbours::{Neighbours, Table},
    path_mtu::PathMtus,
    resolve::{Path, Reach, group_mac, of_port, reach, untold},
    route::Route,
    source,
};
use crate::{
    netdev::{Inventory, NetDevice},
    settings::KeepAlive,
};

/// Resolves PAs.
pub struct Resolver {
    handle: Handle,
    neighbours: Neighbours,
    /// Next hops that are kept alive.
    hops: BTreeSet<Key>,
    /// Devices that are no uplinks any more.
    left: BTreeSet<u32>,
}

/// What is asked for, and between what.
pub struct Question<'a> {
    /// The PAs.
    pub pas: &'a BTreeSet<IpAddr>,
    /// Those of this host.
    pub own: &'a [IpAddr],
    /// Those of this host's ports, which are their CAs' own: nobody else answers for them.
    pub ports: &'a BTreeSet<IpAddr>,
    /// The uplinks, by index.
    pub uplinks: &'a BTreeSet<u32>,
    /// Devices and addresses.
    pub seen: &'a Inventory,
    /// What routers told of paths.
    pub path_mtus: &'a PathMtus,
}

impl Question<'_> {
    /// The way out of a device.
    fn out_of(&self, device: &NetDevice, pa: IpAddr) -> Path {
        Path {
            local: false,
            ifindex: device.ifindex,
            interface: device.name.clone(),
            uplink: self.uplinks.contains(&device.ifindex),
            next_hop: pa,
            mtu: device.mtu_for(pa),
            told_mtu: self.path_mtus.of(pa),
            src_mac: device.mac,
            dst_mac: None,
            open: false,
        }
    }

    /// The way to a multicast group: by the uplink that bears our PA of its family.
    fn to_group(&self, group: IpAddr) -> Option<Path> {
        let mut bearers = self.seen.bearers(source(group, self.own)?);
        let device = bearers.find(|at| at.up && self.uplinks.contains(&at.ifindex))?;
        Some(Path {
            dst_mac: Some(group_mac(group)),
            ..self.out_of(device, group)
        })
    }
}

impl Resolver {
    /// A resolver that keeps neighbours alive as told.
    pub fn new(handle: Handle, keep_alive: KeepAlive) -> Self {
        Self {
            neighbours: Neighbours::new(handle.clone(), keep_alive),
            handle,
            hops: BTreeSet::new(),
            left: BTreeSet::new(),
        }
    }

    /// How each PA is reached now; [`untold`] of those of which the kernel does not say. Next hops
    /// are kept alive, and let go when no PA needs them. An error where there is no answer at all.
    pub async fn resolve(
        &mut self,
        question: &Question<'_>,
        former: &BTreeMap<IpAddr, Reach>,
    ) -> Result<BTreeMap<IpAddr, Reach>, Error> {
        let table = self.neighbours.read().await?;
        let (mut answers, mut hops, mut unsure) = (BTreeMap::new(), BTreeSet::new(), false);
        for pa in question.pas {
            let path = match self.path(*pa, question, &table).await {
                Ok(path) => path,
                Err(error) => {
                    let reach = untold(*pa, former.get(pa), question.own, &error);
                    answers.insert(*pa, reach);
                    unsure = true;
                    continue;
                }
            };
            if question.ports.contains(pa) {
                answers.insert(*pa, of_port(*pa, path.as_ref(), question.own));
                continue;
            }
            hops.extend(path.as_ref().and_then(Path::hop));
            let former = former.get(pa).filter(|former| {
                let device = question.seen.by_index(former.hop.ifindex);
                device.is_some_and(|device| {
                    device.carrier && question.uplinks.contains(&device.ifindex)
                })
            });
            let reach = reach(*pa, path.as_ref(), question.own);
            answers.insert(*pa, reach.unless_better(path.as_ref(), former));
        }
        if unsure {
            self.hops.extend(hops);
        } else {
            let devices = question.uplinks | &std::mem::take(&mut self.left);
            self.neighbours.give_back(&table, &hops, &devices).await;
            self.hops = hops;
        }
        Ok(answers)
    }

    /// What is wrong where there are more next hops than the kernel keeps neighbours.
    pub fn crowded(&self) -> Vec<String> {
        crowd::crowded(&self.hops, crowd::limit)
    }

    /// From now on nothing of ours stays on these devices.
    pub fn leave(&mut self, devices: impl IntoIterator<Item = u32>) {
        self.left.extend(devices);
    }

    /// Gives back all neighbours on these devices.
    pub async fn unload(&mut self, mut devices: BTreeSet<u32>) -> Result<(), Error> {
        let table = self.neighbours.read().await?;
        devices.append(&mut self.left);
        self.neighbours
            .give_back(&table, &BTreeSet::new(), &devices)
            .await;
        Ok(())
    }

    async fn path(
        &mut self,
        pa: IpAddr,
        question: &Question<'_>,
        table: &Table,
    ) -> Result<Option<Path>, Error> {
        if pa.is_multicast() {
            return Ok(question.to_group(pa));
        }
        let seen = question.seen;
        // What the programs send comes from our first PA of the family; rules may go by that.
        // The kernel takes no source that is on none of its interfaces.
        let source = source(pa, question.own);
        let source = source.filter(|own| seen.bearers(*own).next().is_some());
        let Some(route) = self.route(pa, source).await? else {
            return Ok(None);
        };
        let device = if route.local {
            seen.bearers(pa).next()
        } else {
            seen.by_index(route.ifindex)
        };
        let Some(device) = device else {
            return Ok(None);
        };
        let way = question.out_of(device, pa);
        let mut path = Path {
            local: route.local,
            next_hop: route.gateway.unwrap_or(pa),
            mtu: way.mtu.min(route.mtu.unwrap_or(u32::MAX)),
            ..way
        };
        // The kernel asks once a second: what it asked before there was a carrier would only
        // delay the answer.
        let asked_for = device.carrier && !question.ports.contains(&pa);
        if let Some(hop) = path.hop().filter(|_| asked_for) {
            let entry = self.neighbours.entry(hop, table).await?;
            let asked = self.neighbours.keep_alive(hop, entry.as_ref()).await;
            path.dst_mac = entry.and_then(|entry| entry.mac);
            path.open = asked && Entry::is_open(entry.as_ref());
        }
        Ok(Some(path))
    }

    /// The kernel's route; `None` when it has none.
    async fn route(&self, pa: IpAddr, source: Option<IpAddr>) -> Result<Option<Route>, Error> {
        let whole = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
        let ask = RouteMessageBuilder::<IpAddr>::new();
        let Ok(mut ask) = ask.destination_prefix(pa, whole(pa)) else {
            return Ok(None);
        };
        if let Some(source) = source {
            let Ok(from) = ask.source_prefix(source, whole(source)) else {
                return Ok(None);
            };
            ask = from;
        }
        let mut answers = self.handle.route().get(ask.build()).execute();
        match answers.try_next().await {
            Ok(Some(answer)) => Ok(Some(Route::from(&answer))),
            // Without an answer the connection has ended.
            Ok(None) => Err(Error::RequestFailed),
            Err(error) if says_no_route(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether the answer is that there is no route, or one that refuses: `unreachable`,
/// `prohibit` or `blackhole`. Other errors say nothing about the route.
fn says_no_route(error: &Error) -> bool {
    let Error::NetlinkError(answer) = error else {
        return false;
    };
    [
        libc::ENETUNREACH,
        libc::EHOSTUNREACH,
        libc::EACCES,
        libc::EINVAL,
    ]
    .contains(&-answer.raw_code())
}

#[cfg(test)]
mod tests {
    use dataplane_common::{abi::underlay::NextHop, id::Address};

    use super::*;

    #[tokio::test]
    async fn a_pa_without_an_answer_is_alone_with_that() {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        let [new, known] = [2, 3].map(|host| IpAddr::from([192, 0, 2, host]));
        let mut hop = NextHop::unrouted(known.into(), Address::UNSPECIFIED);
        hop.state = NextHop::RESOLVED;
        let former: BTreeMap<_, _> = Reach::adopted(hop).into_iter().collect();
        let question = Question {
            pas: &BTreeSet::from([new, known]),
            own: &[],
            ports: &BTreeSet::new(),
            uplinks: &BTreeSet::new(),
            seen: &Inventory::default(),
            path_mtus: &PathMtus::default(),
        };
        let mut resolver = Resolver::new(handle, KeepAlive::Managed);
        // While the neighbours are listed, so that no question after it has an answer.
        let end = async move { drop(connection) };
        let (answers, ()) = tokio::join!(resolver.resolve(&question, &former), end);
        let answers = answers.unwrap();
        assert_eq!(answers[&known], former[&known]);
        assert_eq!(answers[&new].state, "noRoute");
    }
}
