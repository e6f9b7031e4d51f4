//! The upcall pair: a veth pair of ours that takes packets from the programs to user space, and back.
//!
//! Programs send into the near end, and what arrives at the far end is read through a socket; what
//! is sent through the socket arrives at the near end. The kernel segments super-packets and
//! completes checksums on the way, because the pair has no offloads.

use dataplane_common::abi::upcall::PAIR_MTU;
use netlink_packet_route::link::{InfoData, InfoVeth, LinkAttribute};
use rtnetlink::{Handle, LinkUnspec, LinkVeth};

use super::{ethtool, link, names};
use crate::netdev::{self, Inventory, Kind, NetDevice};

/// Both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpcallPair {
    /// Where the programs send to.
    pub near: NetDevice,
    /// Where the socket is.
    pub far: NetDevice,
}

/// Names that are tried; each pin folder of a network namespace needs two.
const PAIRS: u32 = 64;

/// Sees that there is a pair of this host's nved; a new one stays down until its programs are
/// attached ([`bring_up`]).
pub async fn ensure(
    handle: &Handle,
    host: &str,
    seen: &Inventory,
) -> Result<UpcallPair, rtnetlink::Error> {
    let aliases = (names::upcall(host, "near"), names::upcall(host, "far"));
    let end = |alias: &str| {
        let device = seen.by_alias(alias);
        device.filter(|device| device.kind == Kind::Veth)
    };
    let (near, far) = (end(&aliases.0), end(&aliases.1));
    if let (Some(near), Some(far)) = (near, far)
        && near.other_end.ifindex == far.ifindex
    {
        for end in [near, far]
            .into_iter()
            .filter(|end| end.mtu != u32::from(PAIR_MTU))
        {
            link::set_mtu(handle, end.ifindex, PAIR_MTU).await?;
        }
        let (near, far) = (near.clone(), far.clone());
        return Ok(UpcallPair { near, far });
    }
    // One without the other, or parts of two.
    for end in near.into_iter().chain(far) {
        remove(handle, end.ifindex).await?;
    }
    let pair = make(handle, seen).await?;
    for (end, alias) in [(&pair.near, &aliases.0), (&pair.far, &aliases.1)] {
        // The alias comes last: an end that bears it is done, also for the next nved.
        if let Err(error) = ethtool::segment_in_software(&end.name) {
            tracing::warn!("interface {}: its offloads stay on: {error}", end.name);
        }
        link::label(handle, end, alias, PAIR_MTU).await?;
    }
    Ok(pair)
}

/// Brings both ends up that are not.
pub async fn bring_up(handle: &Handle, pair: &UpcallPair) -> Result<(), rtnetlink::Error> {
    for end in [&pair.near, &pair.far].into_iter().filter(|end| !end.up) {
        link::bring_up(handle, end.ifindex).await?;
    }
    Ok(())
}

/// Removes a pair by one of its ends; one that is gone is fine.
pub async fn remove(handle: &Handle, ifindex: u32) -> Result<(), rtnetlink::Error> {
    match link::remove(handle, ifindex).await {
        Err(rtnetlink::Error::NetlinkError(said)) if said.raw_code() == -libc::ENODEV => Ok(()),
        done => done,
    }
}

/// Makes a pair under the first names that are free.
async fn make(handle: &Handle, seen: &Inventory) -> Result<UpcallPair, rtnetlink::Error> {
    let mut occupied = None;
    for number in (0..2 * PAIRS).step_by(2) {
        let names = (format!("nve-up{number}"), format!("nve-up{}", number + 1));
        // An nved that is killed between making a pair and giving it its alias leaves this.
        let half_made = |device: &&NetDevice| {
            let other = seen.by_index(device.other_end.ifindex);
            device.kind == Kind::Veth
                && device.alias.is_empty()
                && !device.up
                && other.is_some_and(|other| other.name == names.1)
        };
        if let Some(device) = seen.by_name(&names.0).filter(half_made) {
            remove(handle, device.ifindex).await?;
        }
        match create(handle, &names).await {
            Err(rtnetlink::Error::NetlinkError(said)) if said.raw_code() == -libc::EEXIST => {
                occupied = Some(rtnetlink::Error::NetlinkError(said));
            }
            made => {
                made?;
                return read(handle, &names).await;
            }
        }
    }
    Err(occupied.unwrap_or(rtnetlink::Error::RequestFailed))
}

/// One queue each: the socket is on one queue, and everything has to come there.
async fn create(handle: &Handle, names: &(String, String)) -> Result<(), rtnetlink::Error> {
    let queues = [LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1)];
    let [tx, rx] = queues.clone();
    let far = LinkUnspec::new_with_name(&names.1)
        .mtu(PAIR_MTU.into())
        .append_extra_attribute(tx)
        .append_extra_attribute(rx)
        .build();
    let [tx, rx] = queues;
    let near = LinkVeth::new(&names.0, &names.1)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(far)))
        .mtu(PAIR_MTU.into())
        .append_extra_attribute(tx)
        .append_extra_attribute(rx)
        .build();
    handle.link().add(near).execute().await
}

async fn read(handle: &Handle, names: &(String, String)) -> Result<UpcallPair, rtnetlink::Error> {
    let near = netdev::by_name(handle, &names.0).await?;
    let far = netdev::by_name(handle, &names.1).await?;
    match (near, far) {
        (Some(near), Some(far)) => Ok(UpcallPair { near, far }),
        _ => Err(rtnetlink::Error::RequestFailed),
    }
}
