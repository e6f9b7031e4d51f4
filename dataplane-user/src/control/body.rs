//! NDJSON bodies, read as they come: one document a line.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use http_body_util::BodyExt;
use hyper::body::Frame;
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{
    answer::Refusal,
    protocol::{Problem, Problems},
};
use crate::{policy::source::record_line, store::objects::Request};

/// Longest line, in bytes.
pub const MAX_LINE: usize = 16 << 20;
/// Longest body, in bytes.
pub const MAX_BODY: usize = 4 << 30;
/// How long a sender may pause within a body.
pub const PAUSE: Duration = Duration::from_secs(30);
/// Problems told at most.
const MAX_PROBLEMS: usize = 100;

/// Pieces of a body that wait for whoever reads them.
const AHEAD: usize = 8;

/// Reads all documents of a body: what has come is read while the rest comes.
pub async fn documents(body: Body) -> Result<Request, Refusal> {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(AHEAD);
    let read = spawn_blocking(move || {
        let mut lines = Lines::default();
        while let Some(data) = receiver.blocking_recv() {
            lines.feed(&data)?;
        }
        lines.finish()
    });
    receive(body, sender).await?;
    read.await.unwrap_or_else(|error| {
        let message = format!("the request cannot be read: {error}");
        Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message, ""))
    })
}

/// Hands a body over; stops when nobody wants the rest.
async fn receive(mut body: Body, to: mpsc::Sender<Bytes>) -> Result<(), Refusal> {
    let mut total = 0;
    while let Some(frame) = next(&mut body).await? {
        let frame = frame.map_err(|error| {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                format!("the body broke off: {error}"),
                "",
            )
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        total += data.len();
        if total > MAX_BODY {
            return Err(too_large("body", MAX_BODY));
        }
        if to.send(data).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// The next frame of a body, unless the sender stalls.
async fn next(body: &mut Body) -> Result<Option<Result<Frame<Bytes>, axum::Error>>, Refusal> {
    let frame = tokio::time::timeout(PAUSE, body.frame()).await;
    frame.map_err(|_| {
        Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("no more of the body came for {} s", PAUSE.as_secs()),
            "nothing is changed; send the request again",
        )
    })
}

#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
    request: Request,
    problems: Vec<Problem>,
    count: usize,
}

impl Lines {
    fn feed(&mut self, mut data: &[u8]) -> Result<(), Refusal> {
        while !data.is_empty() {
            if self.rest.is_empty()
                && let Some((line, length)) = record_line(data)
                && length <= MAX_LINE
            {
                self.request.push_line(&line);
                self.count += 1;
                data = &data[length..];
                continue;
            }
            let end = data.iter().position(|byte| *byte == b'\n');
            let (piece, rest) = data.split_at(end.map_or(data.len(), |end| end + 1));
            self.piece(piece)?;
            data = rest;
        }
        Ok(())
    }

    /// A line or a part of one.
    fn piece(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        if self.rest.len() + piece.len() > MAX_LINE {
            return Err(too_large("line", MAX_LINE));
        }
        self.rest.extend_from_slice(piece);
        if piece.ends_with(b"\n") {
            self.line();
        }
        Ok(())
    }

    fn line(&mut self) {
        let line = std::mem::take(&mut self.rest);
        if let Some((record, length)) = record_line(&line)
            && length == line.len()
        {
            self.request.push_line(&record);
            self.count += 1;
            return;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let index = self.count;
        self.count += 1;
        let mut json = serde_json::Deserializer::from_slice(&line);
        let parsed = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| {
                let path = error.path().to_string();
                (path, error.into_inner())
            })
            .and_then(|document| json.end().map(|()| document).map_err(|e| (".".into(), e)));
        match parsed {
            Ok(document) => self.request.push(document),
            Err((path, error)) if self.problems.len() < MAX_PROBLEMS => {
                self.problems.push(Problem {
                    object: String::new(),
                    document: Some(index),
                    path: if path == "." { String::new() } else { path },
                    message: format!("no policy document: {error}"),
                    hint: "send one JSON document a line".to_owned(),
                });
            }
            Err(_) => {}
        }
    }

    fn finish(mut self) -> Result<Request, Refusal> {
        self.line();
        if self.problems.is_empty() {
            return Ok(self.request);
        }
        Err(Refusal {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            problems: Problems {
                problems: self.problems,
            },
        })
    }
}

fn too_large(what: &str, limit: usize) -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("a {what} of the request is longer than {limit} bytes"),
        "split the policy into several requests",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = r#"{"apiVersion":"nve/v1","kind":"Host","metadata":{"name":"a"},"spec":{"providerAddresses":[{"address":"192.0.2.1"}]}}"#;

    #[tokio::test]
    async fn one_document_a_line_with_or_without_the_last_newline() {
        for body in [format!("{HOST}\n\n{HOST}\n"), format!("{HOST}\n{HOST}")] {
            let read = documents(Body::from(body)).await.expect("documents");
            assert_eq!(read.len(), 2);
        }
    }

    #[tokio::test]
    async fn every_bad_line_is_told_with_its_index() {
        let body = format!("{HOST}\n{{\n{HOST} x\n");
        let refusal = documents(Body::from(body)).await.expect_err("bad lines");
        let indexes: Vec<_> = refusal
            .problems
            .problems
            .iter()
            .map(|p| p.document)
            .collect();
        assert_eq!(indexes, [Some(1), Some(2)]);
        assert_eq!(refusal.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    #[test]
    fn a_line_is_bounded() {
        let mut lines = Lines::default();
        assert!(lines.feed(&vec![b' '; MAX_LINE]).is_ok());
        assert!(lines.feed(b" ").is_err());
    }
}
