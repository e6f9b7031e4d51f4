//! What tenants send each other.

use super::{SOON, inside};
use anyhow::{Context, Result, ensure};
use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
};
use xtask::lab::{Netns, run};

/// Three echo requests of so many bytes, three replies; `size` counts the ICMP payload.
pub fn ping(from: &Netns, to: &str, size: u16) -> Result<()> {
    let size = size.to_string();
    let mut ping = from.command("ping");
    // -M do: a packet that does not fit is an error, not fragments.
    ping.args([
        "-n", "-c", "3", "-i", "0.05", "-W", "3", "-M", "do", "-s", &size, to,
    ]);
    let said = run(&mut ping)?.stdout;
    ensure!(
        said.contains(" 3 received"),
        "not all replies came back:\n{said}"
    );
    Ok(())
}

/// Sends bytes over TCP both ways and compares them: a question, its echo reversed.
pub fn tcp(client: &Netns, server: &Netns, address: &str, bytes: usize) -> Result<()> {
    let address: IpAddr = address.parse()?;
    let listener = inside(server, || Ok(TcpListener::bind((address, 0))?))?;
    let at = listener.local_addr()?;
    let echo = thread::spawn(move || answer(&listener, bytes));
    // After a failure the listener may still wait for somebody; it dies with the process.
    ask(client, at, bytes).with_context(|| format!("TCP to {at}"))?;
    echo.join().expect("the echo does not panic")
}

fn ask(client: &Netns, at: SocketAddr, bytes: usize) -> Result<()> {
    let mut stream = inside(client, || Ok(TcpStream::connect_timeout(&at, SOON)?))?;
    stream.set_read_timeout(Some(SOON))?;
    stream.set_write_timeout(Some(SOON))?;
    let sent = pattern(bytes);
    stream.write_all(&sent)?;
    let mut back = vec![0; bytes];
    stream
        .read_exact(&mut back)
        .context("the echo did not come")?;
    back.reverse();
    ensure!(
        back == sent,
        "the bytes that came back are not those that were sent"
    );
    Ok(())
}

fn answer(listener: &TcpListener, bytes: usize) -> Result<()> {
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(SOON))?;
    stream.set_write_timeout(Some(SOON))?;
    let mut came = vec![0; bytes];
    stream.read_exact(&mut came)?;
    came.reverse();
    stream.write_all(&came)?;
    Ok(())
}

/// Sends one datagram and compares what arrives.
pub fn udp(client: &Netns, server: &Netns, address: &str, bytes: usize) -> Result<()> {
    let address: IpAddr = address.parse()?;
    let receiver = inside(server, || Ok(UdpSocket::bind((address, 0))?))?;
    receiver.set_read_timeout(Some(SOON))?;
    let at = receiver.local_addr()?;
    let sender = inside(client, || Ok(UdpSocket::bind(any(address))?))?;
    let sent = pattern(bytes);
    sender.send_to(&sent, at)?;
    let mut came = vec![0; bytes + 1];
    let (len, _) = receiver
        .recv_from(&mut came)
        .with_context(|| format!("a datagram of {bytes} bytes did not arrive at {at}"))?;
    ensure!(
        came[..len] == sent,
        "another datagram than was sent: {len} bytes"
    );
    Ok(())
}

/// Any port of any address of a family, to send to an address of it.
pub(super) fn any(like: IpAddr) -> SocketAddr {
    match like {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

fn pattern(bytes: usize) -> Vec<u8> {
    let word = |index: usize| (index.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()[0];
    (0..bytes).map(word).collect()
}
