//! Tags of VLANs: on the underlay, at the VM, and those that are none of a port's.

use crate::{LAB, OFFICE, own_mac, site};
use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{
    Frame, PacketSocket, SOON, Site,
    fabric::link_to,
    hear::mark,
    outer::contains,
    plan::{A, B},
    proof,
};
use xtask::lab::{Netns, wait_until};

/// Somebody on the underlay.
const STRANGER: [u8; 6] = [2, 0, 0, 0, 8, 8];
const EVERYBODY: [u8; 6] = [0xFF; 6];

/// A frame with a mark and these tags, the outermost first.
fn frame(to: [u8; 6], from: [u8; 6], tags: &[u16], mark: &[u8]) -> Frame {
    let mut frame = [to, from].concat();
    for tag in tags {
        frame.extend([0x81, 0]);
        frame.extend(tag.to_be_bytes());
    }
    frame.extend([0x88, 0xB5]);
    frame.extend(mark);
    frame.resize(60 + 4 * tags.len(), 0);
    frame
}

/// The VLAN of the frame with a mark; `None` when it has no tag.
fn tag_of(frames: &[Frame], mark: &[u8]) -> Result<Option<u16>> {
    let mut frames = frames.iter();
    let frame = frames.find(|frame| contains(frame, mark));
    let frame = frame.context("the frame is not there")?;
    let word = u16::from_be_bytes([frame[14], frame[15]]);
    Ok((frame[12..14] == [0x81, 0]).then_some(word & 0x0FFF))
}

fn open(site: &Site, vm: &str) -> Result<PacketSocket> {
    PacketSocket::open(site.vm(vm), "eth0")
}

/// One tagged frame of a VM of `lab` to the other's MAC, and one to everybody. A socket at a VM
/// sees frames without the tag, which its kernel holds beside them.
pub(crate) fn exchange(site: &Site, from: &str, to: &str) -> Result<()> {
    let (mouth, ear) = (open(site, from)?, open(site, to)?);
    for target in [own_mac(to), EVERYBODY] {
        let mark = mark();
        mouth.send(&frame(target, own_mac(from), &[LAB], &mark))?;
        ear.find("the tagged frame", |frame| contains(frame, &mark))?;
    }
    Ok(())
}

/// A socket that sees frames as they leave a device: with the tag among the bytes.
fn behind(netns: &Netns, device: &str) -> Result<PacketSocket> {
    netns.exec(&["ethtool", "-K", device, "txvlan", "off"])?;
    PacketSocket::open(netns, device)
}

/// A VLAN's frames have its tag on the underlay; at the VM, where the VM tags its frames itself.
/// A sender and a receiver, tags that do not arrive, and those that do.
type Case<'c> = (&'c str, &'c str, &'c [&'c [u16]], &'c [u16]);

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_vlan_port_pushes_and_pops_its_tag() {
    let (site, _outside) = site("imtag", "tc");
    proof(site, |site| {
        let wire = behind(site.middle(), link_to(B))?;
        let cases: [(&str, &[u16], u16); 3] = [
            ("office-a", &[], OFFICE),
            ("office-a", &[OFFICE], OFFICE),
            ("lab-a", &[LAB], LAB),
        ];
        for (vm, sent, on_the_way) in cases {
            let far = vm.replace("-a", "-b");
            let network = vm.trim_end_matches("-a");
            let device = site.interface(B, &format!("{network}/{far}"))?;
            let at_the_vm = behind(site.host(B), &device)?;
            let (mouth, ear) = (open(site, vm)?, open(site, &far)?);
            for target in [own_mac(&far), EVERYBODY] {
                let mark = mark();
                mouth.send(&frame(target, own_mac(vm), sent, &mark))?;
                let came = ear.find("the frame", |frame| contains(frame, &mark))?;
                let plain = frame(target, own_mac(vm), &[], &mark);
                ensure!(came.starts_with(&plain), "{vm}: it came as {came:x?}");
                let seen = tag_of(&wire.drain()?, &mark)?;
                ensure!(seen == Some(on_the_way), "{vm}: {seen:?} on the underlay");
                let seen = tag_of(&at_the_vm.drain()?, &mark)?;
                let own = (network == "lab").then_some(LAB);
                ensure!(seen == own, "{vm}: {seen:?} at the other VM");
            }
        }
        site.conserved()
    });
}

/// A frame of the underlay without a tag, with another VLAN's or with two is no VLAN port's.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn only_frames_with_the_tag_come_from_the_underlay() {
    let (site, _outside) = site("imuntag", "tc");
    proof(site, |site| {
        let underlay = PacketSocket::open(site.middle(), link_to(A))?;
        for (vm, own, other) in [("lab-a", LAB, OFFICE), ("office-a", OFFICE, LAB)] {
            let ear = open(site, vm)?;
            let foreign: [&[u16]; 4] = [&[], &[other], &[0], &[own, own]];
            let mut marks = Vec::new();
            for tags in foreign {
                for target in [own_mac(vm), EVERYBODY] {
                    let mark = mark();
                    underlay.send(&frame(target, STRANGER, tags, &mark))?;
                    marks.push((tags, mark));
                }
            }
            // Behind them comes one with the tag, which arrives.
            let last = mark();
            underlay.send(&frame(own_mac(vm), STRANGER, &[own], &last))?;
            let mut seen = Vec::new();
            wait_until("the tagged frame", SOON, || {
                seen.extend(ear.drain()?);
                let came = seen.iter().any(|frame| contains(frame, &last));
                Ok(came.then_some(()))
            })?;
            for (tags, mark) in marks {
                let came = seen.iter().any(|frame| contains(frame, &mark));
                ensure!(!came, "{vm} got a frame with tags {tags:?}");
            }
        }
        site.conserved()
    });
}

/// What a VM may not send leaves its host nowhere, and is counted.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_vm_sends_its_own_tag_alone() {
    let (site, _outside) = site("imforeign", "tc");
    proof(site, |site| {
        let wire = behind(site.middle(), link_to(B))?;
        let cases: [Case<'_>; 2] = [
            (
                "lab-a",
                "lab-b",
                &[&[], &[OFFICE], &[0], &[LAB, LAB]],
                &[LAB],
            ),
            (
                "office-a",
                "office-b",
                &[&[LAB], &[0], &[OFFICE, OFFICE]],
                &[],
            ),
        ];
        for (vm, far, foreign, own) in cases {
            let port = format!("{}/{vm}", vm.trim_end_matches("-a"));
            let before = site.dropped(A, &port, "VLAN_FOREIGN")?;
            let (mouth, ear) = (open(site, vm)?, open(site, far)?);
            let mut marks = Vec::new();
            for tags in foreign {
                for target in [own_mac(far), EVERYBODY] {
                    let mark = mark();
                    mouth.send(&frame(target, own_mac(vm), tags, &mark))?;
                    marks.push(mark);
                }
            }
            let last = mark();
            mouth.send(&frame(own_mac(far), own_mac(vm), own, &last))?;
            ear.find("the frame that is allowed", |frame| contains(frame, &last))?;
            let left = wire.drain()?;
            for mark in &marks {
                let came = left.iter().any(|frame| contains(frame, mark));
                ensure!(!came, "{vm}: a foreign frame left the host");
            }
            let count = u64::try_from(marks.len())?;
            site.drops_reach(A, &port, "VLAN_FOREIGN", before + count)?;
        }
        site.conserved()
    });
}
