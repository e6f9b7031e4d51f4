//! Changes of the kernel's links, addresses, routes, rules and neighbours.

use std::{io, sync::Arc, time::Duration};

use futures_util::StreamExt;
use rtnetlink::MulticastGroup;
use tokio::sync::Notify;

const GROUPS: [MulticastGroup; 9] = [
    MulticastGroup::Link,
    MulticastGroup::Neigh,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv6Rule,
    MulticastGroup::Nexthop,
];

/// Pause before a socket that broke is opened again.
const PAUSE: Duration = Duration::from_secs(1);

/// Notifies `changed` whenever something changes. Must be called on the runtime.
///
/// More than the socket holds is one change too: the overrun arrives as a message.
pub fn spawn(changed: Arc<Notify>) -> io::Result<()> {
    let mut messages = open()?;
    tokio::spawn(async move {
        loop {
            // What changed does not matter: the reader asks for everything anew.
            while messages.next().await.is_some() {
                changed.notify_one();
            }
            tracing::warn!("netlink notifications ended; they are asked for again");
            messages = reopen().await;
            changed.notify_one();
        }
    });
    Ok(())
}

type Messages = futures_util::stream::BoxStream<'static, ()>;

fn open() -> io::Result<Messages> {
    let (connection, _, messages) = rtnetlink::new_multicast_connection(&GROUPS)?;
    tokio::spawn(connection);
    Ok(messages.map(drop).boxed())
}

async fn reopen() -> Messages {
    loop {
        tokio::time::sleep(PAUSE).await;
        match open() {
            Ok(messages) => return messages,
            Err(error) => tracing::warn!("cannot open a netlink socket: {error}"),
        }
    }
}
