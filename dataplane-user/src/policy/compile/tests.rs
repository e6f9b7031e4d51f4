use std::{fmt::Write, net::IpAddr};

use dataplane_common::{abi::vport::Vport, forward::Tables, id::Mac};
use proptest::prelude::*;

use super::*;
use crate::policy::{PortKey, check, derived_records, diff, testing::attached};

mod broadcast;
mod families;
mod learned;
mod rewrite;
mod router;

const TWO_TENANTS: &str = include_str!("../../../../tests/fixtures/policy/good/two-tenants.yaml");

fn policy(text: &str) -> Policy {
    check("test.yaml", text)
        .unwrap_or_else(|faults| panic!("{}", faults[0]))
        .1
}

/// The tables of host a, with these ports attached.
fn tables(documents: &[String], ports: &[(&str, &str, u32)]) -> TableImage {
    let policy = crate::policy::testing::policy(documents);
    compile(&policy, "a", &attached(ports), &mut Ids::new(0)).unwrap()
}

fn address(text: &str) -> Address {
    text.parse::<IpAddr>().unwrap().into()
}

/// The MAC of a port or record of the test policies.
const fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

/// The PA that a record points to.
fn pa_of(image: &TableImage, record: &LookupRecord) -> String {
    image.next_hop(record.pa_index).unwrap().pa.to_string()
}

#[test]
fn two_tenants_with_the_same_addresses_stay_apart() {
    let policy = policy(TWO_TENANTS);
    let facts = attached(&[("blue", "vm1", 11), ("red", "vm1", 12)]);
    let mut ids = Ids::new(99);
    let image = compile(&policy, "host-a", &facts, &mut ids).unwrap();
    let (blue, red) = (image.vport(11).unwrap(), image.vport(12).unwrap());
    assert_ne!((blue.rdid, blue.slot), (red.rdid, red.slot));
    assert_eq!((blue.vsid, red.vsid), (6001, 7001));
    assert_eq!(
        (blue.mtu, blue.flags, blue.cas),
        (
            1458,
            Vport::PEER,
            [address("10.0.0.5"), Address::UNSPECIFIED]
        )
    );
    assert_eq!(image.local_port(6001, blue.mac), Some(11));
    assert!(image.port_has_ca(blue.slot, address("10.0.0.5")));

    let own = image.record(blue.rdid, address("10.0.0.5")).unwrap();
    assert_eq!((own.ifindex, own.flags), (11, LookupRecord::LOCAL));
    let far = image.record(blue.rdid, address("10.0.0.7")).unwrap();
    assert_eq!((far.ifindex, far.flags), (0, 0));
    let hop = image.next_hop(far.pa_index).unwrap();
    assert_eq!(
        (hop.pa, hop.state),
        (address("192.0.2.2"), NextHop::NO_ROUTE)
    );
    assert!(
        image.record(red.rdid, address("10.0.0.9")).is_none(),
        "a record of blue"
    );

    let gateway = image.record(red.rdid, address("10.0.0.1")).unwrap();
    assert_eq!(
        (gateway.mac, gateway.flags),
        (red.gateway_mac, LookupRecord::GATEWAY)
    );
    assert!(image.is_local_pa(address("192.0.2.1")));
    let own_hop = image.next_hop(own.pa_index).unwrap();
    assert_eq!(own_hop.pa, address("192.0.2.1"));
    let config = image.config;
    assert_eq!(
        (config.seed, config.flow_id, config.outer_ttl),
        (99, 0, 255)
    );
    assert_eq!((config.dscp, config.drop_foreign_gre), (63, 1));
}

#[test]
fn a_host_without_ports_holds_its_addresses_only() {
    let policy = policy(include_str!(
        "../../../../tests/fixtures/policy/good/every-field.yaml"
    ));
    let image = compile(&policy, "host-a", &Facts::default(), &mut Ids::new(0)).unwrap();
    assert_eq!((image.local_pas.len(), image.underlay.len()), (1, 1));
    assert!(image.lookup.is_empty() && image.subnets.is_empty());
    let error = compile(&policy, "host-x", &Facts::default(), &mut Ids::new(0)).unwrap_err();
    assert!(error.to_string().starts_with("there is no host host-x"));
}

