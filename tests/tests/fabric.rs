//! What stands between the hosts is what the tests of tenants take it for.

use anyhow::{Result, ensure};
use dataplane_tests::net::{
    Link, Site,
    dhcp::{DhcpServer, lease},
    fabric::{Family, Middle},
    path::{answers, hops, large_ping, learns},
    plan::{A, B, C, Plan},
    tcp,
};

fn underlay(name: &str, family: Family, middle: Middle) -> Result<Site> {
    Site::laid_out(name, &Plan::new().over(family, "tc").through(middle))
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_router_stands_between_the_hosts() -> Result<()> {
    for family in Family::ALL {
        let site = underlay("fbroute", family, Middle::ROUTER)?;
        let router = family.of(["192.0.2.62", "2001:db8:a::fe"]);
        for host in [B, C] {
            let found = hops(site.host(A), family.pa(host))?;
            ensure!(found == [router], "{found:?}");
        }
    }
    Ok(())
}

/// The router tells of it, and what it tells is enough.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_hop_may_be_narrow() -> Result<()> {
    for family in Family::ALL {
        let narrow = Middle::Router([1600, 1400, 1600]);
        let site = underlay("fbnarrow", family, narrow)?;
        let (near, far) = (site.host(A), site.host(B));
        learns(near, family.pa(B), 1600, 1400)?;
        tcp(near, far, family.pa(B), 1_000_000)?;
        // Not every way is.
        let said = large_ping(near, family.pa(C), 1600)?;
        ensure!(said.contains(" 1 received"), "{said}");
    }
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_bridge_makes_one_network_of_the_hosts() -> Result<()> {
    for family in Family::ALL {
        let site = underlay("fbbridge", family, Middle::Bridge)?;
        let (near, far) = (site.host(A), site.host(C));
        ensure!(hops(near, family.pa(C))?.is_empty(), "there is a router");
        tcp(near, far, family.pa(C), 1_000_000)?;
        far.exec(&["ip", "link", "set", "eth0", "down"])?;
        ensure!(!answers(near, family.pa(C))?, "somebody else answers");
    }
    Ok(())
}

/// Client and server of the tests understand each other where nothing of ours is between them.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_lease_crosses_a_bridge() -> Result<()> {
    let site = underlay("fbdhcp", Family::V4, Middle::Bridge)?;
    let mac = |host| Link::named(site.host(host), "eth0")?.bytes();
    let own = Family::V4.pa(B);
    let _server = DhcpServer::on(site.host(B), mac(B)?, own, "192.0.2.50")?;
    let given = lease(site.host(A), mac(A)?)?.to_string();
    ensure!(given == "192.0.2.50", "it was given {given}");
    Ok(())
}
