//! Verbs that change nothing.

use crate::{
    HOST_YAML, HOSTS,
    fake::{FakeAgent, nvectl},
};

const PORTS: &str = r#"{"apiVersion":"nve/v1","kind":"PortList","items":[
 {"document":{"apiVersion":"nve/v1","kind":"Port","metadata":{"name":"vm1","vmNetwork":"blue"},
  "spec":{"host":"host-a","virtualSubnetId":6001,"macAddress":"02:00:00:0b:00:05",
  "customerAddresses":["10.0.0.5"],"mode":"tc","attach":{"netns":"blue-vm1"}}},
  "status":{"revision":3,"state":"Ready","interface":"nve-p1"}},
 {"document":{"apiVersion":"nve/v1","kind":"Port","metadata":{"name":"vm1","vmNetwork":"red"},
  "spec":{"host":"host-a","virtualSubnetId":7001,"macAddress":"02:00:00:0b:00:05",
  "customerAddresses":["10.0.0.5"],"mode":"tc","attach":{"netns":"red-vm1"}}},
  "status":{"revision":4,"state":"Pending: no namespace"}}]}"#;

const PORT: &str = r#"{"document":{"apiVersion":"nve/v1","kind":"Port",
  "metadata":{"name":"vm1","vmNetwork":"blue"},
  "spec":{"host":"host-a","virtualSubnetId":6001,"macAddress":"02:00:00:0b:00:05",
  "customerAddresses":["10.0.0.5"],"attach":{"netns":"n"}}},
  "status":{"revision":3,"state":"Ready"}}"#;

const RECORDS: &str = r#"{"apiVersion":"nve/v1","kind":"LookupRecordList","items":[
 {"document":{"apiVersion":"nve/v1","kind":"LookupRecord","metadata":{"vmNetwork":"blue"},
  "spec":{"virtualSubnetId":6001,"customerAddress":"10.0.0.5","macAddress":"02:00:00:0b:00:05",
  "providerAddress":"192.0.2.1"}},
  "status":{"revision":0,"state":"Ready","derivedFrom":"blue/vm1"}}]}"#;

const DROPS: &str = r#"{"apiVersion":"nve/v1","kind":"DropList","items":[
 {"port":"blue/vm1","direction":"egress","reason":"SPOOF_MAC","description":"Not its MAC.","packets":3,"bytes":126},
 {"port":"uplink","direction":"ingress","reason":"OUTER_FRAG","description":"A fragment.","packets":1,"bytes":60}]}"#;

const COUNTERS: &str = r#"{"apiVersion":"nve/v1","kind":"CounterList","items":[
 {"port":"blue/vm1","counter":"egress_encapped","packets":7,"bytes":700}]}"#;

const UPCALLS: &str = r#"{"apiVersion":"nve/v1","kind":"UpcallList","items":[
 {"vmNetwork":"blue","weight":1,"punted":3,"punts":{"MISS":3},"rate":1,"held":0,"reinjected":3,"answered":0,"consumed":0,
  "dropped":0,"drops":{},"latency":{"p50Microseconds":41,"p99Microseconds":97},"recordsInUse":2,"negativeAnswers":0},
 {"vmNetwork":"red","weight":2,"punted":0,"punts":{},"rate":0,"held":0,"reinjected":0,"answered":0,"consumed":0,
  "dropped":0,"drops":{},"recordsInUse":0,"negativeAnswers":0}]}"#;

fn status(ready: bool) -> String {
    let conditions = if ready {
        ""
    } else {
        r#""uplink eth0 is down""#
    };
    format!(
        r#"{{"apiVersion":"nve/v1","version":"0.1.0","host":"host-a","ready":{ready},
        "conditions":[{conditions}],"uptimeSeconds":75,"revision":4,"generation":2,
        "uplinks":[{{"interface":"eth0","mode":"tc","driver":"veth","mtu":1500}}],"ports":[],
        "providerAddresses":[],
        "tables":{{"vports":0,"subnets":0,"lookupRecords":0,"underlay":1}}}}"#
    )
}

#[test]
fn get_prints_a_table_without_trailing_blanks() {
    let agent = FakeAgent::start(&[("GET /v1/objects/Port", 200, PORTS)]);
    let run = nvectl(&agent, &["get", "Ports"]);
    assert_eq!(
        run.stdout,
        "VMNETWORK  NAME  HOST    VSID  CA        MAC                STATE\n\
         blue       vm1   host-a  6001  10.0.0.5  02:00:00:0b:00:05  Ready\n\
         red        vm1   host-a  7001  10.0.0.5  02:00:00:0b:00:05  Pending: no namespace\n"
    );
    assert_eq!((run.stderr.as_str(), run.code), ("", 0));
}

#[test]
fn get_filters_by_vm_network_and_prints_names() {
    let agent = FakeAgent::start(&[("GET /v1/objects/Port", 200, PORTS)]);
    let run = nvectl(&agent, &["get", "p", "-n", "red", "-o", "name"]);
    assert_eq!(run.stdout, "port/red/vm1\n");
}

#[test]
fn get_json_is_versioned() {
    let agent = FakeAgent::start(&[("GET /v1/objects/Port", 200, PORTS)]);
    let run = nvectl(&agent, &["get", "port", "-o", "json"]);
    let given: serde_json::Value = serde_json::from_str(PORTS).expect("JSON");
    let printed: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(printed, given);
}

