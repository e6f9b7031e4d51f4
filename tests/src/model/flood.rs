//! Copies of a broadcast, as long as every device is there.

use dataplane_common::{
    abi::{flood::Flood, vport::Vport},
    forward::{
        self, Tables,
        egress::{fits_path, next_hop, tunnelled},
        outer::Tunnel,
        parse::Headers,
    },
    reason::DropReason,
};

use super::{Ends, Halt};
use crate::{
    policy::SENDER,
    want::{Copies, Want},
};

pub(super) fn egress(tables: &impl Tables, port: &Vport, headers: &Headers) -> Result<Want, Ends> {
    let whole = |halt: Halt| Ends(halt, Vec::new());
    let to = forward::egress::flood(tables, port, headers).map_err(whole)?;
    let mut copies = Copies::default();
    local(tables, headers, to.flood, Some(SENDER), &mut copies);
    for pa in (0..).map_while(|number| to.pa(number)) {
        let done: Result<(), DropReason> = (|| {
            let hop = next_hop(tables, pa)?;
            fits_path(hop, headers).map_err(|halt| halt.reason)?;
            tunnelled(tables, headers, port.vsid, hop)?;
            Ok(())
        })();
        match done {
            Ok(()) => copies.encapped += 1,
            Err(reason) => copies.dropped.push((0, reason)),
        }
    }
    Ok(Want::Flooded(port.slot, copies))
}

pub(super) fn ingress(
    tables: &impl Tables,
    tunnel: &Tunnel,
    headers: &Headers,
) -> Result<Want, Ends> {
    let whole = |halt: Halt| Ends(halt, Vec::new());
    let to = forward::ingress::flood(tables, tunnel).map_err(whole)?;
    let mut copies = Copies::default();
    local(tables, headers, to, None, &mut copies);
    Ok(Want::Flooded(0, copies))
}

fn local(
    tables: &impl Tables,
    headers: &Headers,
    to: &Flood,
    sender: Option<u32>,
    copies: &mut Copies,
) {
    let ports = to.ports.iter().take(to.port_count as usize);
    for ifindex in ports.filter(|ifindex| Some(**ifindex) != sender) {
        let Some(port) = tables.vport(*ifindex) else {
            continue;
        };
        match forward::fits_port(port, headers.segment) {
            Ok(()) => copies.delivered.push(port.slot),
            Err(reason) => copies.dropped.push((port.slot, reason)),
        }
    }
}
