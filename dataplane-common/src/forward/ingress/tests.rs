use super::*;
use crate::{
    forward::{
        parse::{self, Frame as _},
        testing::{self, BLUE, BLUE_IF, Bytes, HostTables, RED, RED_IF, mac, nvgre, tcp},
    },
    id::Mac,
    wire::outer,
};

const PEER: [u8; 4] = [192, 0, 2, 2];
const REMOTE: [u8; 4] = [10, 0, 0, 7];
const A: [u8; 4] = [10, 0, 0, 5];

/// The steps of `pipeline::ingress`; `None` is a pass.
fn decide<'t>(tables: &'t HostTables, frame: &[u8]) -> Result<Option<Ingress<'t>>, Halt> {
    let frame = Bytes::new(frame);
    let eth: EthHeader = frame.load(0).expect("ethernet");
    let Some(ip) = frame.load::<Ipv4Header>(14) else {
        return Ok(None);
    };
    if eth.ethertype() != ether::IPV4 || !is_ours(tables, &ip) {
        return Ok(None);
    }
    let word: [u8; 4] = frame.load(gre_offset(&ip)?).ok_or(DropReason::Truncated)?;
    if !is_nvgre(tables, &ip, &GreHeader::from_word(word))? {
        return Ok(None);
    }
    outer_valid(&ip, frame.len(), true)?;
    let gre: GreHeader = frame.load(34).ok_or(DropReason::Truncated)?;
    let tunnel = tunnel(tables, &ip, &gre, frame.load(outer::LEN))?;
    ingress(tables, &tunnel, &parse::headers(&frame, outer::LEN)?).map(Some)
}

fn dropped(tables: &HostTables, frame: &[u8]) -> DropReason {
    let halt = decide(tables, frame).expect_err("dropped");
    assert_eq!(halt.punt, None, "asked about");
    halt.reason
}

/// The packet with bytes changed and the outer checksum made right again.
fn set(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut changed = frame.to_vec();
    changed[at..at + bytes.len()].copy_from_slice(bytes);
    changed[24..26].fill(0);
    let words: Vec<u16> = changed[14..34]
        .chunks(2)
        .map(|w| u16::from_be_bytes([w[0], w[1]]))
        .collect();
    let words: [u16; 10] = words.try_into().expect("ten words");
    let sum = crate::wire::checksum::sum(words);
    changed[24..26].copy_from_slice(&(!sum).to_be_bytes());
    changed
}

#[test]
fn same_ca_in_two_vsids_never_meets() {
    let tables = HostTables::two_tenants();
    for (vsid, ifindex) in [(BLUE, BLUE_IF), (RED, RED_IF)] {
        let frame = nvgre(vsid, PEER, &tcp(REMOTE, A));
        let got = decide(&tables, &frame).expect("no drop").expect("ours");
        assert_eq!(
            (got.deliver.ifindex, got.deliver.dst_mac, got.marked),
            (ifindex, mac(5), None)
        );
    }
}

#[test]
fn what_is_not_ours_passes() {
    let tables = HostTables::two_tenants();
    let frame = nvgre(BLUE, PEER, &tcp(REMOTE, A));
    for (at, bytes) in [
        (12, &[0x86, 0xDD][..]),
        (14, &[0x55]),
        (23, &[6]),
        (30, &[192, 0, 2, 9]),
    ] {
        assert_eq!(decide(&tables, &set(&frame, at, bytes)), Ok(None), "{at}");
    }
    assert_eq!(decide(&tables, &set(&frame, 36, &[0x08, 0x00])), Ok(None));
}

#[test]
fn all_first_gre_words_but_one_are_dropped() {
    let tables = HostTables::two_tenants();
    let frame = nvgre(BLUE, PEER, &tcp(REMOTE, A));
    for flags in 0..=u16::MAX {
        let got = decide(&tables, &set(&frame, 34, &flags.to_be_bytes()));
        if flags == 0x2000 {
            assert!(matches!(got, Ok(Some(_))));
        } else {
            assert_eq!(got, Err(DropReason::DecapBadGre.into()), "{flags:#06x}");
        }
    }
}

#[test]
fn foreign_gre_is_dropped_on_demand() {
    let mut tables = HostTables::two_tenants();
    tables.config = Some(Config {
        drop_foreign_gre: 1,
        ..Config::DEFAULT
    });
    let frame = set(&nvgre(BLUE, PEER, &tcp(REMOTE, A)), 36, &[0x08, 0x00]);
    assert_eq!(dropped(&tables, &frame), DropReason::ForeignGre);
}

#[test]
fn outer_header_must_be_sound() {
    let tables = HostTables::two_tenants();
    let frame = nvgre(BLUE, PEER, &tcp(REMOTE, A));
    let options = [&frame[..34], &[1; 4], &frame[34..]].concat();
    let total_len = u16::try_from(options.len() - 14).expect("short");
    let options = set(&set(&options, 14, &[0x46]), 16, &total_len.to_be_bytes());
    assert_eq!(dropped(&tables, &options), DropReason::OuterMalformed);
    assert_eq!(decide(&tables, &set(&options, 40, &[8, 0])), Ok(None));
    let trailer = [&frame[..], &[0]].concat();
    assert_eq!(dropped(&tables, &trailer), DropReason::OuterMalformed);
    assert_eq!(
        dropped(&tables, &set(&frame, 16, &[0xFF, 0xFF])),
        DropReason::OuterMalformed
    );
    assert_eq!(
        dropped(&tables, &set(&frame, 20, &[0x20, 0x00])),
        DropReason::OuterFrag
    );
    assert_eq!(
        dropped(&tables, &set(&frame, 20, &[0x00, 0x01])),
        DropReason::OuterFrag
    );
    let mut bad_sum = frame.clone();
    bad_sum[24] ^= 1;
    assert_eq!(dropped(&tables, &bad_sum), DropReason::OuterChecksum);
}

