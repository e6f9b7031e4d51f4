//! Questions to the kernel over a netlink socket of their own, one after another, for what
//! `rtnetlink` does not ask or takes wrong.

use std::{fmt::Debug, io};

use rtnetlink::{
    packet_core::{
        NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload,
        NetlinkSerializable,
    },
    sys::{Socket, SocketAddr},
};

/// A socket to the kernel.
#[derive(Debug)]
pub struct Netlink(Socket);

impl Netlink {
    /// Opens a socket of one protocol, such as `NETLINK_ROUTE`.
    pub fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self(socket))
    }

    /// Asks with further flags, and gives the whole answer to a question with `NLM_F_ACK` or
    /// `NLM_F_DUMP`. An error is the kernel's.
    pub fn ask<M: Message>(&self, question: M, flags: u16) -> io::Result<Vec<M>> {
        self.send(question, flags)?;
        let mut answers = Vec::new();
        loop {
            let (datagram, _) = self.0.recv_from_full()?;
            if take(&datagram, &mut answers)? {
                return Ok(answers);
            }
        }
    }

    fn send<M: Message>(&self, question: M, flags: u16) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(question));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.0.send(&bytes, 0)?;
        Ok(())
    }
}

/// A message of a netlink protocol.
pub trait Message: NetlinkSerializable + NetlinkDeserializable + Debug {}

impl<M: NetlinkSerializable + NetlinkDeserializable + Debug> Message for M {}

/// Takes the messages of one datagram; whether the answer ends with it.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is open; what is not listed carries no answer"
)]
fn take<M: Message>(mut bytes: &[u8], answers: &mut Vec<M>) -> io::Result<bool> {
    /// `NLMSG_ALIGNTO`.
    const ALIGNMENT: usize = 4;
    while !bytes.is_empty() {
        let message = NetlinkMessage::<M>::deserialize(bytes).map_err(io::Error::other)?;
        let length = usize::try_from(message.header.length).unwrap_or(usize::MAX);
        let next = length.checked_next_multiple_of(ALIGNMENT);
        bytes = next.and_then(|next| bytes.get(next..)).unwrap_or_default();
        match message.payload {
            NetlinkPayload::InnerMessage(answer) => answers.push(answer),
            // An error without a code acknowledges.
            NetlinkPayload::Error(error) => {
                return error.code.map_or(Ok(true), |_| Err(error.to_io()));
            }
            NetlinkPayload::Done(_) => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use rtnetlink::{
        packet_core::NLM_F_DUMP,
        packet_route::{RouteNetlinkMessage, link::LinkMessage},
        sys::protocols::NETLINK_ROUTE,
    };

    use super::*;

    #[test]
    fn a_whole_list_or_the_kernels_error_is_the_answer() {
        let netlink = Netlink::open(NETLINK_ROUTE).unwrap();
        let mut link = LinkMessage::default();
        let question = RouteNetlinkMessage::GetLink(link.clone());
        let links = netlink.ask(question, NLM_F_DUMP).unwrap();
        let first = links.iter().any(
            |link| matches!(link, RouteNetlinkMessage::NewLink(link) if link.header.index == 1),
        );
        assert!(first, "no loopback in {links:?}");
        link.header.index = i32::MAX.cast_unsigned();
        let question = RouteNetlinkMessage::GetLink(link);
        let error = netlink.ask(question, 0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
