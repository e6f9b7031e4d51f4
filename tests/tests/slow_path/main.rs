//! What the programs leave to user space whatever the table mode is: packets that do not fit, and
//! super-packets that bear an earlier encapsulation.

mod cut;
mod reencapsulated;
mod too_big;

use anyhow::{Result, ensure};
use dataplane_tests::net::{SOON, Site};
use std::{net::UdpSocket, os::fd::AsRawFd};
use xtask::lab::wait_until;

const A: &str = "10.0.0.5";
const B: &str = "10.0.0.7";
/// What the path to the other host carries, and how much of it is the tenant's.
const PATH: &str = "1342";
const INNER: u16 = 1300;
/// The ports' own MTU.
const PORT: u16 = 1500;

/// The demo, ports with an MTU of 1500 bytes, and a way to `host-b` that carries less.
fn narrow(name: &str, mode: &str) -> Result<Site> {
    let mut site = Site::bare(name, &["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"])?;
    let route = [
        "ip",
        "route",
        "add",
        "192.0.2.2/32",
        "dev",
        "eth0",
        "mtu",
        PATH,
    ];
    site.host(0).exec(&route)?;
    for host in [0, 1] {
        site.start(host, mode)?;
        let wide = format!("prefixes: [10.0.0.0/24]\n    mtu: {PORT}");
        let policy = site.demo().replace("prefixes: [10.0.0.0/24]", &wide);
        site.apply(host, &policy)?;
    }
    site.ready()?;
    if mode == "xdp" {
        site.like_wires()?;
    }
    Ok(site)
}

/// What a socket does about packets that do not fit (`IP_PMTUDISC_DONT` and its fellows).
fn discover(socket: &UdpSocket, value: libc::c_int) -> Result<()> {
    let len = libc::socklen_t::try_from(size_of_val(&value))?;
    // SAFETY: the value lives through the call and `len` is its size.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            (&raw const value).cast(),
            len,
        )
    };
    ensure!(done == 0, std::io::Error::last_os_error());
    Ok(())
}

/// Waits until a port has left so many packets to user space.
fn punted(site: &Site, port: &str, at_least: u64) -> Result<()> {
    wait_until("punts", SOON, || {
        Ok((site.counter(0, port, "egress_punted")? >= at_least).then_some(()))
    })
}
