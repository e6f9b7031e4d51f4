//! What can go wrong between client and agent.

use std::{
    io,
    path::{Path, PathBuf},
};

use hyper::StatusCode;
use thiserror::Error;

use crate::control::protocol::{Problem, Problems};

/// Why a request failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("cannot reach the agent at {}: {source}", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What connect said.
        source: io::Error,
    },
    /// The socket's mode keeps us out.
    #[error("permission denied on {}", socket.display())]
    Permission {
        /// The socket.
        socket: PathBuf,
    },
    /// The connection broke in the middle of a request.
    #[error("the agent at {} broke off: {source}", socket.display())]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// What HTTP said.
        source: hyper::Error,
    },
    /// Our own request cannot be sent.
    #[error("`{path}` makes no request: {source}")]
    Request {
        /// Its path.
        path: String,
        /// Why.
        source: hyper::http::Error,
    },
    /// There is no request, for what it is about could not be read.
    #[error("nothing was sent: not all documents could be read")]
    Unread,
    /// The answer is not of this protocol.
    #[error("the agent's answer to {request} is not understood: {source}")]
    Answer {
        /// The request's path.
        request: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The agent answered with problems.
    #[error("the agent refused: {status}")]
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// What it said.
        problems: Problems,
    },
}

impl ClientError {
    pub(super) fn connect(socket: &Path, source: io::Error) -> Self {
        let socket = socket.to_owned();
        if source.kind() == io::ErrorKind::PermissionDenied {
            return Self::Permission { socket };
        }
        Self::Unreachable { socket, source }
    }

    pub(super) fn broken(socket: &Path, source: hyper::Error) -> Self {
        Self::Broken {
            socket: socket.to_owned(),
            source,
        }
    }

    /// The status that nvectl exits with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::Answer { .. } => 3,
            Self::Permission { .. } => 7,
            Self::Request { .. } | Self::Unread => 2,
            Self::Refused { status, .. } => match status.as_u16() {
                403 => 7,
                404 => 4,
                409 => 5,
                400 | 413 | 422 => 6,
                // The agent is well; its store does not take it.
                507 => 1,
                _ => 3,
            },
        }
    }

    /// What to do about it; empty when the problems say so themselves.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => {
                "is nved running? name another agent's socket with `--socket PATH`"
            }
            Self::Permission { .. } => {
                "run nvectl as root to write; to read, join the group that owns the socket"
            }
            Self::Broken { .. } => "nved may have stopped; see its log, then try again",
            Self::Answer { .. } => {
                "nvectl and nved may differ in version; compare them with `nvectl version`"
            }
            Self::Request { .. } | Self::Refused { .. } | Self::Unread => "",
        }
    }
}

/// Problems that consist of one sentence.
pub(super) fn one_problem(message: String) -> Problems {
    Problems {
        problems: vec![Problem {
            object: String::new(),
            document: None,
            path: String::new(),
            message,
            hint: String::new(),
        }],
    }
}