#[test]
fn a_pending_port_has_records_but_no_device() {
    let policy = policy(TWO_TENANTS);
    let image = compile(&policy, "host-a", &Facts::default(), &mut Ids::new(0)).unwrap();
    assert!(image.vports.is_empty() && image.port_cas.is_empty());
    let record = image.record(1, address("10.0.0.5")).unwrap();
    assert_eq!((record.ifindex, record.flags), (0, LookupRecord::LOCAL));
    let pas: Vec<String> = pas_in_use(&policy, "host-a")
        .iter()
        .map(IpAddr::to_string)
        .collect();
    assert_eq!(pas, ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    assert_eq!(derived_records(&policy).count(), 5);
}

#[test]
fn numbers_of_what_is_gone_are_released() {
    let mut policy = policy(TWO_TENANTS);
    let mut ids = Ids::new(0);
    compile(&policy, "host-a", &Facts::default(), &mut ids).unwrap();
    policy.ports.remove(&PortKey::new("red", "vm1"));
    assert_eq!(ids.release(&policy, "host-a"), [2]);
    assert_eq!(ids.port_in(1), Some("blue/vm1"));
    let next = ids.port_slot(&PortKey::new("blue", "new")).unwrap();
    assert_eq!(next, 3, "a freed slot waits");
}

/// Twenty /16s full of ports and records: nobody compares all with all.
#[test]
fn a_hundred_thousand_records_compile() {
    let mut policy = policy(TWO_TENANTS);
    let mut text = TWO_TENANTS.to_owned();
    write!(text, "---\napiVersion: nve/v1\nkind: VMNetwork\nmetadata: {{name: big}}\nspec:\n  routingDomainId: 7b1e0f0e-0000-4000-8000-00000000000f\n  virtualSubnets: [{{name: all, virtualSubnetId: 9000, prefixes: [11.0.0.0/8]}}]\n").unwrap();
    text += "---\napiVersion: nve/v1\nkind: Port\nmetadata: {name: p, vmNetwork: big}\nspec: {host: host-a, virtualSubnetId: 9000, macAddress: 02:ff:00:00:00:01, customerAddresses: [11.255.0.1], attach: {netns: p}}\n";
    let mut documents = crate::policy::load("big.yaml", &text).unwrap();
    let mut lines = String::new();
    for n in 0..100_000_u32 {
        let [_, a, b, c] = (n + 2).to_be_bytes();
        writeln!(lines, r#"{{"apiVersion":"nve/v1","kind":"LookupRecord","metadata":{{"vmNetwork":"big"}},"spec":{{"virtualSubnetId":9000,"customerAddress":"11.{a}.{b}.{c}","macAddress":"02:00:00:{a:02x}:{b:02x}:{c:02x}","providerAddress":"198.18.{}.{}"}}}}"#, n % 50, n % 199).unwrap();
    }
    documents.extend(crate::policy::read_ndjson("big", lines.as_bytes()).map(Result::unwrap));
    let documents = crate::policy::numbered(documents.into_iter().map(|l| l.document));
    policy.clone_from(&crate::policy::validate(&documents).unwrap());
    let facts = attached(&[("big", "p", 7)]);
    let image = compile(&policy, "host-a", &facts, &mut Ids::new(0)).unwrap();
    assert!(image.lookup.len() > 100_000);
    let ops = diff(&TableImage::default(), &image);
    assert!(ops.len() > 100_000);
}

proptest! {
    #[test]
    fn the_operations_lead_from_any_image_to_any_other(
        a in any::<[bool; 5]>(), b in any::<[bool; 5]>(), seed in any::<u32>(),
    ) {
        let all = [("blue", "vm1", 11), ("red", "vm1", 12), ("blue", "vm2", 13), ("red", "vm2", 14), ("blue", "vm1", 15)];
        let image = |present: [bool; 5], host: &str, seed| {
            let chosen = all.iter().zip(present).filter(|(_, p)| *p);
            let facts = attached(&chosen.map(|(port, _)| *port).collect::<Vec<_>>());
            let mut policy = policy(TWO_TENANTS);
            if present[4] {
                policy.ports.remove(&PortKey::new("red", "vm1"));
                policy.ports.remove(&PortKey::new("red", "vm2"));
            }
            compile(&policy, host, &facts, &mut Ids::new(seed)).unwrap()
        };
        let (old, new) = (image(a, "host-a", 0), image(b, if a[0] { "host-b" } else { "host-a" }, seed));
        let mut now = old.clone();
        for op in diff(&old, &new) {
            now.apply(&op);
        }
        prop_assert_eq!(&now, &new);
        prop_assert!(diff(&new, &now).is_empty());
    }
}
