//! What ports are attached to.

use super::Site;
use anyhow::{Context, Result};
use serde_json::Value;
use xtask::lab::{Netns, run};

impl Site {
    /// What the status tells of a port of a host, by `vmNetwork/name`.
    pub fn port(&self, host: usize, port: &str) -> Result<Value> {
        let status = self.ask(host, &["status"])?;
        let ports = status["ports"]
            .as_array()
            .context("no ports in the status")?;
        let part = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
        let found = ports
            .iter()
            .find(|item| format!("{}/{}", part(item, "vmNetwork"), part(item, "name")) == port);
        Ok(found.cloned().unwrap_or_default())
    }

    /// The interface of a ready port.
    pub fn interface(&self, host: usize, port: &str) -> Result<String> {
        let found = self.port(host, port)?;
        let name = found["interface"].as_str();
        Ok(name.context("the port has no interface")?.to_owned())
    }

    /// The demo's policy with `blue-vm1` attached as told, such as `{tap: vm5}`.
    pub fn demo_at(&self, attach: &str) -> String {
        let netns = format!("{{netns: {}}}", self.named("blue-vm1"));
        let text = self.demo();
        assert!(text.contains(&netns), "the demo's first port moved");
        text.replace(&netns, attach)
    }
}

/// A veth from a host to a place, with the MAC of the demo's first VM at its far end.
pub fn cable(host: &Netns, near: &str, place: &Netns, far: &str) -> Result<()> {
    let mac = "02:00:00:00:00:05";
    let mut link = host.command("ip");
    link.args(["link", "add", near, "mtu", "1500", "type", "veth", "peer"]);
    link.args(["name", far, "mtu", "1500", "address", mac, "netns"]);
    run(link.arg(place.path()))?;
    host.exec(&["ip", "link", "set", near, "up"])?;
    place.exec(&["ip", "link", "set", far, "up"])?;
    Ok(())
}
