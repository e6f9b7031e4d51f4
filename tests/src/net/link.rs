//! A device as `ip` shows it. `/sys/class/net` would show those of the namespace that mounted it.

use anyhow::{Context, Result};
use serde_json::Value;
use xtask::lab::Netns;

/// What makes a veth hand over more than one frame of a wire at a time.
const OFFLOADS: [&str; 5] = [
    "tx",
    "tso",
    "gso",
    "tx-gre-segmentation",
    "tx-gre-csum-segmentation",
];

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub index: u64,
    /// Its MTU in bytes.
    pub mtu: u64,
    /// Its MAC, in lower case with colons.
    pub mac: String,
}

impl Link {
    /// The device with this name; fails when there is none.
    pub fn named(netns: &Netns, name: &str) -> Result<Self> {
        let shown = netns.exec(&["ip", "-json", "link", "show", name])?.stdout;
        let links: Value = serde_json::from_str(&shown)?;
        let link = links.get(0).context("no link in the answer")?;
        let number = |key: &str| link[key].as_u64();
        let unreadable = || format!("{name} in {shown}");
        Ok(Self {
            index: number("ifindex").with_context(unreadable)?,
            mtu: number("mtu").with_context(unreadable)?,
            mac: link["address"].as_str().unwrap_or_default().to_owned(),
        })
    }

    /// The bytes of its MAC.
    pub fn bytes(&self) -> Result<[u8; 6]> {
        let bytes = self.mac.split(':').map(|byte| u8::from_str_radix(byte, 16));
        let bytes: Vec<u8> = bytes.collect::<Result<_, _>>()?;
        let bytes = bytes.try_into().ok();
        bytes.with_context(|| format!("{:?} is no MAC", self.mac))
    }
}

/// Makes a veth hand over whole frames of one segment each.
pub(super) fn complete(netns: &Netns, device: &str) -> Result<()> {
    let mut off = vec!["ethtool", "-K", device];
    for feature in OFFLOADS {
        off.extend([feature, "off"]);
    }
    netns.exec(&off).map(drop)
}
