//! Lists of objects, a table a kind.

use std::{
    fmt::Display,
    io::{self, Write},
};

use super::table::{Table, View};
use crate::{
    control::protocol::{ObjectList, ObjectView},
    policy::{
        document::{
            CustomerRouteSpec, Document, Dscp, HostSpec, LookupRecordSpec, Metadata, PortSpec,
            ProviderNetworkSpec, VirtualSubnetSpec, VmNetworkSpec,
        },
        key::Key,
    },
};

/// A table for each kind in the list, in the list's order.
pub fn objects_into(out: &mut impl Write, list: &ObjectList, view: View) -> io::Result<()> {
    let same_kind = |a: &ObjectView, b: &ObjectView| {
        std::mem::discriminant(&a.document) == std::mem::discriminant(&b.document)
    };
    for (index, objects) in list.items.chunk_by(same_kind).enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        let mut table = columns(&objects[0].document);
        for object in objects {
            table.row(cells(object));
        }
        table.write_into(out, view)?;
    }
    Ok(())
}

/// The names, `kind/name` a line.
pub fn names_into(out: &mut impl Write, list: &ObjectList) -> io::Result<()> {
    for object in &list.items {
        writeln!(out, "{}", Key::of(&object.document))?;
    }
    Ok(())
}

fn columns(document: &Document) -> Table {
    match document {
        Document::ProviderNetwork(_) => Table::new(
            &[
                "NAME",
                "FLOWID",
                "OUTER-TTL",
                "DSCP",
                "FOREIGN-GRE",
                "STATE",
            ],
            &["REVISION", "LABELS"],
        ),
        Document::Host(_) => Table::new(
            &["NAME", "PROVIDER-ADDRESSES", "STATE"],
            &["REVISION", "LABELS"],
        ),
        Document::VMNetwork(_) => Table::new(
            &["NAME", "ROUTING-DOMAIN", "SUBNETS", "STATE"],
            &[
                "CUSTOMER",
                "ISOLATION",
                "DISTRIBUTED-ROUTER",
                "TABLE-MODE",
                "SLOW-PATH-WEIGHT",
                "REVISION",
                "LABELS",
            ],
        ),
        Document::Port(_) => Table::new(
            &["VMNETWORK", "NAME", "HOST", "VSID", "CA", "MAC", "STATE"],
            &[
                "MODE",
                "INTERFACE",
                "TYPE",
                "RULE",
                "PA",
                "VM-MAC",
                "MSS-CLAMP",
                "REVISION",
                "LABELS",
            ],
        ),
        Document::LookupRecord(_) => Table::new(
            &["VSID", "CA", "MAC", "PA", "TYPE", "PORT", "STATE"],
            &["RULE", "VM-MAC", "VMNETWORK", "VM", "REVISION", "LABELS"],
        ),
        Document::CustomerRoute(_) => Table::new(
            &[
                "VMNETWORK",
                "NAME",
                "VSID",
                "PREFIX",
                "NEXT-HOP",
                "METRIC",
                "STATE",
            ],
            &["REVISION", "LABELS"],
        ),
    }
}

/// As many as [`columns`] has.
fn cells(object: &ObjectView) -> Vec<String> {
    match &object.document {
        Document::ProviderNetwork(d) => provider_network(&d.metadata, &d.spec, object),
        Document::Host(d) => host(&d.metadata, &d.spec, object),
        Document::VMNetwork(d) => vm_network(&d.metadata, &d.spec, object),
        Document::Port(d) => port(&d.metadata, &d.spec, object),
        Document::LookupRecord(d) => lookup_record(&d.metadata, &d.spec, object),
        Document::CustomerRoute(d) => customer_route(&d.metadata, &d.spec, object),
    }
}

fn provider_network(meta: &Metadata, spec: &ProviderNetworkSpec, o: &ObjectView) -> Vec<String> {
    let dscp = match spec.nvgre.dscp {
        Dscp::Copy => "copy".to_owned(),
        Dscp::Fixed(number) => number.to_string(),
    };
    vec![
        text(meta.name.as_ref()),
        word(&spec.nvgre.flow_id),
        spec.nvgre.outer_ttl.to_string(),
        dscp,
        word(&spec.nvgre.foreign_gre),
        o.status.state.clone(),
        revision(o),
        labels(meta),
    ]
}

