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
fn names_can_be_given_back() {
    let mut out = Vec::new();
    names_into(&mut out, &testing::list("List", testing::documents())).expect("written");
    assert_eq!(
        String::from_utf8(out).expect("UTF-8"),
        "providernetwork/default\nhost/host-a\nvmnetwork/blue\nport/blue/blue-vm1\n\
         lookuprecord/6001/10.0.0.9\ncustomerroute/blue/default\n"
    );
}
