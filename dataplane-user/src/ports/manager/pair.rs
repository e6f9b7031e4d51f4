//! Ports on veth pairs of ours.

use super::{Manager, Pair, SetUp};
use crate::{
    netdev::{self, Inventory, Kind, NetDevice, OtherEnd},
    policy::PortKey,
    ports::{
        link, names,
        netns::{self, NetNs, NetNsError, failed},
        state::{Attachment, Trouble, Wanted},
        tenant::{self, TenantEnd},
        veth,
    },
};

/// Name of the tenant's end unless the policy has another.
const TENANT: &str = "eth0";

impl SetUp {
    fn of(device: &NetDevice, netns: &NetNs, wanted: &Wanted) -> Self {
        Self {
            ifindex: device.ifindex,
            tenant: device.other_end,
            netns: netns.identity,
            wanted: wanted.clone(),
        }
    }
}

impl Manager {
    pub(super) async fn pair(
        &mut self,
        port: &PortKey,
        wanted: &Wanted,
        name: &str,
        seen: &Inventory,
    ) -> Result<Attachment, Trouble> {
        let failed = |error| Trouble::Failed(format!("network namespace {name}: {error}"));
        let netns = NetNs::open(name).map_err(NetNsError::from);
        let netns = netns.map_err(failed)?.ok_or_else(|| {
            let why = format!("network namespace {name} is not there");
            Trouble::Absent(why)
        })?;
        let found = self.own_end(port, wanted, seen).map_err(Trouble::Absent)?;
        let device = match found {
            Some(found) if self.is_set_up(port, &SetUp::of(found, &netns, wanted)) => {
                self.hold_mtu(found, wanted.mtu).await?;
                self.restore(port, found, &netns).await;
                found.clone()
            }
            found => {
                let made = self.make(port, wanted, &netns, found).await;
                let made = made.map_err(failed)?;
                let done = Pair {
                    as_told: SetUp::of(&made, &netns, wanted),
                    carrier_ups: 0,
                };
                self.set_up.insert(port.clone(), done);
                made
            }
        };
        Ok(Attachment::own(&device, wanted.mtu))
    }

    fn is_set_up(&self, port: &PortKey, now: &SetUp) -> bool {
        let done = self.set_up.get(port);
        done.is_some_and(|pair| pair.as_told == *now)
    }

    /// Gives a tenant whose link was down back what the kernel removed.
    async fn restore(&mut self, port: &PortKey, device: &NetDevice, netns: &NetNs) {
        let Some(pair) = self.set_up.get_mut(port) else {
            return;
        };
        let before = std::mem::replace(&mut pair.carrier_ups, device.carrier_ups);
        if before == device.carrier_ups || before == 0 {
            return;
        }
        let end = TenantEnd::of(device, &pair.as_told.wanted);
        if let Err(error) = tenant::restore(netns, end).await {
            tracing::info!("port {port}: not as it shall be after its link was down: {error}");
        }
    }

    /// The end here of the port's pair, under whatever name.
    fn own_end<'s>(
        &self,
        port: &PortKey,
        wanted: &Wanted,
        seen: &'s Inventory,
    ) -> Result<Option<&'s NetDevice>, String> {
        let alias = names::alias(&self.host, port, &wanted.attach);
        if let Some(found) = seen
            .by_alias(&alias)
            .filter(|device| device.kind == Kind::Veth)
        {
            return Ok(Some(found));
        }
        let name = names::device(&self.host, port);
        // An nved that is killed between making a pair and giving it its alias leaves this.
        let half_made =
            |device: &NetDevice| device.kind == Kind::Veth && device.alias.is_empty() && !device.up;
        match seen.by_name(&name) {
            Some(device) if half_made(device) => Ok(Some(device)),
            Some(_) => Err(format!("interface {name} exists and is not nved's")),
            None => Ok(None),
        }
    }

    /// Makes the pair, or adopts it when its other end is in the right place, and sets up both
    /// ends; a new one's end here stays down.
    async fn make(
        &self,
        port: &PortKey,
        wanted: &Wanted,
        netns: &NetNs,
        found: Option<&NetDevice>,
    ) -> Result<NetDevice, NetNsError> {
        let device = match found {
            Some(found) if self.fits(port, wanted, netns, found).await? => found.clone(),
            old => self.renew(port, wanted, netns, old).await?,
        };
        let alias = names::alias(&self.host, port, &wanted.attach);
        if !wanted.of_host {
            link::quiet_ipv6(&device.name);
        }
        link::label(&self.handle, &device, &alias, wanted.mtu)
            .await
            .map_err(failed("set up the host's end"))?;
        tenant::configure(netns, TenantEnd::of(&device, wanted)).await?;
        Ok(device)
    }

    /// Whether an existing pair can stay: its other end is in the wanted namespace, whatever
    /// its name there, and nothing but the MTU changed since it was set up.
    async fn fits(
        &self,
        port: &PortKey,
        wanted: &Wanted,
        netns: &NetNs,
        found: &NetDevice,
    ) -> Result<bool, NetNsError> {
        if !self.holds(netns, found.other_end).await? {
            return Ok(false);
        }
        if let Some(was) = self.set_up.get(port) {
            let mut then = was.as_told.wanted.clone();
            then.mtu = wanted.mtu;
            return Ok(then == *wanted);
        }
        // Set up by an earlier nved, perhaps for another MAC.
        let ifindex = found.other_end.ifindex;
        let end = netns.run(async move |_| netns::end(ifindex));
        Ok(end.await?.mac == wanted.mac)
    }

    /// Whether the other end of a veth is in a namespace.
    async fn holds(&self, netns: &NetNs, end: OtherEnd) -> Result<bool, NetNsError> {
        match end.netns_id {
            Some(id) => Ok(netns.id(&self.handle).await? == Some(id)),
            None => Ok(NetNs::own()?.is_some_and(|own| own.identity == netns.identity)),
        }
    }

    async fn renew(
        &self,
        port: &PortKey,
        wanted: &Wanted,
        netns: &NetNs,
        old: Option<&NetDevice>,
    ) -> Result<NetDevice, NetNsError> {
        if let Some(old) = old {
            tracing::info!("port {port}: a new veth takes the place of {}", old.name);
            link::remove(&self.handle, old.ifindex)
                .await
                .map_err(failed("remove the former veth"))?;
        }
        let name = names::device(&self.host, port);
        let pair = veth::Pair {
            name: &name,
            tenant: wanted.attach.interface.as_deref().unwrap_or(TENANT),
            mac: wanted.mac,
            mtu: wanted.mtu.into(),
        };
        match veth::create(&self.handle, &pair, netns).await {
            Err(rtnetlink::Error::NetlinkError(said)) if said.raw_code() == -libc::EEXIST => {
                return Err(self.occupied(&pair).await);
            }
            made => made.map_err(failed("make the veth"))?,
        }
        let made = netdev::by_name(&self.handle, &name).await;
        let made = made.map_err(failed("read the new veth"))?;
        made.ok_or(NetNsError::Vanished(name))
    }
    /// Which of the two names of a pair is not free.
    async fn occupied(&self, pair: &veth::Pair<'_>) -> NetNsError {
        match netdev::by_name(&self.handle, pair.name).await {
            Ok(Some(_)) => NetNsError::Overlooked(pair.name.to_owned()),
            Ok(None) => NetNsError::Taken(pair.tenant.to_owned()),
            Err(error) => failed("look for the veth")(error),
        }
    }
}
