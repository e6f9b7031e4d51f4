//! Programs of others on the same devices, and a second `nved` on the same uplink.

mod clsact;

use anyhow::{Context, Result, ensure};
use aya::programs::{SchedClassifier, TcAttachType, Xdp, XdpMode};
use dataplane_tests::{
    net::{
        SOON, Site, cable, inside, ping, proof, refused,
        stream::{STEADY, Stream},
    },
    stranger::{seen, stranger},
};
use serde_json::Value;
use xtask::lab::{NveSpec, TempDir, output, wait_until};

const PORT: &str = "blue/blue-vm1";
const B: &str = "10.0.0.7";
const VMS: [&str; 4] = ["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"];

/// Another `nved` for the uplink of `host-a`, with store, socket and pins of its own.
fn second(site: &Site, dir: &TempDir, mode: &str, flags: &[&str]) -> NveSpec {
    let mut pin = site.nves[0].spec().pin.clone();
    pin.set_file_name(format!(
        "{}-two",
        pin.file_name().unwrap_or_default().display()
    ));
    let mut spec = NveSpec::new("host-a", mode, dir.path(), pin);
    spec.flags = flags.iter().map(ToString::to_string).collect();
    spec
}

fn a_second_is_refused(mode: &str, hook: &str) {
    let site = Site::forced("cotwo", mode, &format!("--tc-hook={hook}"));
    proof(site, |site| {
        site.like_wires()?;
        let stream = Stream::start(site.vm("blue-vm1"), site.vm("blue-vm2"), B, STEADY)?;
        let dir = TempDir::new("second")?;
        for stopped in [false, true] {
            for other_hook in ["tcx", "clsact"] {
                let spec = second(site, &dir, mode, &["--tc-hook", other_hook]);
                let said = output(&mut spec.daemon(site.host(0))?, SOON)?;
                refused(&said, 1, &["eth0", "another nved", "--pin"])?;
                ensure!(!spec.pin.exists(), "it left {}", spec.pin.display());
            }
            stream.flows(u64::from(STEADY / 10))?;
            if !stopped {
                site.nves[0].stop();
            }
        }
        println!("{}", stream.lossless()?);
        site.resume(0)?;
        site.ready()?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_second_nved_on_a_tcx_uplink_is_refused() {
    a_second_is_refused("tc", "tcx");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_second_nved_on_a_clsact_uplink_is_refused() {
    a_second_is_refused("tc", "clsact");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_second_nved_on_an_xdp_uplink_is_refused() {
    a_second_is_refused("xdp", "tcx");
}

/// What the status of `host-a` says of other programs on its uplink.
fn others(site: &Site) -> Result<Vec<String>> {
    let status = site.ask(0, &["status"])?;
    let others = status["uplinks"][0]["others"]
        .as_array()
        .context("no others")?;
    Ok(others
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect())
}

fn told(site: &Site, words: &str) -> Result<()> {
    wait_until(&format!("{words:?} in the status"), SOON, || {
        let others = others(site)?;
        ensure!(
            others.iter().any(|other| other.contains(words)),
            "{others:?}"
        );
        Ok(Some(()))
    })
}

/// Whether `ip` shows this program as the XDP program of the uplink of `host-a`.
fn at_xdp(site: &Site, id: u32) -> Result<bool> {
    let links = site
        .host(0)
        .exec(&["ip", "-details", "link", "show", "eth0"])?;
    Ok(links.stdout.contains(&format!(" id {id} ")))
}

fn an_xdp_program_is_not_displaced(how: XdpMode) {
    proof(Site::bare("coxdp", &["blue-vm1"]), |site| {
        let mut object = stranger()?;
        let program = object
            .program_mut("xyz_xdp_ingress")
            .context("no program")?;
        let program: &mut Xdp = program.try_into()?;
        program.load()?;
        inside(site.host(0), || Ok(program.attach("eth0", how)?))?;
        let id = program.info()?.id();
        ensure!(at_xdp(site, id)?, "the other program is not even attached");
        site.start(0, "auto")?;
        site.nvectl(0, &["unload"])?.success()?;
        site.nves[0].stop();
        "xdp".clone_into(&mut site.nves[0].spec_mut().mode);
        let said = output(&mut site.nves[0].spec().daemon(site.host(0))?, SOON)?;
        refused(
            &said,
            1,
            &["eth0", &format!("(id {id})"), "--uplink-mode tc"],
        )?;
        ensure!(at_xdp(site, id)?, "it was displaced");
        "tc".clone_into(&mut site.nves[0].spec_mut().mode);
        site.resume(0)?;
        site.apply(0, &site.demo())?;
        site.becomes(0, PORT, "Ready")?;
        told(
            site,
            &format!("xyz_xdp_ingress (id {id}) at xdp, before nve"),
        )?;
        ensure!(at_xdp(site, id)?, "it was displaced by a tc uplink");
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_native_xdp_program_of_somebody_else_is_not_displaced() {
    an_xdp_program_is_not_displaced(XdpMode::Driver);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_generic_xdp_program_of_somebody_else_is_not_displaced() {
    an_xdp_program_is_not_displaced(XdpMode::Skb);
}

/// An XDP program on a port's device: `mode: xdp` waits, and says for whom.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_xdp_port_waits_for_a_program_of_somebody_else() {
    proof(Site::alone("coport"), |site| {
        site.becomes(0, PORT, "Ready")?;
        let status = site.ask(0, &["status"])?;
        let ports = status["ports"].as_array().context("no ports")?;
        let port = ports.iter().find(|port| port["name"] == "blue-vm1");
        let device = port.and_then(|port| port["interface"].as_str());
        let device = device.context("no interface")?.to_owned();
        let mut object = stranger()?;
        let program = object.program_mut("xyz_xdp_egress").context("no program")?;
        let program: &mut Xdp = program.try_into()?;
        program.load()?;
        let link = inside(site.host(0), || {
            Ok(program.attach(&device, XdpMode::Driver)?)
        })?;
        let mode = site.demo().replace("  attach:", "  mode: xdp\n  attach:");
        site.apply(0, &mode)?;
        let state = site.becomes(0, PORT, "Pending: ")?;
        ensure!(
            state.contains("xyz_xdp_egress") && state.contains("`mode: tc`"),
            "{state}"
        );
        program.detach(link)?;
        site.becomes(0, PORT, "Ready").map(drop)
    });
}

/// The order of attachment is the order of programs, and unload takes nobody along.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn tcx_programs_of_somebody_else_stay_in_order_and_run() {
    proof(Site::bare("cotcx", &VMS), |site| {
        let mut early = stranger()?;
        attach_tcx(site, &mut early)?;
        for host in [0, 1] {
            site.start(host, "tc")?;
            site.apply(host, &site.demo())?;
        }
        site.ready()?;
        let mut late = stranger()?;
        attach_tcx(site, &mut late)?;
        told(site, "xyz_tc_ingress")?;
        told(site, "before nve")?;
        told(site, "after nve")?;
        ensure!(others(site)?.len() == 2, "{:?}", others(site)?);
        let runs = |site: &Site| -> Result<()> {
            let before = (seen(&early)?, seen(&late)?);
            ping(site.host(1), "192.0.2.1", 56)?;
            let after = (seen(&early)?, seen(&late)?);
            ensure!(after.0 >= before.0 + 3, "{before:?} {after:?}");
            ensure!(after.1 >= before.1 + 3, "{before:?} {after:?}");
            Ok(())
        };
        ping(site.vm("blue-vm1"), B, 56)?;
        runs(site)?;
        site.nves[0].kill()?;
        site.resume(0)?;
        site.ready()?;
        ping(site.vm("blue-vm1"), B, 56)?;
        runs(site)?;
        site.nvectl(0, &["unload"])?.success()?;
        runs(site)
    });
}

fn attach_tcx(site: &Site, object: &mut aya::Ebpf) -> Result<()> {
    let program = object.program_mut("xyz_tc_ingress").context("no program")?;
    let program: &mut SchedClassifier = program.try_into()?;
    program.load()?;
    inside(site.host(0), || {
        program.attach("eth0", TcAttachType::Ingress)?;
        Ok(())
    })
}

/// One uplink that cannot be had is no reason to leave the others without an agent.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_uplink_that_is_in_use_by_somebody_waits_beside_another() {
    proof(Site::bare("cotwoup", &["blue-vm1"]), |site| {
        cable(site.host(0), "eth1", site.host(1), "eth1")?;
        let mut object = stranger()?;
        let program = object
            .program_mut("xyz_xdp_ingress")
            .context("no program")?;
        let program: &mut Xdp = program.try_into()?;
        program.load()?;
        let link = inside(
            site.host(0),
            || Ok(program.attach("eth1", XdpMode::Driver)?),
        )?;
        site.start_as(0, "xdp", |spec| spec.uplinks.push("eth1".to_owned()))?;
        site.apply(0, &site.demo())?;
        wait_until("a status that names the uplink", SOON, || {
            let said = site.nvectl(0, &["status"])?.stdout;
            ensure!(
                said.contains("eth1") && said.contains("xyz_xdp_ingress"),
                "{said}"
            );
            Ok(Some(()))
        })?;
        site.becomes(0, PORT, "Ready")?;
        program.detach(link)?;
        wait_until("both uplinks", SOON, || {
            let status = site.ask(0, &["status"])?;
            let uplinks = status["uplinks"].as_array().context("no uplinks")?;
            ensure!(uplinks.len() == 2, "{uplinks:?}");
            Ok(Some(()))
        })
    });
}
