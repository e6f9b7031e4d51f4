//! Verbs that change something, and `diff`, which reads the same files.

use std::fs;

use crate::{
    HOST_YAML, HOSTS,
    fake::{FakeAgent, nvectl, nvectl_at},
};

#[test]
fn apply_streams_lines_and_prints_changes() {
    let report = r#"{"apiVersion":"nve/v1","revision":8,"changes":[
        {"object":"host/host-a","action":"created"},
        {"object":"host/host-b","action":"unchanged"}]}"#;
    let agent = FakeAgent::start(&[
        ("POST /v1/apply", 200, report),
        ("POST /v1/apply?dryRun=true", 200, report),
    ]);
    let directory = tempfile::tempdir().expect("temporary directory");
    let file = directory.path().join("hosts.ndjson");
    let line = r#"{"apiVersion":"nve/v1","kind":"Host","metadata":{"name":"host-a"},"spec":{"providerAddresses":[{"address":"192.0.2.1"}]}}"#;
    let written = format!("{line}\n\n{line}\n");
    fs::write(&file, &written).expect("written");
    let file = file.to_str().expect("UTF-8");
    let run = nvectl(&agent, &["apply", "-f", file]);
    assert_eq!(run.stdout, "host/host-a created\n", "{}", run.stderr);
    assert_eq!(run.stderr, "1 created, 1 unchanged (revision 8)\n");
    // As it is, for it is sent while it is checked.
    assert_eq!(agent.last_body(), written);
    let run = nvectl(&agent, &["apply", "--dry-run", "-f", file]);
    assert_eq!(run.stdout, "host/host-a created (dry run)\n");
}

#[test]
fn apply_reads_standard_input() {
    let report = r#"{"apiVersion":"nve/v1","revision":8,"changes":[]}"#;
    let agent = FakeAgent::start(&[("POST /v1/apply", 200, report)]);
    let run = nvectl_at(agent.socket(), &["apply", "-f", "-"], HOST_YAML);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    let line = agent.last_body();
    assert_eq!(line.lines().count(), 1, "{line}");
    let two = format!("{line}{line}");
    let run = nvectl_at(agent.socket(), &["apply", "-f", "-"], &two);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(agent.last_body(), two);
}

#[test]
fn faults_are_told_with_their_place() {
    let problems = r#"{"problems":[{"object":"host/host-a","document":0,
        "path":"spec.providerAddresses[0].address","message":"host-b has 192.0.2.1 already",
        "hint":"give each host its own"}]}"#;
    let agent = FakeAgent::start(&[("POST /v1/apply", 422, problems)]);
    let directory = tempfile::tempdir().expect("temporary directory");
    let file = directory.path().join("demo.yaml");
    let path = file.to_str().expect("UTF-8");
    let place = format!("{path}:7:");
    fs::write(&file, HOST_YAML).expect("written");
    let run = nvectl(&agent, &["apply", "-f", path]);
    assert_eq!(run.code, 6);
    assert!(run.stderr.contains(&place), "{}", run.stderr);
    let message = "host-b has 192.0.2.1 already";
    assert!(run.stderr.contains(message), "{}", run.stderr);
    fs::write(&file, HOST_YAML.replace("address:", "adress:")).expect("written");
    let run = nvectl_at(directory.path(), &["apply", "-f", path], "");
    assert_eq!(run.code, 6, "before the agent is asked: {}", run.stderr);
    assert!(run.stderr.contains(&place), "{}", run.stderr);
}

#[test]
fn diff_is_unified_and_its_status_says_whether() {
    let agent = FakeAgent::start(&[("GET /v1/objects/Host", 200, HOSTS)]);
    let run = nvectl_at(agent.socket(), &["diff", "-f", "-"], HOST_YAML);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    let other = HOST_YAML.replace("192.0.2.1", "192.0.2.2");
    let run = nvectl_at(agent.socket(), &["diff", "-f", "-"], &other);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let head = "--- stored host/host-a\n+++ - host/host-a\n@@";
    assert!(run.stdout.starts_with(head), "{}", run.stdout);
    let lines = "\n-  - address: \"192.0.2.1\"\n+  - address: \"192.0.2.2\"\n";
    assert!(run.stdout.contains(lines), "{}", run.stdout);
}

