//! What may happen to the file of a store, with traffic going on over it.

use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{SOON, Site, disk::Disk, ping, proof, refused, stream::Stream};
use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use xtask::lab::{bin_dir, wait_until};

const A: &str = "blue-vm1";
const B: &str = "10.0.0.7";
const PORT: &str = "blue/blue-vm1";
/// Datagrams per second, none of which may be lost.
const RATE: u32 = 2_000;

/// The store of `host-a`.
fn store(site: &Site) -> PathBuf {
    site.nves[0].spec().dir.join("policy.redb")
}

/// Two hosts, with the store of `host-a` on a disk.
fn on_disk(name: &str, disk: &Disk) -> Result<Site> {
    Site::up_as(name, "tc", |host, spec| {
        if host == 0 {
            disk.bears_store_of(spec);
        }
    })
}

fn stream(site: &Site) -> Result<Stream> {
    let stream = Stream::start(site.vm(A), site.vm("blue-vm2"), B, RATE)?;
    stream.flows(500)?;
    Ok(stream)
}

/// Waits until the status is degraded, and says this.
fn degraded(site: &Site, words: &[&str]) -> Result<()> {
    wait_until(&format!("a status that says {words:?}"), SOON, || {
        let said = site.nvectl(0, &["status"])?;
        ensure!(
            said.code() == 1,
            "exit code {}: {}",
            said.code(),
            said.stdout
        );
        for word in words {
            ensure!(
                said.stdout.contains(word),
                "no {word:?} in\n{}",
                said.stdout
            );
        }
        Ok(Some(()))
    })
}

/// The demo with another MTU for blue, which a port shows when it took effect.
fn with_mtu(site: &Site, mtu: u32) -> String {
    let prefix = "10.0.0.0/24]";
    site.demo()
        .replacen(prefix, &format!("{prefix}\n    mtu: {mtu}"), 1)
}

/// The agent is ready, and a change reaches the kernel.
fn works(site: &Site) -> Result<()> {
    site.ready()?;
    for mtu in [1300, 1400] {
        site.apply(0, &with_mtu(site, mtu))?;
        let told = || -> Result<Option<()>> {
            let status = site.ask(0, &["status"])?;
            let ports = status["ports"].as_array().context("no ports")?;
            let port = ports
                .iter()
                .find(|port| port["name"] == A)
                .context("no port")?;
            ensure!(port["mtu"] == mtu, "the MTU is {}", port["mtu"]);
            Ok(Some(()))
        };
        wait_until(&format!("MTU {mtu}"), SOON, told)?;
    }
    site.ready()
}

