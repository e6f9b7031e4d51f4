//! Queues of a device, and a fault of the kernel that XDP must not run into.

use aya::util::nr_cpus;

use crate::ports::ethtool::{self, Channels};

/// Why XDP on an interface could crash the kernel, and what to do.
///
/// virtio-net sends what XDP redirects by a queue for each CPU, which it takes from those beyond
/// its channels. If there are too few and more channels than CPUs, it counts on beyond the end
/// of its queues (`virtnet_xdp_get_sq`, since Linux 5.13; seen to panic on 6.1). The number
/// of channels cannot be changed while XDP is attached, so one look is enough.
pub(super) fn hazard(interface: &str) -> Option<String> {
    if ethtool::driver(interface).ok()? != "virtio_net" {
        return None;
    }
    let channels = ethtool::channels(interface).ok()?;
    let cpus = u32::try_from(nr_cpus().ok()?).ok()?;
    too_many(channels, cpus).map(|fine| {
        format!(
            "with {} of {} queues in use and {cpus} CPUs, virtio_net has too few left for XDP and could crash the kernel; run `ethtool -L {interface} combined {fine}`",
            channels.used, channels.most
        )
    })
}

/// How many channels there may be, if there are too many.
fn too_many(channels: Channels, cpus: u32) -> Option<u32> {
    let fine = cpus.max(channels.most.saturating_sub(cpus));
    (channels.used > fine).then_some(fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_for_each_cpu_is_left_or_all_are_shared() {
        let judged = |used, most, cpus| too_many(Channels { used, most }, cpus);
        assert_eq!(judged(4, 4, 2), Some(2));
        assert_eq!(judged(7, 8, 2), Some(6));
        assert_eq!(judged(3, 4, 2), Some(2));
        for fine in [(2, 4, 2), (6, 8, 2), (1, 1, 4), (4, 4, 4), (4, 4, 8)] {
            assert_eq!(judged(fine.0, fine.1, fine.2), None, "{fine:?}");
        }
    }
}
