//! Changes of the kernel's links, addresses, routes and neighbours.

use std::sync::Arc;

use futures_util::StreamExt;
use rtnetlink::MulticastGroup;
use tokio::sync::Notify;

const GROUPS: [MulticastGroup; 4] = [
    MulticastGroup::Link,
    MulticastGroup::Neigh,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv4Route,
];

/// Notifies `changed` whenever something changes. Must be called on the runtime.
pub fn spawn(changed: Arc<Notify>) -> std::io::Result<()> {
    let (connection, _, mut messages) = rtnetlink::new_multicast_connection(&GROUPS)?;
    tokio::spawn(connection);
    tokio::spawn(async move {
        // What changed does not matter: the reader asks for everything anew.
        while messages.next().await.is_some() {
            changed.notify_one();
        }
        tracing::warn!("netlink notifications ended; changes are now seen once a second");
    });
    Ok(())
}
