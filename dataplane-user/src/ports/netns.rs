//! Network namespaces, and work inside them.
//!
//! A namespace belongs to a thread, so this runs on a thread of its own that ends
//! with the work; a thread of the runtime never changes namespaces.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use futures_util::StreamExt;
use netlink_packet_route::{
    RouteNetlinkMessage,
    nsid::{NsidAttribute, NsidMessage},
};
use rtnetlink::{
    Handle,
    packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload},
};
use rustix::{
    fs::fstatfs,
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::end::End;

/// Where named namespaces are.
pub const FOLDER: &str = "/run/netns";
/// The one of this process.
pub const OWN: &str = "/proc/self/ns/net";

/// A network namespace, held open.
#[derive(Debug)]
pub struct NetNs {
    /// The file that it was opened by.
    pub path: PathBuf,
    /// Tells it from an earlier one of the same name.
    pub identity: (u64, u64),
    fd: OwnedFd,
}

/// Why something could not be done in a namespace.
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
    /// The tenant's end of a veth cannot have this MTU, in bytes.
    #[error(
        "the tenant's end takes no MTU of {mtu}: {source}; a veth with `mode: xdp` takes some 3500: give the subnet a smaller mtu, or the port `mode: tc`"
    )]
    Mtu {
        /// What it should have.
        mtu: u32,
        /// The answer.
        source: rtnetlink::Error,
    },
    /// The device is not there.
    #[error("no interface with index {0} in it")]
    Absent(u32),
    /// The name of the tenant's end is not free.
    #[error(
        "interface {0} is in it already; remove or rename it, or give the port another attach.interface"
    )]
    Taken(String),
    /// A device has the name of our end, but was not listed.
    #[error("interface {0} is there although the kernel did not list it; nved looks again")]
    Overlooked(String),
    /// It was removed while it was set up.
    #[error("interface {0} vanished")]
    Vanished(String),
    /// The thread died.
    #[error("the thread that works in the namespace died")]
    Died,
}

impl NetNs {
    /// Opens a namespace; `None` when there is none of this name (yet).
    pub fn open(name: &str) -> io::Result<Option<Self>> {
        Self::at(&Path::new(FOLDER).join(name))
    }

    /// The one that this process is in.
    pub fn own() -> io::Result<Option<Self>> {
        Self::at(Path::new(OWN))
    }

    /// Opens the namespace that a file stands for.
    ///
    /// `ip netns add` makes an empty file first and then mounts the namespace over it: in
    /// between there is none.
    pub fn at(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if i128::from(fstatfs(&file)?.f_type) != i128::from(libc::NSFS_MAGIC) {
            return Ok(None);
        }
        let meta = file.metadata()?;
        Ok(Some(Self {
            path: path.to_owned(),
            identity: (meta.dev(), meta.ino()),
            fd: file.into(),
        }))
    }

    /// Our number of this namespace, as in [`crate::netdev::OtherEnd`]; `None` when no device
    /// of ours has its other end there.
    pub async fn id(&self, handle: &Handle) -> Result<Option<i32>, NetNsError> {
        let mut request = NsidMessage::default();
        let fd = NsidAttribute::Fd(self.as_raw().cast_unsigned());
        request.attributes.push(fd);
        let mut request = NetlinkMessage::from(RouteNetlinkMessage::GetNsId(request));
        request.header.flags = NLM_F_REQUEST;
        let mut handle = handle.clone();
        let answers = handle.request(request);
        let mut answers = answers.map_err(failed("ask for the namespace's number"))?;
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNsId(found)) =
                answer.payload
            {
                return Ok(found.attributes.iter().find_map(number));
            }
        }
        Ok(None)
    }

    /// The descriptor, for requests that name the namespace.
    pub fn as_raw(&self) -> i32 {
        use std::os::fd::AsRawFd;
        self.fd.as_raw_fd()
    }

    /// Does `work` on a thread inside, with a netlink socket of its own.
    pub async fn run<T, F>(&self, work: F) -> Result<T, NetNsError>
    where
        T: Send + 'static,
        F: AsyncFnOnce(Handle) -> Result<T, NetNsError> + Send + 'static,
    {
        let fd = self.fd.try_clone()?;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("netns".to_owned())
            .spawn(move || {
                // Nobody is left to tell when the receiver is gone.
                let _ = sender.send(inside(&fd, work));
            })?;
        receiver.await.map_err(|_| NetNsError::Died)?
    }
}

fn number(attribute: &NsidAttribute) -> Option<i32> {
    if let NsidAttribute::Id(id) = attribute {
        // -1: it has none.
        return Some(*id).filter(|id| *id >= 0);
    }
    None
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

/// A device of the calling thread's namespace.
pub fn end(ifindex: u32) -> Result<End, NetNsError> {
    End::find(ifindex)?.ok_or(NetNsError::Absent(ifindex))
}

pub(super) fn failed(what: &'static str) -> impl FnOnce(rtnetlink::Error) -> NetNsError {
    move |source| NetNsError::Netlink { what, source }
}
