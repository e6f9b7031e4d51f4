//! The kernel's neighbour entries of next hops: kept alive, followed, given back.

use anyhow::{Result, ensure};
use dataplane_tests::net::{Link, SOON, Site, ping, proof, stream::Stream};
use xtask::lab::{Netns, output, wait_until};

const B: &str = "10.0.0.7";
const PEER: &str = "192.0.2.2";
/// How `ip` shows an entry that nved has the kernel manage.
const MANAGED: [&str; 2] = ["managed", "proto 101"];

/// Both hosts, the first one's `nved` with these flags, and neighbours that age in no time.
fn aging(name: &str, flags: &'static [&str]) -> Result<Site> {
    let mut site = Site::bare(name, &["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"])?;
    for (setting, value) in [
        ("base_reachable_time_ms", 500),
        ("delay_first_probe_time", 1),
        ("retrans_time_ms", 200),
        ("gc_stale_time", 1),
    ] {
        let file = format!("/proc/sys/net/ipv4/neigh/eth0/{setting}");
        let script = format!("echo {value} > {file}");
        site.host(0).exec(&["sh", "-c", &script])?;
    }
    site.all("tc", |host, spec| {
        if host == 0 {
            spec.flags.extend(flags.iter().map(ToString::to_string));
        }
    })?;
    Ok(site)
}

/// What `ip` says of an entry; empty when there is none.
fn entry(host: &Netns, address: &str) -> Result<String> {
    let mut ip = host.command("ip");
    ip.args(["neigh", "show", address, "dev", "eth0"]);
    Ok(output(&mut ip, SOON)?.success()?.stdout.trim().to_owned())
}

fn is_managed(entry: &str) -> bool {
    MANAGED.iter().all(|word| entry.contains(word))
}

/// Waits until an entry has this word.
fn becomes(host: &Netns, address: &str, word: &str) -> Result<String> {
    wait_until(&format!("{address} to be {word}"), SOON, || {
        let now = entry(host, address)?;
        ensure!(now.contains(word), "{now:?}");
        Ok(Some(now))
    })
}

/// The entry ages and is confirmed again and again, and packets of one direction, which never
/// refresh it, go on.
fn stays_alive(site: &Site, stream: Stream) -> Result<()> {
    for _ in 0..3 {
        wait_until("an entry that aged", SOON, || {
            let now = entry(site.host(0), PEER)?;
            let aged = ["STALE", "DELAY", "PROBE"];
            ensure!(aged.iter().any(|word| now.contains(word)), "{now:?}");
            Ok(Some(()))
        })?;
        becomes(site.host(0), PEER, "REACHABLE")?;
    }
    stream.flows(1000)?;
    stream.lossless().map(drop)
}

