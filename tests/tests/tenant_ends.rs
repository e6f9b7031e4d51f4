//! The tenant's end of a port's veth: addresses of both families, routes, MTU.

use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{
    SOON,
    ways::{ip, link},
};
use dataplane_user::ports::{
    netns::NetNs,
    tenant::{self, TenantEnd},
};
use xtask::lab::{Netns, unique, wait_until};

/// A host and its tenant; the tenant's end is as a new one: down, and the other end too.
fn pair(name: &str) -> Result<[Netns; 2]> {
    let prefix = unique(name);
    let host = Netns::fresh(&format!("{prefix}-host"))?;
    // As many images have it.
    let tenant = Netns::fresh(&format!("{prefix}-tenant"))?.without_ipv6()?;
    link([(&host, "nve0", &[]), (&tenant, "eth0", &[])])?;
    host.exec(&["ip", "link", "set", "nve0", "down"])?;
    tenant.exec(&["ip", "link", "set", "eth0", "down"])?;
    Ok([host, tenant])
}

fn end(tenant: &Netns, addresses: &[&str], gateways: &[&str], mtu: u32) -> Result<TenantEnd> {
    let told = ip(tenant, "-o link show eth0")?;
    let ifindex = told.split(':').next().context("no eth0")?.parse()?;
    Ok(TenantEnd {
        ifindex,
        addresses: addresses
            .iter()
            .map(|net| net.parse())
            .collect::<Result<_, _>>()?,
        gateways: gateways
            .iter()
            .map(|ip| ip.parse())
            .collect::<Result<_, _>>()?,
        mtu,
    })
}

fn run(tenant: &Netns, end: TenantEnd, again: bool) -> Result<()> {
    let netns = NetNs::open(tenant.name())?.context("no namespace")?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        if again {
            tenant::restore(&netns, end).await
        } else {
            tenant::configure(&netns, end).await
        }
    })?;
    Ok(())
}

const BOTH: [&str; 2] = ["10.0.0.5/24", "fd00:1::5/64"];
const GATEWAYS: [&str; 2] = ["10.0.0.1", "fd00:1::1"];

/// Both addresses are there, and no longer tentative; both default routes are.
fn complete(tenant: &Netns) -> Result<()> {
    wait_until("duplicate address detection to end", SOON, || {
        let addresses = ip(tenant, "address show dev eth0")?;
        let there = BOTH.iter().all(|net| addresses.contains(net));
        ensure!(there && !addresses.contains("tentative"), "{addresses}");
        ensure!(!addresses.contains("dadfailed"), "{addresses}");
        Ok(Some(()))
    })?;
    for (family, gateway) in [("-4", GATEWAYS[0]), ("-6", GATEWAYS[1])] {
        let routes = ip(tenant, &format!("{family} route show default"))?;
        ensure!(
            routes.contains(&format!("default via {gateway} dev eth0")),
            "{routes:?}"
        );
        ensure!(routes.lines().count() == 1, "{routes}");
    }
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_tenant_has_addresses_and_default_routes_of_both_families() -> Result<()> {
    let [host, tenant] = pair("endboth")?;
    let wanted = || end(&tenant, &BOTH, &GATEWAYS, 1500);
    run(&tenant, wanted()?, false)?;
    let waiting = ip(&tenant, "address show dev eth0")?;
    ensure!(
        waiting.contains("tentative"),
        "no DAD before there is a carrier: {waiting}"
    );
    ip(&host, "link set nve0 up")?;
    complete(&tenant)?;
    // A second time changes nothing.
    run(&tenant, wanted()?, false)?;
    complete(&tenant)?;
    ip(&tenant, "link set eth0 down")?;
    ip(&tenant, "link set eth0 up")?;
    let lost = ip(&tenant, "address show dev eth0")?;
    ensure!(!lost.contains(BOTH[1]), "{lost}");
    run(&tenant, wanted()?, true)?;
    complete(&tenant)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_tenants_mtu_that_ipv6_cannot_have_comes_and_goes() -> Result<()> {
    let [host, tenant] = pair("endmtu")?;
    ip(&host, "link set nve0 up")?;
    run(&tenant, end(&tenant, &BOTH, &GATEWAYS, 1500)?, false)?;
    complete(&tenant)?;
    run(
        &tenant,
        end(&tenant, &BOTH[..1], &GATEWAYS[..1], 1200)?,
        false,
    )?;
    let narrow = ip(&tenant, "address show dev eth0")?;
    ensure!(
        narrow.contains("mtu 1200") && narrow.contains(BOTH[0]),
        "{narrow}"
    );
    run(&tenant, end(&tenant, &BOTH, &GATEWAYS, 1500)?, false)?;
    complete(&tenant)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_tenant_without_addresses_is_up_with_its_mtu() -> Result<()> {
    let [host, tenant] = pair("endnone")?;
    ip(&host, "link set nve0 up")?;
    run(&tenant, end(&tenant, &[], &[], 1400)?, false)?;
    let told = ip(&tenant, "address show dev eth0")?;
    ensure!(
        told.contains("mtu 1400") && told.contains("LOWER_UP"),
        "{told}"
    );
    ensure!(!told.contains("inet"), "{told}");
    let routes = ip(&tenant, "route show table all")?;
    ensure!(!routes.contains("default"), "{routes}");
    Ok(())
}
