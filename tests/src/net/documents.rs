//! Documents for policies that are larger than the demo's.

use std::fmt::Write;

/// A lookup record of blue's VSID 6001 at `host-b`; its MAC has `mark` and the CA in it.
pub fn remote_record(ca: u32, mark: u8) -> String {
    let [a, b, c, d] = ca.to_be_bytes();
    format!(
        "
---
apiVersion: nve/v1
kind: LookupRecord
metadata: {{vmNetwork: blue}}
spec:
  virtualSubnetId: 6001
  customerAddress: {a}.{b}.{c}.{d}
  macAddress: 02:{mark:02x}:{a:02x}:{b:02x}:{c:02x}:{d:02x}
  providerAddress: 192.0.2.2
"
    )
}

/// A document; each field of its `spec` is one or several lines of YAML.
pub fn document(kind: &str, metadata: &str, fields: &[String]) -> String {
    let mut text =
        format!("---\napiVersion: nve/v1\nkind: {kind}\nmetadata: {{{metadata}}}\nspec:\n");
    for line in fields.iter().flat_map(|field| field.lines()) {
        writeln!(text, "  {line}").expect("a string takes it");
    }
    text
}

/// A virtual subnet for [`Plan::network`](super::plan::Plan::network); `more` has further fields of it, one a line.
pub fn subnet(vsid: u32, prefixes: &[&str], more: &str) -> String {
    let mut text = format!("- name: s{vsid}\n  virtualSubnetId: {vsid}\n");
    writeln!(text, "  prefixes: {prefixes:?}").expect("a string takes it");
    for line in more.lines() {
        writeln!(text, "  {line}").expect("a string takes it");
    }
    text
}

/// Fields of a port whose addresses are rewritten: one provider address for each of its own.
pub fn rewritten(pas: &[&str]) -> String {
    format!("rule: TranslationMethodNat\nproviderAddresses: {pas:?}")
}

/// A customer route of a VM network.
pub fn route(
    network: &str,
    name: &str,
    (prefix, hop): (&str, &str),
    vsid: u32,
    metric: u16,
) -> String {
    document(
        "CustomerRoute",
        &format!("name: {name}, vmNetwork: {network}"),
        &[
            format!("virtualSubnetId: {vsid}"),
            format!("destinationPrefix: \"{prefix}\""),
            format!("nextHop: \"{hop}\""),
            format!("metric: {metric}"),
        ],
    )
}
