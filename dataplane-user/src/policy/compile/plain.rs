//! `VPORTS`, `LOCAL_PORTS` and `FLOODS` of ports that are not virtualized.

use std::collections::BTreeMap;

use dataplane_common::{
    abi::{
        flood::{Flood, PLAIN_MOST},
        scope,
        vport::{LocalPortKey, Vport},
    },
    forward::plain::scope_of,
};

use super::{CompileError, Compiler, flag};
use crate::policy::{
    key::PortKey,
    model::{Isolation, PlainPort},
};

impl Compiler<'_> {
    /// A port of this host. It keeps its slot while it, or what is behind it, is not there.
    pub(super) fn plain_port(
        &mut self,
        key: &PortKey,
        port: &PlainPort,
    ) -> Result<(), CompileError> {
        let slot = self.ids.port_slot(key)?;
        let network = self.policy.networks.get(&port.network);
        let (Some(attached), Some(network)) = (self.facts.ports.get(key).copied(), network) else {
            return Ok(());
        };
        let Some((flags, link, vlan)) = self.segment(&network.isolation) else {
            return Ok(());
        };
        let vport = Vport {
            slot,
            flags,
            link,
            vlan,
            mtu: attached.mtu,
            mac: port.mac,
            ..Vport::default()
        };
        if !vport.has(Vport::PASSES) {
            let local = LocalPortKey::new(scope_of(&vport), port.mac);
            self.image.local_ports.insert(local, attached.ifindex);
        }
        self.image.vports.insert(attached.ifindex, vport);
        Ok(())
    }

    /// Flags, link and VLAN; `None` while the link is not there.
    fn segment(&self, isolation: &Isolation) -> Option<(u16, u32, u16)> {
        let links = &self.facts.links;
        match isolation {
            Isolation::NetworkVirtualization => None,
            Isolation::NoIsolation => Some((Vport::PASSES, 0, 0)),
            Isolation::Vlan { id, allow_untagged } => {
                let flags = Vport::TAGS | flag(*allow_untagged, Vport::UNTAGGED);
                Some((flags, links.uplink?, *id))
            }
            Isolation::External { interface } => {
                let link = links.external.get(interface)?;
                Some((Vport::EXTERNAL, *link, 0))
            }
        }
    }

    /// Who gets a broadcast of a VLAN or an external interface: entry behind entry.
    pub(super) fn plain_floods(&mut self) {
        let mut segments: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (key, ifindex) in &self.image.local_ports {
            if scope::is_plain(key.vsid()) {
                segments.entry(key.vsid()).or_default().push(*ifindex);
            }
        }
        let mut rests = (0..).map(scope::of_rest);
        for (first, ports) in segments {
            let mut scope = first;
            let mut parts = ports.chunks(PLAIN_MOST).peekable();
            while let Some(part) = parts.next() {
                let rest = parts.peek().and_then(|_| rests.next());
                self.image.floods.insert(scope, Flood::plain(part, rest));
                scope = rest.unwrap_or(scope);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{AttachedPort, Facts, Ids, Links, check, compile, table_image::TableImage};

    const ISOLATION: &str = include_str!("../../../../tests/fixtures/policy/good/isolation.yaml");

    /// The tables of a host on which all ports are attached.
    fn tables(text: &str, links: Links) -> (TableImage, Ids) {
        let (_, policy) = check("test.yaml", text).unwrap_or_else(|faults| panic!("{}", faults[0]));
        let keys = policy.ports.keys().chain(policy.plain_ports.keys());
        let port = |(ifindex, key): (u32, &PortKey)| {
            let (mtu, peer) = (1500, true);
            (key.clone(), AttachedPort { ifindex, mtu, peer })
        };
        let facts = Facts {
            ports: (10..).zip(keys).map(port).collect(),
            links,
            ..Facts::default()
        };
        let mut ids = Ids::new(1);
        let image = compile(&policy, "host-a", &facts, &mut ids).expect("tables");
        (image, ids)
    }

    fn links() -> Links {
        Links {
            uplink: Some(2),
            external: BTreeMap::from([("br0".to_owned(), 3)]),
        }
    }

    #[test]
    fn each_isolation_has_its_flags_and_its_scope() {
        let (image, ids) = tables(ISOLATION, links());
        let port = |network: &str| {
            let slot = ids.slot_of(&PortKey::new(network, "vm1"));
            let mut vports = image.vports.iter();
            let found = vports.find(|(_, vport)| Some(vport.slot) == slot);
            let (ifindex, vport) = found.expect("a port");
            (*ifindex, (vport.flags, vport.link, vport.vlan), vport.mac)
        };
        let (office, told, mac) = port("office");
        assert_eq!(told, (Vport::TAGS | Vport::UNTAGGED, 2, 4094));
        let found = image
            .local_ports
            .get(&LocalPortKey::new(scope::of_vlan(4094), mac));
        assert_eq!(found, Some(&office));
        assert_eq!(
            image.floods[&scope::of_vlan(4094)],
            Flood::plain(&[office], None)
        );
        assert_eq!(port("lab").1, (Vport::TAGS, 2, 1));
        let (dmz, told, mac) = port("dmz");
        assert_eq!(told, (Vport::EXTERNAL, 3, 0));
        let found = image
            .local_ports
            .get(&LocalPortKey::new(scope::of_interface(3), mac));
        assert_eq!(found, Some(&dmz));
        assert_eq!(port("bare").1, (Vport::PASSES, 0, 0));
    }

    #[test]
    fn a_port_without_its_link_forwards_nothing() {
        let (image, _) = tables(ISOLATION, Links::default());
        let flags = image
            .vports
            .values()
            .map(|vport| vport.flags & Vport::PLAIN);
        let plain: Vec<u16> = flags.filter(|flags| *flags != 0).collect();
        assert_eq!(plain, [Vport::PASSES]);
    }

    #[test]
    fn a_segment_with_many_ports_has_several_entries() {
        let port = |number: u32| {
            format!(
                "---\napiVersion: nve/v1\nkind: Port\nmetadata: {{name: many{number}, vmNetwork: lab}}\nspec: {{host: host-a, macAddress: '02:00:00:00:01:{number:02x}', attach: {{netns: many{number}}}}}\n"
            )
        };
        let text = ISOLATION.to_owned() + &(0..40).map(port).collect::<String>();
        let (image, _) = tables(&text, links());
        let (mut scope, mut ports) = (Some(scope::of_vlan(1)), 0);
        while let Some(flood) = scope.and_then(|scope| image.floods.get(&scope)) {
            ports += flood.port_count;
            scope = flood.rest();
        }
        assert_eq!(ports, 41);
    }
}
