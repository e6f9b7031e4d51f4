//! Health of a host.

use std::io::{self, Write};

use super::{
    table::{Table, View},
    upcalls,
};
use crate::control::protocol::{PaStatus, PortStatus, Status, UplinkStatus, Version};

/// One word: `OK` or `Degraded`.
pub fn brief(status: &Status) -> &'static str {
    if status.ready { "OK" } else { "Degraded" }
}

/// The whole status: a paragraph, the conditions, four tables.
pub fn status_into(out: &mut impl Write, status: &Status, view: View) -> io::Result<()> {
    let tables = &status.tables;
    writeln!(out, "{}: {}", status.host, brief(status))?;
    for condition in &status.conditions {
        writeln!(out, "  - {condition}")?;
    }
    let uptime = duration(status.uptime_seconds);
    writeln!(out, "agent    nved {}, up {uptime}", status.version)?;
    writeln!(
        out,
        "policy   revision {}, table image generation {}",
        status.revision, status.generation
    )?;
    writeln!(
        out,
        "tables   {} ports, {} subnets, {} lookup records, {} provider addresses",
        tables.vports, tables.subnets, tables.lookup_records, tables.underlay
    )?;
    let slow_path = &status.slow_path;
    let held: usize = slow_path.queues.iter().map(|queue| queue.held).sum();
    writeln!(
        out,
        "upcalls  {} records in use, {} negative answers, {held} packets held",
        slow_path.records_in_use, slow_path.negative_answers
    )?;
    for table in [
        uplinks(&status.uplinks),
        ports(&status.ports),
        provider_addresses(&status.provider_addresses),
        upcalls::queues(&status.slow_path.queues),
    ] {
        if !table.is_empty() {
            writeln!(out)?;
            table.write_into(out, view)?;
        }
    }
    Ok(())
}

/// The versions of client and agent.
pub fn version_into(out: &mut impl Write, client: &str, agent: Option<&Version>) -> io::Result<()> {
    writeln!(out, "nvectl {client}")?;
    let Some(agent) = agent else { return Ok(()) };
    writeln!(
        out,
        "nved {} (map layout {}, kernel {})",
        agent.version, agent.abi_version, agent.kernel
    )
}

fn uplinks(uplinks: &[UplinkStatus]) -> Table {
    let mut table = Table::new(&["UPLINK", "MODE", "DRIVER", "MTU", "OTHERS"], &[]);
    for uplink in uplinks {
        table.row(vec![
            uplink.interface.clone(),
            uplink.mode.clone(),
            uplink.driver.clone(),
            uplink.mtu.to_string(),
            uplink.others.join("; "),
        ]);
    }
    table
}

fn ports(ports: &[PortStatus]) -> Table {
    let mut table = Table::new(&["PORT", "STATE", "INTERFACE", "MODE", "MTU"], &["IFINDEX"]);
    for port in ports {
        table.row(vec![
            format!("{}/{}", port.vm_network, port.name),
            port.state.clone(),
            port.interface.clone(),
            port.mode.clone(),
            known(u64::from(port.mtu)),
            known(u64::from(port.ifindex)),
        ]);
    }
    table
}

fn provider_addresses(addresses: &[PaStatus]) -> Table {
    let mut table = Table::new(
        &[
            "PROVIDER-ADDRESS",
            "STATE",
            "INTERFACE",
            "NEXT-HOP",
            "PATH-MTU",
        ],
        &[],
    );
    for pa in addresses {
        table.row(vec![
            pa.address.clone(),
            pa.state.clone(),
            pa.interface.clone(),
            pa.mac.clone(),
            known(u64::from(pa.path_mtu)),
        ]);
    }
    table
}

/// 0 stands for "not known".
fn known(number: u64) -> String {
    match number {
        0 => String::new(),
        number => number.to_string(),
    }
}

/// The two largest units.
fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        control::protocol::{Frames, QueueStatus, SlowPathStatus, TableSizes},
        policy::document::ApiVersion,
    };

    fn sample() -> Status {
        Status {
            api_version: ApiVersion::V1,
            version: "0.1.0".into(),
            host: "host-a".into(),
            ready: false,
            conditions: vec!["port blue/vm1 is pending: no namespace `vm1`".into()],
            uptime_seconds: 273_600,
            revision: 12,
            generation: 9,
            uplinks: vec![],
            ports: vec![PortStatus {
                vm_network: "blue".into(),
                name: "vm1".into(),
                state: "Pending: no namespace `vm1`".into(),
                interface: String::new(),
                ifindex: 0,
                mode: "tc".into(),
                mtu: 0,
            }],
            provider_addresses: vec![],
            tables: TableSizes::default(),
            slow_path: SlowPathStatus {
                queues: vec![QueueStatus {
                    interface: "nve-up1".into(),
                    queue: 0,
                    mode: "copy".into(),
                    restarts: 1,
                    trouble: "restarted on request".into(),
                    frames: Frames {
                        all: 2048,
                        free: 1020,
                        receiving: 1024,
                        sending: 4,
                        lost: 0,
                    },
                    held: 2,
                    refused: 0,
                }],
                consumed: 3,
                records_in_use: 5,
                negative_answers: 1,
            },
        }
    }

    #[test]
    fn a_degraded_host_says_why() {
        let mut out = Vec::new();
        status_into(&mut out, &sample(), View::default()).expect("written");
        assert_eq!(
            String::from_utf8(out).expect("UTF-8"),
            "host-a: Degraded\n\
             \x20 - port blue/vm1 is pending: no namespace `vm1`\n\
             agent    nved 0.1.0, up 3d4h\n\
             policy   revision 12, table image generation 9\n\
             tables   0 ports, 0 subnets, 0 lookup records, 0 provider addresses\n\
             upcalls  5 records in use, 1 negative answers, 2 packets held\n\
             \n\
             PORT      STATE                        INTERFACE  MODE  MTU\n\
             blue/vm1  Pending: no namespace `vm1`  -          tc    -\n\
             \n\
             SLOW-PATH  QUEUE  MODE  RESTARTS  HELD  REFUSED  FRAMES  FREE  RECEIVING  SENDING  LOST  TROUBLE\n\
             nve-up1    0      copy  1         2     0        2048    1020  1024       4        0     restarted on request\n"
        );
    }

    #[test]
    fn durations_have_two_units() {
        for (seconds, text) in [(5, "5s"), (61, "1m1s"), (3720, "1h2m"), (90_000, "1d1h")] {
            assert_eq!(duration(seconds), text);
        }
    }
}
