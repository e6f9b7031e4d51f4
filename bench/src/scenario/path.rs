//! What is compared.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Scenario;

/// The ways for packets that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathName {
    /// Our programs at XDP, vport and uplink.
    NveXdp,
    /// Our programs at TC, vport and uplink.
    NveTc,
    /// The do-nothing twin of [`Self::NveXdp`]: same devices, redirect only.
    TwinXdp,
    /// The do-nothing twin of [`Self::NveTc`].
    TwinTc,
    /// One veth pair from tenant to tenant, no host between.
    Veth,
    /// Linux vxlan device in a bridge.
    VxlanBridge,
    /// Linux gretap device with a key, in a bridge.
    GretapBridge,
    /// Open vSwitch, kernel datapath, GRE port.
    OvsKernelGre,
    /// Open vSwitch, user-space datapath (`AF_XDP` where it has it), GRE port.
    OvsUserGre,
    /// Encapsulation or rewrite as a textbook has it: XDP, one HASH look-up, no checks.
    TextbookXdp,
    /// Encapsulation in the same way at TC.
    TextbookTc,
    /// [`Self::NveXdp`] with one queue and one thread that generates, whatever the scenario says.
    NveXdpOneThread,
    /// [`Self::NveTc`] in the same way.
    NveTcOneThread,
    /// [`Self::TwinXdp`] in the same way.
    TwinXdpOneThread,
    /// [`Self::TwinTc`] in the same way.
    TwinTcOneThread,
    /// [`Self::NveXdp`] whose records nobody writes, whatever the scenario says.
    NveXdpStill,
    /// [`Self::NveTc`] in the same way.
    NveTcStill,
    /// [`Self::NveXdp`] with a thread that wakes as often as one that updates, and writes nothing.
    NveXdpIdleWriter,
    /// [`Self::NveTc`] in the same way.
    NveTcIdleWriter,
}

impl PathName {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::NveXdp,
        Self::NveTc,
        Self::TwinXdp,
        Self::TwinTc,
        Self::Veth,
        Self::VxlanBridge,
        Self::GretapBridge,
        Self::OvsKernelGre,
        Self::OvsUserGre,
        Self::TextbookXdp,
        Self::TextbookTc,
        Self::NveXdpOneThread,
        Self::NveTcOneThread,
        Self::TwinXdpOneThread,
        Self::TwinTcOneThread,
        Self::NveXdpStill,
        Self::NveTcStill,
        Self::NveXdpIdleWriter,
        Self::NveTcIdleWriter,
    ];

    /// The word in results and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NveXdp => "nve-xdp",
            Self::NveTc => "nve-tc",
            Self::TwinXdp => "twin-xdp",
            Self::TwinTc => "twin-tc",
            Self::Veth => "veth",
            Self::VxlanBridge => "vxlan-bridge",
            Self::GretapBridge => "gretap-bridge",
            Self::OvsKernelGre => "ovs-kernel-gre",
            Self::OvsUserGre => "ovs-user-gre",
            Self::TextbookXdp => "textbook-xdp",
            Self::TextbookTc => "textbook-tc",
            Self::NveXdpOneThread => "nve-xdp-one-thread",
            Self::NveTcOneThread => "nve-tc-one-thread",
            Self::TwinXdpOneThread => "twin-xdp-one-thread",
            Self::TwinTcOneThread => "twin-tc-one-thread",
            Self::NveXdpStill => "nve-xdp-still",
            Self::NveTcStill => "nve-tc-still",
            Self::NveXdpIdleWriter => "nve-xdp-idle-writer",
            Self::NveTcIdleWriter => "nve-tc-idle-writer",
        }
    }

    /// Whether our programs are what is measured.
    pub const fn is_ours(self) -> bool {
        matches!(
            self,
            Self::NveXdp
                | Self::NveTc
                | Self::NveXdpOneThread
                | Self::NveTcOneThread
                | Self::NveXdpStill
                | Self::NveTcStill
                | Self::NveXdpIdleWriter
                | Self::NveTcIdleWriter
        )
    }

    /// The conditions that this path has in place of those of a comparison: what it is to show what
    /// costs must be without just that.
    pub const fn conditions(self, mut scenario: Scenario) -> Scenario {
        match self {
            Self::NveXdpOneThread | Self::NveTcOneThread => scenario.queues = 1,
            Self::TwinXdpOneThread | Self::TwinTcOneThread => {
                (scenario.queues, scenario.updates_per_second) = (1, 0);
            }
            // A twin has no records to write again: the whole price of updates is that of ours.
            Self::NveXdpStill | Self::NveTcStill | Self::TwinXdp | Self::TwinTc => {
                scenario.updates_per_second = 0;
            }
            Self::NveXdp
            | Self::NveTc
            | Self::NveXdpIdleWriter
            | Self::NveTcIdleWriter
            | Self::Veth
            | Self::VxlanBridge
            | Self::GretapBridge
            | Self::OvsKernelGre
            | Self::OvsUserGre
            | Self::TextbookXdp
            | Self::TextbookTc => {}
        }
        scenario
    }
}

impl fmt::Display for PathName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_called_in_rows_as_in_words() {
        for path in PathName::ALL {
            let row = serde_json::to_string(&path).expect("a row");
            assert_eq!(row, format!("\"{path}\""));
        }
    }

    #[test]
    fn a_path_without_something_is_without_just_that() {
        let scenario = Scenario {
            queues: 2,
            updates_per_second: 10_000,
            ..Scenario::PLAIN
        };
        let one = PathName::NveTcOneThread.conditions(scenario);
        assert_eq!((one.queues, one.updates_per_second), (1, 10_000));
        let still = PathName::NveXdpStill.conditions(scenario);
        assert_eq!((still.queues, still.updates_per_second), (2, 0));
        assert_eq!(PathName::NveXdp.conditions(scenario), scenario);
    }
}
