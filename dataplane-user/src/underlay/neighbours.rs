//! The kernel's neighbour entries of next hops: read, kept alive, given back.
//!
//! Frames that the programs redirect never refresh an entry. A managed entry (kernel 5.16,
//! commit 7482e3841d52) is kept alive by the kernel, also while nved is gone; where there are
//! none, nved has the kernel use the entry from time to time.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Instant,
};

use aya::util::KernelVersion;
use futures_util::{StreamExt, TryStreamExt};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    neighbour::{
        NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage,
        NeighbourState,
    },
    route::RouteProtocol,
};
use rtnetlink::packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::{Error, Handle};

use super::entry::{Entry, Key, MARK, Owner};
use crate::settings::KeepAlive;

/// All entries.
pub type Table = BTreeMap<Key, Entry>;

/// Sees to the entries of next hops.
pub struct Neighbours {
    handle: Handle,
    managed: bool,
    asked: BTreeMap<Key, Instant>,
}

impl Neighbours {
    /// Keeps entries alive as `setting` says.
    pub fn new(handle: Handle, setting: KeepAlive) -> Self {
        let managed = match setting {
            KeepAlive::Managed => true,
            KeepAlive::Probe => false,
            // An older kernel ignores the wish without a word.
            KeepAlive::Auto => KernelVersion::current()
                .is_ok_and(|version| version >= KernelVersion::new(5, 16, 0)),
        };
        let by = if managed { "the kernel" } else { "probes" };
        tracing::info!("neighbours of the underlay are kept alive by {by}");
        Self {
            handle,
            managed,
            asked: BTreeMap::new(),
        }
    }

    /// Reads all entries.
    pub async fn read(&self) -> Result<Table, Error> {
        let mut messages = self.handle.neighbours().get().execute();
        let mut table = Table::new();
        while let Some(message) = messages.try_next().await? {
            table.extend(Entry::read(&message));
        }
        Ok(table)
    }

    /// The entry of a next hop. What `table` lacks although it was asked for is looked up by
    /// itself: a listing may skip entries while others are removed.
    pub async fn entry(&self, key: Key, table: &Table) -> Result<Option<Entry>, Error> {
        match table.get(&key) {
            Some(entry) => Ok(Some(*entry)),
            None if self.asked.contains_key(&key) => self.look_up(key).await,
            None => Ok(None),
        }
    }

    async fn look_up(&self, key: Key) -> Result<Option<Entry>, Error> {
        let message = RouteNetlinkMessage::GetNeighbour(question(key));
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST;
        let mut handle = self.handle.clone();
        // Without an answer the connection has ended.
        let answer = handle.request(request)?.next().await;
        let answer = answer.ok_or(Error::RequestFailed)?;
        if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(message)) =
            &answer.payload
        {
            return Ok(Entry::read(message).map(|(_, entry)| entry));
        }
        if let NetlinkPayload::Error(error) = answer.payload {
            return match error.raw_code() {
                code if code == -libc::ENOENT => Ok(None),
                _ => Err(Error::NetlinkError(error)),
            };
        }
        Err(Error::UnexpectedMessage(answer))
    }

    /// Has the kernel resolve a next hop and keep it, if that is due. Whether the kernel is at it.
    pub async fn keep_alive(&mut self, key: Key, entry: Option<&Entry>) -> bool {
        let ago = self.asked.get(&key).map(Instant::elapsed);
        if !Entry::is_due(entry, self.managed, ago) {
            return true;
        }
        let wish: &[NeighbourAttribute] = if self.managed {
            &[
                NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed),
                NeighbourAttribute::Protocol(MARK),
            ]
        } else {
            &[]
        };
        self.asked.insert(key, Instant::now());
        self.r#use(key, entry.is_some(), wish).await
    }

    /// Gives back the entries of ours on `devices` that are not of these next hops: their MAC
    /// stays, and the kernel may forget them again.
    pub async fn give_back(
        &mut self,
        table: &Table,
        hops: &BTreeSet<Key>,
        devices: &BTreeSet<u32>,
    ) {
        self.asked.retain(|key, _| hops.contains(key));
        let keeps = |key: &Key| self.managed && hops.contains(key);
        let given = table.iter().filter(|(key, entry)| {
            entry.owner == Owner::Nved && devices.contains(&key.0) && !keeps(key)
        });
        for (key, entry) in given {
            if entry.mac.is_some() {
                let kernels = NeighbourAttribute::Protocol(RouteProtocol::Kernel);
                self.r#use(*key, true, &[kernels]).await;
            } else {
                let removed = self.handle.neighbours().del(question(*key));
                told(*key, removed.execute().await);
            }
        }
    }

    /// Has the kernel use an entry. The request states all flags that the entry shall have, and
    /// takes it from permanent, so it is for entries of nobody else (`NTF_USE`, kernel commit
    /// 3dc20f4762c6).
    async fn r#use(&self, key: Key, there: bool, more: &[NeighbourAttribute]) -> bool {
        let neighbours = self.handle.neighbours();
        let mut request = neighbours
            .add(key.0, key.1)
            .state(NeighbourState::None)
            .flags(NeighbourFlags::Use);
        request.message_mut().attributes.extend_from_slice(more);
        // An entry that somebody made meanwhile is looked at before it is touched.
        let request = if there { request.replace() } else { request };
        told(key, request.execute().await)
    }
}

/// Whether it was done, or somebody else did it.
fn told((ifindex, address): Key, done: Result<(), Error>) -> bool {
    match done {
        Ok(()) => true,
        Err(Error::NetlinkError(error)) if error.raw_code() == -libc::EEXIST => true,
        Err(error) => {
            tracing::debug!("neighbour {address} on interface {ifindex}: {error}");
            false
        }
    }
}

fn question((ifindex, address): Key) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.ifindex = ifindex;
    let (family, address) = match address {
        IpAddr::V4(v4) => (AddressFamily::Inet, NeighbourAddress::Inet(v4)),
        IpAddr::V6(v6) => (AddressFamily::Inet6, NeighbourAddress::Inet6(v6)),
    };
    message.header.family = family;
    message.attributes = vec![NeighbourAttribute::Destination(address)];
    message
}
