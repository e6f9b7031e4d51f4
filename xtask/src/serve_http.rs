//! The smallest web server that curl is happy with.

use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

/// A client that is slower than this is not ours.
const PATIENCE: Duration = Duration::from_secs(5);
/// A request header that is longer than this is cut off.
const MAX_REQUEST: usize = 8192;

/// Answers with `text` until the process is ended.
pub(crate) fn run(port: u16, text: &str) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        .with_context(|| format!("cannot listen on port {port}"))?;
    for client in listener.incoming() {
        if let Err(error) = client.and_then(|client| answer(client, text)) {
            eprintln!("a client went away: {error}");
        }
    }
    Ok(())
}

fn answer(mut client: TcpStream, text: &str) -> std::io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") && request.len() < MAX_REQUEST {
        match client.read(&mut buffer)? {
            0 => return Ok(()),
            count => request.extend(&buffer[..count]),
        }
    }
    let length = text.len() + 1;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close";
    write!(client, "{head}\r\nContent-Length: {length}\r\n\r\n{text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_gets_the_text() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        answer(listener.accept().unwrap().0, "served by blue-vm2").unwrap();
        let mut reply = String::new();
        client.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
        assert!(
            reply.ends_with("Content-Length: 19\r\n\r\nserved by blue-vm2\n"),
            "{reply}"
        );
    }
}
