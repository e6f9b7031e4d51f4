//! Explicit congestion notification across the tunnel (RFC 6040).

use crate::reason::DropReason;

const MASK: u8 = 0b11;
const NOT_ECT: u8 = 0b00;
const ECT_1: u8 = 0b01;
const CE: u8 = 0b11;

/// Outer TOS: the inner ECN field always, and the DSCP copied or fixed
/// (RFC 6040 section 4.1, normal mode). `dscp` 0..=63, anything else copies.
#[inline(always)]
pub const fn outer_tos(inner: u8, dscp: u8) -> u8 {
    if dscp <= 63 {
        (dscp << 2) | (inner & MASK)
    } else {
        inner
    }
}

/// Inner TOS after decapsulation: DSCP as it was, ECN by RFC 6040 figure 4.
#[inline(always)]
pub const fn inner_tos(outer: u8, inner: u8) -> Result<u8, DropReason> {
    match (outer & MASK, inner & MASK) {
        (CE, NOT_ECT) => Err(DropReason::EcnInvalid),
        (CE, _) => Ok(inner | CE),
        (ECT_1, 0b10) => Ok((inner & !MASK) | ECT_1),
        _ => Ok(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decapsulation_follows_figure_4_of_rfc_6040() {
        // Rows: inner Not-ECT, ECT(0), ECT(1), CE; columns: outer Not-ECT, ECT(0), ECT(1), CE.
        let figure = [
            (0b00, [Some(0b00), Some(0b00), Some(0b00), None]),
            (0b10, [Some(0b10), Some(0b10), Some(0b01), Some(0b11)]),
            (0b01, [Some(0b01), Some(0b01), Some(0b01), Some(0b11)]),
            (0b11, [Some(0b11), Some(0b11), Some(0b11), Some(0b11)]),
        ];
        for (inner, row) in figure {
            for (outer, want) in [0b00, 0b10, 0b01, 0b11].into_iter().zip(row) {
                let got = inner_tos(0xA0 | outer, 0xB8 | inner).ok();
                assert_eq!(
                    got,
                    want.map(|ecn| 0xB8 | ecn),
                    "outer {outer} inner {inner}"
                );
            }
        }
    }

    #[test]
    fn encapsulation_copies_ecn_and_optionally_dscp() {
        assert_eq!(outer_tos(0xB9, 0xFF), 0xB9);
        assert_eq!(outer_tos(0xB9, 10), (10 << 2) | 1);
    }
}
