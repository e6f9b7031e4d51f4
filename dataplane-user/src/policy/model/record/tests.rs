use super::*;
use crate::policy::testing::{host, network, policy, port, subnet};

#[test]
fn derived_records_have_the_port_s_rule_and_addresses() {
    let nat = ", rule: TranslationMethodNat, providerAddresses: [198.51.100.5, '2001:db8::5'], useVmMACAddress: true";
    let policy = policy(&[
        host("host-a", &["192.0.2.1", "192.0.2.9"]),
        host("host-b", &["192.0.2.2"]),
        network(
            "blue",
            "",
            &[subnet(6001, &["10.0.0.0/24", "fd00:a::/64"], "")],
        ),
        port(
            ("blue", "vm1", "host-a"),
            (6001, 5, &["10.0.0.5", "fd00:a::5"]),
            nat,
        ),
        port(("blue", "vm2", "host-a"), (6001, 6, &["10.0.0.6"]), ""),
        port(
            ("blue", "vm3", "host-b"),
            (6001, 7, &["10.0.0.7"]),
            ", rule: TranslationMethodNone",
        ),
    ]);
    let told: Vec<String> = derived_records(&policy)
        .map(|r| {
            let (host, mac) = (r.host, r.use_vm_mac);
            format!("{} {} {:?} {host} {mac}", r.ca, r.pa, r.rule)
        })
        .collect();
    let expected = [
        "10.0.0.5 198.51.100.5 TranslationMethodNat host-a true",
        "fd00:a::5 2001:db8::5 TranslationMethodNat host-a true",
        "10.0.0.6 192.0.2.1 TranslationMethodEncap host-a false",
        "10.0.0.7 192.0.2.2 TranslationMethodNone host-b false",
    ];
    assert_eq!(told, expected);
}
