//! `cargo xtask load` and `unload`, as a user of a host runs them.

use anyhow::{Context, Result, ensure};
use dataplane_tests::{
    net::{
        SOON, Site, ping, proof, refused,
        stream::Stream,
        traces::{Objects, all_traces},
    },
    other_build::{other_build, tags},
};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command},
};
use xtask::lab::{
    BPFFS, Netns, Output, Recorded, TempDir, bin_dir, output, remove_pins, unique, wait_until,
};

const VMS: [&str; 2] = ["blue-vm1", "blue-vm2"];

/// `host-a` as its user has it.
struct Host<'s> {
    site: &'s Site,
    /// Where each build puts its programs, over those of the last.
    built: TempDir,
    state: PathBuf,
    pin: PathBuf,
}

impl<'s> Host<'s> {
    fn new(site: &'s Site) -> Result<Self> {
        let built = TempDir::new("built")?;
        for name in ["nved", "nvectl"] {
            symlink(bin_dir()?.join(name), built.path().join(name))?;
        }
        Ok(Self {
            site,
            built,
            state: site.file("marker", "")?.with_file_name("state"),
            pin: PathBuf::from(BPFFS).join(unique("load")),
        })
    }

    fn xtask(&self, netns: &Netns, words: &[&str]) -> Result<Output> {
        let mut command = netns.command(&bin_dir()?.join("xtask").to_string_lossy());
        // Folders of the test's own for programs and for state.
        command.env("NVE_BIN_DIR", self.built.path());
        command.env("NVE_STATE_DIR", &self.state);
        output(command.args(words), 3 * SOON)
    }

    fn verb(&self, words: &[&str]) -> Result<String> {
        let said = self.xtask(self.site.host(0), words)?.success()?;
        Ok(said.stdout + &said.stderr)
    }

    fn load(&self) -> Result<String> {
        let pin = self.pin.to_string_lossy();
        self.verb(&["load", "--host", "host-a", "--uplink=eth0", "--pin", &pin])
    }

    fn nvectl(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(bin_dir()?.join("nvectl"));
        command.arg("--socket").arg(self.state.join("nved.sock"));
        output(command.args(args), SOON)
    }

    fn apply(&self) -> Result<()> {
        let file = self.site.file("policy.yaml", blue(self.site)?)?;
        let file = file.to_string_lossy();
        self.nvectl(&["apply", "-f", &file])?.success()?;
        self.nvectl(&["status", "--wait"])?.success().map(drop)
    }

    /// Changes what is remembered.
    fn forge(&self, key: &str, value: &str) -> Result<()> {
        let file = self.state.join("loaded.json");
        let mut record: Value = serde_json::from_slice(&fs::read(&file)?)?;
        record[key] = value.into();
        Ok(fs::write(file, record.to_string())?)
    }

    /// Puts another nved over the one that was built.
    fn build(&self, nved: &Path) -> Result<()> {
        let built = self.built.path().join("nved");
        fs::remove_file(&built)?;
        Ok(fs::copy(nved, built).map(drop)?)
    }

    /// Numbers of the copies that are kept.
    fn copies(&self) -> Result<Vec<String>> {
        let copies = fs::read_dir(self.state.join("bin"))?;
        let names = copies.map(|copy| Ok(copy?.file_name().display().to_string()));
        names.collect()
    }

    fn process(&self) -> Result<Recorded> {
        let record: Value = serde_json::from_slice(&fs::read(self.state.join("loaded.json"))?)?;
        let process = record["process"].as_str().and_then(Recorded::parse);
        process.context("no process is remembered")
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        // Without effect where the test came to its end.
        if let Err(error) = self.verb(&["unload"]).and_then(|_| remove_pins(&self.pin)) {
            eprintln!("{error:#}");
        }
    }
}

/// The part of the demo that concerns the tenant blue.
fn blue(site: &Site) -> Result<String> {
    let demo = site.demo();
    let end = demo.find("---\napiVersion: nve/v1\nkind: VMNetwork\nmetadata: {name: red");
    Ok(demo[..end.context("no red in the demo")?].to_owned())
}

