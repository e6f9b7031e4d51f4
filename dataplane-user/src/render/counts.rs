//! Drops and counters.

use std::io::{self, Write};

use super::table::{Table, View};
use crate::control::protocol::{CounterList, DropList};

/// Drops as a table, the reason's sentence in the wide view.
pub fn drops_into(out: &mut impl Write, list: &DropList, view: View) -> io::Result<()> {
    let mut table = Table::new(
        &["PORT", "DIRECTION", "REASON", "PACKETS", "BYTES"],
        &["IN-USER-SPACE", "DESCRIPTION"],
    );
    for drop in &list.items {
        table.row(vec![
            drop.port.clone(),
            drop.direction.clone(),
            drop.reason.clone(),
            drop.packets.to_string(),
            drop.bytes.to_string(),
            drop.in_user_space.to_string(),
            drop.description.clone(),
        ]);
    }
    table.write_into(out, view)
}

/// Counters as a table.
pub fn counters_into(out: &mut impl Write, list: &CounterList, view: View) -> io::Result<()> {
    let mut table = Table::new(&["PORT", "COUNTER", "PACKETS", "BYTES"], &[]);
    for count in &list.items {
        table.row(vec![
            count.port.clone(),
            count.counter.clone(),
            count.packets.to_string(),
            count.bytes.to_string(),
        ]);
    }
    table.write_into(out, view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{control::protocol::DropCount, policy::document::ApiVersion};

    #[test]
    fn a_drop_is_a_line() {
        let list = DropList {
            api_version: ApiVersion::V1,
            kind: "DropList".into(),
            items: vec![DropCount {
                port: "blue/vm1".into(),
                direction: "egress".into(),
                reason: "SPOOF_MAC".into(),
                description: "The source MAC is not the port's.".into(),
                packets: 3,
                bytes: 126,
                in_user_space: 0,
            }],
        };
        let mut out = Vec::new();
        drops_into(&mut out, &list, View::default()).expect("written");
        assert_eq!(
            String::from_utf8(out).expect("UTF-8"),
            "PORT      DIRECTION  REASON     PACKETS  BYTES\n\
             blue/vm1  egress     SPOOF_MAC  3        126\n"
        );
    }
}
