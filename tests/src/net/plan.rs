//! A site as a test describes it: virtual subnets, VMs on three hosts, and the documents of all that.

use super::{
    documents::document,
    fabric::{Family, Middle},
};

/// `host-a`, `host-b` and `host-c` by number.
pub const A: usize = 0;
/// See [`A`].
pub const B: usize = 1;
/// See [`A`].
pub const C: usize = 2;

/// What a site is to be.
#[must_use]
#[derive(Clone, Debug)]
pub struct Plan {
    /// The family of the provider addresses.
    pub family: Family,
    /// What stands between the hosts.
    pub middle: Middle,
    /// `--uplink-mode` of every host.
    pub mode: &'static str,
    /// Hosts that run an `nved`; the others are there, and silent.
    pub hosts: usize,
    vms: Vec<Vm>,
    networks: String,
    more: String,
}

/// A VM: a namespace, and a port that it is attached to.
#[derive(Clone, Debug)]
pub struct Vm {
    /// Its name, which is that of its port, too.
    pub name: String,
    /// The VM network.
    pub network: String,
    /// The host, by number.
    pub host: usize,
    /// Its virtual subnet; `None` in a network without any.
    pub vsid: Option<u32>,
    /// Its customer addresses.
    pub cas: Vec<String>,
    /// Further fields of the port's `spec`, one a line.
    pub more: String,
    mac: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}

impl Plan {
    /// An IPv4 underlay with a router, programs at TC, nothing in it.
    pub fn new() -> Self {
        Self {
            family: Family::V4,
            middle: Middle::ROUTER,
            mode: "tc",
            hosts: 3,
            vms: Vec::new(),
            networks: String::new(),
            more: String::new(),
        }
    }

    /// The same with another underlay.
    pub fn over(mut self, family: Family, mode: &'static str) -> Self {
        (self.family, self.mode) = (family, mode);
        self
    }

    /// The same with something else between the hosts.
    pub fn through(mut self, middle: Middle) -> Self {
        self.middle = middle;
        self
    }

    /// Adds a VM network. `id` is the last byte of its routing domain; `more` has further fields of
    /// its `spec`, one a line, and `subnets` come from [`subnet`](super::documents::subnet).
    pub fn network(mut self, name: &str, id: u8, more: &str, subnets: &[String]) -> Self {
        let list: String = subnets.concat();
        self.networks += &document(
            "VMNetwork",
            &format!("name: {name}"),
            &[
                format!("routingDomainId: 7b1e0f0e-0000-4000-8000-0000000000{id:02x}"),
                more.to_owned(),
                format!("virtualSubnets:\n{list}"),
            ],
        );
        self
    }

    /// Adds a VM network of another isolation mode, which has no virtual subnets.
    pub fn flat_network(mut self, name: &str, fields: &str) -> Self {
        self.networks += &document("VMNetwork", &format!("name: {name}"), &[fields.to_owned()]);
        self
    }

    /// Adds a VM to a virtual subnet.
    pub fn vm(self, (name, network): (&str, &str), host: usize, vsid: u32, cas: &[&str]) -> Self {
        self.vm_with((name, network), host, Some(vsid), cas, "")
    }

    /// Adds a VM with further fields of its port's `spec`.
    pub fn vm_with(
        mut self,
        (name, network): (&str, &str),
        host: usize,
        vsid: Option<u32>,
        cas: &[&str],
        more: &str,
    ) -> Self {
        let mac = format!("02:00:00:00:01:{:02x}", self.vms.len() + 1);
        self.vms.push(Vm {
            name: name.to_owned(),
            network: network.to_owned(),
            host,
            vsid,
            cas: cas.iter().map(ToString::to_string).collect(),
            more: more.to_owned(),
            mac,
        });
        self
    }

    /// Adds a whole document, such as one of [`document`].
    pub fn and(mut self, document: &str) -> Self {
        self.more += document;
        self
    }

    /// The VMs.
    pub fn vms(&self) -> &[Vm] {
        &self.vms
    }

    /// A VM by its name.
    pub fn find(&self, name: &str) -> &Vm {
        let mut all = self.vms.iter();
        let found = all.find(|vm| vm.name == name);
        found.unwrap_or_else(|| panic!("no VM {name} in this plan"))
    }

    /// All documents; `named` gives the full name of a namespace.
    pub fn documents(&self, named: impl Fn(&str) -> String) -> String {
        let mut text = String::new();
        for (number, name) in ["host-a", "host-b", "host-c"].iter().enumerate() {
            let pa = self.family.pa(number);
            let pas = format!("providerAddresses: [{{address: \"{pa}\", interface: eth0}}]");
            text += &document("Host", &format!("name: {name}"), &[pas]);
        }
        text += &self.networks;
        for vm in &self.vms {
            text += &vm.document(&named(&vm.name));
        }
        text + &self.more
    }
}

impl Vm {
    /// The MAC of its adapter.
    pub fn mac(&self) -> [u8; 6] {
        let mut bytes = [0; 6];
        for (byte, word) in bytes.iter_mut().zip(self.mac.split(':')) {
            *byte = u8::from_str_radix(word, 16).expect("a MAC of ours");
        }
        bytes
    }

    /// The same as text.
    pub fn mac_text(&self) -> &str {
        &self.mac
    }

    /// Its port as `nvectl` names it.
    pub fn port(&self) -> String {
        format!("{}/{}", self.network, self.name)
    }

    /// The document of its port, attached to a namespace.
    pub fn document(&self, netns: &str) -> String {
        let (name, network) = (&self.name, &self.network);
        let host = ["host-a", "host-b", "host-c"][self.host];
        let mut fields = vec![
            format!("host: {host}"),
            format!("macAddress: {}", self.mac),
            format!("attach: {{netns: {netns}}}"),
            self.more.clone(),
        ];
        if let Some(vsid) = self.vsid {
            fields.push(format!("virtualSubnetId: {vsid}"));
        }
        if !self.cas.is_empty() {
            fields.push(format!("customerAddresses: {:?}", self.cas));
        }
        document(
            "Port",
            &format!("name: {name}, vmNetwork: {network}"),
            &fields,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::documents::subnet;

    #[test]
    fn documents_are_yaml_with_one_line_a_field() {
        let plan = Plan::new()
            .network(
                "blue",
                0xB1,
                "",
                &[subnet(6001, &["10.0.0.0/24"], "allowNonIP: true")],
            )
            .vm(("blue-a", "blue"), A, 6001, &["10.0.0.5", "fd00::5"]);
        let text = plan.documents(|vm| format!("site-{vm}"));
        for line in [
            "  providerAddresses: [{address: \"192.0.2.65\", interface: eth0}]",
            "  routingDomainId: 7b1e0f0e-0000-4000-8000-0000000000b1",
            "  - name: s6001",
            "    allowNonIP: true",
            "  attach: {netns: site-blue-a}",
            "  customerAddresses: [\"10.0.0.5\", \"fd00::5\"]",
        ] {
            assert!(text.lines().any(|l| l == line), "no {line:?} in\n{text}");
        }
        assert_eq!(plan.find("blue-a").mac(), [2, 0, 0, 0, 1, 1]);
    }
}
