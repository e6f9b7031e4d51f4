//! A tenant's own DHCP server on another host.

use crate::{BLUE, site};
use anyhow::ensure;
use dataplane_tests::net::{
    dhcp::{DhcpServer, lease},
    documents::subnet,
    ping,
    plan::{A, B, Plan},
    proof,
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_vm_gets_its_address_from_a_server_on_another_host() {
    let broadcast = "broadcast: {mode: unicastReplication}";
    let plan = Plan::new()
        .network(
            "blue",
            0xB1,
            "",
            &[subnet(BLUE, &["10.0.0.0/24"], broadcast)],
        )
        .vm(("client", "blue"), A, BLUE, &["10.0.0.5"])
        .vm(("server", "blue"), B, BLUE, &["10.0.0.9"]);
    proof(site("bcdhcp", &plan), |site| {
        let (client, server) = (site.vm("client"), site.vm("server"));
        // It has no address until it is given one.
        client.exec(&["ip", "address", "flush", "dev", "eth0"])?;
        let mac = plan.find("server").mac();
        let _server = DhcpServer::on(server, mac, "10.0.0.9", "10.0.0.5")?;
        let given = lease(client, plan.find("client").mac())?;
        ensure!(given.to_string() == "10.0.0.5", "it was given {given}");
        let own = format!("{given}/24");
        client.exec(&["ip", "address", "add", &own, "dev", "eth0"])?;
        ping(client, "10.0.0.9", 56)?;
        site.conserved()
    });
}

/// Another subnet's server is none of a VM's business.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn no_server_of_another_subnet_hears_a_client() {
    let broadcast = "broadcast: {mode: unicastReplication}";
    let subnets = [
        subnet(BLUE, &["10.0.0.0/24"], broadcast),
        subnet(6002, &["10.0.1.0/24"], broadcast),
    ];
    let plan = Plan::new()
        .network("blue", 0xB1, "", &subnets)
        .vm(("client", "blue"), A, BLUE, &["10.0.0.5"])
        .vm(("near", "blue"), A, 6002, &["10.0.1.8"])
        .vm(("far", "blue"), B, 6002, &["10.0.1.9"])
        .vm(("right", "blue"), B, BLUE, &["10.0.0.9"]);
    proof(site("bcdhcpno", &plan), |site| {
        let serve = |vm: &str, own: &str, gives: &str| {
            DhcpServer::on(site.vm(vm), plan.find(vm).mac(), own, gives)
        };
        let _wrong = [
            serve("near", "10.0.1.8", "10.0.0.66")?,
            serve("far", "10.0.1.9", "10.0.0.66")?,
        ];
        let _right = serve("right", "10.0.0.9", "10.0.0.5")?;
        for _ in 0..5 {
            let given = lease(site.vm("client"), plan.find("client").mac())?;
            ensure!(given.to_string() == "10.0.0.5", "it was given {given}");
        }
        Ok(())
    });
}
