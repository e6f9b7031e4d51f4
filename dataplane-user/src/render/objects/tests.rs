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
        assert_eq!(text.split("\n\n").count(), 6, "{text}");
        assert_eq!(text.contains("LABELS"), wide);
    }
}

#[test]
fn an_isolation_tells_its_vlan() {
    let network = testing::document(
        r#"{"apiVersion":"nve/v1","kind":"VMNetwork","metadata":{"name":"office"},
        "spec":{"isolation":"VLAN","vlan":{"id":100}}}"#,
    );
    let text = table(&testing::list("VMNetworkList", vec![network]), true);
    assert!(text.contains(" VLAN 100 "), "{text}");
}

#[test]
fn a_rewriting_port_tells_its_addresses() {
    let port = testing::document(
        r#"{"apiVersion":"nve/v1","kind":"Port","metadata":{"name":"vm1","vmNetwork":"blue"},
        "spec":{"host":"host-a","virtualSubnetId":6001,"macAddress":"02:00:00:0b:00:05",
        "customerAddresses":["10.0.0.5","fd00:a::5"],"rule":"TranslationMethodNat",
        "providerAddresses":["198.51.100.5","2001:db8::5"],"useVmMACAddress":true,
        "attach":{"netns":"vm1"}}}"#,
    );
    let list = testing::list("PortList", vec![port, testing::port("vm2")]);
    let columns = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let text = table(&list, true);
    let lines: Vec<Vec<String>> = text.lines().map(columns).collect();
    assert_eq!(lines[0][9..=12], ["TYPE", "RULE", "PA", "VM-MAC"]);
    let nat = [
        "Static",
        "TranslationMethodNat",
        "198.51.100.5,2001:db8::5",
        "true",
    ];
    assert_eq!(lines[1][9..=12], nat);
    assert_eq!(lines[2][9..=12], ["Static", "-", "-", "-"]);
}

#[test]
fn a_rewriting_record_tells_its_rule() {
    let record = testing::document(
        r#"{"apiVersion":"nve/v1","kind":"LookupRecord","metadata":{"vmNetwork":"blue"},
        "spec":{"virtualSubnetId":6001,"customerAddress":"10.0.0.9","macAddress":"02:00:00:0b:00:09",
        "providerAddress":"198.51.100.9","rule":"TranslationMethodNat","useVmMACAddress":true}}"#,
    );
    let text = table(&testing::list("LookupRecordList", vec![record]), true);
    let header = text.lines().next().expect("a header");
    assert!(
        header.contains("RULE                  VM-MAC  VMNETWORK"),
        "{text}"
    );
    assert!(
        text.contains("TranslationMethodNat  true    blue"),
        "{text}"
    );
}

#[test]
fn names_can_be_given_back() {
    let mut out = Vec::new();
    names_into(&mut out, &testing::list("List", testing::documents())).expect("written");
    assert_eq!(
        String::from_utf8(out).expect("UTF-8"),
        "providernetwork/default\nhost/host-a\nvmnetwork/blue\nport/blue/blue-vm1\n\
         lookuprecord/6001/10.0.0.9\ncustomerroute/blue/default\n"
    );
}
