//! What becomes of a packet whose record cannot be read.

use crate::{
    abi::{flood::Flood, vport::Vport},
    forward::testing::{
        BLUE, BLUE_IF, HostTables, arp_request, ca4, ca6, dropped, dropped_in, egress, encapped,
        lldp, mac, nvgre, solicitation, tcp, tcp6, tcp6_between, to,
    },
    id::Mac,
    reason::DropReason,
};

const PA: [u8; 4] = [192, 0, 2, 2];

/// No record can be read; routes and stations can.
fn busy() -> HostTables {
    let mut tables = HostTables::two_tenants();
    tables.busy = true;
    tables.add_route("0.0.0.0", 0, 7);
    tables.add_route("::", 0, 7);
    tables
}

#[test]
fn a_port_sends_by_nothing_in_its_place() {
    let mut tables = busy();
    tables.allow(BLUE_IF, Vport::UNKNOWN_CAS | Vport::ON_DEMAND);
    for frame in [
        tcp(ca4(5), ca4(7)),
        tcp(ca4(5), [198, 51, 100, 1]),
        tcp6(5, 7),
        tcp6_between(ca6(5), ca6(99)),
        arp_request(ca4(5), ca4(7)),
        solicitation(5, 7),
    ] {
        assert_eq!(dropped(&tables, BLUE_IF, &frame), DropReason::LookupBusy);
    }
}

#[test]
fn a_group_is_not_sent_to_other_hosts_than_it_has() {
    let mut tables = busy();
    tables.allow(BLUE_IF, Vport::BROADCAST);
    tables
        .floods
        .insert(BLUE, Flood::new(&[BLUE_IF], &[], false));
    let group = to(Mac([1, 0, 0x5e, 1, 1, 1]), &tcp(ca4(5), [239, 1, 1, 1]));
    assert_eq!(dropped(&tables, BLUE_IF, &group), DropReason::LookupBusy);
    let all = to(Mac::BROADCAST, &tcp(ca4(5), [255; 4]));
    assert_eq!(dropped(&tables, BLUE_IF, &all), DropReason::LookupBusy);
}

#[test]
fn nobody_speaks_from_the_wire_unproven() {
    let tables = busy();
    for frame in [tcp(ca4(7), ca4(5)), tcp6(7, 5)] {
        let frame = nvgre(BLUE, PA, &frame);
        assert_eq!(dropped_in(&tables, &frame), DropReason::LookupBusy);
    }
}

#[test]
fn what_needs_no_record_goes_on() {
    let mut tables = busy();
    tables.allow(BLUE_IF, Vport::NON_IP | Vport::BROADCAST);
    tables
        .floods
        .insert(BLUE, Flood::new(&[BLUE_IF], &[], false));
    encapped(&tables, BLUE_IF, &lldp(mac(7), mac(5)));
    let hosts = to(Mac::BROADCAST, &tcp(ca4(5), ca4(7)));
    assert!(egress(&tables, BLUE_IF, &hosts).is_ok());
}
