//! What `nved` needs, and how it says so.

use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{SOON, Site, proof, refused};
use std::{path::Path, process::Command};
use xtask::lab::{BPFFS, Netns, Output, Proc, bin_dir, output, remove_pins, unique, wait_until};

/// Runs `nved` in a namespace with these flags until it gives up; its pins are removed then.
fn nved(site: &Site, netns: &Netns, flags: &[&str]) -> Result<Output> {
    let mut command = netns.command(&bin_dir()?.join("nved").to_string_lossy());
    let pin = Path::new(BPFFS).join(unique("pin"));
    complete(site, &mut command, &pin, flags)?;
    let said = output(&mut command, SOON);
    remove_pins(&pin)?;
    said
}

/// Adds flags for store, socket and pins of its own, unless these are given.
fn complete(site: &Site, command: &mut Command, pin: &Path, flags: &[&str]) -> Result<()> {
    let state = site.file(&unique("own"), "")?.with_extension("d");
    command.args(["--host", "host-a"]).args(flags);
    let defaults = [
        ("--uplink", "eth0".to_owned()),
        ("--store", format!("redb://{}/policy.redb", state.display())),
        ("--socket", format!("{}/nved.sock", state.display())),
        ("--pin", pin.display().to_string()),
    ];
    for (flag, value) in defaults {
        if !flags.contains(&flag) {
            command.args([flag, &value]);
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_privileges_it_says_what_to_do() {
    proof(Site::bare("reqroot", &[]), |site| {
        let copy = site.file("nved", std::fs::read(bin_dir()?.join("nved"))?)?;
        output(Command::new("chmod").arg("755").arg(&copy), SOON)?.success()?;
        let mut command = site.host(0).command("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&copy);
        complete(site, &mut command, Path::new("/sys/fs/bpf/nvet-none"), &[])?;
        refused(
            &output(&mut command, SOON)?,
            7,
            &["CAP_BPF", "CAP_NET_ADMIN", "CAP_SYS_ADMIN", "root"],
        )
    });
}

/// `nved` in a mount namespace of its own, after a shell command that changes it.
fn elsewhere(site: &Site, change: &str, pin: &Path) -> Result<Command> {
    let mut command = site.host(0).command("unshare");
    let script = format!("{change} && exec \"$0\" \"$@\"");
    command.args(["--mount", "sh", "-c", &script]);
    command.arg(bin_dir()?.join("nved"));
    complete(site, &mut command, pin, &[])?;
    Ok(command)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_btf_it_says_so() {
    proof(Site::bare("reqbtf", &[]), |site| {
        let hide = "mount -t tmpfs none /sys/kernel/btf";
        let mut command = elsewhere(site, hide, Path::new("/sys/fs/bpf/nvet-none"))?;
        let said = output(&mut command, SOON)?;
        refused(&said, 7, &["no BTF", "CONFIG_DEBUG_INFO_BTF"])
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn pins_that_cannot_be_on_a_bpffs_are_refused() {
    proof(Site::bare("reqpin", &[]), |site| {
        let said = nved(site, site.host(0), &["--pin", "/proc/nve"])?;
        refused(&said, 7, &["bpf file system on /proc/nve", "--pin"])
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_bpffs_that_is_not_mounted_is_mounted() {
    proof(Site::bare("reqfs", &[]), |site| {
        for (root, pin) in [("/sys/fs/bpf", "nve"), ("/sys/fs/bpf", "deep/er/nve")] {
            let pin = Path::new(root).join(pin);
            let mut command = elsewhere(site, "umount /sys/fs/bpf", &pin)?;
            let mut nved = Proc::spawn(&mut command)?;
            let look = |nved: &Proc| -> Result<Output> {
                let mut look = Command::new("nsenter");
                look.arg(format!("--mount=/proc/{}/ns/mnt", nved.pid()));
                look.args(["--", "sh", "-c"]);
                look.arg(format!("stat -f -c %T {root} && ls {}/maps", pin.display()));
                output(&mut look, SOON)
            };
            wait_until("pins on a bpffs", SOON, || {
                nved.still_running()?;
                let said = look(&nved)?.success()?.stdout;
                ensure!(said.starts_with("bpf_fs\n"), "{said}");
                ensure!(said.contains("LOOKUP"), "{said}");
                Ok(Some(()))
            })?;
        }
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_uplink_that_is_not_there_is_named() {
    proof(Site::bare("requp", &[]), |site| {
        let said = nved(site, site.host(0), &["--uplink", "nic7"])?;
        refused(&said, 1, &["nic7"])
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_its_host_document_the_status_says_what_to_apply() {
    proof(Site::bare("reqhost", &[]), |site| {
        site.start(0, "tc")?;
        site.apply(0, &site.demo().replace("host-a", "host-x"))?;
        let status = site.nvectl(0, &["status"])?;
        ensure!(status.code() == 1, "exit code {}", status.code());
        let told = "no Host document named host-a: apply one";
        ensure!(status.stdout.contains(told), "{}", status.stdout);
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_second_nved_keeps_away_from_pins_and_store_of_the_first() {
    proof(Site::bare("reqtwo", &["blue-vm1"]), |site| {
        site.start(0, "tc")?;
        let spec = site.nves[0].spec().clone();
        let store = format!("redb://{}", spec.dir.join("policy.redb").display());
        let pin = spec.pin.to_string_lossy().into_owned();
        let socket = spec.socket().to_string_lossy().into_owned();
        for (flag, value) in [("--pin", pin), ("--store", store), ("--socket", socket)] {
            let said = nved(site, site.host(0), &[flag, &value])?;
            refused(&said, 1, &["nved", "use"]).context(flag)?;
        }
        site.apply(0, &site.demo())?;
        site.becomes(0, "blue/blue-vm1", "Ready").map(drop)
    });
}
