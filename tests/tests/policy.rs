//! Policies, good and bad, given to a real agent; no packet is sent here.

use anyhow::{Result, ensure};
use dataplane_tests::net::{Site, proof, refused};
use std::{fmt::Write as _, fs::File};
use xtask::lab::Output;

/// Runs `nvectl VERB -f FILE` with this text.
fn with(site: &Site, verb: &str, name: &str, text: impl AsRef<[u8]>) -> Result<Output> {
    let file = site.file(name, text)?;
    site.nvectl(0, &[verb, "-f", &file.to_string_lossy()])
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_second_apply_changes_nothing_and_diff_agrees() {
    proof(Site::alone("polapply"), |site| {
        let again = site.apply(0, &site.demo())?;
        ensure!(again.stdout.is_empty(), "changed: {}", again.stdout);
        ensure!(again.stderr.contains("9 unchanged"), "{}", again.stderr);
        let same = with(site, "diff", "same.yaml", site.demo())?;
        ensure!(
            same.code() == 0 && same.stdout.is_empty(),
            "{}",
            same.stdout
        );
        let other = site.demo().replace("outerTtl: 64", "outerTtl: 63");
        let differs = with(site, "diff", "other.yaml", other)?;
        ensure!(differs.code() == 1, "exit code {}", differs.code());
        for line in ["-    outerTtl: 64", "+    outerTtl: 63"] {
            ensure!(
                differs.stdout.contains(line),
                "no {line:?} in:\n{}",
                differs.stdout
            );
        }
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn all_faults_of_a_file_are_told_and_nothing_changes() {
    proof(Site::alone("polfaults"), |site| {
        let before = site.everything(0)?;
        let text = site
            .demo()
            .replace("outerTtl: 64", "outerTtl: 32")
            .replacen(
                "customerAddresses: [10.0.0.5]",
                "customerAddresses: [10.9.0.5]",
                1,
            )
            .replacen("host: host-b", "host: host-z", 1)
            .replacen("virtualSubnetId: 7001", "virtualSubnetId: 4095", 1);
        let line = |word: &str| {
            1 + text
                .lines()
                .position(|line| line.contains(word))
                .unwrap_or(0)
        };
        let said = with(site, "apply", "faulty.yaml", &text)?;
        refused(
            &said,
            6,
            &["10.9.0.5", "host-z", "4095", "nothing was changed"],
        )?;
        for word in ["10.9.0.5", "host-z", "4095"] {
            let place = format!("faulty.yaml:{}:", line(word));
            ensure!(
                said.stderr.contains(&place),
                "no {place} in:\n{}",
                said.stderr
            );
        }
        ensure!(site.everything(0)? == before, "something was changed");
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn clashes_between_documents_are_refused() {
    proof(Site::alone("polclash"), |site| {
        let before = site.everything(0)?;
        let demo = site.demo();
        let clashes = [
            (
                "a VSID in two networks",
                demo.replace("7001", "6001"),
                "6001",
            ),
            (
                "a CA twice",
                demo.replace("[10.0.0.7]", "[10.0.0.5]"),
                "10.0.0.5",
            ),
            (
                "a MAC twice",
                demo.replace(":00:07", ":00:05"),
                "02:00:00:00:00:05",
            ),
            (
                "the gateway's CA",
                demo.replace("[10.0.0.7]", "[10.0.0.1]"),
                "10.0.0.1",
            ),
            (
                "overlapping prefixes",
                demo.replace("[10.0.0.0/24]", "[10.0.0.0/24, 10.0.0.128/25]"),
                "10.0.0.128/25",
            ),
            (
                "an unknown field",
                demo.replace("outerTtl", "outerTTL"),
                "outerTTL",
            ),
        ];
        for (what, text, word) in clashes {
            let said = with(site, "apply", "clash.yaml", text)?;
            refused(&said, 6, &["clash.yaml:", word]).map_err(|error| error.context(what))?;
        }
        ensure!(site.everything(0)? == before, "something was changed");
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn files_that_are_no_policy_are_refused() {
    proof(Site::alone("polbad"), |site| {
        let before = site.everything(0)?;
        let demo = site.demo();
        let mut bomb = String::from("a0: &a0 [x, x]\n");
        for level in 1..30 {
            let _ = writeln!(bomb, "a{level}: &a{level} [*a{0}, *a{0}]", level - 1);
        }
        let twice = demo.replacen(
            "metadata: {name: host-a}",
            "metadata: {name: host-a, name: x}",
            1,
        );
        let cut = &demo[..demo.find("[10.0.0.5]").unwrap_or(0) + 5];
        for (name, text) in [
            ("bomb.yaml", bomb.as_str()),
            ("twice.yaml", &twice),
            ("cut.yaml", cut),
        ] {
            refused(&with(site, "apply", name, text)?, 6, &[name])?;
        }
        let large = site.file("large.yaml", &demo)?;
        File::options()
            .write(true)
            .open(&large)?
            .set_len((64 << 20) + 1)?;
        let said = site.nvectl(0, &["apply", "-f", &large.to_string_lossy()])?;
        refused(&said, 6, &["64 MiB"])?;
        ensure!(site.everything(0)? == before, "something was changed");
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_thousand_records_come_by_lines() {
    proof(Site::alone("polbulk"), |site| {
        site.apply(0, &site.demo().replace("[10.0.0.0/24]", "[10.0.0.0/16]"))?;
        let mut lines = String::new();
        for number in 0..1000 {
            let (high, low) = (4 + number / 250, number % 250);
            writeln!(
                lines,
                r#"{{"apiVersion":"nve/v1","kind":"LookupRecord","metadata":{{"vmNetwork":"blue"}},"spec":{{"virtualSubnetId":6001,"customerAddress":"10.0.{high}.{low}","macAddress":"02:00:00:01:{high:02x}:{low:02x}","providerAddress":"192.0.2.2"}}}}"#
            )?;
        }
        let said = with(site, "apply", "bulk.ndjson", &lines)?.success()?;
        ensure!(said.stderr.contains("1000 created"), "{}", said.stderr);
        let records = site
            .nvectl(0, &["get", "lookuprecords", "-o", "name"])?
            .stdout;
        ensure!(
            records.lines().count() == 1004,
            "{} records",
            records.lines().count()
        );
        let tables = &site.ask(0, &["status"])?["tables"];
        // Those of the ports and of the gateways come on top.
        ensure!(
            tables["lookupRecords"].as_u64() >= Some(1004),
            "in the kernel: {tables}"
        );
        let bad = lines.replacen("10.0.5.7\"", "10.9.5.7\"", 1);
        refused(
            &with(site, "apply", "bad.ndjson", bad)?,
            6,
            &["bad.ndjson:258", "10.9.5.7"],
        )
    });
}
