//! TCP throughput between two namespaces, by iperf3.

use super::{Netns, Proc, output};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;

/// Starts an iperf3 server and waits until it listens.
pub fn serve(netns: &Netns, port: u16) -> Result<Proc> {
    let server = netns.spawn(&["iperf3", "--server", "--port", &port.to_string()])?;
    netns.wait_for_port(port)?;
    Ok(server)
}

/// Bits per second that one stream of `seconds` brings from `netns` to a server.
pub fn throughput(netns: &Netns, server: &str, port: u16, seconds: u32) -> Result<f64> {
    let mut command = netns.command("iperf3");
    command.args(["--client", server, "--json", "--connect-timeout", "3000"]);
    command.args(["--port", &port.to_string(), "--time", &seconds.to_string()]);
    let limit = Duration::from_secs(u64::from(seconds) + 15);
    let said = output(&mut command, limit)?.success()?.stdout;
    let report: Value = serde_json::from_str(&said).context("iperf3 did not print JSON")?;
    let rate = report["end"]["sum_received"]["bits_per_second"].as_f64();
    let rate = rate.with_context(|| format!("iperf3 names no rate:\n{said}"))?;
    ensure!(rate > 0.0, "iperf3 received nothing");
    Ok(rate)
}
