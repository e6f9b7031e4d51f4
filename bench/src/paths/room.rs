//! How many records a table has room for, and how many of them packets can ask for: the same for every
//! path with such a table, since a hash table that is half as full has shorter chains.

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

#[cfg(test)]
mod tests {
    use super::*;

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
