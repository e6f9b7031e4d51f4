//! Lists without a device that is there: kernels up to 6.6 may skip one while others are removed.

use anyhow::{Context, Result, ensure};
use dataplane_common::id::Mac;
use dataplane_tests::net::inside;
use dataplane_user::{
    netdev::Inventory,
    policy::{AttachedPort, PortKey, document::Attach},
    ports::{Manager, Trouble, Wanted},
    settings::Flags,
};
use xtask::lab::{Netns, unique};

fn manager(handle: rtnetlink::Handle) -> Result<Manager> {
    let flags = Flags {
        host: Some("host-a".to_owned()),
        uplink: vec!["eth0".to_owned()],
        ..Flags::default()
    };
    Ok(Manager::new(handle, &flags.settings()?))
}

async fn overlooked(netns: &str) -> Result<()> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    let mut ports = manager(handle.clone())?;
    let port = PortKey::new("blue", "vm1");
    let wanted = Wanted {
        attach: Attach {
            netns: Some(netns.to_owned()),
            ..Attach::default()
        },
        mac: Mac([2, 0, 0, 0, 0, 1]),
        addresses: vec!["10.0.0.5/24".parse()?],
        gateways: Vec::new(),
        mtu: 1400,
        of_host: false,
    };
    let all = Inventory::read(&handle).await?;
    let made = ports.ensure(&port, &wanted, &all).await?;
    let mut list = Inventory::default();
    let trouble = ports.ensure(&port, &wanted, &list).await;
    let trouble = trouble.err().context("another veth was made")?;
    let named = matches!(&trouble, Trouble::Failed(why) if why.contains(&made.interface));
    ensure!(named, "{trouble}");
    let had = AttachedPort {
        ifindex: made.ifindex,
        mtu: made.mtu,
        peer: made.peer,
    };
    let former = ports.former(&port, &wanted.attach, &had, &list).await;
    ensure!(former.as_ref() == Some(&made), "{former:?} is not {made:?}");
    list.complete(&handle, [made.ifindex]).await?;
    let again = ports.ensure(&port, &wanted, &list).await?;
    ensure!(again == made, "{again:?} is not {made:?}");
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_veth_that_a_list_lacks_stays_its_ports() {
    let place = |name: &str| Netns::fresh(&unique(name)).expect("a namespace");
    let (host, vm) = (place("devlist"), place("devlistvm"));
    let done = inside(&host, || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime
            .enable_all()
            .build()?
            .block_on(overlooked(vm.name()))
    });
    done.expect("the veth stays");
}
