//! Sockets on the queues of an uplink that share the driver's memory, beside those that copy.

use anyhow::{Context, Result, ensure};
use dataplane_bench::{
    generator::{Generator, Load, live_frames::LiveFrames},
    paths::{Frames, Place},
    scenario::{self, Keys},
    sink::Sink,
};
use dataplane_tests::{
    net::{
        Link, SOON, Site, proof,
        stream::{Stream, Tally},
    },
    packet::{patch, sent, udp},
    peer::{
        FAR, NEAR,
        virtio::{
            SOURCES, carries_everything, from_each_source, many_flows, nics, on_demand,
            queues_are_busy, up,
        },
    },
};
use rustix::system::uname;
use std::time::Instant;
use xtask::lab::{Netns, skip, wait_until};

/// Linux from which on virtio-net has zero-copy sockets (`NETDEV_XDP_ACT_XSK_ZEROCOPY`).
const SINCE: (u32, u32) = (6, 13);
/// Datagrams a second that an emulated guest forwards without a loss.
const STEADY: u32 = 2000;
/// Bytes of datagrams that are sent without end, and how many are counted.
const SIZES: [usize; 2] = [18, 1358];
const COUNTED: u64 = 50_000;
/// How often each host's slow path is restarted, and each `nved` killed.
const RESTARTS: usize = 2;
const KILLS: usize = 1;

const HOSTS: [usize; 2] = [0, 1];
const COPY: &str = "copy";
const ZERO_COPY: &str = "zeroCopy";

/// Whether virtio-net of the running kernel has zero-copy sockets.
fn has_zero_copy() -> Result<bool> {
    let told = uname();
    let release = told.release().to_str()?;
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next()?.parse().ok();
    let both = number().zip(number());
    let both = both.with_context(|| format!("what is kernel {release:?}?"))?;
    Ok(both >= SINCE)
}

/// `nved`'s flag for sockets of this mode.
fn flag(mode: &str) -> String {
    format!("--zero-copy={}", mode == ZERO_COPY)
}

/// Waits until every queue of both NICs has a socket, of this mode.
fn all_in(site: &Site, mode: &str) -> Result<()> {
    for host in HOSTS {
        wait_until("a socket on every queue", SOON, || {
            let queues = site.queues(host, "eth0")?;
            ensure!(queues.len() > 1, "queues of host {host}: {queues:?}");
            let other = queues.iter().find(|queue| queue["mode"] != mode);
            ensure!(other.is_none(), "host {host}: {other:?}");
            Ok(Some(()))
        })?;
    }
    Ok(())
}

/// Starts the `nved` of a host again, and waits until it has been through a round.
fn again(site: &mut Site, host: usize) -> Result<()> {
    site.resume(host)?;
    site.nvectl(host, &["status", "--wait=20"])?.success()?;
    Ok(())
}

/// Starts both `nved`s again, with sockets of this mode.
fn change_to(site: &mut Site, mode: &str) -> Result<()> {
    for host in HOSTS {
        site.nves[host].stop();
        site.nves[host].spec_mut().flags = vec![flag(mode)];
        again(site, host)?;
    }
    all_in(site, mode)
}

fn stream(site: &Site) -> Result<Stream> {
    let stream = Stream::start(site.vm("blue-vm1"), site.vm("blue-vm2"), FAR, STEADY)?;
    stream.flows(u64::from(STEADY / 4))?;
    Ok(stream)
}

/// What becomes of a stream while the slow paths are restarted.
fn restarted(site: &Site, mode: &str) -> Result<Tally> {
    let stream = stream(site)?;
    for host in HOSTS.repeat(RESTARTS) {
        site.nvectl(host, &["restart", "slow-path"])?.success()?;
        all_in(site, mode)?;
        stream.flows(u64::from(STEADY / 10))?;
    }
    stream.finish()
}

/// What becomes of a stream while the `nved`s are killed and start again.
fn killed(site: &mut Site, mode: &str) -> Result<Tally> {
    let stream = stream(site)?;
    for host in HOSTS.repeat(KILLS) {
        site.nves[host].kill()?;
        stream.flows(u64::from(STEADY / 10))?;
        again(site, host)?;
        all_in(site, mode)?;
        stream.flows(u64::from(STEADY / 10))?;
    }
    stream.finish()
}