#[test]
fn vsid_must_be_a_tenants_and_known_here() {
    let tables = HostTables::two_tenants();
    for vsid in 0..Vsid::MIN {
        let frame = nvgre(vsid, PEER, &tcp(REMOTE, A));
        assert_eq!(dropped(&tables, &frame), DropReason::VsidReserved);
    }
    assert_eq!(
        dropped(&tables, &nvgre(0xFF_FFFF, PEER, &tcp(REMOTE, A))),
        DropReason::VsidVendor
    );
    assert_eq!(
        dropped(&tables, &nvgre(9999, PEER, &tcp(REMOTE, A))),
        DropReason::VsidUnknown
    );
}

#[test]
fn inner_frame_must_be_whole_and_untagged() {
    let tables = HostTables::two_tenants();
    let frame = nvgre(BLUE, PEER, &tcp(REMOTE, A));
    assert_eq!(
        dropped(&tables, &set(&frame[..55], 16, &41_u16.to_be_bytes())),
        DropReason::InnerShort
    );
    for tag in [[0x81, 0x00], [0x88, 0xA8]] {
        assert_eq!(
            dropped(&tables, &set(&frame, 54, &tag)),
            DropReason::InnerVlan
        );
    }
}

#[test]
fn the_outer_source_must_be_the_inner_sources_pa() {
    let tables = HostTables::two_tenants();
    let inner = tcp(REMOTE, A);
    assert_eq!(
        dropped(&tables, &nvgre(BLUE, [192, 0, 2, 3], &inner)),
        DropReason::PaMismatch
    );
    assert_eq!(
        dropped(&tables, &nvgre(BLUE, PEER, &tcp([10, 0, 0, 8], A))),
        DropReason::SrcUnknown
    );
    // A local CA, even behind our own PA, does not come from the wire.
    let own = nvgre(BLUE, [192, 0, 2, 1], &tcp([10, 0, 0, 6], A));
    assert_eq!(dropped(&tables, &own), DropReason::PaMismatch);
    let gateway = nvgre(BLUE, PEER, &tcp([10, 0, 0, 1], A));
    assert_eq!(dropped(&tables, &gateway), DropReason::PaMismatch);
}

#[test]
fn the_destination_must_be_a_port_with_mac_and_ca() {
    let mut tables = HostTables::two_tenants();
    let frame = nvgre(BLUE, PEER, &tcp(REMOTE, A));
    assert_eq!(
        dropped(&tables, &set(&frame, 42, &mac(9).0)),
        DropReason::NoLocalPort
    );
    assert_eq!(
        dropped(&tables, &set(&frame, 42, &mac(6).0)),
        DropReason::CaPortMismatch
    );
    assert_eq!(
        dropped(&tables, &set(&frame, 42, &Mac::BROADCAST.0)),
        DropReason::BcastDisabled
    );
    let port = tables.vports.get_mut(&BLUE_IF).expect("port");
    port.mtu = 39;
    assert_eq!(dropped(&tables, &frame), DropReason::PortMtu);
    tables.vports.remove(&BLUE_IF);
    assert_eq!(dropped(&tables, &frame), DropReason::NoLocalPort);
}

#[test]
fn congestion_is_carried_inwards() {
    let tables = HostTables::two_tenants();
    let capable = {
        let mut inner = tcp(REMOTE, A);
        inner[15] = 0b10;
        inner
    };
    let marked = set(&nvgre(BLUE, PEER, &capable), 15, &[0b11]);
    let got = decide(&tables, &marked).expect("no drop").expect("ours");
    assert_eq!(got.marked.map(|ip| ip.tos()), Some(0b11));
    let incapable = set(&nvgre(BLUE, PEER, &tcp(REMOTE, A)), 15, &[0b11]);
    assert_eq!(dropped(&tables, &incapable), DropReason::EcnInvalid);
}

#[test]
fn arp_is_checked_like_data() {
    let tables = HostTables::two_tenants();
    let arp = testing::arp(1, mac(5), REMOTE, A);
    assert!(matches!(
        decide(&tables, &nvgre(BLUE, PEER, &arp)),
        Ok(Some(_))
    ));
    let mut malformed = arp;
    malformed[14] = 9;
    assert_eq!(
        dropped(&tables, &nvgre(BLUE, PEER, &malformed)),
        DropReason::ArpMalformed
    );
}

#[test]
fn on_demand_asks_about_a_source_that_it_does_not_know() {
    let mut tables = HostTables::two_tenants();
    let subnet = tables.vsids.get_mut(&BLUE).expect("subnet");
    subnet.flags |= VirtualSubnet::ON_DEMAND;
    let frame = nvgre(BLUE, PEER, &tcp([10, 0, 0, 99], A));
    let halt = decide(&tables, &frame).expect_err("asked about");
    assert_eq!(halt, Halt::ask(Punt::SourceMiss, DropReason::PuntFailed));
    let frame = nvgre(RED, PEER, &tcp([10, 0, 0, 99], A));
    assert_eq!(dropped(&tables, &frame), DropReason::SrcUnknown);
    let key = crate::abi::lookup::LookupKey {
        rdid: 1,
        ca: [10, 0, 0, 99],
    };
    tables.lookup.insert(key, LookupRecord::negative(BLUE));
    let frame = nvgre(BLUE, PEER, &tcp([10, 0, 0, 99], A));
    assert_eq!(dropped(&tables, &frame), DropReason::SrcUnknown);
}
