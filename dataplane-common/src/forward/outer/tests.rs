mod hosts;
mod too_big;

use super::*;
use crate::forward::testing::{
    BLUE, Bytes, HostTables, PEER6, address, ca4, ca6, decapped, dropped_in, icmpv4, icmpv6,
    ingress, ipv4, ipv6, nvgre, pa6, set, set_outer, tcp, tcp6,
};

const PA: [u8; 4] = [192, 0, 2, 2];

/// A host that is reached over both families, and a tenant's packet over each.
fn over_both() -> ([HostTables; 2], [Vec<u8>; 2]) {
    let mut six = HostTables::two_tenants();
    six.remote_at(PEER6);
    let inner = tcp(ca4(7), ca4(5));
    let frames = [nvgre(BLUE, PA, &inner), nvgre(BLUE, pa6(2), &inner)];
    ([HostTables::two_tenants(), six], frames)
}

/// Bytes put into a packet over IPv6 behind its IP header, the length made right.
fn insert6(frame: &[u8], next: u8, bytes: &[u8]) -> Vec<u8> {
    let longer = [&frame[..54], bytes, &frame[54..]].concat();
    let len = (longer.len() - 54) as u16;
    set(&set(&longer, 18, &len.to_be_bytes()), 20, &[next])
}

/// A fragment header in front of GRE.
const fn fragment(offset: u8) -> [u8; 8] {
    [47, 0, 0, offset, 0, 0, 0, 1]
}

#[test]
fn all_first_gre_words_but_one_are_dropped() {
    let (tables, frames) = over_both();
    for ((tables, frame), at) in tables.iter().zip(&frames).zip([34, 54]) {
        for flags in 0..=u16::MAX {
            let got = ingress(tables, &set(frame, at, &flags.to_be_bytes()));
            if flags == 0x2000 {
                assert!(matches!(got, Ok(Some(_))));
            } else {
                assert_eq!(got, Err(DropReason::DecapBadGre.into()), "{flags:#06x}");
            }
        }
    }
}

#[test]
fn an_ipv4_header_must_be_sound() {
    let ([tables, _], [frame, _]) = over_both();
    let options = [&frame[..34], &[1; 4], &frame[34..]].concat();
    let total_len = (options.len() - 14) as u16;
    let options = set_outer(&set(&options, 14, &[0x46]), 16, &total_len.to_be_bytes());
    assert_eq!(dropped_in(&tables, &options), DropReason::OuterMalformed);
    // Whose GRE it is stands behind the options.
    assert_eq!(
        ingress(&tables, &set_outer(&options, 40, &[8, 0])),
        Ok(None)
    );
    for at in 0..5 {
        let frame = set_outer(&frame, 14, &[0x40 | at]);
        assert_eq!(dropped_in(&tables, &frame), DropReason::OuterMalformed);
    }
    let trailer = [&frame[..], &[0]].concat();
    assert_eq!(dropped_in(&tables, &trailer), DropReason::OuterMalformed);
    for len in [0, 27, 28, 1000, 0xFFFF_u16] {
        let frame = set_outer(&frame, 16, &len.to_be_bytes());
        assert_eq!(dropped_in(&tables, &frame), DropReason::OuterMalformed);
    }
    for offset in [[0x20, 0], [0, 1], [0x3F, 0xFF]] {
        let frame = set_outer(&frame, 20, &offset);
        assert_eq!(dropped_in(&tables, &frame), DropReason::OuterFrag);
    }
    let bad_sum = set(&frame, 24, &[frame[24] ^ 1]);
    assert_eq!(dropped_in(&tables, &bad_sum), DropReason::OuterChecksum);
    let ip = ip(&Bytes::new(&bad_sum)).expect("a header");
    assert_eq!(valid(&Bytes::new(&bad_sum), &ip, false), Ok(()));
}

#[test]
fn an_ipv6_header_must_be_sound() {
    let ([_, tables], [_, frame]) = over_both();
    let trailer = [&frame[..], &[0]].concat();
    assert_eq!(dropped_in(&tables, &trailer), DropReason::OuterMalformed);
    for len in [0, 7, 8, 1000, 0xFFFF_u16] {
        let frame = set(&frame, 18, &len.to_be_bytes());
        assert_eq!(dropped_in(&tables, &frame), DropReason::OuterMalformed);
    }
    // Behind options GRE is not found, and so the host's.
    let options = insert6(&frame, 60, &[47, 0, 1, 4, 0, 0, 0, 0]);
    assert_eq!(ingress(&tables, &options), Ok(None));
}

