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
            Document, Dscp, HostSpec, LookupRecordSpec, Metadata, PortSpec, ProviderNetworkSpec,
            VirtualSubnetSpec, VmNetworkSpec,
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
                "TABLE-MODE",
                "SLOW-PATH-WEIGHT",
                "REVISION",
                "LABELS",
            ],
        ),
        Document::Port(_) => Table::new(
            &["VMNETWORK", "NAME", "HOST", "VSID", "CA", "MAC", "STATE"],
            &["MODE", "INTERFACE", "REVISION", "LABELS"],
        ),
        Document::LookupRecord(_) => Table::new(
            &["VSID", "CA", "MAC", "PA", "TYPE", "PORT", "STATE"],
            &["RULE", "VMNETWORK", "VM", "REVISION", "LABELS"],
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
        spec.routing_domain_id.to_string(),
        subnets.join("; "),
        o.status.state.clone(),
        text(spec.customer_id.as_ref()),
        word(&spec.isolation),
        word(&spec.table_mode),
        spec.slow_path_weight.to_string(),
        revision(o),
        labels(meta),
    ]
}

fn port(meta: &Metadata, spec: &PortSpec, o: &ObjectView) -> Vec<String> {
    vec![
        text(meta.vm_network.as_ref()),
        text(meta.name.as_ref()),
        spec.host.clone(),
        spec.virtual_subnet_id.to_string(),
        joined(&spec.customer_addresses),
        spec.mac_address.to_string(),
        o.status.state.clone(),
        word(&spec.mode),
        text(o.status.interface.as_ref()),
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
        text(meta.vm_network.as_ref()),
        text(spec.vm_name.as_ref()),
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

/// The word that documents use for a value.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::testing;

    fn table(list: &ObjectList, wide: bool) -> String {
        let mut out = Vec::new();
        objects_into(&mut out, list, View { wide, width: None }).expect("written");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_port_is_a_line() {
        let list = testing::list("PortList", vec![testing::port("blue-vm1")]);
        assert_eq!(
            table(&list, false),
            "VMNETWORK  NAME      HOST    VSID  CA        MAC                STATE\n\
             blue       blue-vm1  host-a  6001  10.0.0.5  02:00:00:0b:00:05  Ready\n"
        );
    }

    #[test]
    fn each_kind_has_its_table() {
        let list = testing::list("List", testing::documents());
        for wide in [false, true] {
            let text = table(&list, wide);
            assert_eq!(text.split("\n\n").count(), 5, "{text}");
            assert_eq!(text.contains("LABELS"), wide);
        }
    }

    #[test]
    fn names_can_be_given_back() {
        let mut out = Vec::new();
        names_into(&mut out, &testing::list("List", testing::documents())).expect("written");
        assert_eq!(
            String::from_utf8(out).expect("UTF-8"),
            "providernetwork/default\nhost/host-a\nvmnetwork/blue\nport/blue/blue-vm1\n\
             lookuprecord/6001/10.0.0.9\n"
        );
    }
}
