//! Sites of three hosts, as a plan has them.

use super::{
    SOON, Site,
    fabric::three_hosts,
    plan::{Plan, Vm},
};
use anyhow::{Result, ensure};
use xtask::lab::{Netns, wait_until};

impl Site {
    /// A site as planned, with everything ready.
    pub fn of(name: &str, plan: &Plan) -> Result<Self> {
        let mut site = Self::laid_out(name, plan)?;
        site.begin(plan)?;
        site.ready()?;
        site.settled(plan)?;
        Ok(site)
    }

    /// The namespaces of a plan; no `nved` yet.
    pub fn laid_out(name: &str, plan: &Plan) -> Result<Self> {
        // What a VM of a virtual subnet may learn or be given can be of either family.
        let has_ipv6 = |vm: &Vm| {
            let learns = vm.vsid.is_some() && vm.cas.is_empty();
            learns || vm.cas.iter().any(|ca| ca.contains(':'))
        };
        let vms = plan.vms().iter();
        let vms = vms.map(|vm| (vm.name.as_str(), has_ipv6(vm)));
        let vms: Vec<_> = vms.collect();
        let site = Self::around(name, |prefix| {
            three_hosts(prefix, plan.family, plan.middle, &vms)
        })?;
        if plan.mode == "xdp" {
            site.like_wires()?;
        }
        Ok(site)
    }

    /// Starts the `nved`s of a plan and applies its documents to each.
    pub fn begin(&mut self, plan: &Plan) -> Result<()> {
        for host in 0..plan.hosts {
            self.start(host, plan.mode)?;
        }
        self.apply_all(&self.documents(plan))
    }

    /// The documents of a plan with the namespaces of this site.
    pub fn documents(&self, plan: &Plan) -> String {
        plan.documents(|vm| self.named(vm))
    }

    /// Applies documents to every host that runs an `nved`.
    pub fn apply_all(&self, text: &str) -> Result<()> {
        for host in 0..self.nves.len() {
            self.apply(host, text)?;
        }
        Ok(())
    }

    /// Deletes an object from the store of every host that runs an `nved`.
    pub fn delete_all(&self, object: &[&str]) -> Result<()> {
        for host in 0..self.nves.len() {
            self.nvectl(host, &[&["delete"], object].concat())?
                .success()?;
        }
        Ok(())
    }

    /// Waits until the VMs of a plan may use their IPv6 addresses: nobody else has them.
    pub fn settled(&self, plan: &Plan) -> Result<()> {
        for vm in plan.vms() {
            wait_until("addresses that may be used", SOON, || {
                let shown = self.vm(&vm.name).exec(&["ip", "-6", "address"])?.stdout;
                ensure!(!shown.contains("tentative"), "{}: {shown}", vm.name);
                Ok(Some(()))
            })?;
        }
        Ok(())
    }

    /// The router or bridge between the hosts.
    pub fn middle(&self) -> &Netns {
        let middle = self.topology.middle.as_ref();
        middle.expect("a site of three hosts")
    }
}