#[test]
fn get_yaml_leaves_derived_records_out() {
    let agent = FakeAgent::start(&[
        ("GET /v1/objects/Host", 200, HOSTS),
        ("GET /v1/objects/LookupRecord", 200, RECORDS),
    ]);
    let run = nvectl(&agent, &["get", "hosts", "-o", "yaml"]);
    assert_eq!(run.stdout.replace('"', ""), HOST_YAML);
    let run = nvectl(&agent, &["get", "lr", "-o", "yaml"]);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("derived"), "{}", run.stderr);
}

#[test]
fn get_drops_and_counters() {
    let agent = FakeAgent::start(&[
        ("GET /v1/drops", 200, DROPS),
        ("GET /v1/counters", 200, COUNTERS),
    ]);
    let run = nvectl(&agent, &["get", "drops", "-n", "blue"]);
    assert_eq!(
        run.stdout,
        "PORT      DIRECTION  REASON     PACKETS  BYTES\n\
         blue/vm1  egress     SPOOF_MAC  3        126\n"
    );
    let run = nvectl(&agent, &["get", "counters"]);
    assert!(run.stdout.contains("egress_encapped  7"), "{}", run.stdout);
    assert_eq!(nvectl(&agent, &["get", "drops", "-o", "name"]).code, 2);
}

#[test]
fn get_upcalls_has_every_form() {
    let agent = FakeAgent::start(&[("GET /v1/upcalls", 200, UPCALLS)]);
    let run = nvectl(&agent, &["get", "upcalls", "-n", "blue"]);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.stdout);
    let cells: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(
        cells,
        ["blue", "3", "1", "0", "3", "0", "0", "41", "97", "2", "0"]
    );
    let run = nvectl(&agent, &["get", "upcall", "-o", "json"]);
    let given: serde_json::Value = serde_json::from_str(UPCALLS).expect("JSON");
    let printed: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(printed, given);
    let run = nvectl(&agent, &["get", "upcalls", "-o", "name"]);
    assert_eq!(run.stdout, "vmnetwork/blue\nvmnetwork/red\n");
    let run = nvectl(&agent, &["get", "upcalls", "-o", "yaml"]);
    assert!(run.stdout.contains("p99Microseconds: 97"), "{}", run.stdout);
    let run = nvectl(&agent, &["get", "upcalls", "-n", "green"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""));
    assert!(!run.stderr.is_empty());
    assert_eq!(nvectl(&agent, &["get", "upcalls", "blue"]).code, 2);
}

#[test]
fn a_port_name_is_unique_or_complete() {
    let agent = FakeAgent::start(&[
        ("GET /v1/objects/Port/vm1?vmNetwork=blue", 200, PORT),
        ("GET /v1/objects/Port", 200, PORTS),
    ]);
    let run = nvectl(&agent, &["get", "port", "vm1"]);
    assert_eq!(run.code, 2);
    let both = "port/blue/vm1 or port/red/vm1";
    assert!(run.stderr.contains(both), "{}", run.stderr);
    let run = nvectl(&agent, &["get", "port", "vm1", "-n", "blue", "-o", "name"]);
    assert_eq!(run.stdout, "port/blue/vm1\n", "{}", run.stderr);
    let run = nvectl(&agent, &["get", "port", "vm9"]);
    assert_eq!(run.code, 4);
    assert!(run.stderr.contains("port/vm9 not found"), "{}", run.stderr);
}

#[test]
fn describe_shows_a_port_and_its_traffic() {
    let agent = FakeAgent::start(&[
        ("GET /v1/objects/Port/vm1?vmNetwork=blue", 200, PORT),
        ("GET /v1/drops", 200, DROPS),
        ("GET /v1/counters", 200, COUNTERS),
    ]);
    let run = nvectl(&agent, &["describe", "port", "blue/vm1"]);
    for part in [
        "vmNetwork: blue",
        "state: Ready",
        "SPOOF_MAC",
        "egress_encapped",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    assert!(!run.stdout.contains("OUTER_FRAG"), "{}", run.stdout);
}

#[test]
fn status_says_no_by_its_exit_status() {
    let (good, bad) = (status(true), status(false));
    let agent = FakeAgent::start(&[("GET /v1/status", 200, &good)]);
    let run = nvectl(&agent, &["status", "--brief", "--wait"]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "OK\n"),
        "{}",
        run.stderr
    );
    let run = nvectl(&agent, &["status", "-o", "json"]);
    assert!(
        run.stdout.contains("\"kind\": \"Status\""),
        "{}",
        run.stdout
    );
    let agent = FakeAgent::start(&[("GET /v1/status", 200, &bad)]);
    let run = nvectl(&agent, &["status"]);
    assert_eq!(run.code, 1);
    let head = "host-a: Degraded\n  - uplink eth0 is down\n";
    assert!(run.stdout.starts_with(head), "{}", run.stdout);
    let run = nvectl(&agent, &["status", "--brief", "--wait=0"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, "Degraded\n"));
    assert_eq!(run.stderr, "not ready after 0 s\n  - uplink eth0 is down\n");
}

#[test]
fn version_names_both() {
    let version = r#"{"apiVersion":"nve/v1","version":"0.1.0","abiVersion":1,"kernel":"6.18"}"#;
    let agent = FakeAgent::start(&[("GET /v1/version", 200, version)]);
    let run = nvectl(&agent, &["version"]);
    let tail = "nved 0.1.0 (map layout 1, kernel 6.18)\n";
    assert!(run.stdout.ends_with(tail), "{}", run.stdout);
}