fn one_way(site: &Site) -> Result<Stream> {
    let stream = Stream::start(site.vm("blue-vm1"), site.vm("blue-vm2"), B, 2000)?;
    stream.flows(100)?;
    Ok(stream)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_kernel_keeps_a_neighbour_alive_while_nved_is_gone() {
    proof(aging("nbkernel", &[]), |site| {
        let stream = one_way(site)?;
        site.nves[0].kill()?;
        let now = entry(site.host(0), PEER)?;
        ensure!(is_managed(&now), "not managed: {now:?}");
        stays_alive(site, stream)?;
        site.resume(0)?;
        site.ready()?;
        ensure!(is_managed(&entry(site.host(0), PEER)?), "no longer managed");
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn probes_keep_a_neighbour_alive_where_the_kernel_does_not() {
    proof(aging("nbprobe", &["--neighbours", "probe"]), |site| {
        let stream = one_way(site)?;
        let now = entry(site.host(0), PEER)?;
        ensure!(
            !MANAGED.iter().any(|word| now.contains(word)),
            "managed: {now:?}"
        );
        stays_alive(site, stream)?;
        site.conserved()
    });
}

/// The peer gets another MAC and tells nobody.
fn new_mac(site: &mut Site) -> Result<()> {
    const NEW: &str = "02:00:5e:00:00:99";
    ping(site.vm("blue-vm1"), B, 56)?;
    site.nves[1].kill()?;
    let link = ["ip", "link", "set", "eth0", "address", NEW];
    site.host(1).exec(&link)?;
    wait_until("the new MAC in use", SOON, || {
        let status = site.ask(0, &["status"])?;
        let peer = status["providerAddresses"].as_array().and_then(|all| {
            let mut all = all.iter();
            all.find(|pa| pa["address"] == PEER)
        });
        let peer = peer.cloned().unwrap_or_default();
        ensure!(peer["mac"] == NEW && peer["state"] == "resolved", "{peer}");
        Ok(Some(()))
    })?;
    ping(site.vm("blue-vm1"), B, 56)?;
    site.resume(1)?;
    site.ready()?;
    site.conserved()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_next_hop_whose_mac_changes_is_followed_by_the_kernel() {
    proof(aging("nbmac", &[]), new_mac);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_next_hop_whose_mac_changes_is_followed_by_probes() {
    proof(aging("nbmacp", &["--neighbours", "probe"]), new_mac);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn probes_take_over_from_the_kernel() {
    proof(aging("nbover", &[]), |site| {
        let stream = one_way(site)?;
        becomes(site.host(0), PEER, "managed")?;
        site.nves[0].stop();
        let flags = &mut site.nves[0].spec_mut().flags;
        flags.extend(["--neighbours".to_owned(), "probe".to_owned()]);
        site.resume(0)?;
        wait_until("an entry that is the kernel's own", SOON, || {
            let now = entry(site.host(0), PEER)?;
            let given_back = now.contains("lladdr") && !now.contains("managed");
            Ok((given_back && !now.contains("proto 101")).then_some(()))
        })?;
        stays_alive(site, stream)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn neighbours_of_others_are_used_and_never_touched() {
    proof(aging("nbothers", &[]), |site| {
        let mac = Link::named(site.host(1), "eth0")?.mac;
        for how in [
            &["lladdr", &mac, "nud", "permanent"][..],
            &["managed", "protocol", "static"],
            &["lladdr", &mac, "nud", "stale", "extern_learn"],
        ] {
            let delete = ["ip", "neigh", "delete", PEER, "dev", "eth0"];
            site.host(0).exec(&delete)?;
            let set = ["ip", "neigh", "replace", PEER, "dev", "eth0"];
            site.host(0).exec(&[&set[..], how].concat())?;
            let theirs = becomes(site.host(0), PEER, "lladdr")?;
            // Each of these looks at everything.
            site.apply(0, &site.demo())?;
            site.ready()?;
            site.nves[0].stop();
            site.resume(0)?;
            site.ready()?;
            ping(site.vm("blue-vm1"), B, 56)?;
            let now = entry(site.host(0), PEER)?;
            let same = ["permanent", "PERMANENT", "managed", "extern_learn", "proto"];
            for word in same {
                ensure!(
                    now.contains(word) == theirs.contains(word),
                    "{theirs:?} is {now:?} now"
                );
            }
        }
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn unload_gives_all_neighbours_back() {
    const FIXED: &str = "192.0.2.77";
    const THEIRS: &str = "192.0.2.88";
    proof(aging("nbunload", &[]), |site| {
        let host = site.host(0);
        let add = ["ip", "neigh", "add"];
        let fixed = [FIXED, "lladdr", "02:00:00:00:00:77", "dev", "eth0"];
        host.exec(&[&add[..], &fixed].concat())?;
        host.exec(&[&add[..], &[THEIRS, "dev", "eth0", "managed"]].concat())?;
        ensure!(is_managed(&entry(host, PEER)?), "not managed before");
        site.nvectl(0, &["unload"])?.success()?;
        let all = host.exec(&["ip", "neigh"])?.stdout;
        ensure!(!all.contains("proto 101"), "ours are left:\n{all}");
        let peer = entry(host, PEER)?;
        ensure!(
            !peer.contains("managed") && peer.contains("lladdr"),
            "{peer:?}"
        );
        let fixed = entry(host, FIXED)?;
        ensure!(fixed.ends_with("PERMANENT"), "{fixed:?}");
        let theirs = entry(host, THEIRS)?;
        ensure!(theirs.contains("managed"), "{theirs:?}");
        Ok(())
    });
}
