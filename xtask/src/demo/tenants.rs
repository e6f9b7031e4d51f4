//! Who takes part.

/// The prefix of every name that the demo gives.
pub(super) const PREFIX: &str = "nvedemo";

/// The address of every tenant's second VM.
pub(super) const PEER: &str = "10.0.0.7";

/// A tenant, with one VM on each host.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) name: &'static str,
    pub(super) vsid: u32,
    /// A word that is in this tenant's packets and in no others.
    pub(super) marker: &'static str,
    /// Where its iperf3 listens: not where the other's does, so that a leak shows.
    pub(super) iperf3: u16,
}

pub(super) const TENANTS: [Tenant; 2] = [
    Tenant {
        name: "blue",
        vsid: 6001,
        marker: "nve-blue",
        iperf3: 5201,
    },
    Tenant {
        name: "red",
        vsid: 7001,
        marker: "nve-reds",
        iperf3: 5202,
    },
];

impl Tenant {
    /// The VM on `host-a`, which asks.
    pub(super) fn client(&self) -> String {
        format!("{}-vm1", self.name)
    }

    /// The VM on `host-b`, which answers.
    pub(super) fn server(&self) -> String {
        format!("{}-vm2", self.name)
    }

    /// The one that this one must never meet.
    pub(super) fn other(&self) -> &'static Tenant {
        let [blue, red] = &TENANTS;
        if self.name == blue.name { red } else { blue }
    }
}
