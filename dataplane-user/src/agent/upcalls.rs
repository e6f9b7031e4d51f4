//! What the slow path did, in the words of the control API.

use std::collections::BTreeMap;

use dataplane_common::{
    abi::stats::{Count, Direction},
    reason::DropReason,
};

use super::Agent;
use crate::{
    control::protocol::{DropCount, Frames, Latency, QueueStatus, SlowPathStatus, UpcallCount},
    slowpath::{
        channel::Mode,
        counts::Upcalls,
        directory::Tenant,
        health::{Health, Seat},
    },
};

impl Agent {
    /// Upcalls of each VM network that this host knows, by name.
    pub(super) fn upcalls(&self) -> Vec<UpcallCount> {
        let slow_path = &self.slow_path;
        let mut counts = slow_path.counts().upcalls();
        let in_use = slow_path.in_use_by_domain();
        let mut held: BTreeMap<u32, usize> = BTreeMap::new();
        for (_, health) in slow_path.seats.health() {
            for (tenant, packets) in health.held_of {
                *held.entry(tenant).or_default() += packets;
            }
        }
        let directory = slow_path.directory();
        let tenants = directory.tenants.iter();
        let mut items: Vec<UpcallCount> = tenants
            .map(|(id, tenant)| UpcallCount {
                held: held.get(id).copied().unwrap_or(0),
                records_in_use: in_use.get(id).map_or(0, |(records, _)| *records),
                negative_answers: in_use.get(id).map_or(0, |(_, negative)| *negative),
                ..upcall_count(tenant, &counts.remove(id).unwrap_or_default())
            })
            .collect();
        items.sort_by(|a, b| a.vm_network.cmp(&b.vm_network));
        items
    }

    /// Adds what user space dropped of a slot to what the programs did. What comes from a port is on
    /// its way out, and what comes from an uplink on its way in.
    pub(super) fn add_drops(&self, items: &mut Vec<DropCount>, (slot, port): (u32, &str)) {
        let direction = if slot == 0 {
            Direction::Ingress
        } else {
            Direction::Egress
        };
        for (reason, count) in self.slow_path.counts().drops(slot) {
            add(items, (port, direction), reason, count);
        }
    }

    /// The slow path's part of the status.
    pub(super) fn slow_path_status(&self) -> SlowPathStatus {
        let (records_in_use, negative_answers) = self.slow_path.in_use();
        let queues = self.slow_path.seats.health().into_iter();
        SlowPathStatus {
            queues: queues
                .map(|(seat, health)| self.queue_status(seat, health))
                .collect(),
            consumed: self.slow_path.counts().all_consumed(),
            records_in_use,
            negative_answers,
        }
    }

    fn queue_status(&self, seat: Seat, health: Health) -> QueueStatus {
        let account = health.account;
        QueueStatus {
            interface: self.device_name(seat.ifindex),
            queue: seat.queue,
            mode: match health.mode {
                Some(Mode::Copy) => "copy",
                Some(Mode::ZeroCopy) => "zeroCopy",
                None => "none",
            }
            .to_owned(),
            restarts: health.restarts,
            trouble: health.trouble,
            frames: Frames {
                all: account.all,
                free: account.free,
                receiving: account.receiving,
                sending: account.sending,
                lost: health.lost + account.lost() as u64,
            },
            held: health.held,
            refused: health.refused,
        }
    }

    /// Of the upcall pair or an uplink.
    pub(super) fn device_name(&self, ifindex: u32) -> String {
        let pair = self.upcall.iter().flat_map(|pair| [&pair.near, &pair.far]);
        let pair = pair.map(|end| (end.ifindex, &end.name));
        let uplinks = self.uplinks.values();
        let uplinks = uplinks.map(|uplink| (uplink.device.ifindex, &uplink.device.name));
        let found = pair.chain(uplinks).find(|(index, _)| *index == ifindex);
        found.map_or_else(|| format!("interface {ifindex}"), |(_, name)| name.clone())
    }
}

fn upcall_count(tenant: &Tenant, counts: &Upcalls) -> UpcallCount {
    let punts = counts.punts.iter();
    let drops = counts.drops.iter();
    UpcallCount {
        vm_network: tenant.name.clone(),
        weight: tenant.weight,
        punted: counts.punts.values().sum(),
        punts: punts.map(|(p, n)| (p.as_str().to_owned(), *n)).collect(),
        rate: counts.rate,
        reinjected: counts.reinjected,
        answered: counts.answered,
        consumed: counts.consumed,
        dropped: counts.drops.values().sum(),
        drops: drops.map(|(r, n)| (r.as_str().to_owned(), *n)).collect(),
        latency: counts.latency.map(|latency| Latency {
            p50_microseconds: latency.p50,
            p99_microseconds: latency.p99,
        }),
        ..UpcallCount::default()
    }
}

fn add(
    items: &mut Vec<DropCount>,
    (port, direction): (&str, Direction),
    reason: DropReason,
    count: Count,
) {
    let same = |item: &&mut DropCount| {
        item.port == port && item.direction == direction.as_str() && item.reason == reason.as_str()
    };
    if let Some(item) = items.iter_mut().find(same) {
        item.packets += count.packets;
        item.bytes += count.bytes;
        item.in_user_space += count.packets;
    } else {
        items.push(DropCount {
            in_user_space: count.packets,
            ..DropCount::new(port, direction, reason, count)
        });
    }
}

#[cfg(test)]
mod tests {
    use dataplane_common::punt::Punt;

    use super::*;

    #[test]
    fn what_both_dropped_is_one_count() {
        let count = Count {
            packets: 2,
            bytes: 120,
        };
        let programs = DropCount::new(
            "blue/vm1",
            Direction::Egress,
            DropReason::MtuExceeded,
            count,
        );
        let mut items = vec![programs];
        let vm1 = ("blue/vm1", Direction::Egress);
        add(&mut items, vm1, DropReason::MtuExceeded, count);
        add(
            &mut items,
            ("uplink", Direction::Ingress),
            DropReason::MtuExceeded,
            count,
        );
        add(&mut items, vm1, DropReason::HoldFull, count);
        let told = |item: &DropCount| {
            let what = format!("{} {} {}", item.port, item.direction, item.reason);
            (what, item.packets, item.bytes, item.in_user_space)
        };
        let what = |what: &str| what.to_owned();
        assert_eq!(
            items.iter().map(told).collect::<Vec<_>>(),
            [
                (what("blue/vm1 egress MTU_EXCEEDED"), 4, 240, 2),
                (what("uplink ingress MTU_EXCEEDED"), 2, 120, 2),
                (what("blue/vm1 egress HOLD_FULL"), 2, 120, 2),
            ]
        );
    }

    #[test]
    fn a_tenant_is_told_by_its_name_with_sums() {
        let tenant = Tenant {
            name: "blue".into(),
            weight: 3,
        };
        let counts = Upcalls {
            punts: BTreeMap::from([(Punt::Miss, 4), (Punt::Oversize, 1)]),
            drops: BTreeMap::from([(DropReason::HoldFull, 2), (DropReason::MtuExceeded, 1)]),
            answered: 1,
            reinjected: 2,
            ..Upcalls::default()
        };
        let told = upcall_count(&tenant, &counts);
        assert_eq!((&*told.vm_network, told.weight), ("blue", 3));
        assert_eq!((told.punted, told.dropped), (5, 3));
        assert_eq!(told.punts["MISS"], 4);
        assert_eq!(told.drops["HOLD_FULL"], 2);
        assert_eq!(told.latency, None);
    }
}
