//! The client's side of the protocol: one connection a request.

mod body;
mod changes;
mod error;

use std::path::{Path, PathBuf};

use http_body_util::BodyExt;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{net::UnixStream, task::JoinHandle};

pub use self::{
    body::{Lines, Payload},
    error::ClientError,
};
use super::protocol::{
    Action, ApplyReport, CounterList, DropList, ObjectList, ObjectView, Problems, Restarted,
    Status, Unloaded, UpcallList, Version,
};

/// Where nved listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/nved/nved.sock";

/// The most bytes of an error answer that are read.
const MAX_ERROR_BODY: usize = 1 << 20;

/// A client of one agent.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the agent that listens on `socket`; connects at each request.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Who answers.
    pub async fn version(&self) -> Result<Version, ClientError> {
        self.get("/v1/version").await
    }

    /// Health of the host.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("/v1/status").await
    }

    /// Applies documents, one JSON document a line, in one transaction; calls `each` with every object
    /// and what happened to it. The revision after it.
    pub async fn apply(
        &self,
        mut documents: Payload,
        dry_run: bool,
        mut each: impl FnMut(&str, Action),
    ) -> Result<u64, ClientError> {
        let path = if dry_run {
            "/v1/apply?dryRun=true"
        } else {
            "/v1/apply"
        };
        if !documents.begun().await {
            return Err(ClientError::Unread);
        }
        let (response, driver) = self.send(Method::POST, path, documents).await?;
        let (status, mut body) = (response.status(), response.into_body());
        let broken = |source| ClientError::broken(&self.socket, source);
        if !status.is_success() {
            let body = body.collect().await.map_err(broken)?.to_bytes();
            driver.abort();
            let problems = problems(status, &body);
            return Err(ClientError::Refused { status, problems });
        }
        let answer = |source| ClientError::Answer {
            request: path.to_owned(),
            source,
        };
        let mut changes = changes::Changes::default();
        while let Some(frame) = body.frame().await {
            if let Ok(piece) = frame.map_err(broken)?.into_data() {
                changes.feed(&piece, &mut each).map_err(answer)?;
            }
        }
        driver.abort();
        changes.finish().map_err(answer)
    }

    /// All objects of a kind.
    pub async fn list(&self, kind: &str) -> Result<ObjectList, ClientError> {
        self.get(&format!("/v1/objects/{kind}")).await
    }

    /// One object; `vm_network` is that of a port.
    pub async fn object(
        &self,
        kind: &str,
        name: &str,
        vm_network: Option<&str>,
    ) -> Result<ObjectView, ClientError> {
        self.get(&object_path(kind, name, vm_network)).await
    }

    /// Deletes one object.
    pub async fn delete(
        &self,
        kind: &str,
        name: &str,
        vm_network: Option<&str>,
    ) -> Result<ApplyReport, ClientError> {
        let path = object_path(kind, name, vm_network);
        self.call(Method::DELETE, &path, Payload::empty()).await
    }

    /// Drops of the dataplane.
    pub async fn drops(&self) -> Result<DropList, ClientError> {
        self.get("/v1/drops").await
    }

    /// Counters of the dataplane.
    pub async fn counters(&self) -> Result<CounterList, ClientError> {
        self.get("/v1/counters").await
    }

    /// What the slow path did for each tenant.
    pub async fn upcalls(&self) -> Result<UpcallList, ClientError> {
        self.get("/v1/upcalls").await
    }

    /// Ends every worker of the slow path; others take their places.
    pub async fn restart_slow_path(&self) -> Result<Restarted, ClientError> {
        self.call(Method::POST, "/v1/slow-path/restart", Payload::empty())
            .await
    }

    /// Takes the dataplane out of the kernel and stops the agent.
    pub async fn unload(&self) -> Result<Unloaded, ClientError> {
        self.call(Method::POST, "/v1/unload", Payload::empty())
            .await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, Payload::empty()).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        payload: Payload,
    ) -> Result<T, ClientError> {
        let (status, body) = self.exchange(method, path, payload).await?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|source| ClientError::Answer {
                request: path.to_owned(),
                source,
            });
        }
        Err(ClientError::Refused {
            status,
            problems: problems(status, &body),
        })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        payload: Payload,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let (response, driver) = self.send(method, path, payload).await?;
        let status = response.status();
        let body = response.into_body().collect().await;
        let body = body.map_err(|source| ClientError::broken(&self.socket, source))?;
        driver.abort();
        Ok((status, body.to_bytes()))
    }

    /// The head of the answer, and what drives the connection that the rest comes over.
    async fn send(
        &self,
        method: Method,
        path: &str,
        payload: Payload,
    ) -> Result<(Response<Incoming>, JoinHandle<hyper::Result<()>>), ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| ClientError::connect(&self.socket, source))?;
        let broken = |source| ClientError::broken(&self.socket, source);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "nved")
            .header(header::CONTENT_TYPE, "application/x-ndjson")
            .body(payload.into_body())
            .map_err(|source| ClientError::Request {
                path: path.to_owned(),
                source,
            })?;
        let driver = tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(broken)?;
        Ok((response, driver))
    }
}

/// The problems in an error answer; one of our own making when it bears none.
fn problems(status: StatusCode, body: &[u8]) -> Problems {
    serde_json::from_slice(body)
        .ok()
        .filter(|parsed: &Problems| !parsed.problems.is_empty())
        .unwrap_or_else(|| {
            let text = String::from_utf8_lossy(&body[..body.len().min(MAX_ERROR_BODY)]);
            error::one_problem(format!("the agent answered {status}: {}", text.trim()))
        })
}

/// The path of an object. Names may hold `/` (a lookup record's does).
fn object_path(kind: &str, name: &str, vm_network: Option<&str>) -> String {
    let mut path = format!("/v1/objects/{kind}/{}", percent_encoded(name));
    if let Some(vm_network) = vm_network {
        path.push_str("?vmNetwork=");
        path.push_str(&percent_encoded(vm_network));
    }
    path
}

/// Everything but RFC 3986's unreserved characters, as `%XX`.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;

    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes everything");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_in_paths() {
        assert_eq!(
            object_path("LookupRecord", "6001/fd00::9", None),
            "/v1/objects/LookupRecord/6001%2Ffd00%3A%3A9"
        );
        assert_eq!(
            object_path("Port", "vm 1", Some("blue&x")),
            "/v1/objects/Port/vm%201?vmNetwork=blue%26x"
        );
    }

    #[test]
    fn an_answer_without_problems_is_still_told() {
        let told = problems(StatusCode::INTERNAL_SERVER_ERROR, b"oops\n");
        assert_eq!(
            told.problems[0].message,
            "the agent answered 500 Internal Server Error: oops"
        );
    }
}