/// Ends `nved` in this way and starts it again; its tables are the former ones.
fn restarted(site: &mut Site) -> Result<()> {
    site.nves[0].kill()?;
    site.resume(0)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_damaged_store_stops_no_traffic() {
    proof(Site::up("faultbad", "tc"), |site| {
        let stream = stream(site)?;
        let path = store(site);
        let whole = fs::read(&path)?;
        let mut holes = whole.clone();
        holes
            .iter_mut()
            .skip(4096)
            .step_by(64)
            .for_each(|byte| *byte ^= 0x55);
        for damaged in [
            &b"no store".repeat(4096)[..],
            &whole[..whole.len() / 2],
            &holes,
        ] {
            let everything = site.everything(0)?;
            fs::write(&path, damaged)?;
            let file = path.to_string_lossy();
            degraded(site, &[&file, "is damaged or no store", "move it away"])?;
            let said = site.nvectl(
                0,
                &[
                    "apply",
                    "-f",
                    &site.file("a.yaml", site.demo())?.to_string_lossy(),
                ],
            )?;
            refused(&said, 1, &[&file, "move it away"])?;
            ensure!(site.everything(0)? == everything, "objects are lost");
            restarted(site)?;
            degraded(site, &[&file, "is damaged or no store"])?;
            stream.flows(500)?;
            ping(site.vm(A), B, 56)?;
            fs::rename(&path, path.with_extension("bad"))?;
            degraded(site, &["no Host document named host-a", "apply one"])?;
            stream.flows(500)?;
            site.apply(0, &everything)?;
            works(site)?;
        }
        stream.lossless().map(drop)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_lost_store_never_empties_the_tables() {
    proof(Site::up("faultlost", "tc"), |site| {
        let stream = stream(site)?;
        let before = site.counter(0, PORT, "egress_encapped")?;
        let everything = site.everything(0)?;
        fs::remove_file(store(site))?;
        degraded(
            site,
            &[
                "was replaced by one without host host-a",
                "apply the policy again",
            ],
        )?;
        ensure!(site.everything(0)? == everything, "objects are lost");
        // A policy of others is no reason to give up this host's.
        let other = "apiVersion: nve/v1\nkind: Host\nmetadata: {name: host-z}\nspec: {providerAddresses: [{address: 192.0.2.26}]}\n";
        site.apply(0, other)?;
        degraded(site, &["was replaced by one without host host-a"])?;
        stream.flows(1_000)?;
        // Nor is a restart, for which there is no former policy.
        restarted(site)?;
        degraded(site, &["no Host document named host-a"])?;
        stream.flows(1_000)?;
        site.apply(0, &everything)?;
        works(site)?;
        stream.flows(1_000)?;
        let after = site.counter(0, PORT, "egress_encapped")?;
        ensure!(
            after >= before + 3_000,
            "{before} packets before, {after} after"
        );
        stream.lossless()?;
        site.conserved()?;
        // What is deleted in a store that had it goes.
        site.nvectl(0, &["delete", "port", A, "-n", "blue"])?
            .success()?;
        ping(site.vm(A), B, 56).expect_err("a deleted port still talks");
        ping(site.vm("red-vm1"), B, 56)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn numbers_survive_a_store_that_is_lost_while_nved_is_down() {
    proof(
        Site::bare("faultids", &["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"]),
        |site| {
            let demo = site.demo();
            let red: Vec<&str> = demo
                .split("\n---\n")
                .filter(|text| !text.contains("blue"))
                .collect();
            for host in [0, 1] {
                site.start(host, "tc")?;
                // Red first: by what is asked for all at once, blue would be.
                site.apply(host, &red.join("\n---\n"))?;
                site.apply(host, &demo)?;
            }
            site.ready()?;
            let stream = stream(site)?;
            let encapped = |site: &Site, port: &str| site.counter(0, port, "egress_encapped");
            let before = encapped(site, PORT)?;
            site.nves[0].kill()?;
            fs::remove_file(store(site))?;
            site.resume(0)?;
            degraded(site, &["no Host document named host-a"])?;
            site.apply(0, &demo)?;
            works(site)?;
            stream.flows(500)?;
            let (blue, red) = (encapped(site, PORT)?, encapped(site, "red/red-vm1")?);
            ensure!(
                blue >= before + 500,
                "blue: {before} packets before, {blue} after"
            );
            ensure!(red < 100, "{red} packets of blue are counted as red's");
            stream.lossless()?;
            site.conserved()
        },
    );
}

/// More than fits beside the ballast, as NDJSON.
fn many_records() -> String {
    let mut lines = String::new();
    for n in 0..5_000 {
        let (high, low) = (n / 250 + 1, n % 250);
        let _ = writeln!(
            lines,
            r#"{{"apiVersion":"nve/v1","kind":"LookupRecord","metadata":{{"vmNetwork":"blue"}},"spec":{{"virtualSubnetId":6001,"customerAddress":"10.9.{high}.{low}","macAddress":"02:00:00:09:{high:02x}:{low:02x}","providerAddress":"192.0.2.2"}}}}"#
        );
    }
    lines
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_full_disk_refuses_changes_until_there_is_room() {
    let disk = Disk::in_memory(16).expect("a disk");
    proof(on_disk("faultfull", &disk), |site| {
        let wide = site
            .demo()
            .replacen("10.0.0.0/24]", "10.0.0.0/24, 10.9.0.0/16]", 1);
        site.apply(0, &wide)?;
        let stream = stream(site)?;
        disk.fill()?;
        let everything = site.everything(0)?;
        let file = site.file("many.ndjson", many_records())?;
        let apply = ["apply", "-f", &file.to_string_lossy()];
        for _ in 0..3 {
            let said = site.nvectl(0, &apply)?;
            refused(&said, 1, &[&store(site).to_string_lossy(), "make room"])?;
            ensure!(site.everything(0)? == everything, "half of it is written");
        }
        degraded(
            site,
            &[
                "policy.redb",
                "No space left",
                "make room on its file system",
            ],
        )?;
        stream.flows(500)?;
        restarted(site)?;
        site.becomes(0, PORT, "Ready")?;
        ensure!(site.everything(0)? == everything, "objects are lost");
        refused(&site.nvectl(0, &apply)?, 1, &["make room"])?;
        degraded(site, &["make room on its file system"])?;
        stream.flows(500)?;
        disk.free()?;
        site.ready()?;
        site.nvectl(0, &apply)?.success()?;
        let tables = &site.ask(0, &["status"])?["tables"];
        ensure!(tables["lookupRecords"].as_u64() > Some(5_000), "{tables}");
        stream.flows(500)?;
        stream.lossless().map(drop)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_read_only_store_is_read_and_written_when_it_can_be() {
    let disk = Disk::in_memory(16).expect("a disk");
    proof(on_disk("faultro", &disk), |site| {
        let stream = stream(site)?;
        let everything = site.everything(0)?;
        // Killed, so that the file was not closed and has to be repaired to be read.
        site.nves[0].kill()?;
        disk.remount("ro")?;
        site.resume(0)?;
        degraded(
            site,
            &[
                "policy.redb",
                "can only be read",
                "mount its file system for writing",
            ],
        )?;
        ensure!(site.everything(0)? == everything, "objects are lost");
        site.becomes(0, PORT, "Ready")?;
        let changed = site.file("mtu.yaml", with_mtu(site, 1350))?;
        let said = site.nvectl(0, &["apply", "-f", &changed.to_string_lossy()])?;
        refused(&said, 1, &["policy.redb", "can only be read"])?;
        stream.flows(500)?;
        disk.remount("rw")?;
        works(site)?;
        stream.lossless().map(drop)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_disk_that_fails_under_way_can_be_exchanged() {
    let disk = match Disk::that_fails() {
        Ok(disk) => disk,
        Err(error) => return xtask::lab::skip(&format!("no loop device with ext4: {error:#}")),
    };
    proof(on_disk("faultdisk", &disk), |site| {
        let stream = stream(site)?;
        disk.fail()?;
        let changed = site.file("mtu.yaml", with_mtu(site, 1350))?;
        let apply = ["apply", "-f", &changed.to_string_lossy()];
        refused(&site.nvectl(0, &apply)?, 1, &["policy.redb"])?;
        degraded(site, &["policy.redb", "can only be read"])?;
        stream.flows(500)?;
        // Nothing of it is held open, so that it can be unmounted and repaired.
        wait_until("a disk that can be unmounted", SOON, || {
            disk.remove().map(Some)
        })?;
        degraded(site, &["policy.redb"])?;
        stream.flows(500)?;
        disk.insert()?;
        works(site)?;
        stream.lossless().map(drop)
    });
}

/// A program that runs `nved` without root's right to every file.
fn bound_by_modes(site: &Site) -> Result<PathBuf> {
    let nved = bin_dir()?.join("nved");
    let script = format!(
        "#!/bin/sh\nexec setpriv --bounding-set -dac_override,-dac_read_search {} \"$@\"\n",
        nved.display()
    );
    site.program("bound", script)
}

fn mode(path: &Path, mode: u32) -> Result<()> {
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_store_without_rights_is_told_and_comes_back() {
    proof(Site::up("faultmode", "tc"), |site| {
        let stream = stream(site)?;
        let path = store(site);
        let program = bound_by_modes(site)?;
        site.nves[0].spec_mut().program = Some(program);
        let words = "let nved read and write it and its folder";
        for (bits, also) in [(0o000, "cannot be read"), (0o400, "can only be read")] {
            site.nves[0].stop();
            mode(&path, bits)?;
            site.resume(0)?;
            degraded(site, &["policy.redb", "Permission denied", also, words])?;
            stream.flows(500)?;
            mode(&path, 0o600)?;
            works(site)?;
        }
        stream.lossless().map(drop)
    });
}
