//! Who asks for the PA of a port gets an answer, where and while there is one.

use crate::{NEAR, OTHER, alone, asker::Asker, follows, says, told, uplink};
use anyhow::{Result, ensure};
use dataplane_tests::net::{
    Link, SOON, Site,
    fabric::Family,
    families,
    path::answers,
    plan::{A, Plan},
    proof,
    ways::link,
};
use xtask::lab::{Netns, NveSpec, unique, wait_until};

/// The middle's device on the link, and its address there.
const FABRIC: &str = "fabric";
const PLAIN: [&str; 2] = ["192.0.2.200", "2001:db8:f::200"];

/// The middle as a host on the link.
pub(crate) fn plain(site: &Site, family: Family) -> Result<Asker> {
    let address = format!("{}/{}", family.of(PLAIN), family.of([24, 32]));
    says(
        site.middle(),
        &format!("ip address add {address} dev {FABRIC} nodad"),
    )?;
    Asker::at(site.middle(), FABRIC, family.of(PLAIN))
}

/// A kernel finds it, and so does whoever asks in another way; the host itself does not have it.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_pa_of_a_port_is_at_the_uplink() {
    families(
        "rwask",
        |family| alone(family, ""),
        |site, plan| {
            let (family, mac) = (plan.family, uplink(site, A)?);
            let asker = plain(site, family)?;
            let pa = family.of(NEAR[1]);
            // It answers no ping: the plain host is nobody's tenant.
            ensure!(!answers(site.middle(), pa)?);
            follows(site.middle(), (FABRIC, pa), &mac)?;
            asker.ask(pa)?;
            ensure!(asker.answer(pa)? == mac);
            asker.probe(pa)?;
            ensure!(asker.answer(pa)? == mac);
            let route = says(site.host(A), &format!("ip route get {pa}"))?;
            ensure!(!route.starts_with("local"), "{route}");
            ensure!(told(site, A, pa)? == ("local".to_owned(), mac));
            asker.nobody_has(family.of(["192.0.2.99", "2001:db8:f::99"]), pa)
        },
    );
}

fn is_member(site: &Site, pa: &str) -> Result<bool> {
    let tail = pa.rsplit(':').next().unwrap_or_default();
    let group = format!("ff02::1:ff00:{tail}");
    let shown = says(site.host(A), "ip maddress show dev eth0")?;
    Ok(shown.split_whitespace().any(|word| word == group))
}

fn becomes_member(site: &Site, plan: &Plan, pa: &str, wanted: bool) -> Result<()> {
    let wanted = wanted && plan.family == Family::V6;
    wait_until(&format!("membership for {pa}: {wanted}"), SOON, || {
        Ok((is_member(site, pa)? == wanted).then_some(()))
    })
}

/// Without the port, or without its device, the host neither listens nor answers.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_port_that_is_not_there_is_not_answered_for() {
    families(
        "rwgone",
        |family| alone(family, ""),
        |site, plan| {
            let asker = plain(site, plan.family)?;
            let [near, other] = [NEAR, OTHER].map(|vm| plan.family.of(vm[1]));
            becomes_member(site, plan, near, true)?;
            becomes_member(site, plan, other, true)?;
            let document = plan.find("near").document("none");
            site.apply(A, &document.replace("{netns: none}", "{interface: none9}"))?;
            site.becomes(A, "blue/near", "Pending")?;
            becomes_member(site, plan, near, false)?;
            asker.nobody_has(near, other)?;
            ensure!(told(site, A, near)?.0 == "notAttached");
            site.nvectl(A, &["delete", "port", "other", "-n", "blue"])?
                .success()?;
            site.apply(A, &plan.find("near").document(&site.named("near")))?;
            site.becomes(A, "blue/near", "Ready")?;
            becomes_member(site, plan, near, true)?;
            becomes_member(site, plan, other, false)?;
            asker.nobody_has(other, near)
        },
    );
}

/// Of two uplinks the one that the route leads through has it; another route tells its neighbours.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_pa_is_at_the_uplink_of_its_route_alone() {
    const HERE: &str = "198.51.100.1";
    const SIDE: &str = "198.51.100.2";
    let plan = alone(Family::V4, "");
    proof(Site::laid_out("rwroute", &plan), |site| {
        let side = Netns::fresh(&unique("rwside"))?;
        let ends = [format!("{HERE}/24"), format!("{SIDE}/24")];
        link([
            (site.host(A), "eth1", &[&ends[0]]),
            (&side, "eth0", &[&ends[1]]),
        ])?;
        site.start_as(A, "tc", |spec: &mut NveSpec| {
            spec.uplinks.push("eth1".to_owned());
        })?;
        site.apply_all(&site.documents(&plan))?;
        site.ready()?;
        let (first, second) = (plain(site, Family::V4)?, Asker::at(&side, "eth0", SIDE)?);
        let [near, other] = [NEAR, OTHER].map(|vm| vm[1][0]);
        second.nobody_has(near, HERE)?;
        let mac = Link::named(site.host(A), "eth1")?.mac;
        says(site.host(A), &format!("ip route add {near}/32 dev eth1"))?;
        second.hears(near, &mac, 2)?;
        second.ask(near)?;
        ensure!(second.answer(near)? == mac);
        first.nobody_has(near, other)
    });
}
