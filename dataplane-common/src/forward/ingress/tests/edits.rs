//! What changes in a frame that is delivered, and what is looked at first.

use super::*;

#[test]
fn segments_are_clamped_for_the_port() {
    let mut tables = HostTables::two_tenants();
    tables.port(BLUE_IF).mss = [1400, 1380];
    for (frame, most) in both(7).iter().zip([1400, 1380]) {
        assert_eq!(decapped(&tables, &nvgre(BLUE, PA, frame)).edit.mss, most);
    }
    let datagram = nvgre(BLUE, PA, &udp(ca4(7), ca4(5), 1, 2));
    assert_eq!(decapped(&tables, &datagram).edit.mss, 0);
}

#[test]
fn a_dhcp_answer_to_a_learning_port_is_looked_at() {
    let mut tables = HostTables::two_tenants();
    let answer = nvgre(BLUE, PA, &udp(ca4(7), ca4(5), 67, 68));
    decapped(&tables, &answer);
    tables.allow(BLUE_IF, Vport::LEARNS);
    let halt = ingress(&tables, &answer).expect_err("asked about");
    assert_eq!(halt, Halt::ask(Punt::DhcpAck, DropReason::PuntFailed));
    // Nobody learns from a server that is not where it says.
    let spoofed = nvgre(BLUE, [192, 0, 2, 3], &udp(ca4(7), ca4(5), 67, 68));
    assert_eq!(dropped_in(&tables, &spoofed), DropReason::PaMismatch);
}

#[test]
fn congestion_is_carried_inwards() {
    let tables = HostTables::two_tenants();
    let [v4, v6] = both(7);
    for (capable, incapable) in [
        (set(&v4, 15, &[0b10]), v4),
        (set(&v6, 14, &[0x60, 0x20]), v6),
    ] {
        let marked = set_outer(&nvgre(BLUE, PA, &capable), 15, &[0b11]);
        assert_eq!(decapped(&tables, &marked).edit.tos, 0b11);
        let marked = set_outer(&nvgre(BLUE, PA, &incapable), 15, &[0b11]);
        assert_eq!(dropped_in(&tables, &marked), DropReason::EcnInvalid);
    }
    // What has no such field loses nothing.
    let told = set_outer(
        &nvgre(BLUE, PA, &arp(2, mac(5), ca4(7), ca4(5))),
        15,
        &[0b11],
    );
    decapped(&tables, &told);
}

#[test]
fn congestion_of_an_ipv6_underlay_is_carried_too() {
    let mut tables = HostTables::two_tenants();
    tables.remote_at(PEER6);
    let capable = set(&tcp6(7, 5), 14, &[0x6B, 0xA0]);
    let marked = set(&nvgre(BLUE, pa6(2), &capable), 14, &[0x60, 0x30]);
    assert_eq!(decapped(&tables, &marked).edit.tos, 0xBB);
    let marked = set(&nvgre(BLUE, pa6(2), &tcp6(7, 5)), 14, &[0x60, 0x30]);
    assert_eq!(dropped_in(&tables, &marked), DropReason::EcnInvalid);
}
