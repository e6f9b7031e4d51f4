//! TCP throughput between two namespaces, by iperf3.

use super::{Netns, Proc, output};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::time::Duration;

/// What a client is asked to do.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Address of the server.
    pub server: &'a str,
    /// Its TCP port.
    pub port: u16,
    /// Length, seconds.
    pub seconds: u32,
    /// Streams side by side.
    pub streams: u32,
    /// CPUs of client and server; `None`: wherever the scheduler puts them.
    pub cpus: Option<(usize, usize)>,
}

/// What it brought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transfer {
    /// Bits per second that the server received, all streams together.
    pub rate: f64,
    /// Segments that the client sent again.
    pub retransmits: u64,
}

/// Starts an iperf3 server and waits until it listens.
pub fn serve(netns: &Netns, port: u16) -> Result<Proc> {
    let server = netns.spawn(&["iperf3", "--server", "--port", &port.to_string()])?;
    netns.wait_for_port(port)?;
    Ok(server)
}

/// Bits per second that one stream of `seconds` brings from `netns` to a server.
pub fn throughput(netns: &Netns, server: &str, port: u16, seconds: u32) -> Result<f64> {
    let ask = Ask {
        server,
        port,
        seconds,
        streams: 1,
        cpus: None,
    };
    Ok(transfer(netns, &ask)?.rate)
}

/// Sends from `netns` to a server and tells what arrived; nothing at all is an error.
pub fn transfer(netns: &Netns, ask: &Ask<'_>) -> Result<Transfer> {
    let mut command = netns.command("iperf3");
    let [port, seconds, streams] =
        [u32::from(ask.port), ask.seconds, ask.streams].map(|n| n.to_string());
    command.args(["--client", ask.server, "--json"]);
    command.args(["--connect-timeout", "3000", "--port", &port]);
    command.args(["--time", &seconds, "--parallel", &streams]);
    if let Some((client, server)) = ask.cpus {
        command.args(["--affinity", &format!("{client},{server}")]);
    }
    let limit = Duration::from_secs(u64::from(ask.seconds) + 15);
    // Its report names the machine, so only what it says went wrong is repeated.
    let said = output(&mut command, limit)?.stdout;
    let report: Value = serde_json::from_str(&said).context("iperf3 did not print JSON")?;
    if let Some(error) = report["error"].as_str() {
        bail!("iperf3 from {} to {}: {error}", netns.name(), ask.server);
    }
    read(&report["end"]).context("cannot use what iperf3 said")
}

fn read(end: &Value) -> Result<Transfer> {
    let rate = end["sum_received"]["bits_per_second"].as_f64();
    let rate = rate.context("it names no rate")?;
    ensure!(rate > 0.0, "it received nothing");
    let retransmits = end["sum_sent"]["retransmits"].as_u64();
    Ok(Transfer {
        rate,
        retransmits: retransmits.context("it names no retransmissions")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_receivers_rate_counts_not_the_senders() {
        let end = json!({
            "sum_sent": {"bits_per_second": 2e9, "retransmits": 7},
            "sum_received": {"bits_per_second": 1.5e9},
        });
        let wanted = Transfer {
            rate: 1.5e9,
            retransmits: 7,
        };
        assert_eq!(read(&end).unwrap(), wanted);
    }

    #[test]
    fn nothing_received_is_no_measurement() {
        let end = json!({
            "sum_sent": {"bits_per_second": 2e6, "retransmits": 40},
            "sum_received": {"bits_per_second": 0.0},
        });
        assert_eq!(read(&end).unwrap_err().to_string(), "it received nothing");
    }
}
