//! Packets without DF are cut before they are encapsulated.

use crate::{B, INNER, discover, narrow};
use anyhow::{Context, Result, ensure};
use dataplane_common::wire::{
    ether, gre, ipv4,
    outer::{OuterHeaders as _, OverV4},
};
use dataplane_tests::net::{Frame, PacketSocket, SOON, Site, inside, proof};
use std::net::UdpSocket;
use xtask::lab::Netns;

/// `host-a`, whose way to the other host is narrow.
const NEAR: [u8; 4] = [192, 0, 2, 1];

/// Lets the kernel of the sender cut what its own interface does not carry, without DF.
fn may_be_cut(socket: &UdpSocket) -> Result<()> {
    discover(socket, libc::IP_PMTUDISC_DONT)
}

/// Datagrams of so many bytes arrive as they were sent, put together by the receiver's kernel.
fn arrive(from: &Netns, to: &Netns, bytes: usize) -> Result<()> {
    let receiver = inside(to, || Ok(UdpSocket::bind((B, 0))?))?;
    receiver.set_read_timeout(Some(SOON))?;
    let sender = inside(from, || Ok(UdpSocket::bind("0.0.0.0:0")?))?;
    may_be_cut(&sender)?;
    let mut room = vec![0; bytes + 1];
    for round in 0..5_u8 {
        let word = |at: usize| at.wrapping_mul(31).to_le_bytes()[0] ^ round;
        let sent: Vec<u8> = (0..bytes).map(word).collect();
        sender.send_to(&sent, receiver.local_addr()?)?;
        let came = receiver
            .recv(&mut room)
            .with_context(|| format!("{bytes} bytes"))?;
        ensure!(
            room[..came] == sent,
            "another datagram than was sent: {came} bytes"
        );
    }
    Ok(())
}

/// No outer packet is a fragment or larger than the path, and inner ones are.
fn cut_inside(frames: &[Frame]) -> Result<()> {
    let path = usize::from(INNER) + ipv4::LEN + gre::LEN + ether::LEN;
    let outer: Vec<&Frame> = frames
        .iter()
        .filter(|frame| frame.get(12..14) == Some(&[8, 0]) && frame.get(23) == Some(&47))
        .filter(|frame| frame.get(26..30) == Some(&NEAR))
        .collect();
    for frame in &outer {
        // DF alone: neither more fragments nor an offset.
        ensure!(
            frame[20..22] == [0x40, 0],
            "an outer fragment: {:x?}",
            &frame[..42]
        );
        ensure!(frame.len() <= ether::LEN + path, "{} bytes", frame.len());
    }
    let inner_fragment = |frame: &&&Frame| {
        let word = frame.get(OverV4::LEN + ether::LEN + 6..OverV4::LEN + ether::LEN + 8);
        word.is_some_and(|word| u16::from_be_bytes([word[0], word[1]]) & 0x3FFF != 0)
    };
    let fragments = outer.iter().filter(inner_fragment).count();
    ensure!(
        fragments >= 10,
        "{fragments} inner fragments in {} packets",
        outer.len()
    );
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_receiver_puts_together_what_was_cut() {
    proof(narrow("spcut", "tc"), |site: &mut Site| {
        let (vm1, vm2) = (site.vm("blue-vm1"), site.vm("blue-vm2"));
        let wire = PacketSocket::open(site.host(1), "eth0")?;
        for bytes in [1400, 1472, 1500, 9000] {
            arrive(vm1, vm2, bytes)?;
        }
        let mut ping = vm1.command("ping");
        ping.args([
            "-n", "-c", "3", "-i", "0.05", "-W", "5", "-M", "dont", "-s", "4000", B,
        ]);
        let said = xtask::lab::run(&mut ping)?.stdout;
        ensure!(said.contains(" 3 received"), "{said}");
        cut_inside(&wire.drain()?)?;
        for host in [0, 1] {
            let drops = site.drops(host)?;
            ensure!(drops.is_empty(), "dropped by {host}: {drops:?}");
        }
        site.conserved()
    });
}