/// Packets from `blue-vm1` to `blue-vm2` as the NIC of the first host has to send them.
fn frames(site: &Site, payload: usize) -> Result<Frames> {
    const INNER: usize = 42 + 14;
    const HEAD: usize = INNER + 28;
    let whole = sent(6001, 0, &udp([10, 0, 0, 5], [10, 0, 0, 7], payload));
    let mac = |host| Link::named(site.host(host), "eth0")?.bytes();
    Ok(Frames {
        head: patch(&whole[..HEAD], 0, &[mac(1)?, mac(0)?].concat()),
        key_offset: INNER + 12,
        first_key: u32::from_be_bytes([10, 0, 0, 5]),
        checksum_offset: Some(INNER + 10),
        length: u16::try_from(whole.len())?,
    })
}

fn place(netns: &Netns) -> Result<Place> {
    Ok(Place {
        netns: Netns::adopt(netns.name())?.context("no such namespace")?,
        device: "eth0",
        address: None,
    })
}

/// Packets a second that the second host forwards from its uplink while there are always more.
fn rate(site: &Site, payload: usize) -> Result<f64> {
    let (source, far) = (place(site.host(0))?, place(site.vm("blue-vm2"))?);
    let counted = frames(site, payload).and_then(|frames| count(&source, &far, &frames));
    // They are the site's.
    source.netns.leave();
    far.netns.leave();
    counted
}

fn count(source: &Place, far: &Place, frames: &Frames) -> Result<f64> {
    let load = Load {
        keys: Keys::OneHot,
        records: 1,
        threads: 1,
        seed: 1,
    };
    let sink = Sink::attach(far, scenario::Sink::Frame)?;
    let mut generator = LiveFrames::new(source, frames, &load)?;
    generator.start()?;
    let reaches = |count: u64| {
        wait_until("packets at the far end", SOON, || {
            Ok((sink.received()? >= count).then_some(()))
        })
    };
    reaches(COUNTED / 10)?;
    let (before, begun) = (sink.received()?, Instant::now());
    reaches(before + COUNTED)?;
    let (after, took) = (sink.received()?, begun.elapsed());
    generator.stop()?;
    Ok(f64::from(u32::try_from(after - before)?) / took.as_secs_f64())
}

#[test]
#[ignore = "needs a guest: cargo xtask test"]
fn misses_and_hits_pass_by_sockets_that_share_memory() {
    let Some(_nics) = nics() else { return };
    if !has_zero_copy().expect("a kernel with numbers") {
        return skip("virtio-net has no zero-copy sockets before Linux 6.13");
    }
    let flag = flag(ZERO_COPY);
    let up = up("vzero", |policy| on_demand(&policy), Some(&flag));
    proof(up, |site| {
        all_in(site, ZERO_COPY)?;
        from_each_source(site)?;
        let sources = u64::from(SOURCES.end - SOURCES.start);
        let punted = site.counter(1, "uplink", "ingress_punted")?;
        ensure!(punted >= sources, "{punted} punts of {sources} sources");
        carries_everything(site)?;
        let (near, far) = (site.vm("blue-vm1"), site.vm("blue-vm2"));
        many_flows(near, far, FAR)?;
        many_flows(far, near, NEAR)?;
        queues_are_busy(site)?;
        for host in HOSTS {
            site.given_back(host)?;
            site.frames_accounted(host)?;
        }
        site.conserved()
    });
}

/// Those that share memory do lose something: that is told, beside how fast both forward.
#[test]
#[ignore = "needs a guest: cargo xtask test"]
fn sockets_that_copy_lose_nothing_at_a_restart() {
    let Some(_nics) = nics() else { return };
    let both = has_zero_copy().expect("a kernel with numbers");
    let flag = flag(COPY);
    proof(up("vagain", |policy| policy, Some(&flag)), |site| {
        for mode in [COPY, ZERO_COPY].into_iter().take(1 + usize::from(both)) {
            change_to(site, mode)?;
            let tallies = [restarted(site, mode)?, killed(site, mode)?];
            for (what, tally) in ["restart", "kill"].iter().zip(&tallies) {
                println!("{mode}, {what}: {tally}");
                let whole = tally.lost() == 0 && tally.duplicates == 0;
                ensure!(whole || mode == ZERO_COPY, "{what}: {tally}");
            }
            for payload in SIZES {
                let rate = rate(site, payload)?;
                println!("{mode}, {payload} bytes: {rate:.0} packets a second");
            }
            for host in HOSTS {
                site.frames_accounted(host)?;
            }
        }
        site.conserved()
    });
}