/// Ends an `nved` as a crash would.
fn kill(nved: &Recorded) -> Result<()> {
    let pid = nved.pid().to_string();
    output(Command::new("kill").args(["-9", &pid]), SOON)?.success()?;
    wait_until("its end", SOON, || Ok((!nved.runs()).then_some(())))
}

/// Loads again under traffic; the new process.
fn upgrades(site: &Site, host: &Host) -> Result<Recorded> {
    let first = host.process()?;
    let stream = Stream::start(site.vm("blue-vm1"), site.vm("blue-vm2"), "10.0.0.7", 5000)?;
    stream.flows(2000)?;
    host.verb(&["load"])?;
    let second = host.process()?;
    ensure!(second.runs() && !first.runs(), "the old nved runs on");
    stream.flows(2000)?;
    stream.lossless()?;
    host.nvectl(&["status", "--wait"])?.success()?;
    Ok(second)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn load_again_is_an_upgrade_and_unload_undoes_it() {
    proof(Site::bare("xtload", &VMS), |site| {
        let places = [site.host(0).name().to_owned(), site.named("blue-vm1")];
        let before = all_traces(&places)?;
        site.start(1, "tc")?;
        site.apply(0, &blue(site)?)?;
        let host = Host::new(site)?;
        let said = host.load()?;
        let socket = host.state.join("nved.sock").display().to_string();
        for words in [&socket, "apply -f", "cargo xtask unload", "nved.log"] {
            ensure!(said.contains(words), "no {words:?} in {said}");
        }
        host.apply()?;
        ping(site.vm("blue-vm1"), "10.0.0.7", 56)?;

        let nved = upgrades(site, &host)?;
        let objects = Objects::of(nved.pid())?;
        host.verb(&["unload"])?;
        objects.gone()?;
        ensure!(!nved.runs(), "nved runs on");
        let after = all_traces(&places)?;
        ensure!(after == before, "before: {before:#?}\nafter: {after:#?}");
        ensure!(!host.pin.exists(), "pins are left");
        let mut left: Vec<_> = host
            .state
            .read_dir()?
            .flatten()
            .map(|e| e.file_name())
            .collect();
        left.sort();
        ensure!(left == ["lock", "nved.log", "policy.redb"], "{left:?}");
        ensure!(host.verb(&["unload"])?.contains("nothing is loaded"));
        host.verb(&["unload", "--purge"])?;
        ensure!(!host.state.exists(), "the state is left");
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn unload_takes_out_what_a_dead_nved_left() {
    proof(Site::bare("xtdead", &VMS), |site| {
        let host = Host::new(site)?;
        let places = [site.host(0).name().to_owned()];
        let before = all_traces(&places)?;
        host.load()?;
        let file = site.file("policy.yaml", blue(site)?)?;
        host.nvectl(&["apply", "-f", &file.to_string_lossy()])?
            .success()?;
        kill(&host.process()?)?;
        ensure!(
            all_traces(&places)? != before,
            "the dataplane went with nved"
        );
        let elsewhere = host.xtask(site.host(1), &["unload"])?;
        refused(&elsewhere, 1, &["another network namespace"])?;
        host.verb(&["unload"])?;
        let after = all_traces(&places)?;
        ensure!(after == before, "before: {before:#?}\nafter: {after:#?}");
        ensure!(!host.pin.exists(), "pins are left");
        // What another boot loaded is gone with it, whatever its record says.
        host.load()?;
        kill(&host.process()?)?;
        host.forge("boot", "another")?;
        ensure!(host.verb(&["unload"])?.contains("started anew"));
        ensure!(host.pin.exists(), "it was looked for after all");
        host.load()?;
        host.verb(&["unload"]).map(drop)
    });
}

/// An `nved` that is remembered no more.
struct Loaded(Recorded);

impl Drop for Loaded {
    fn drop(&mut self) {
        self.0.end().expect("nved ends");
    }
}

/// A process that nobody may end but this test.
struct Bystander(Child);

impl Drop for Bystander {
    fn drop(&mut self) {
        self.0.kill().expect("nobody else ended it");
        self.0.wait().expect("it ends");
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn load_says_why_and_signals_nobody_else() {
    proof(Site::bare("xtwhy", &VMS), |site| {
        let host = Host::new(site)?;
        let pin = host.pin.to_string_lossy().into_owned();
        let bad = [
            "load", "--host", "host-a", "--uplink", "nic7", "--pin", &pin,
        ];
        refused(&host.xtask(site.host(0), &bad)?, 1, &["nved ended", "nic7"])?;
        ensure!(host.verb(&["unload"])?.contains("nothing is loaded"));
        host.load()?;
        let words = ["the former nved runs again", "nved ended", "nic7"];
        refused(&host.xtask(site.host(0), &bad)?, 1, &words)?;
        ensure!(host.process()?.runs(), "the host has no agent");
        let other = ["load", "--host", "host-a", "--uplink", "eth0"];
        let said = host.xtask(site.host(0), &other)?;
        refused(&said, 1, &["cargo xtask unload", &pin])?;
        host.load()?;
        let nved = host.process()?;

        let nved = Loaded(nved);
        let child = Command::new("sleep").arg("600").spawn()?;
        let mut sleep = Bystander(child);
        let pid = sleep.0.id();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let began = stat.split(' ').nth(21).context("its begin")?;
        // The pid of the record is another's by now; and one that even began then.
        for process in [format!("{pid} 1"), format!("{pid} {began}")] {
            host.forge("process", &process)?;
            let said = host.xtask(site.host(0), &["load"])?;
            refused(&said, 1, &["in use by another nved"])?;
            ensure!(
                sleep.0.try_wait()?.is_none() && nved.0.runs(),
                "somebody was signalled"
            );
        }
        kill(&nved.0)?;
        host.verb(&["unload"]).map(drop)
    });
}

/// An `nved` that refuses a dataplane with more than one lookup record, at the place and in the
/// way in which it refuses maps of another layout.
fn refuses(site: &Site) -> Result<PathBuf> {
    let nved = bin_dir()?.join("nved");
    let script = format!(
        "#!/bin/sh\nexec {} \"$@\" --lookup-capacity=1\n",
        nved.display()
    );
    site.program("refuses", script)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_build_that_refuses_the_dataplane_leaves_the_former_one_in_charge() {
    proof(Site::bare("xtother", &VMS), |site| {
        let places = [site.host(0).name().to_owned(), site.named("blue-vm1")];
        let before = all_traces(&places)?;
        site.start(1, "tc")?;
        site.apply(0, &blue(site)?)?;
        let host = Host::new(site)?;
        host.load()?;
        host.apply()?;
        let first = tags(&host.pin)?;
        // From here on the programs of this build exist in nved's copy alone.
        let folder = TempDir::new("other")?;
        host.build(&other_build(folder.path())?)?;
        upgrades(site, &host)?;
        let other = tags(&host.pin)?;
        ensure!(other != first, "the other build runs the same programs");
        ensure!(host.copies()? == ["2"], "{:?}", host.copies()?);

        host.build(&refuses(site)?)?;
        let stream = Stream::start(site.vm("blue-vm1"), site.vm("blue-vm2"), "10.0.0.7", 5000)?;
        let said = host.xtask(site.host(0), &["load"])?;
        refused(
            &said,
            1,
            &["the former nved runs again", "nothing was changed"],
        )?;
        host.nvectl(&["status", "--wait"])?.success()?;
        stream.flows(2000)?;
        stream.lossless()?;
        ensure!(tags(&host.pin)? == other, "not the former build's programs");
        ensure!(host.copies()? == ["2"], "{:?}", host.copies()?);

        let nved = host.process()?;
        let objects = Objects::of(nved.pid())?;
        kill(&nved)?;
        host.verb(&["unload"])?;
        objects.gone()?;
        let after = all_traces(&places)?;
        ensure!(after == before, "before: {before:#?}\nafter: {after:#?}");
        ensure!(!host.pin.exists(), "pins are left");
        ensure!(!host.state.join("bin").exists(), "copies are left");
        Ok(())
    });
}
