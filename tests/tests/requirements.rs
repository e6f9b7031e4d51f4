//! What `nved` needs, whom it respects, and how it says so.

use anyhow::{Context, Result, ensure};
use aya::{
    Ebpf, EbpfLoader, Pod,
    programs::{SchedClassifier, TcAttachType, Xdp, XdpMode},
};
use dataplane_tests::net::{SOON, Site, inside, ping, proof, refused};
use dataplane_user::dataplane::OBJECT;
use std::{path::Path, process::Command};
use xtask::lab::{BPFFS, Netns, Output, bin_dir, output, remove_pins, unique};

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

/// The product's own object, loaded by somebody else: its programs find empty tables.
fn strangers() -> Result<Ebpf> {
    Ok(EbpfLoader::new().load(OBJECT)?)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_xdp_program_of_somebody_else_is_not_displaced() {
    proof(Site::bare("reqxdp", &["blue-vm1"]), |site| {
        let mut object = strangers()?;
        let program: &mut Xdp = object
            .program_mut("nve_xdp_ingress")
            .context("no program")?
            .try_into()?;
        program.load()?;
        inside(
            site.host(0),
            || Ok(program.attach("eth0", XdpMode::Driver)?),
        )?;
        let id = program.info()?.id();
        let attached = |site: &Site| -> Result<bool> {
            let links = site
                .host(0)
                .exec(&["ip", "-details", "link", "show", "eth0"])?
                .stdout;
            Ok(links.contains(&format!("prog/xdp id {id} ")))
        };
        ensure!(attached(site)?, "the other program is not even attached");
        let said = nved(site, site.host(0), &["--uplink-mode", "xdp"])?;
        refused(
            &said,
            7,
            &["eth0", &format!("program {id}"), "--uplink-mode tc"],
        )?;
        ensure!(attached(site)?, "it was displaced");
        site.start(0, "tc")?;
        site.apply(0, &site.demo())?;
        site.becomes(0, "blue/blue-vm1", "Ready")?;
        ensure!(attached(site)?, "it was displaced by a tc uplink");
        Ok(())
    });
}

/// As the programs count: packets and bytes.
#[repr(C)]
#[derive(Clone, Copy)]
struct Count(u64, u64);

// SAFETY: two integers without padding.
unsafe impl Pod for Count {}

fn passed(object: &Ebpf) -> Result<u64> {
    use dataplane_common::abi::stats::{Counter, counter_index};
    let map = object.map("COUNTERS").context("no counters")?;
    let map: aya::maps::PerCpuArray<_, Count> = map.try_into()?;
    let counts = map.get(&counter_index(0, Counter::IngressPassed), 0)?;
    Ok(counts.iter().map(|count| count.0).sum())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_tcx_program_of_somebody_else_stays_and_runs() {
    proof(
        Site::bare("reqtcx", &["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"]),
        |site| {
            let mut object = strangers()?;
            let program: &mut SchedClassifier = object
                .program_mut("nve_tc_ingress")
                .context("no program")?
                .try_into()?;
            program.load()?;
            inside(site.host(0), || {
                Ok(program.attach("eth0", TcAttachType::Ingress)?)
            })?;
            for host in [0, 1] {
                site.start(host, "tc")?;
                site.apply(host, &site.demo())?;
            }
            site.ready()?;
            let before = passed(&object)?;
            ping(site.vm("blue-vm1"), "10.0.0.7", 56)?;
            ping(site.host(1), "192.0.2.1", 56)?;
            ensure!(
                passed(&object)? >= before + 3,
                "it does not see the host's packets any more"
            );
            site.nvectl(0, &["unload"])?.success()?;
            let before = passed(&object)?;
            ping(site.host(1), "192.0.2.1", 56)?;
            ensure!(passed(&object)? >= before + 3, "unload took it along");
            Ok(())
        },
    );
}
