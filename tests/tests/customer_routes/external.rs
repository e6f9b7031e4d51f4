//! A router of the tenant's in place of the distributed one.

use crate::{DATA, WEB, has};
use anyhow::ensure;
use dataplane_tests::net::{
    Site,
    documents::{route, subnet},
    fabric::sysctl,
    path::{answers, becomes, hops},
    plan::{A, B, C, Plan},
    proof, tcp,
};

/// Without a distributed router the subnets meet in a VM that is in both of them.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_external_router_joins_subnets_without_a_distributed_one() {
    let subnets = [
        subnet(WEB, &["10.0.0.0/24"], ""),
        subnet(DATA, &["10.0.1.0/24"], ""),
    ];
    let to = |name, prefix, hop, vsid| route("blue", name, (prefix, hop), vsid, 0);
    let plan = Plan::new()
        .network("blue", 0xB1, "distributedRouter: false", &subnets)
        .vm(("web", "blue"), A, WEB, &["10.0.0.5"])
        .vm(("data", "blue"), B, DATA, &["10.0.1.5"])
        .vm(("leg-web", "blue"), C, WEB, &["10.0.0.1"])
        .vm(("leg-data", "blue"), C, DATA, &["10.0.1.1"])
        .and(&to("to-data", "10.0.1.0/24", "10.0.0.1", WEB))
        .and(&to("to-web", "10.0.0.0/24", "10.0.1.1", DATA));
    let name = "crextern";
    proof(Site::laid_out(name, &plan), |site| {
        // Both legs are in one namespace: the second is another interface of the first.
        let legs = site.named("leg-web");
        let apart = format!("attach: {{netns: {}}}", site.named("leg-data"));
        let joined = format!("attach: {{netns: {legs}, interface: eth1}}");
        let text = site.documents(&plan);
        ensure!(text.contains(&apart), "no second leg in\n{text}");
        for host in 0..3 {
            site.start(host, "tc")?;
            site.apply(host, &text.replace(&apart, &joined))?;
        }
        site.ready()?;
        let (web, data, router) = (site.vm("web"), site.vm("data"), site.vm("leg-web"));
        sysctl(router, "net/ipv4/conf/all/rp_filter", "0")?;
        becomes(web, "10.0.0.1", true)?;
        // The router does not forward yet, so nobody does.
        ensure!(!answers(web, "10.0.1.5")?, "somebody else routes");
        has(router, &[])?;
        becomes(web, "10.0.1.5", true)?;
        tcp(web, data, "10.0.1.5", 1_000_000)?;
        tcp(data, web, "10.0.0.5", 1_000_000)?;
        let found = hops(web, "10.0.1.5")?;
        ensure!(found == ["10.0.0.1"], "{found:?}");
        site.conserved()
    });
}
