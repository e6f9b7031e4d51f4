//! The answer to an apply, made while it is sent and while the agent carries the change out: very many
//! changes are in no memory at once.

use std::io::{self, Write};

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
};

use super::protocol::{Action, ApplyReport, Change};
use crate::{
    policy::{document::ApiVersion, key::Key},
    store::objects::{Applied, Request},
};

/// About how much is sent at a time, bytes.
const CHUNK: usize = 64 << 10;
/// What is written at once is hardly longer, bytes.
const ROOM: usize = 1 << 10;
/// Chunks that are made ahead of the client.
const AHEAD: usize = 4;
/// Changes of a request that leaves much memory free.
const LARGE: usize = 4096;

/// The [`ApplyReport`] of a request. It ends when `carried_out` has come, if that is to come: a client
/// that has all of it knows that the change is in effect.
pub(super) fn body(
    request: Request,
    applied: Applied,
    carried_out: Option<oneshot::Receiver<()>>,
) -> Response {
    let (sender, receiver) = mpsc::channel::<Bytes>(AHEAD);
    // Whoever asked may be gone, and then nobody misses the rest.
    spawn_blocking(move || {
        let large = applied.actions.len() >= LARGE;
        let (mut out, revision) = (Chunks::new(sender), applied.revision);
        let _ = begin(&mut out, &request, &applied);
        drop((request, applied));
        // An agent that is stopping carries nothing out; the next one does.
        let _ = carried_out.map(oneshot::Receiver::blocking_recv);
        let _ = end(&mut out, revision);
        // The round that carried it out gave back what was free then; the request may not have been.
        // And what lies between the records that stay goes back to the system in no other way.
        if large {
            crate::memory::give_back();
        }
    });
    let chunks = stream::unfold(receiver, |mut receiver| async move {
        let chunk = receiver.recv().await?;
        Some((Ok::<_, io::Error>(chunk), receiver))
    });
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, Body::from_stream(chunks)).into_response()
}

/// What is around the changes: what an empty report has.
fn around(revision: u64) -> io::Result<(String, String)> {
    let empty = ApplyReport {
        api_version: ApiVersion::V1,
        changes: Vec::new(),
        revision,
    };
    let empty = serde_json::to_string(&empty)?;
    let (head, tail) = empty.split_once("[]").unwrap_or((&empty, ""));
    Ok((head.to_owned(), tail.to_owned()))
}

/// All but the end.
fn begin(out: &mut impl Write, request: &Request, applied: &Applied) -> io::Result<()> {
    write!(out, "{}[", around(applied.revision)?.0)?;
    let (mut done, mut first) = (Ok(()), true);
    request.each(&applied.actions, |key, action| {
        if done.is_ok() {
            done = one(out, key, action, std::mem::take(&mut first));
        }
    });
    done
}

fn end(out: &mut impl Write, revision: u64) -> io::Result<()> {
    write!(out, "]{}", around(revision)?.1)?;
    out.flush()
}

fn one(out: &mut impl Write, key: &Key, action: Action, first: bool) -> io::Result<()> {
    if !first {
        out.write_all(b",")?;
    }
    if let Key::LookupRecord(vsid, ca) = key {
        // Very many, and nothing in them is to be escaped.
        write!(out, r#"{{"object":"lookuprecord/{vsid}/{ca}","action":"#)?;
        serde_json::to_writer(&mut *out, &action)?;
        return out.write_all(b"}");
    }
    let object = key.to_string();
    serde_json::to_writer(out, &Change { object, action })?;
    Ok(())
}

/// Sends what is written.
struct Chunks {
    sender: mpsc::Sender<Bytes>,
    chunk: Vec<u8>,
}

impl Chunks {
    const fn new(sender: mpsc::Sender<Bytes>) -> Self {
        let chunk = Vec::new();
        Self { sender, chunk }
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.capacity() == 0 {
            self.chunk.reserve_exact(CHUNK + ROOM);
        }
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let chunk = std::mem::take(&mut self.chunk);
        let sent = self.sender.blocking_send(chunk.into());
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, time::Duration};

    use http_body_util::BodyExt as _;
    use tokio::time::timeout;

    use super::*;
    use crate::policy::document::Document;

    #[test]
    fn it_is_the_report() {
        let line = |kind: &str, rest: &str| -> Document {
            let text = format!(r#"{{"apiVersion":"nve/v1","kind":"{kind}",{rest}}}"#);
            serde_json::from_str(&text).expect("a document")
        };
        let record = |last| {
            let spec = format!(
                r#""metadata":{{"vmNetwork":"blue"}},"spec":{{"virtualSubnetId":6001,"customerAddress":"10.0.0.{last}","macAddress":"02:00:00:00:00:07","providerAddress":"192.0.2.2"}}"#
            );
            line("LookupRecord", &spec)
        };
        let host = r#""metadata":{"name":"a"},"spec":{"providerAddresses":[]}"#;
        let request: Request = [record(5), line("Host", host), record(7)]
            .into_iter()
            .collect();
        let applied = Applied {
            actions: vec![Action::Created, Action::Unchanged, Action::Configured],
            revision: 9,
        };
        let mut out = Vec::new();
        begin(&mut out, &request, &applied).expect("written");
        end(&mut out, applied.revision).expect("written");
        let report: ApplyReport = serde_json::from_slice(&out).expect("a report");
        let told: Vec<&str> = report.changes.iter().map(|c| &*c.object).collect();
        let expected = [
            "lookuprecord/6001/10.0.0.5",
            "host/a",
            "lookuprecord/6001/10.0.0.7",
        ];
        assert_eq!(told, expected);
        let actions: Vec<Action> = report.changes.iter().map(|c| c.action).collect();
        assert_eq!((actions, report.revision), (applied.actions, 9));
        let mut none = Vec::new();
        let nothing = Applied {
            actions: Vec::new(),
            revision: 9,
        };
        begin(&mut none, &Request::default(), &nothing).expect("written");
        end(&mut none, nothing.revision).expect("written");
        let report: ApplyReport = serde_json::from_slice(&none).expect("a report");
        assert!(report.changes.is_empty());
    }

    #[tokio::test]
    async fn it_ends_when_the_change_is_carried_out() {
        for stopping in [false, true] {
            let applied = Applied {
                actions: Vec::new(),
                revision: 9,
            };
            let (done, carried_out) = oneshot::channel();
            let answer = body(Request::default(), applied, Some(carried_out));
            let mut answer = pin!(answer.into_body().collect());
            let early = timeout(Duration::from_millis(50), answer.as_mut()).await;
            assert!(early.is_err(), "it ended before");
            if stopping {
                drop(done);
            } else {
                done.send(()).expect("it waits");
            }
            let bytes = answer.await.expect("a body").to_bytes();
            let report: ApplyReport = serde_json::from_slice(&bytes).expect("a report");
            assert_eq!(report.revision, 9);
        }
    }
}