fn host(meta: &Metadata, spec: &HostSpec, o: &ObjectView) -> Vec<String> {
    vec![
        text(meta.name.as_ref()),
        joined(spec.provider_addresses.iter().map(|a| a.address)),
        o.status.state.clone(),
        revision(o),
        labels(meta),
    ]
}

fn vm_network(meta: &Metadata, spec: &VmNetworkSpec, o: &ObjectView) -> Vec<String> {
    let subnet = |s: &VirtualSubnetSpec| {
        let prefixes = joined(&s.prefixes);
        format!("{}={} {prefixes}", s.name, s.virtual_subnet_id)
    };
    let subnets: Vec<String> = spec.virtual_subnets.iter().map(subnet).collect();
    vec![
        text(meta.name.as_ref()),
        text(spec.routing_domain_id.as_ref()),
        subnets.join("; "),
        o.status.state.clone(),
        text(spec.customer_id.as_ref()),
        isolation(spec),
        spec.distributed_router.to_string(),
        word(&spec.table_mode),
        spec.slow_path_weight.to_string(),
        revision(o),
        labels(meta),
    ]
}

/// The isolation, and what it needs.
fn isolation(spec: &VmNetworkSpec) -> String {
    let vlan = spec.vlan.map(|vlan| vlan.id.to_string());
    let more = vlan.or(spec.external_interface.clone());
    let word = spec.isolation.as_str().to_owned();
    more.map_or(word.clone(), |more| format!("{word} {more}"))
}

fn port(meta: &Metadata, spec: &PortSpec, o: &ObjectView) -> Vec<String> {
    vec![
        text(meta.vm_network.as_ref()),
        text(meta.name.as_ref()),
        spec.host.clone(),
        text(spec.virtual_subnet_id.as_ref()),
        joined(&spec.customer_addresses),
        spec.mac_address.to_string(),
        o.status.state.clone(),
        word(&spec.mode),
        text(o.status.interface.as_ref()),
        word(&spec.record_type),
        spec.rule.as_ref().map(word).unwrap_or_default(),
        joined(&spec.provider_addresses),
        if_so(spec.use_vm_mac_address),
        spec.mss_clamp.as_ref().map(word).unwrap_or_default(),
        revision(o),
        labels(meta),
    ]
}

fn lookup_record(meta: &Metadata, spec: &LookupRecordSpec, o: &ObjectView) -> Vec<String> {
    vec![
        spec.virtual_subnet_id.to_string(),
        spec.customer_address.to_string(),
        spec.mac_address.to_string(),
        spec.provider_address.to_string(),
        word(&spec.record_type),
        text(o.status.derived_from.as_ref()),
        o.status.state.clone(),
        spec.rule.as_ref().map(word).unwrap_or_default(),
        if_so(spec.use_vm_mac_address),
        text(meta.vm_network.as_ref()),
        text(spec.vm_name.as_ref()),
        revision(o),
        labels(meta),
    ]
}

fn customer_route(meta: &Metadata, spec: &CustomerRouteSpec, o: &ObjectView) -> Vec<String> {
    vec![
        text(meta.vm_network.as_ref()),
        text(meta.name.as_ref()),
        spec.virtual_subnet_id.to_string(),
        spec.destination_prefix.to_string(),
        spec.next_hop.to_string(),
        spec.metric.to_string(),
        o.status.state.clone(),
        revision(o),
        labels(meta),
    ]
}

/// The revision of an object's last change; a derived one has none.
fn revision(object: &ObjectView) -> String {
    match object.status.revision {
        0 => String::new(),
        revision => revision.to_string(),
    }
}

fn labels(meta: &Metadata) -> String {
    joined(
        meta.labels
            .iter()
            .map(|(key, value)| format!("{key}={value}")),
    )
}

fn text(value: Option<&impl Display>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

fn joined<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = values.into_iter().map(|v| v.to_string()).collect();
    texts.join(",")
}

/// Nothing where a switch is off, as in documents.
fn if_so(value: bool) -> String {
    if value {
        "true".to_owned()
    } else {
        String::new()
    }
}

/// The word that documents use for a value.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests;