#[test]
fn fragments_of_an_ipv6_underlay_are_refused() {
    let ([_, tables], [_, frame]) = over_both();
    for offset in [0, 1, 8, 0xF8] {
        let fragment = insert6(&frame, 44, &fragment(offset));
        assert_eq!(
            dropped_in(&tables, &fragment),
            DropReason::OuterFrag,
            "{offset}"
        );
    }
    // The first of another protocol's is the host's; a later one does not say whose it is.
    let foreign = set(&frame, 56, &[0x08, 0x00]);
    assert_eq!(
        ingress(&tables, &insert6(&foreign, 44, &fragment(1))),
        Ok(None)
    );
    let later = insert6(&foreign, 44, &fragment(8));
    assert_eq!(dropped_in(&tables, &later), DropReason::OuterFrag);
    let tcp = set(&insert6(&frame, 44, &fragment(8)), 54, &[6]);
    assert_eq!(ingress(&tables, &tcp), Ok(None));
}

#[test]
fn vsid_must_be_a_tenants_and_known_here() {
    let (tables, _) = over_both();
    for (tables, pa) in tables.iter().zip([Address::v4(PA), pa6(2)]) {
        let of = |vsid| dropped_in(tables, &nvgre(vsid, pa, &tcp(ca4(7), ca4(5))));
        for vsid in 0..Vsid::MIN {
            assert_eq!(of(vsid), DropReason::VsidReserved);
        }
        assert_eq!(of(0xFF_FFFF), DropReason::VsidVendor);
        assert_eq!(of(9999), DropReason::VsidUnknown);
    }
}

#[test]
fn inner_frame_must_be_whole_and_untagged() {
    let (tables, [over4, over6]) = over_both();
    let short4 = set_outer(&over4[..55], 16, &41_u16.to_be_bytes());
    assert_eq!(dropped_in(&tables[0], &short4), DropReason::InnerShort);
    let short6 = set(&over6[..75], 18, &21_u16.to_be_bytes());
    assert_eq!(dropped_in(&tables[1], &short6), DropReason::InnerShort);
    for tag in [[0x81, 0x00], [0x88, 0xA8]] {
        assert_eq!(
            dropped_in(&tables[0], &set(&over4, 54, &tag)),
            DropReason::InnerVlan
        );
        assert_eq!(
            dropped_in(&tables[1], &set(&over6, 74, &tag)),
            DropReason::InnerVlan
        );
    }
}

#[test]
fn what_a_tunnel_says_comes_from_its_outer_headers() {
    let (tables, frames) = over_both();
    let frames = [
        set(&frames[0], 15, &[0xB9]),
        set(&frames[1], 14, &[0x6B, 0x90]),
    ];
    for ((tables, frame), (pa, len)) in tables
        .iter()
        .zip(&frames)
        .zip([(Address::v4(PA), 42), (pa6(2), 62)])
    {
        let frame = Bytes::new(frame);
        let ip = ip(&frame).expect("a header");
        let at = gre_offset(&ip).expect("no fragment");
        let gre: GreHeader = frame.load(at).expect("whole");
        let told = tunnel(tables, &ip, &gre, &inner(&frame, at)).expect("ours");
        assert_eq!((told.pa, told.tos, told.outer_len()), (pa, 0xB9, len));
        assert_eq!(
            (told.vsid, told.rdid, told.routes, told.flags),
            (BLUE, 1, 1, 0)
        );
    }
}

#[test]
fn every_truncation_is_refused_and_none_panics() {
    let (tables, frames) = over_both();
    let inner6 = nvgre(BLUE, pa6(2), &tcp6(7, 5));
    for (tables, frame) in [
        (&tables[0], &frames[0]),
        (&tables[1], &frames[1]),
        (&tables[1], &inner6),
    ] {
        for len in 0..frame.len() {
            let got = ingress(tables, &frame[..len]);
            assert!(!matches!(got, Ok(Some(_))), "{len}");
        }
        // The same with an outer header that knows of it.
        let v4 = frame == &frames[0];
        for len in 62..frame.len() {
            let cut = if v4 {
                set_outer(&frame[..len], 16, &((len - 14) as u16).to_be_bytes())
            } else {
                set(&frame[..len], 18, &((len - 54) as u16).to_be_bytes())
            };
            let got = ingress(tables, &cut).expect_err("refused").reason;
            let short = matches!(got, DropReason::Truncated | DropReason::InnerShort);
            assert!(short, "{len}: {got:?}");
        }
    }
}
