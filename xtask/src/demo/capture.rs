//! Captures: of the wire between the hosts, and of what arrives at each tenant.

use super::leftovers;
use super::pcap;
use super::stage::Stage;
use super::tenants::{TENANTS, Tenant};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::time::Duration;
use xtask::lab::{self, Netns, Proc};

/// A running tcpdump and the file that it writes.
struct Capture {
    tcpdump: Proc,
    file: PathBuf,
}

/// What goes over the wire.
pub(super) struct Underlay(Capture);

/// What arrives at both VMs of a tenant.
pub(super) struct Receiver {
    pub(super) tenant: &'static Tenant,
    captures: Vec<Capture>,
}

impl Underlay {
    /// Begins on the uplink of `host-a`.
    pub(super) fn start(stage: &Stage) -> Result<Self> {
        let host = stage.hosts().first().context("no host is up")?;
        Capture::start(&host.netns, &["-s", "256", "ip"]).map(Self)
    }

    /// Ends it; the file with the packets.
    pub(super) fn stop(self) -> Result<PathBuf> {
        self.0.stop()
    }
}

/// Begins to record what every VM receives.
///
/// Of iperf3 only the other tenants' ports, to which no packet may come; all else is searched for
/// the other tenants' markers.
pub(super) fn receivers(stage: &Stage) -> Result<Vec<Receiver>> {
    let receiver = |tenant: &'static Tenant| {
        let filter = format!("not tcp port {}", tenant.iperf3);
        let capture =
            |vm: String| Capture::start(stage.vm(&vm), &["-s", "256", "-Q", "in", &filter]);
        let captures = vec![capture(tenant.client())?, capture(tenant.server())?];
        Ok(Receiver { tenant, captures })
    };
    TENANTS.iter().map(receiver).collect()
}

impl Receiver {
    /// Fails if a packet of another tenant came here, or if the search would not have found it.
    pub(super) fn leaks(self) -> Result<String> {
        let (mut own, mut foreign, mut all) = (0, 0, 0);
        for capture in self.captures {
            let file = capture.stop()?;
            let bytes =
                std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let frames = pcap::frames(&bytes)?;
            let count = |word: &str| {
                frames
                    .iter()
                    .filter(|frame| pcap::contains(frame, word))
                    .count()
            };
            own += count(self.tenant.marker);
            let of = |other: &Tenant| count(other.marker) + to_port(&frames, other.iperf3);
            foreign += self.tenant.others().map(of).sum::<usize>();
            all += frames.len();
        }
        ensure!(
            foreign == 0,
            "{foreign} packets of {} arrived",
            self.tenant.names_of_others()
        );
        // A search that finds nothing at all proves nothing.
        ensure!(
            own > 0,
            "not even its own packets are in the capture of {all}"
        );
        Ok(format!(
            "0 of {all} packets that arrived ({own} bear its own mark)"
        ))
    }
}

impl Capture {
    fn start(netns: &Netns, args: &[&str]) -> Result<Self> {
        let file = leftovers::dir().join(format!("{}.pcap", netns.name()));
        let mut command = netns.command("tcpdump");
        // As root, or it could not write here and would outlive a killed demo.
        command.args([
            "-i",
            "eth0",
            "-n",
            "-U",
            "--immediate-mode",
            "-Z",
            "root",
            "-w",
        ]);
        command.arg(&file).args(args);
        let mut tcpdump = Proc::spawn(&mut command)?;
        lab::wait_until("tcpdump to listen", Duration::from_secs(10), || {
            tcpdump.still_running()?;
            Ok(tcpdump.stderr().contains("listening on").then_some(()))
        })?;
        Ok(Self { tcpdump, file })
    }

    fn stop(self) -> Result<PathBuf> {
        self.tcpdump.interrupt()?.success()?;
        Ok(self.file)
    }
}

/// How many are TCP over IPv4 from or to this port.
fn to_port(frames: &[&[u8]], port: u16) -> usize {
    let port = port.to_be_bytes();
    let hit = |frame: &&&[u8]| {
        let words = frame.get(12..14).zip(frame.get(23)).zip(frame.get(34..38));
        words.is_some_and(|((ethertype, protocol), ports)| {
            ethertype == [8, 0] && *protocol == 6 && (ports[..2] == port || ports[2..] == port)
        })
    };
    frames.iter().filter(hit).count()
}

/// Some fields of the packets that a display filter lets through, a line each, `|` between them; where
/// a field stands in a packet more than once, a comma between its values.
pub(super) fn fields(file: &Path, filter: &str, fields: &[&str]) -> Result<Vec<String>> {
    let mut args = vec!["-Y", filter, "-T", "fields"];
    args.extend(["-E", "separator=|", "-E", "occurrence=a"]);
    args.extend(fields.iter().flat_map(|field| ["-e", field]));
    let lines = tshark(file, &args)?;
    Ok(lines.lines().map(str::to_owned).collect())
}

/// Runs tshark over a capture.
pub(super) fn tshark(file: &Path, args: &[&str]) -> Result<String> {
    let mut command = std::process::Command::new("tshark");
    command.args(["-n", "-r"]).arg(file).args(args);
    Ok(lab::run(&mut command)?.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_port_finds_tcp_in_both_directions() {
        let mut frame = [0; 54];
        frame[12..14].copy_from_slice(&[8, 0]);
        frame[23] = 6;
        frame[36..38].copy_from_slice(&5202_u16.to_be_bytes());
        assert_eq!(to_port(&[&frame, &frame[..30]], 5202), 1);
        assert_eq!(to_port(&[&frame], 5201), 0);
        frame[34..38].rotate_left(2);
        assert_eq!(to_port(&[&frame], 5202), 1);
        frame[23] = 17;
        assert_eq!(to_port(&[&frame], 5202), 0);
    }
}
