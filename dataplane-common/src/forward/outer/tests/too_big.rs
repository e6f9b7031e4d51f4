//! What routers of the underlay say.

use super::*;

/// ICMP's message that a packet of ours was too big, which quotes its first bytes.
fn too_big(v4: bool) -> Vec<u8> {
    let gre = [0x20, 0, 0x65, 0x58];
    if v4 {
        let quoted = ipv4([192, 0, 2, 1], PA, 47, &gre);
        let message = [&[3, 4, 0, 0, 0, 0, 5, 0x78][..], &quoted[14..]].concat();
        ipv4([192, 0, 2, 254], [192, 0, 2, 1], 1, &message)
    } else {
        let quoted = ipv6(pa6(1), pa6(2), (47, 64), &gre);
        let message = [&[2, 0, 0, 0, 0, 0, 5, 0x78][..], &quoted[14..]].concat();
        ipv6(pa6(9), pa6(1), (58, 64), &message)
    }
}

fn tells(frame: &[u8]) -> bool {
    let frame = Bytes::new(frame);
    ip(&frame).is_some_and(|ip| is_too_big(&HostTables::two_tenants(), &frame, &ip))
}

#[test]
fn the_underlay_says_that_gre_was_too_big() {
    let four = too_big(true);
    assert!(tells(&four));
    let options = [&four[..34], &[1; 4], &four[34..]].concat();
    assert!(tells(&set(&options, 14, &[0x46])));
    for (what, at, bytes) in [
        ("type", 34, &[11][..]),
        ("code", 35, &[1]),
        ("quoted", 51, &[6]),
        ("fragment", 20, &[0, 1]),
        ("protocol", 23, &[58]),
        ("not to us", 33, &[9]),
        ("header", 14, &[0x44]),
    ] {
        assert!(!tells(&set(&four, at, bytes)), "{what}");
    }
    let six = too_big(false);
    assert!(tells(&six));
    for (what, at, bytes) in [
        ("type", 54, &[1][..]),
        ("code", 55, &[1]),
        ("quoted", 68, &[6]),
        ("protocol", 20, &[1]),
        ("not to us", 53, &[9]),
    ] {
        assert!(!tells(&set(&six, at, bytes)), "{what}");
    }
    assert!(!tells(&insert6(&six, 44, &[58, 0, 0, 0, 0, 0, 0, 1])));
    assert!(!tells(&icmpv4(ca4(7), [192, 0, 2, 1], 8)));
    assert!(!tells(&icmpv6(ca6(7), pa6(1), 128)));
    for whole in [&four, &six] {
        for len in 0..whole.len() {
            let quoted = if whole == &four { 52 } else { 69 };
            assert_eq!(tells(&whole[..len]), len >= quoted, "{len}");
        }
    }
}
