//! Neighbour messages.

use super::*;

#[test]
fn a_neighbour_message_does_not_hide_behind_extension_headers() {
    let message = &solicitation(5, 7)[54..];
    for count in 0..=4 {
        let got = parsed(&behind(&vec![(60, OPTIONS_8); count], 58, message));
        assert_eq!((got.kind, got.target), (Kind::Solicitation, ca6(7)));
    }
    let five = behind(&[(60, OPTIONS_8); 5], 58, message);
    assert_eq!(refused(&five), DropReason::ExtensionHeaders);
}

#[test]
fn neighbour_messages_are_what_rfc_4861_says() {
    let good = solicitation(5, 7);
    let first = fragment(0);
    let message = &good[54..];
    for (what, frame) in [
        ("hop limit", set(&good, 21, &[254])),
        ("code", set(&good, 55, &[1])),
        ("group", set(&good, 62, &address("ff02::1").to_bytes())),
        ("nobody", set(&good, 62, &[0; 16])),
        ("fragment", behind(&[(44, &first[..])], 58, message)),
        ("option of no length", set(&good, 79, &[0])),
        ("option beyond the end", set(&good, 79, &[2])),
    ] {
        assert_eq!(refused(&frame), DropReason::NeighbourMalformed, "{what}");
    }
    let short = set(&good[..77], 18, &[0, 23]);
    assert_eq!(refused(&short), DropReason::Truncated);
}

#[test]
fn one_option_says_which_station_it_is() {
    let of = |kind, options: &[u8]| {
        let frame = neighbour_with(kind, ca6(5), ca6(7), ca6(5), options);
        headers(&Bytes::new(&frame), 0).map(|headers| headers.station)
    };
    for kind in [icmp::SOLICITATION, icmp::ADVERTISEMENT] {
        assert_eq!(of(kind, &[]), Ok(mac(5)));
        assert_eq!(of(kind, &link_layer(1, mac(9))), Ok(mac(9)));
        assert_eq!(of(kind, &link_layer(2, mac(9))), Ok(mac(9)));
        let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
        assert_eq!(of(kind, &nonce), Ok(mac(5)));
        // A second one would say something else than what was checked.
        for first in [nonce.to_vec(), link_layer(1, mac(5))] {
            let two = [first, link_layer(2, mac(9))].concat();
            assert_eq!(of(kind, &two), Err(DropReason::NeighbourMalformed));
        }
    }
}

#[test]
fn padding_behind_the_packet_is_no_option() {
    let bare = neighbour_with(icmp::ADVERTISEMENT, ca6(5), ca6(7), ca6(5), &[]);
    let padded = [bare, link_layer(2, mac(9))].concat();
    assert_eq!(parsed(&padded).station, mac(5));
}
