//! How many records a table has room for, and how many of them packets can ask for: the same for every
//! path with such a table, since a hash table that is half as full has shorter chains.

use crate::scenario::Scenario;

/// CAs that have a PA of their own, at most: `UNDERLAY` has 65,536 entries, the first is unused, and
/// some are left for what is no key's.
pub const PAS: u32 = 65_536 - FEW;
/// Room that a table has at least: what the product has unless it is told otherwise.
const LEAST: u32 = 65_536;
/// Records beside those of the keys: of ports and their peers.
const FEW: u32 = 16;

/// Room of a table that a scenario wants with so many records: entries.
pub const fn room(records: u32) -> u32 {
    if records > LEAST { records } else { LEAST }
}

/// How many keys have a record in such a table. A full one has some that nobody asks for.
pub const fn keys(records: u32) -> u32 {
    let most = room(records) - FEW;
    match records {
        0 => 1,
        records if records > most => most,
        records => records,
    }
}

/// How many keys the packets of a scenario can ask for: where each needs a PA of its own, these.
pub const fn asked(scenario: &Scenario) -> u32 {
    let keys = keys(scenario.records);
    if scenario.work.rewrites() && keys > PAS {
        PAS
    } else {
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Work;

    #[test]
    fn keys_with_a_pa_of_their_own_are_no_more_than_there_are_pas() {
        let of = |work, records| {
            asked(&Scenario {
                work,
                records,
                ..Scenario::PLAIN
            })
        };
        assert_eq!(of(Work::RewriteOutIn, 1024), 1024);
        assert_eq!(of(Work::RewriteOut, 1 << 20), 65_520);
        assert_eq!(of(Work::EncapDecap, 1 << 20), (1 << 20) - FEW);
    }

    #[test]
    fn a_table_is_as_large_as_is_said_with_everything_in_it() {
        for records in [1 << 16, 1 << 20, 1 << 23] {
            assert_eq!(room(records), records);
            assert_eq!(keys(records) + FEW, records);
        }
    }

    #[test]
    fn a_small_table_has_a_record_for_each_key() {
        for records in [1, 1024, 65_520] {
            assert_eq!((room(records), keys(records)), (LEAST, records));
        }
        assert_eq!(keys(0), 1);
    }
}
