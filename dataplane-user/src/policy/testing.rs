//! Policies for tests, in as few words as they need.

use super::{AttachedPort, Facts, Policy, PortKey, check};

/// Each item in quotes, for a list in YAML's flow style.
fn quoted(items: &[&str]) -> String {
    let items: Vec<String> = items.iter().map(|item| format!("'{item}'")).collect();
    items.join(", ")
}

fn document(kind: &str, metadata: &str, spec: &str) -> String {
    format!("---\napiVersion: nve/v1\nkind: {kind}\nmetadata: {{{metadata}}}\nspec: {{{spec}}}\n")
}

/// A host with PAs.
pub(crate) fn host(name: &str, pas: &[&str]) -> String {
    let pas: Vec<String> = pas
        .iter()
        .map(|pa| format!("{{address: '{pa}'}}"))
        .collect();
    let spec = format!("providerAddresses: [{}]", pas.join(", "));
    document("Host", &format!("name: {name}"), &spec)
}

/// A VM network; `more`: fields of its own, each with a comma behind it.
pub(crate) fn network(name: &str, more: &str, subnets: &[String]) -> String {
    let number: u32 = name.bytes().map(u32::from).sum();
    let spec = format!(
        "routingDomainId: 00000000-0000-4000-8000-{number:012}, {more} virtualSubnets: [{}]",
        subnets.join(", ")
    );
    document("VMNetwork", &format!("name: {name}"), &spec)
}

/// A virtual subnet; `more`: fields of its own, each with a comma before it.
pub(crate) fn subnet(vsid: u32, prefixes: &[&str], more: &str) -> String {
    let prefixes = quoted(prefixes);
    format!("{{name: s{vsid}, virtualSubnetId: {vsid}, prefixes: [{prefixes}]{more}}}")
}

/// A port with MAC 02:00:00:00:00:`mac`, a decimal number; without CAs they are learned.
pub(crate) fn port(
    (network, name, host): (&str, &str, &str),
    (vsid, mac, cas): (u32, u8, &[&str]),
    more: &str,
) -> String {
    let cas = if cas.is_empty() {
        "recordType: L2Only".to_owned()
    } else {
        format!("customerAddresses: [{}]", quoted(cas))
    };
    let spec = format!(
        "host: {host}, virtualSubnetId: {vsid}, macAddress: '02:00:00:00:00:{mac:02x}', {cas}, attach: {{netns: {network}-{name}}}{more}"
    );
    document(
        "Port",
        &format!("name: {name}, vmNetwork: {network}"),
        &spec,
    )
}

/// A lookup record, as [`port`].
pub(crate) fn record(
    network: &str,
    (vsid, ca, mac): (u32, &str, u8),
    pa: &str,
    more: &str,
) -> String {
    let spec = format!(
        "virtualSubnetId: {vsid}, customerAddress: '{ca}', macAddress: '02:00:00:00:00:{mac:02x}', providerAddress: '{pa}'{more}"
    );
    document("LookupRecord", &format!("vmNetwork: {network}"), &spec)
}

/// A customer route.
pub(crate) fn route(
    network: &str,
    (vsid, prefix, next_hop): (u32, &str, &str),
    metric: u16,
) -> String {
    let id = format!(
        "name: r{vsid}-{metric}-{}, vmNetwork: {network}",
        prefix.len()
    );
    let spec = format!(
        "virtualSubnetId: {vsid}, destinationPrefix: '{prefix}', nextHop: '{next_hop}', metric: {metric}"
    );
    document("CustomerRoute", &id, &spec)
}

/// The policy of all documents.
pub(crate) fn policy(documents: &[String]) -> Policy {
    let checked = check("test.yaml", &documents.concat());
    checked.unwrap_or_else(|faults| panic!("{}", faults[0])).1
}

/// Ports with devices, by network, name and index.
pub(crate) fn attached(ports: &[(&str, &str, u32)]) -> Facts {
    let port = |(network, name, ifindex): &(&str, &str, u32)| {
        let (ifindex, mtu, peer) = (*ifindex, 1458, true);
        let attached = AttachedPort { ifindex, mtu, peer };
        (PortKey::new(*network, *name), attached)
    };
    Facts {
        ports: ports.iter().map(port).collect(),
        ..Facts::default()
    }
}
