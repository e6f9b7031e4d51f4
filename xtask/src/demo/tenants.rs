//! Who takes part.

/// The prefix of every name that the demo gives.
pub(super) const PREFIX: &str = "nvedemo";

/// The address of every tenant's first VM.
pub(super) const CLIENT: &str = "10.0.0.5";

/// The address of every tenant's second VM.
pub(super) const PEER: &str = "10.0.0.7";

/// The policy: files of `examples/`.
pub(super) const POLICY: [&str; 2] = ["demo.yaml", "rewrite.yaml"];

/// A tenant, with one VM on each host.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) name: &'static str,
    pub(super) carried: Carried,
    /// A word that is in this tenant's packets and in no others.
    pub(super) marker: &'static str,
    /// Where its iperf3 listens: not where the others' do, so that a leak shows.
    pub(super) iperf3: u16,
}

/// How a tenant's packets go over the wire.
#[derive(Debug)]
pub(super) enum Carried {
    /// In NVGRE between the hosts' PAs, with this VSID.
    Nvgre(u32),
    /// With these PAs in place of the CAs of the client and the server.
    Rewritten([&'static str; 2]),
}

pub(super) const TENANTS: [Tenant; 3] = [
    Tenant {
        name: "blue",
        carried: Carried::Nvgre(6001),
        marker: "nve-blue",
        iperf3: 5201,
    },
    Tenant {
        name: "red",
        carried: Carried::Nvgre(7001),
        marker: "nve-reds",
        iperf3: 5202,
    },
    Tenant {
        name: "green",
        carried: Carried::Rewritten(["192.0.2.105", "192.0.2.107"]),
        marker: "nve-green",
        iperf3: 5203,
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

    /// Those that this one must never meet.
    pub(super) fn others(&self) -> impl Iterator<Item = &'static Tenant> {
        TENANTS.iter().filter(|other| other.name != self.name)
    }

    /// Their names, for people.
    pub(super) fn names_of_others(&self) -> String {
        let names: Vec<_> = self.others().map(|other| other.name).collect();
        names.join(" and ")
    }
}
