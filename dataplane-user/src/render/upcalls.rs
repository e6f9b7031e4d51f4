//! Upcalls by tenant, and the slow path's queues.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::table::{Table, View};
use crate::control::protocol::{QueueStatus, UpcallCount, UpcallList};

/// Upcalls as a table, a tenant a line; in the wide view with reasons.
pub fn upcalls_into(out: &mut impl Write, list: &UpcallList, view: View) -> io::Result<()> {
    let mut table = Table::new(
        &[
            "VMNETWORK",
            "PUNTED",
            "RATE/S",
            "HELD",
            "REINJECTED",
            "ANSWERED",
            "DROPPED",
            "P50-US",
            "P99-US",
            "IN-USE",
            "NEGATIVE",
        ],
        &["CONSUMED", "WEIGHT", "PUNTS", "DROPS"],
    );
    for tenant in &list.items {
        table.row(cells(tenant));
    }
    table.write_into(out, view)
}

/// The VM networks, `vmnetwork/name` a line.
pub fn upcall_names_into(out: &mut impl Write, list: &UpcallList) -> io::Result<()> {
    for tenant in &list.items {
        writeln!(out, "vmnetwork/{}", tenant.vm_network)?;
    }
    Ok(())
}

fn cells(tenant: &UpcallCount) -> Vec<String> {
    let latency = tenant.latency.as_ref();
    let micros = |of: Option<u64>| of.map(|micros| micros.to_string()).unwrap_or_default();
    vec![
        tenant.vm_network.clone(),
        tenant.punted.to_string(),
        tenant.rate.to_string(),
        tenant.held.to_string(),
        tenant.reinjected.to_string(),
        tenant.answered.to_string(),
        tenant.dropped.to_string(),
        micros(latency.map(|latency| latency.p50_microseconds)),
        micros(latency.map(|latency| latency.p99_microseconds)),
        tenant.records_in_use.to_string(),
        tenant.negative_answers.to_string(),
        tenant.consumed.to_string(),
        tenant.weight.to_string(),
        listed(&tenant.punts),
        listed(&tenant.drops),
    ]
}

/// `MISS 3, OVERSIZE 1`
fn listed(counts: &BTreeMap<String, u64>) -> String {
    let counts = counts.iter();
    let texts: Vec<String> = counts.map(|(name, n)| format!("{name} {n}")).collect();
    texts.join(", ")
}

/// The queues that packets come from, as a part of the status.
pub(super) fn queues(queues: &[QueueStatus]) -> Table {
    let mut table = Table::new(
        &[
            "SLOW-PATH",
            "QUEUE",
            "MODE",
            "RESTARTS",
            "HELD",
            "REFUSED",
            "FRAMES",
            "FREE",
            "RECEIVING",
            "SENDING",
            "LOST",
            "TROUBLE",
        ],
        &[],
    );
    for queue in queues {
        let frames = &queue.frames;
        table.row(vec![
            queue.interface.clone(),
            queue.queue.to_string(),
            queue.mode.clone(),
            queue.restarts.to_string(),
            queue.held.to_string(),
            queue.refused.to_string(),
            frames.all.to_string(),
            frames.free.to_string(),
            frames.receiving.to_string(),
            frames.sending.to_string(),
            frames.lost.to_string(),
            queue.trouble.clone(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{control::protocol::Latency, policy::document::ApiVersion};

    fn sample() -> UpcallList {
        UpcallList {
            api_version: ApiVersion::V1,
            kind: "UpcallList".into(),
            items: vec![
                UpcallCount {
                    vm_network: "blue".into(),
                    weight: 3,
                    punted: 8,
                    punts: BTreeMap::from([
                        ("MISS".into(), 6),
                        ("NEIGHBOUR".into(), 1),
                        ("OVERSIZE".into(), 1),
                    ]),
                    rate: 2,
                    held: 1,
                    reinjected: 4,
                    answered: 2,
                    consumed: 1,
                    dropped: 2,
                    drops: BTreeMap::from([("MTU_EXCEEDED".into(), 2)]),
                    latency: Some(Latency {
                        p50_microseconds: 41,
                        p99_microseconds: 97,
                    }),
                    records_in_use: 5,
                    negative_answers: 0,
                },
                UpcallCount {
                    vm_network: "red".into(),
                    weight: 1,
                    ..UpcallCount::default()
                },
            ],
        }
    }

    fn text(wide: bool) -> String {
        let mut out = Vec::new();
        let view = View { wide, width: None };
        upcalls_into(&mut out, &sample(), view).expect("written");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_tenant_is_a_line() {
        assert_eq!(
            text(false),
            "VMNETWORK  PUNTED  RATE/S  HELD  REINJECTED  ANSWERED  DROPPED  P50-US  P99-US  IN-USE  NEGATIVE\n\
             blue       8       2       1     4           2         2        41      97      5       0\n\
             red        0       0       0     0           0         0        -       -       0       0\n"
        );
    }

    #[test]
    fn the_wide_view_says_why() {
        let text = text(true);
        assert!(
            text.contains("1         3       MISS 6, NEIGHBOUR 1, OVERSIZE 1  MTU_EXCEEDED 2"),
            "{text}"
        );
    }

    #[test]
    fn names_are_those_of_the_vm_networks() {
        let mut out = Vec::new();
        upcall_names_into(&mut out, &sample()).expect("written");
        assert_eq!(out, b"vmnetwork/blue\nvmnetwork/red\n");
    }
}
