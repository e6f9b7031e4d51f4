//! Why a verb did not do what it was asked, and the exit status for it.

use std::io::{self, Write};

use crate::{
    control::{client::ClientError, protocol::Problem},
    policy::Diagnostic,
    render,
};

/// Done, yes, unchanged.
pub(super) const OK: u8 = 0;
/// The honest answer is no.
pub(super) const NO: u8 = 1;

/// The most faults of a policy that are shown.
const SHOWN: usize = 50;

/// Why a verb failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Arguments that make no sense together: what, and what to do.
    Usage(String, String),
    /// An object that is not there.
    NotFound(String, String),
    /// A file that cannot be read.
    File(String, io::Error),
    /// Files with faults.
    Invalid(Vec<Fault>),
    /// The agent, or the way to it.
    Client(ClientError),
    /// Some objects are done, others are not.
    Partly(usize, Box<Failure>),
    /// Our own output cannot be written.
    Output(io::Error),
}

/// A fault in a file, with the line it is in.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) diagnostic: Diagnostic,
    pub(super) excerpt: String,
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Failure {
    pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage(message.into(), hint.into())
    }

    /// The exit status; a reader that has gone away is no error.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(..) | Self::File(..) => 2,
            Self::NotFound(..) => 4,
            Self::Invalid(_) => 6,
            Self::Partly(..) => 8,
            Self::Client(error) => error.exit_code(),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => OK,
            Self::Output(_) => NO,
        }
    }

    /// Says what is wrong, where, and what to do.
    pub(super) fn write_into(&self, err: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Usage(message, hint) | Self::NotFound(message, hint) => told(err, message, hint),
            Self::File(name, error) => {
                let hint = "name a file with -f, or `-` to read standard input";
                told(err, &format!("cannot read {name}: {error}"), hint)
            }
            Self::Invalid(faults) => invalid_into(err, faults),
            Self::Client(ClientError::Refused { problems, .. }) => problems
                .problems
                .iter()
                .try_for_each(|problem| render::problem_into(err, problem)),
            Self::Client(error) => told(err, &error.to_string(), error.hint()),
            Self::Partly(done, cause) => {
                cause.write_into(err)?;
                let hint = "the rest was left as it was; remove the cause and run it again";
                told(err, &format!("stopped after {done} objects"), hint)
            }
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Self::Output(error) => told(err, &format!("cannot write the answer: {error}"), ""),
        }
    }
}

fn told(err: &mut impl Write, message: &str, hint: &str) -> io::Result<()> {
    let problem = Problem {
        object: String::new(),
        document: None,
        path: String::new(),
        message: message.to_owned(),
        hint: hint.to_owned(),
    };
    render::problem_into(err, &problem)
}

fn invalid_into(err: &mut impl Write, faults: &[Fault]) -> io::Result<()> {
    for fault in faults.iter().take(SHOWN) {
        let text = fault.diagnostic.to_string();
        // A problem of the whole request has no file before the first colon.
        writeln!(err, "error: {}", text.trim_start_matches(": "))?;
        for line in fault.excerpt.lines() {
            writeln!(err, "  {line}")?;
        }
    }
    let hidden = faults.len().saturating_sub(SHOWN);
    if hidden > 0 {
        writeln!(err, "... and {hidden} more")?;
    }
    let noun = if faults.len() == 1 { "fault" } else { "faults" };
    writeln!(err, "{} {noun}; nothing was changed", faults.len())
}
