//! Linux `gretap` as a peer.

use super::{OURS, TENANT_MTU, TENANTS, THEIRS, Tenant, far_vm, modules};
use crate::net::Site;
use anyhow::{Context, Result};
use std::fmt::Write as _;

/// `FlowID` of what the collect-metadata peer sends.
pub const THEIR_FLOW_ID: u8 = 0x2A;

/// A device for each tenant, its key fixed to VSID and `FlowID` 0, bridged with the tenant's VM.
///
/// The kernel compares all 32 bits: packets with another `FlowID` are not for such a device.
pub fn fixed_key(site: &Site) -> Result<()> {
    modules(&["ip_gre", "bridge"])?;
    let (host, mtu) = (site.host(1), TENANT_MTU.to_string());
    for (number, tenant) in TENANTS.into_iter().enumerate() {
        let (gre, bridge) = (format!("gre-{number}"), format!("br-{number}"));
        let key = tenant.key(0).to_string();
        let ends = ["local", THEIRS, "remote", OURS, "key", &key];
        let add = ["ip", "link", "add", &gre, "mtu", &mtu, "type", "gretap"];
        host.exec(&[&add[..], &ends].concat())?;
        let quiet = ["stp_state", "0", "mcast_snooping", "0"];
        let add = ["ip", "link", "add", &bridge, "mtu", &mtu, "type", "bridge"];
        host.exec(&[&add[..], &quiet].concat())?;
        for port in [far_vm(site, tenant)?, &gre] {
            host.exec(&["ip", "link", "set", port, "master", &bridge])?;
        }
        for device in [&gre, &bridge] {
            host.exec(&["ip", "link", "set", device, "up"])?;
        }
    }
    Ok(())
}

/// One device for all tenants, in collect-metadata mode: `tc` sets the key of what VMs send and
/// tells tenants apart by the key of what comes.
///
/// `checksum` is what `tunnel_key` is told: `nocsum`, or its default `csum`.
pub fn collect_metadata(site: &Site, checksum: &str) -> Result<()> {
    modules(&["ip_gre", "cls_matchall", "cls_flower"])?;
    modules(&["act_tunnel_key", "act_mirred"])?;
    let (host, mtu) = (site.host(1), TENANT_MTU.to_string());
    let add = ["ip", "link", "add", "nvgre", "mtu", &mtu, "type", "gretap"];
    host.exec(&[&add[..], &["external"]].concat())?;
    host.exec(&["ip", "link", "set", "nvgre", "up"])?;
    let mut commands = "qdisc add dev nvgre clsact\n".to_owned();
    for tenant in TENANTS {
        let veth = far_vm(site, tenant)?;
        send(&mut commands, veth, tenant, checksum)?;
        receive(&mut commands, veth, tenant)?;
    }
    let batch = site.file("tc.batch", commands)?;
    let batch = batch.to_str().context("the folder's name is UTF-8")?;
    host.exec(&["tc", "-batch", batch])?;
    Ok(())
}

fn send(commands: &mut String, veth: &str, tenant: Tenant, checksum: &str) -> Result<()> {
    let key = tenant.key(THEIR_FLOW_ID);
    writeln!(commands, "qdisc add dev {veth} clsact")?;
    write!(commands, "filter add dev {veth} ingress matchall ")?;
    write!(
        commands,
        "action tunnel_key set src_ip {THEIRS} dst_ip {OURS} "
    )?;
    write!(commands, "id {key} {checksum} ")?;
    writeln!(commands, "action mirred egress redirect dev nvgre")?;
    Ok(())
}

/// `flower` compares all 32 bits of `enc_key_id`, so a VSID is 256 entries of one hash table.
fn receive(commands: &mut String, veth: &str, tenant: Tenant) -> Result<()> {
    for flow_id in 0..=u8::MAX {
        let key = tenant.key(flow_id);
        write!(commands, "filter add dev nvgre ingress protocol ip prio 1 ")?;
        write!(commands, "flower enc_key_id {key} ")?;
        writeln!(commands, "action mirred egress redirect dev {veth}")?;
    }
    Ok(())
}