#[test]
fn delete_encodes_names_and_passes_conflicts_on() {
    let gone = r#"{"apiVersion":"nve/v1","revision":9,"changes":[
        {"object":"lookuprecord/6001/10.0.0.9","action":"deleted"}]}"#;
    let conflict = r#"{"problems":[{"object":"host/host-a",
        "message":"port/blue/vm1 refers to it","hint":"delete the port first"}]}"#;
    let agent = FakeAgent::start(&[
        ("DELETE /v1/objects/LookupRecord/6001%2F10.0.0.9", 200, gone),
        ("DELETE /v1/objects/Host/host-a", 409, conflict),
    ]);
    let run = nvectl(&agent, &["delete", "lr", "6001/10.0.0.9"]);
    assert_eq!(run.stdout, "lookuprecord/6001/10.0.0.9 deleted\n");
    let run = nvectl(&agent, &["delete", "host", "host-a"]);
    assert_eq!(run.code, 5);
    assert_eq!(
        run.stderr,
        "error: host/host-a: port/blue/vm1 refers to it\n  hint: delete the port first\n"
    );
    assert_eq!(nvectl(&agent, &["delete", "host", "host-z"]).code, 4);
}

#[test]
fn delete_by_file_ignores_what_is_gone_and_tells_partial_work() {
    let gone = r#"{"apiVersion":"nve/v1","revision":9,"changes":[
        {"object":"port/blue/vm1","action":"deleted"}]}"#;
    let conflict = r#"{"problems":[{"message":"in use"}]}"#;
    let agent = FakeAgent::start(&[
        ("DELETE /v1/objects/Port/vm1?vmNetwork=blue", 200, gone),
        ("DELETE /v1/objects/Host/host-a", 409, conflict),
    ]);
    let absent = HOST_YAML.replace("host-a", "host-b");
    let run = nvectl_at(agent.socket(), &["delete", "-f", "-"], &absent);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (0, "host/host-b not found\n")
    );
    let port = "---\napiVersion: nve/v1\nkind: Port\nmetadata: {name: vm1, vmNetwork: blue}\n\
        spec: {host: host-a, virtualSubnetId: 6001, macAddress: 02:00:00:0b:00:05, \
        customerAddresses: [10.0.0.5], attach: {netns: n}}\n";
    let both = format!("{HOST_YAML}{port}");
    let run = nvectl_at(agent.socket(), &["delete", "-f", "-"], &both);
    assert_eq!(run.code, 8, "{}", run.stderr);
    assert_eq!(run.stdout, "port/blue/vm1 deleted\n");
}

#[test]
fn unload_prints_what_was_removed() {
    let unloaded = r#"{"detached":["eth0 tc"],"pins":9,"devices":["nve-p1"]}"#;
    let agent = FakeAgent::start(&[("POST /v1/unload", 200, unloaded)]);
    let run = nvectl(&agent, &["unload"]);
    assert_eq!(
        run.stdout,
        "program eth0 tc detached\ndevice nve-p1 removed\n9 pins removed\n"
    );
}

#[test]
fn restart_says_how_many() {
    let agent = FakeAgent::start(&[("POST /v1/slow-path/restart", 200, r#"{"workers":3}"#)]);
    let run = nvectl(&agent, &["restart", "slow-path"]);
    assert_eq!(run.stdout, "3 workers of the slow path restarted\n");
    assert_eq!((run.stderr.as_str(), run.code), ("", 0));
    assert_eq!(nvectl(&agent, &["restart", "nved"]).code, 2);
}
