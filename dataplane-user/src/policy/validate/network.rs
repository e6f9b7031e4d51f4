//! Rules of `VMNetwork`, but its virtual subnets.

use uuid::Uuid;

use super::{Checker, Subject};
use crate::policy::{
    document::{self, Envelope, TableMode, VmNetworkSpec},
    model::{Isolation, VmNetwork},
};

/// Shares of the slow path.
const SLOW_PATH_WEIGHT: std::ops::RangeInclusive<u32> = 1..=100;
/// VLAN IDs of stations (IEEE 802.1Q, table 9-2).
const VLAN: std::ops::RangeInclusive<u16> = 1..=4094;

impl<'d> Checker<'d> {
    pub(super) fn vm_network(&mut self, at: &Subject, document: &'d Envelope<VmNetworkSpec>) {
        let spec = &document.spec;
        let name = document.metadata.name.as_deref().unwrap_or_default();
        let isolation = self.isolation(at, spec);
        if let Some(interface) = &spec.external_interface {
            self.ends.externals.insert(name, interface);
        }
        let virtualized = isolation == Isolation::NetworkVirtualization;
        if !SLOW_PATH_WEIGHT.contains(&spec.slow_path_weight) {
            let message = format!("slowPathWeight {} is out of range", spec.slow_path_weight);
            self.fault(at, "spec.slowPathWeight", message, "use 1 to 100");
        }
        let rdid = self.domain(at, spec).filter(|_| virtualized);
        let rdid = rdid.unwrap_or(Uuid::nil());
        let subnets = if virtualized {
            self.subnets(at, (name, rdid), spec)
        } else {
            Vec::new()
        };
        let network = VmNetwork {
            rdid,
            isolation,
            customer: spec.customer_id,
            table_mode: spec.table_mode,
            slow_path_weight: spec.slow_path_weight,
            distributed_router: spec.distributed_router,
            subnets,
        };
        self.policy.networks.insert(name.to_owned(), network);
    }

    fn domain(&mut self, at: &Subject, spec: &VmNetworkSpec) -> Option<Uuid> {
        let path = "spec.routingDomainId";
        let Some(rdid) = spec.routing_domain_id else {
            if spec.isolation == document::Isolation::NetworkVirtualization {
                let hint = "add a GUID of its own";
                self.fault(at, "spec", "routingDomainId is missing", hint);
            }
            return None;
        };
        if rdid.is_nil() {
            let message = format!("{rdid} is the GUID of nothing");
            self.fault(at, path, message, "use a random one");
        } else if let Some(other) = self.domains.get(&rdid).cloned() {
            let message = format!("{rdid} is the routing domain of {other} already");
            let hint = "give each VM network a GUID of its own";
            self.fault(at, path, message, hint);
            self.relates_to(other);
        } else {
            self.domains.insert(rdid, at.key.clone());
        }
        Some(rdid)
    }

    fn isolation(&mut self, at: &Subject, spec: &VmNetworkSpec) -> Isolation {
        self.fields_of_isolation(at, spec);
        match spec.isolation {
            document::Isolation::NoIsolation => Isolation::NoIsolation,
            document::Isolation::NetworkVirtualization => Isolation::NetworkVirtualization,
            document::Isolation::Vlan => self.vlan(at, spec),
            document::Isolation::External => self.external(at, spec),
        }
    }

    /// What an isolation has no use for is not there.
    fn fields_of_isolation(&mut self, at: &Subject, spec: &VmNetworkSpec) {
        use document::Isolation::{External, NetworkVirtualization, Vlan};
        let full = spec.table_mode == TableMode::Full;
        let fields = [
            ("vlan", spec.vlan.is_some(), Vlan),
            (
                "externalInterface",
                spec.external_interface.is_some(),
                External,
            ),
            (
                "virtualSubnets",
                !spec.virtual_subnets.is_empty(),
                NetworkVirtualization,
            ),
            (
                "distributedRouter",
                !spec.distributed_router,
                NetworkVirtualization,
            ),
            ("tableMode", !full, NetworkVirtualization),
            (
                "slowPathWeight",
                spec.slow_path_weight != 1,
                NetworkVirtualization,
            ),
        ];
        for (field, given, of) in fields {
            if given && spec.isolation != of {
                let here = spec.isolation.as_str();
                let message = format!("{field} has no meaning with isolation {here}");
                let hint = format!("remove it, or use isolation {}", of.as_str());
                self.fault(at, format!("spec.{field}"), message, hint);
            }
        }
    }

    fn vlan(&mut self, at: &Subject, spec: &VmNetworkSpec) -> Isolation {
        let Some(vlan) = spec.vlan else {
            let message = "isolation VLAN needs a VLAN";
            self.fault(at, "spec", message, "add vlan: {id: 1 to 4094}");
            return Isolation::NoIsolation;
        };
        if !VLAN.contains(&vlan.id) {
            let message = format!("{} is no VLAN ID that a station may use", vlan.id);
            self.fault(at, "spec.vlan.id", message, "use 1 to 4094");
        }
        Isolation::Vlan {
            id: vlan.id,
            allow_untagged: vlan.allow_untagged,
        }
    }

    fn external(&mut self, at: &Subject, spec: &VmNetworkSpec) -> Isolation {
        let Some(interface) = &spec.external_interface else {
            let message = "isolation External needs an interface";
            let hint = "add externalInterface, the name of one on the host";
            self.fault(at, "spec", message, hint);
            return Isolation::NoIsolation;
        };
        self.interface_name(at, "spec.externalInterface", interface);
        Isolation::External {
            interface: interface.clone(),
        }
    }
}
