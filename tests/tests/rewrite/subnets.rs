//! Two subnets, and VMs of all rules on two hosts of one network.

use anyhow::Result;
use dataplane_tests::net::{
    Site,
    documents::{document, rewritten, subnet},
    fabric::{Family, Middle},
    plan::{A, B, C, Plan},
    proof,
};

/// A subnet whose rule is the default of its ports; one whose ports have rules of their own, and that
/// carries everything.
pub(crate) const WEB: u32 = 6001;
pub(crate) const MIXED: u32 = 6002;
pub(crate) const PREFIXES: [[&str; 2]; 2] = [
    ["10.0.0.0/24", "fd00:6001::/64"],
    ["10.0.1.0/24", "fd00:6002::/64"],
];
pub(crate) const GATEWAYS: [[&str; 2]; 2] =
    [["10.0.0.1", "fd00:6001::1"], ["10.0.1.1", "fd00:6002::1"]];
pub(crate) const WEB_A: [&str; 2] = ["10.0.0.5", "fd00:6001::5"];
pub(crate) const WEB_B: [&str; 2] = ["10.0.0.7", "fd00:6001::7"];
pub(crate) const MIX_A: [&str; 2] = ["10.0.1.5", "fd00:6002::5"];
pub(crate) const MIX_B: [&str; 2] = ["10.0.1.7", "fd00:6002::7"];
pub(crate) const ENC_A: [&str; 2] = ["10.0.1.6", "fd00:6002::6"];
pub(crate) const ENC_B: [&str; 2] = ["10.0.1.8", "fd00:6002::8"];
/// A station that is no VM: a host with the PA that stands for its CA.
pub(crate) const STATION: [&str; 2] = ["10.0.1.50", "fd00:6002::50"];
pub(crate) const STATION_PA: [&str; 2] = ["192.0.2.150", "2001:db8:c::50"];
pub(crate) const WEB_A_PA: [&str; 2] = ["192.0.2.10", "2001:db8:a::10"];

/// Rewritten VMs in both subnets, and encapsulated ones, on two hosts of one network.
pub(crate) fn plan(family: Family) -> Plan {
    let prefix = |subnet: usize| [family.of(PREFIXES[subnet])];
    let everything = "broadcast: {mode: unicastReplication}\nallowNonIP: true";
    let mut plan = Plan::new()
        .over(family, "tc")
        .through(Middle::Bridge)
        .network(
            "blue",
            0xB1,
            "",
            &[
                subnet(WEB, &prefix(0), "rule: TranslationMethodNat"),
                subnet(MIXED, &prefix(1), everything),
            ],
        );
    for (name, host, vsid, ca, pa) in [
        ("web-a", A, WEB, WEB_A, WEB_A_PA),
        ("web-b", B, WEB, WEB_B, ["192.0.2.74", "2001:db8:b::10"]),
        ("mix-a", A, MIXED, MIX_A, ["192.0.2.11", "2001:db8:a::11"]),
        ("mix-b", B, MIXED, MIX_B, ["192.0.2.75", "2001:db8:b::11"]),
    ] {
        let pas = rewritten(&[family.of(pa)]);
        let own = pas.lines().skip(usize::from(vsid == WEB));
        let more: Vec<&str> = own.collect();
        let cas = [family.of(ca)];
        plan = plan.vm_with((name, "blue"), host, Some(vsid), &cas, &more.join("\n"));
    }
    plan = plan
        .vm(("enc-a", "blue"), A, MIXED, &[family.of(ENC_A)])
        .vm(("enc-b", "blue"), B, MIXED, &[family.of(ENC_B)])
        .and(&station(family));
    plan.hosts = 2;
    plan
}

/// The record of the station, with a rule of its own.
pub(crate) fn station(family: Family) -> String {
    let fields = [
        format!("virtualSubnetId: {MIXED}"),
        format!("customerAddress: '{}'", family.of(STATION)),
        format!("providerAddress: '{}'", family.of(STATION_PA)),
        "macAddress: 02:00:00:00:02:50".to_owned(),
        "rule: TranslationMethodNat".to_owned(),
    ];
    document("LookupRecord", "vmNetwork: blue", &fields)
}

pub(crate) fn everywhere(name: &str, body: impl Fn(&mut Site, &Plan, Family) -> Result<()>) {
    for family in Family::ALL {
        let plan = plan(family);
        let site = up(&format!("{name}{}", family.of([4, 6])), &plan);
        proof(site, |site| body(site, &plan, family));
    }
}

/// The site, where `host-c` is the station.
pub(crate) fn up(name: &str, plan: &Plan) -> Result<Site> {
    let (family, mut site) = (plan.family, Site::laid_out(name, plan)?);
    let full = format!("{}/{}", family.of(STATION_PA), family.of([24, 32]));
    let give = ["ip", "address", "add", &full, "dev", "eth0", "nodad"];
    site.host(C).exec(&give)?;
    site.begin(plan)?;
    site.ready()?;
    site.settled(plan)?;
    Ok(site)
}
