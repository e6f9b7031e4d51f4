//! An agent that answers from a list, and nvectl as a process.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use tempfile::TempDir;

/// Answers requests until the test ends.
pub(crate) struct FakeAgent {
    directory: TempDir,
    last_body: Arc<Mutex<String>>,
}

/// Request line without the version, status, body.
type Answer = (String, u16, String);

impl FakeAgent {
    /// Starts it; a request that has no answer gets 404.
    pub(crate) fn start(answers: &[(&str, u16, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let listener = UnixListener::bind(directory.path().join("nved.sock")).expect("bound");
        let last_body = Arc::new(Mutex::new(String::new()));
        let answers: Vec<Answer> = answers
            .iter()
            .map(|(request, status, body)| ((*request).into(), *status, (*body).into()))
            .collect();
        let seen = Arc::clone(&last_body);
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(&stream.expect("connection"), &answers, &seen);
            }
        });
        Self {
            directory,
            last_body,
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("nved.sock")
    }

    /// The body of the last request.
    pub(crate) fn last_body(&self) -> String {
        self.last_body.lock().expect("not poisoned").clone()
    }
}

fn serve(stream: &UnixStream, answers: &[Answer], seen: &Mutex<String>) {
    let mut reader = BufReader::new(stream);
    let request = line(&mut reader);
    let request = request.trim_end_matches(" HTTP/1.1");
    let mut chunked = false;
    loop {
        let header = line(&mut reader).to_ascii_lowercase();
        chunked |= header == "transfer-encoding: chunked";
        if header.is_empty() {
            break;
        }
    }
    if chunked {
        *seen.lock().expect("not poisoned") = chunks(&mut reader);
    }
    let absent = (String::new(), 404, String::new());
    let found = answers.iter().find(|answer| answer.0 == request);
    let (_, status, body) = found.unwrap_or(&absent);
    let answer = format!(
        "HTTP/1.1 {status} \r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // The client may have gone away; its own exit status tells.
    let _ = (&*stream).write_all(answer.as_bytes());
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    line.trim_end().to_owned()
}

fn chunks(reader: &mut impl BufRead) -> String {
    let mut body = Vec::new();
    loop {
        let length = u64::from_str_radix(&line(reader), 16).expect("a chunk's length");
        reader.take(length).read_to_end(&mut body).expect("a chunk");
        line(reader);
        if length == 0 {
            return String::from_utf8(body).expect("UTF-8");
        }
    }
}

/// What a run of nvectl left behind.
pub(crate) struct Run {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

/// Runs nvectl with nothing on standard input.
pub(crate) fn nvectl(agent: &FakeAgent, arguments: &[&str]) -> Run {
    nvectl_at(agent.socket(), arguments, "")
}

/// Runs nvectl with this text on standard input.
pub(crate) fn nvectl_at(socket: impl AsRef<Path>, arguments: &[&str], input: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nvectl"))
        .env("NVECTL_SOCKET", socket.as_ref())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nvectl runs");
    let mut stdin = child.stdin.take().expect("piped");
    // nvectl may end without reading.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("nvectl ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Run {
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        code: output.status.code().expect("no signal"),
    }
}
