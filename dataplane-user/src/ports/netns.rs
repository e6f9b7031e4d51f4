//! Work inside a tenant's network namespace.
//!
//! A namespace belongs to a thread, so this runs on a thread of its own that ends
//! with the work; a thread of the runtime never changes namespaces.

use std::{
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use futures_util::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::ethtool;

/// Where named namespaces are.
pub const FOLDER: &str = "/run/netns";

/// A named network namespace, held open.
#[derive(Debug)]
pub struct NetNs {
    /// Its name.
    pub name: String,
    /// Tells it from an earlier one of the same name.
    pub identity: (u64, u64),
    fd: OwnedFd,
}

/// The tenant's end of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantEnd {
    /// Its name in the namespace.
    pub interface: String,
    /// Its addresses with the prefix lengths of their subnets.
    pub addresses: Vec<IpNet>,
    /// Routers of its default routes.
    pub gateways: Vec<IpAddr>,
    /// Its MTU.
    pub mtu: u32,
}

/// Why the tenant's end could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum NetNsError {
    /// No thread, no namespace, no socket.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The kernel refused a request.
    #[error("{what}: {source}")]
    Netlink {
        /// What was asked for.
        what: &'static str,
        /// The answer.
        source: rtnetlink::Error,
    },
    /// The device is not there.
    #[error("no interface {0} in it")]
    Absent(String),
    /// The thread died.
    #[error("the thread that works in the namespace died")]
    Died,
}

impl NetNs {
    /// Opens a namespace; `None` when there is none of this name.
    pub fn open(name: &str) -> io::Result<Option<Self>> {
        let file = match File::open(path(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let meta = file.metadata()?;
        Ok(Some(Self {
            name: name.to_owned(),
            identity: (meta.dev(), meta.ino()),
            fd: file.into(),
        }))
    }

    /// Index of the device inside, and the index of its other end; `None` when it is not there.
    pub async fn find(&self, interface: &str) -> Result<Option<(u32, u32)>, NetNsError> {
        let interface = interface.to_owned();
        self.run(async move |handle| find(&handle, &interface).await)
            .await
    }

    /// Addresses, MTU, default routes and GRO of the tenant's end, and up.
    pub async fn configure(&self, end: TenantEnd) -> Result<(), NetNsError> {
        self.run(async move |handle| configure(&handle, &end).await)
            .await
    }

    /// The descriptor, for requests that name the namespace.
    pub fn as_raw(&self) -> i32 {
        use std::os::fd::AsRawFd;
        self.fd.as_raw_fd()
    }

    async fn run<T, F>(&self, work: F) -> Result<T, NetNsError>
    where
        T: Send + 'static,
        F: AsyncFnOnce(Handle) -> Result<T, NetNsError> + Send + 'static,
    {
        let fd = self.fd.try_clone()?;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name(format!("netns {}", self.name))
            .spawn(move || {
                // Nobody is left to tell when the receiver is gone.
                let _ = sender.send(inside(&fd, work));
            })?;
        receiver.await.map_err(|_| NetNsError::Died)?
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

fn inside<T, F>(fd: &OwnedFd, work: F) -> Result<T, NetNsError>
where
    F: AsyncFnOnce(Handle) -> Result<T, NetNsError>,
{
    move_into_link_name_space(fd.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(io::Error::from)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        work(handle).await
    })
}

async fn find(handle: &Handle, interface: &str) -> Result<Option<(u32, u32)>, NetNsError> {
    use netlink_packet_route::link::LinkAttribute;
    let mut links = handle.link().get().execute();
    while let Some(link) = links.try_next().await.map_err(failed("list interfaces"))? {
        let name = LinkAttribute::IfName(interface.to_owned());
        if !link.attributes.contains(&name) {
            continue;
        }
        let other = link.attributes.iter().find_map(|attribute| {
            if let LinkAttribute::Link(index) = attribute {
                Some(*index)
            } else {
                None
            }
        });
        return Ok(Some((link.header.index, other.unwrap_or(0))));
    }
    Ok(None)
}

async fn configure(handle: &Handle, end: &TenantEnd) -> Result<(), NetNsError> {
    let Some((index, _)) = find(handle, &end.interface).await? else {
        return Err(NetNsError::Absent(end.interface.clone()));
    };
    let up = LinkUnspec::new_with_index(index).mtu(end.mtu).up().build();
    let change = handle.link().change(up).execute();
    change.await.map_err(failed("set MTU and up"))?;
    // Not before it is up: only a change on a device that is up makes the other end
    // a target of XDP redirects.
    ethtool::enable_gro(&end.interface)?;
    for net in &end.addresses {
        let add = handle.address().add(index, net.addr(), net.prefix_len());
        let done = add.replace().execute().await;
        done.map_err(failed("add the address"))?;
    }
    for gateway in &end.gateways {
        let mut route = RouteMessageBuilder::<IpAddr>::new().output_interface(index);
        let any: IpAddr = match gateway {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        route = match route.destination_prefix(any, 0) {
            Ok(route) => route,
            Err(_) => continue,
        };
        let Ok(route) = route.gateway(*gateway) else {
            continue;
        };
        let add = handle.route().add(route.build()).replace().execute();
        add.await.map_err(failed("add the default route"))?;
    }
    Ok(())
}

fn failed(what: &'static str) -> impl FnOnce(rtnetlink::Error) -> NetNsError {
    move |source| NetNsError::Netlink { what, source }
}
