//! The documents of a request, sent while they are read.

use std::io;

use futures_util::stream;
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame};
use tokio::sync::mpsc;

/// About how much is sent at a time, bytes.
const CHUNK: usize = 256 << 10;
/// Chunks that are read ahead of the agent.
const AHEAD: usize = 4;

/// Some lines, or the end of all of them.
type Message = Option<Bytes>;

/// NDJSON: one document a line. It is whole once [`Lines::finish`] said so, and else no request.
#[derive(Debug)]
pub struct Payload {
    receiver: Option<mpsc::Receiver<Message>>,
    first: Option<Message>,
}

/// Where a payload comes from; whoever has it must be on a thread that may wait.
#[derive(Debug)]
pub struct Lines {
    /// `None`: what comes is not sent.
    sender: Option<mpsc::Sender<Message>>,
    chunk: Vec<u8>,
}

impl Payload {
    /// Nothing.
    pub const fn empty() -> Self {
        Self {
            receiver: None,
            first: None,
        }
    }

    /// What is put into the lines.
    pub fn channel() -> (Lines, Self) {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let lines = Lines {
            sender: Some(sender),
            chunk: Vec::new(),
        };
        let payload = Self {
            receiver: Some(receiver),
            first: None,
        };
        (lines, payload)
    }

    /// Waits until there is something to send; `false`: nothing will be.
    pub async fn begun(&mut self) -> bool {
        if let Some(receiver) = &mut self.receiver
            && self.first.is_none()
        {
            self.first = receiver.recv().await;
        }
        self.first.is_some()
    }

    pub(super) fn into_body(self) -> BoxBody<Bytes, io::Error> {
        let Some(mut receiver) = self.receiver else {
            return http_body_util::Empty::new()
                .map_err(|never| match never {})
                .boxed();
        };
        let mut first = self.first;
        let frames = stream::poll_fn(move |context| {
            let message = match first.take() {
                Some(message) => std::task::Poll::Ready(Some(message)),
                None => receiver.poll_recv(context),
            };
            message.map(|message| match message {
                Some(Some(bytes)) => Some(Ok(Frame::data(bytes))),
                Some(None) => None,
                None => Some(Err(io::Error::other("not all documents could be read"))),
            })
        });
        BodyExt::boxed(StreamBody::new(frames))
    }
}

impl Lines {
    /// Lines that are not sent.
    pub const fn nowhere() -> Self {
        Self {
            sender: None,
            chunk: Vec::new(),
        }
    }

    /// Adds text.
    pub fn push(&mut self, text: &[u8]) {
        if self.sender.is_none() {
            return;
        }
        self.chunk.extend_from_slice(text);
        if self.chunk.len() >= CHUNK {
            self.flush();
        }
    }

    /// Ends the last line, if it has no end.
    pub fn end_line(&mut self) {
        // What was sent ended somewhere in a line, perhaps at its end: an empty line is none.
        if self.chunk.last() != Some(&b'\n') {
            self.push(b"\n");
        }
    }

    /// Sends no more: the request is none.
    pub fn cut(&mut self) {
        *self = Self::nowhere();
    }

    /// Sends the rest: that was all.
    pub fn finish(mut self) {
        self.flush();
        self.send(None);
    }

    fn flush(&mut self) {
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK + CHUNK / 2));
        if !chunk.is_empty() {
            self.send(Some(chunk.into()));
        }
    }

    /// If nobody takes it, whoever does not knows why.
    fn send(&mut self, message: Message) {
        let sender = self.sender.take();
        self.sender = sender.filter(|sender| sender.blocking_send(message).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent(make: impl FnOnce(Lines) + Send + 'static) -> Result<Bytes, io::Error> {
        let (lines, mut payload) = Payload::channel();
        let made = tokio::task::spawn_blocking(move || make(lines));
        payload.begun().await;
        let body = payload.into_body().collect().await;
        made.await.expect("no panic");
        Ok(body?.to_bytes())
    }

    #[tokio::test]
    async fn lines_are_sent_in_order() {
        let body = sent(|mut lines| {
            lines.push(b"{}\n{\"a\":1}");
            lines.end_line();
            lines.end_line();
            lines.push(&vec![b' '; 2 * CHUNK]);
            lines.push(b"\n{}\n");
            lines.finish();
        });
        let body = body.await.expect("all of it");
        assert_eq!(body.len(), 11 + 2 * CHUNK + 4);
        assert!(body.starts_with(b"{}\n{\"a\":1}\n ") && body.ends_with(b" \n{}\n"));
    }

    #[tokio::test]
    async fn what_is_not_finished_is_no_body() {
        for cut in [true, false] {
            let body = sent(move |mut lines| {
                lines.push(&vec![b' '; CHUNK]);
                if cut {
                    lines.cut();
                    lines.finish();
                }
            });
            body.await.expect_err("not whole");
        }
        let (lines, mut payload) = Payload::channel();
        drop(lines);
        assert!(!payload.begun().await);
    }
}
