//! `nvectl` against a real agent: what it shows, what it answers, and to whom.

use anyhow::ensure;
use dataplane_tests::net::{Site, proof, socket::nvectl_as_nobody};
use xtask::lab::{PATIENCE, output};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn objects_are_shown_and_deleted_with_care() {
    proof(Site::alone("polshow"), |site| {
        let records = site.nvectl(0, &["get", "lookuprecords"])?.success()?.stdout;
        for (ca, pa) in [("10.0.0.5", "192.0.2.1"), ("10.0.0.7", "192.0.2.2")] {
            let row = records
                .lines()
                .find(|line| line.starts_with("6001") && line.contains(ca));
            ensure!(
                row.is_some_and(|row| row.contains(pa)),
                "no {ca} at {pa} in:\n{records}"
            );
        }
        let used = site.nvectl(0, &["delete", "vmnetwork", "blue"])?;
        ensure!([5, 6].contains(&used.code()), "exit code {}", used.code());
        ensure!(
            used.stderr.contains("blue-vm1"),
            "not who refers: {}",
            used.stderr
        );
        // Nobody answers; what counts is that the port has sent something.
        let _ = site
            .vm("blue-vm1")
            .exec(&["ping", "-c", "1", "-W", "1", "10.0.0.7"]);
        let told = site
            .nvectl(0, &["describe", "port", "blue-vm1"])?
            .success()?
            .stdout;
        for word in ["kind: Port", "state: Ready", "egress_received"] {
            ensure!(told.contains(word), "no {word:?} in:\n{told}");
        }
        let none = site.nvectl(0, &["get", "port", "blue-vm9"])?;
        ensure!(
            none.code() == 4,
            "exit code {} for what is not there",
            none.code()
        );
        let wrong = site.nvectl(0, &["get", "nonsense"])?;
        ensure!(
            wrong.code() == 2,
            "exit code {} for a wrong kind",
            wrong.code()
        );
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn status_answers_by_its_exit_code() {
    proof(Site::alone("polstat"), |site| {
        // The other host has no agent, but its kernel answers ARP.
        let good = site.nvectl(0, &["status", "--wait=20", "--brief"])?;
        ensure!(
            good.code() == 0 && good.stdout == "OK\n",
            "{}{}",
            good.stdout,
            good.stderr
        );
        site.host(0).exec(&["ip", "link", "set", "eth0", "down"])?;
        let end = xtask::lab::wait_until("a degraded status", PATIENCE, || {
            let said = site.nvectl(0, &["status", "--brief"])?;
            Ok((said.code() == 1).then_some(said.stdout))
        })?;
        ensure!(end == "Degraded\n", "{end}");
        let waited = site.nvectl(0, &["status", "--wait=1", "--brief"])?;
        ensure!(waited.code() == 1, "exit code {}", waited.code());
        ensure!(waited.stderr.contains("eth0 is down"), "{}", waited.stderr);
        site.nves[0].stop();
        let gone = site.nvectl(0, &["get", "ports"])?;
        ensure!(gone.code() == 3, "exit code {}", gone.code());
        ensure!(gone.stderr.contains("nved"), "{}", gone.stderr);
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn others_than_root_read_by_group_and_never_write() {
    proof(Site::alone("poluser"), |site| {
        let run = |args: &[&str]| nvectl_as_nobody(site, 0, args);
        let kept_out = run(&["get", "ports"])?;
        ensure!(
            kept_out.code() == 7,
            "exit {}: {}",
            kept_out.code(),
            kept_out.stderr
        );
        let mut open = std::process::Command::new("chgrp");
        output(
            open.arg("65534").arg(site.nves[0].spec().socket()),
            PATIENCE,
        )?
        .success()?;
        let read = run(&["get", "ports"])?.success()?;
        ensure!(read.stdout.contains("blue-vm1"), "{}", read.stdout);
        let before = site.everything(0)?;
        for write in [
            &["delete", "port", "blue-vm1"][..],
            &["restart", "slow-path"],
            &["unload"],
        ] {
            let refused = run(write)?;
            ensure!(
                refused.code() == 7,
                "{write:?} exit {}: {}",
                refused.code(),
                refused.stderr
            );
            ensure!(refused.stderr.contains("root"), "{}", refused.stderr);
        }
        ensure!(site.everything(0)? == before, "something was changed");
        Ok(())
    });
}
