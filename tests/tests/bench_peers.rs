//! Each path of the measurements that the kernel has carries packets and TCP. No speed is judged.

use std::time::Duration;

use anyhow::Result;
use dataplane_bench::{
    bulk::Bulk,
    packet_socket::{self, EVERYTHING},
    paths::{self, Absence, Built, Place, topology::inside},
    rate::Rate,
    round_trip::RoundTrip,
    scenario::{PathName, Scenario, Sink, Work},
    subject::Subject,
};
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};
use xtask::lab::{self, wait_until};

/// As tenants' stacks get packets: all paths have this.
const SKBS: Scenario = Scenario {
    sink: Sink::Skb,
    ..Scenario::PLAIN
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Builds a path, which proves itself by pings; `None`: this kernel does not have it.
fn built(path: PathName) -> Option<Built> {
    match paths::build(path, &SKBS) {
        Ok(built) => Some(built),
        Err(Absence::NotAvailable(why)) => {
            lab::skip(&format!("{path}: {why}"));
            None
        }
        Err(Absence::Failed(error)) => panic!("{path}: {error:#}"),
    }
}

fn carries(path: PathName) {
    let Some(counted) = built(path) else { return };
    let mut rate = available(Rate::new(counted, &SKBS));
    let done = rate.measure(Duration::from_millis(200));
    let done = done.expect("packets pass");
    println!("{path}: {:.0} packets/s, {:?}", done.value, done.details);
    assert!(done.value > 0.0);
    for streams in [1, 4] {
        let Some(built) = built(path) else { return };
        let mut bulk = available(Bulk::new(built, streams));
        let done = bulk.measure(Duration::from_secs(1)).expect("TCP passes");
        println!("{path}, {streams} streams: {:.0} Mbit/s", done.value / 1e6);
        assert!(done.value > 0.0 && done.details.contains_key("retransmits"));
    }
    let Some(built) = built(path) else { return };
    let mut round_trip = available(RoundTrip::new(built, 50.0));
    let done = round_trip
        .measure(Duration::from_millis(200))
        .expect("requests have responses");
    println!("{path}: {:.0} us, {:?}", done.value, done.details);
    let [count, median, late] =
        ["roundTrips", "p50Nanoseconds", "p99Nanoseconds"].map(|name| done.details[name]);
    assert!(count >= 2_000 && 0 < median && median <= late);
}

fn available<T>(subject: Result<T, Absence>) -> T {
    match subject {
        Ok(subject) => subject,
        Err(Absence::NotAvailable(why)) => panic!("not available: {why}"),
        Err(Absence::Failed(error)) => panic!("{error:#}"),
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn veth_carries_packets_and_tcp() {
    carries(PathName::Veth);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn vxlan_in_bridges_carries_packets_and_tcp() {
    carries(PathName::VxlanBridge);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn gretap_in_bridges_carries_packets_and_tcp() {
    carries(PathName::GretapBridge);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn open_vswitch_in_the_kernel_carries_packets_and_tcp() {
    carries(PathName::OvsKernelGre);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn open_vswitch_in_user_space_carries_packets_and_tcp() {
    carries(PathName::OvsUserGre);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_textbook_program_carries_packets_and_tcp() {
    carries(PathName::TextbookXdp);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_textbook_program_at_tc_carries_packets_and_tcp() {
    carries(PathName::TextbookTc);
}

/// The second host knows no customer address but those that it puts in place of provider addresses: a
/// frame that arrives as it was sent had others under way.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_textbook_program_rewrites_there_and_back() -> Result<()> {
    let scenario = Scenario {
        work: Work::RewriteOutIn,
        ..SKBS
    };
    let built = available(paths::build(PathName::TextbookXdp, &scenario));
    let open = |place: &Place| {
        let device = place.device;
        inside(&place.netns, || packet_socket::open(device, EVERYTHING))
    };
    let (source, sink) = (open(&built.source)?, open(&built.sink)?);
    packet_socket::ignore_outgoing(&sink)?;
    let mut sent = built.frames.head.clone();
    sent.resize(built.frames.length.into(), 0);
    send(&source, &sent, SendFlags::empty())?;
    wait_until("the frame at the second tenant", PATIENCE, || {
        let mut frame = [0; 2048];
        match recv(&sink, &mut frame, RecvFlags::DONTWAIT) {
            Ok((len, _)) => Ok((frame.get(..len) == Some(sent.as_slice())).then_some(())),
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn ours_at_tc_carries_packets_and_tcp() {
    carries(PathName::NveTc);
}
