//! The answer to an apply, made while it is sent: very many changes are in no memory at once.

use std::io::{self, Write};

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use tokio::{sync::mpsc, task::spawn_blocking};

use super::protocol::{Action, ApplyReport, Change};
use crate::{
    policy::{document::ApiVersion, key::Key},
    store::objects::{Applied, Request},
};

/// About how much is sent at a time, bytes.
const CHUNK: usize = 64 << 10;
/// Chunks that are made ahead of the client.
const AHEAD: usize = 4;
/// Changes of a request that leaves much memory free.
const LARGE: usize = 4096;

/// The [`ApplyReport`] of a request.
pub(super) fn body(request: Request, applied: Applied) -> Response {
    let (sender, receiver) = mpsc::channel::<Bytes>(AHEAD);
    // Whoever asked may be gone, and then nobody misses the rest.
    spawn_blocking(move || {
        let _ = write(Chunks::new(sender), &request, &applied);
        let large = applied.actions.len() >= LARGE;
        drop((request, applied));
        // The round that carried it out gave back what was free then; the request was not. And what
        // lies between the records that stay goes back to the system in no other way.
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

fn write(mut out: impl Write, request: &Request, applied: &Applied) -> io::Result<()> {
    let empty = ApplyReport {
        api_version: ApiVersion::V1,
        changes: Vec::new(),
        revision: applied.revision,
    };
    // What is around the changes is what an empty report has.
    let empty = serde_json::to_string(&empty)?;
    let (head, tail) = empty.split_once("[]").unwrap_or((&empty, ""));
    write!(out, "{head}[")?;
    let (mut done, mut first) = (Ok(()), true);
    request.each(&applied.actions, |key, action| {
        if done.is_ok() {
            done = one(&mut out, key, action, std::mem::take(&mut first));
        }
    });
    done?;
    write!(out, "]{tail}")?;
    out.flush()
}

fn one(out: &mut impl Write, key: &Key, action: Action, first: bool) -> io::Result<()> {
    if !first {
        out.write_all(b",")?;
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
        write(&mut out, &request, &applied).expect("written");
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
        write(&mut none, &Request::default(), &nothing).expect("written");
        let report: ApplyReport = serde_json::from_slice(&none).expect("a report");
        assert!(report.changes.is_empty());
    }
}
