//! Ways to provider addresses, asked for without an agent.

use super::{SOON, inside};
use anyhow::{Context, Result, ensure};
use dataplane_user::{
    netdev::Inventory,
    settings::KeepAlive,
    underlay::{PathMtus, Question, Reach, Resolver},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};
use xtask::lab::{Netns, run, unique, wait_until};

/// A host's namespace with uplink `eth0`, and what it asks for.
#[derive(Debug)]
pub struct Ways<'a> {
    /// The host.
    pub host: &'a Netns,
    /// Its PAs.
    pub own: Vec<IpAddr>,
    /// What routers told.
    pub path_mtus: PathMtus,
}

impl<'a> Ways<'a> {
    /// Those of a host with these PAs.
    pub fn of(host: &'a Netns, own: &[&str]) -> Self {
        Self {
            host,
            own: own.iter().map(|pa| address(pa)).collect(),
            path_mtus: PathMtus::default(),
        }
    }

    /// Waits until the way to a PA is in this state.
    pub fn becomes(&self, pa: &str, state: &str) -> Result<Reach> {
        let pa = address(pa);
        wait_until(&format!("{pa} to be {state}"), SOON, || {
            let mut found = asked(self.host, async || self.look(pa).await)?;
            let now = found.remove(&pa).context("no answer")?;
            ensure!(now.state == state, "{now:?}");
            Ok(Some(now))
        })
    }

    async fn look(&self, pa: IpAddr) -> Result<BTreeMap<IpAddr, Reach>> {
        let handle = netlink()?;
        let seen = Inventory::read(&handle).await?;
        let uplink = seen.by_name("eth0").context("no eth0")?.ifindex;
        let question = Question {
            pas: &BTreeSet::from([pa]),
            own: &self.own,
            ports: &BTreeSet::new(),
            uplinks: &BTreeSet::from([uplink]),
            seen: &seen,
            path_mtus: &self.path_mtus,
        };
        let mut resolver = Resolver::new(handle, KeepAlive::Auto);
        // Not faster than an agent asks.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(resolver.resolve(&question, &BTreeMap::new()).await?)
    }
}

/// Gives back all neighbours on a host's uplink, as an agent does that is unloaded.
pub fn unload(host: &Netns) -> Result<()> {
    asked(host, async || {
        let handle = netlink()?;
        let seen = Inventory::read(&handle).await?;
        let uplink = seen.by_name("eth0").context("no eth0")?.ifindex;
        let mut resolver = Resolver::new(handle, KeepAlive::Auto);
        Ok(resolver.unload(BTreeSet::from([uplink])).await?)
    })
}

/// The devices and addresses of a namespace.
pub fn seen(netns: &Netns) -> Result<Inventory> {
    asked(netns, async || Ok(Inventory::read(&netlink()?).await?))
}

fn netlink() -> Result<rtnetlink::Handle> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    Ok(handle)
}

/// What the kernel answers in a namespace.
fn asked<T: Send>(netns: &Netns, question: impl AsyncFnOnce() -> Result<T> + Send) -> Result<T> {
    inside(netns, || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build()?.block_on(question())
    })
}

/// An address in a test's text.
pub fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A veth of MTU 1600 between two namespaces, up, with these addresses.
pub fn link(ends: [(&Netns, &str, &[&str]); 2]) -> Result<()> {
    let [(near, near_name, _), (far, far_name, _)] = ends;
    let mut link = near.command("ip");
    link.args(["link", "add", near_name, "mtu", "1600", "type", "veth"]);
    link.args(["peer", "name", far_name, "mtu", "1600", "netns"]);
    run(link.arg(far.path()))?;
    for (netns, name, addresses) in ends {
        for address in addresses {
            let mut add = vec!["ip", "address", "add", address, "dev", name];
            if address.contains(':') {
                add.push("nodad");
            }
            netns.exec(&add)?;
        }
        netns.exec(&["ip", "link", "set", name, "up"])?;
    }
    Ok(())
}

/// Two hosts with `eth0` of both families: `fd00:a::1` and 192.0.2.1, `fd00:a::2` and 192.0.2.2.
pub fn hosts(name: &str) -> Result<[Netns; 2]> {
    let prefix = unique(name);
    let host = |host| Netns::fresh(&format!("{prefix}-{host}"));
    let (a, b) = (host("a")?, host("b")?);
    link([
        (&a, "eth0", &["fd00:a::1/64", "192.0.2.1/24"]),
        (&b, "eth0", &["fd00:a::2/64", "192.0.2.2/24"]),
    ])?;
    Ok([a, b])
}

/// What `ip` says to these words in a namespace.
pub fn ip(netns: &Netns, line: &str) -> Result<String> {
    let words: Vec<&str> = std::iter::once("ip").chain(line.split(' ')).collect();
    Ok(netns.exec(&words)?.stdout)
}
