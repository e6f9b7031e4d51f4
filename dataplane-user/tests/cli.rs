//! nvectl against an agent that is only a script: what it prints, where, and
//! with which exit status. The real agent has tests of its own.

#[path = "cli/errors.rs"]
mod errors;
#[path = "cli/fake.rs"]
mod fake;
#[path = "cli/read.rs"]
mod read;
#[path = "cli/write.rs"]
mod write;

const HOST_YAML: &str = "apiVersion: nve/v1
kind: Host
metadata:
  name: host-a
spec:
  providerAddresses:
  - address: 192.0.2.1
";

const HOSTS: &str = r#"{"apiVersion":"nve/v1","kind":"HostList","items":[
 {"document":{"apiVersion":"nve/v1","kind":"Host","metadata":{"name":"host-a"},
  "spec":{"providerAddresses":[{"address":"192.0.2.1"}]}},"status":{"revision":1,"state":"Ready"}}]}"#;
