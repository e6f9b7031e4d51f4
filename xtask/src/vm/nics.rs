//! Network devices of a guest. None is connected to anything outside it.

use anyhow::{Result, bail};
use rustix::process::geteuid;
use std::path::Path;
use std::process::Command;

const TUN: &str = "/dev/net/tun";
/// Queue pairs of each device: virtio-net wants two for each CPU before it takes an XDP program,
/// one to receive and transmit as ever, one for frames that the program sends.
const QUEUES_PER_CPU: u32 = 2;

/// Network devices that a guest has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Nics {
    /// The loopback alone.
    #[default]
    None,
    /// Two multi-queue virtio-net devices, eth0 and eth1, cabled to each other.
    Pair,
}

impl Nics {
    /// Modules that a guest loads for them.
    pub(super) fn modules(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Pair => "virtio_net",
        }
    }

    /// Fails where this machine cannot make the cable.
    pub(super) fn check(self) -> Result<()> {
        if self == Self::None {
            return Ok(());
        }
        if !geteuid().is_root() {
            bail!("network devices of a guest need root; run it as root");
        }
        if !Path::new(TUN).exists() {
            bail!("{TUN} is not there, and network devices of a guest need it; run: modprobe tun");
        }
        Ok(())
    }

    /// The cable, and QEMU behind it.
    ///
    /// Only a tap gives a device more than one queue. Taps and the bridge between them are in a
    /// network namespace without a name, which ends with QEMU.
    pub(super) fn wrap(self, qemu: Command, cpus: u32) -> Command {
        match self {
            Self::None => qemu,
            Self::Pair => pair(&qemu, cpus),
        }
    }
}

/// Addresses of memory go by the kernel's DMA interface, as with hardware. Without that the driver has
/// no zero-copy sockets (`virtqueue_dma_dev`), and the device must be a modern one for it.
const DMA: &str = "iommu_platform=on,disable-legacy=on";

/// Makes the cable, and becomes QEMU. IPv6 is off so that the bridge itself says nothing.
const CABLE: &str = "set -e
echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
ip link add cable type bridge stp_state 0 mcast_snooping 0 ageing_time 0
for end in 0 1; do
    ip tuntap add tap$end mode tap multi_queue
    ip link set tap$end mtu 9000 master cable up
done
ip link set cable up
exec \"$@\"";

fn pair(qemu: &Command, cpus: u32) -> Command {
    let queues = cpus * QUEUES_PER_CPU;
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", CABLE, "sh"]);
    command.arg(qemu.get_program()).args(qemu.get_args());
    for end in 0..2 {
        command.arg("-netdev").arg(format!(
            "tap,id=net{end},ifname=tap{end},script=no,downscript=no,vhost=off,queues={queues}"
        ));
        // An interrupt for each direction of each queue, one for control and one for changes.
        let vectors = 2 * queues + 2;
        command.arg("-device").arg(format!(
            "virtio-net-pci,netdev=net{end},mac=02:00:00:00:00:0{},romfile=,mq=on,vectors={vectors},{DMA}",
            end + 1
        ));
    }
    let set = qemu
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    command.envs(set);
    command
}
