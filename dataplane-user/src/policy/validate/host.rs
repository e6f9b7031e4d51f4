//! Rules of `ProviderNetwork` and `Host`.

use std::net::IpAddr;

use super::{Checker, Subject};
use crate::policy::{
    document::{Dscp, HostSpec, ProviderNetworkSpec},
    key::Key,
    model::{Host, HostAddress},
};

impl<'d> Checker<'d> {
    pub(super) fn provider_network(&mut self, at: &Subject, spec: &'d ProviderNetworkSpec) {
        if spec.nvgre.outer_ttl == 0 {
            let message = "0 is no TTL that a packet travels with";
            self.fault(at, "spec.nvgre.outerTtl", message, "use 1 to 255");
        }
        if let Dscp::Fixed(dscp) = spec.nvgre.dscp
            && dscp > 63
        {
            let message = format!("{dscp} is no DSCP");
            self.fault(at, "spec.nvgre.dscp", message, "use 0 to 63, or copy");
        }
        self.policy.nvgre = spec.nvgre.clone();
    }

    pub(super) fn host(&mut self, at: &Subject, spec: &'d HostSpec) {
        if spec.provider_addresses.is_empty() {
            let hint = "add the address that other hosts reach this one by";
            self.fault(
                at,
                "spec.providerAddresses",
                "a host needs a provider address",
                hint,
            );
        }
        let mut addresses = Vec::new();
        for (index, provider) in spec.provider_addresses.iter().enumerate() {
            let path = format!("spec.providerAddresses[{index}]");
            self.provider_address(at, &format!("{path}.address"), provider.address);
            self.sole_user(at, &format!("{path}.address"), provider.address);
            if let Some(interface) = &provider.interface {
                self.interface_name(at, &format!("{path}.interface"), interface);
            }
            addresses.push(HostAddress {
                address: provider.address,
                interface: provider.interface.clone(),
            });
        }
        if let Key::Host(name) = &at.key {
            self.policy.hosts.insert(name.clone(), Host { addresses });
        }
    }

    fn sole_user(&mut self, at: &Subject, path: &str, address: IpAddr) {
        if let Some(other) = self.ends.provider.get(&address).cloned() {
            let message = format!("{address} is a provider address of {other} already");
            self.fault(at, path, message, "give each host its own");
            self.relates_to(other);
            return;
        }
        self.ends.provider.insert(address, at.key.clone());
    }
}
