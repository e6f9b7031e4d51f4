//! Counters and drops, summed over CPUs.

use aya::maps::{MapData, PerCpuArray};
use dataplane_common::{
    abi::stats::{Count, Counter, Direction, counter_index, drop_index},
    reason::DropReason,
};

use super::{Dataplane, Error, maps::failed};
use crate::control::protocol::{CounterCount, DropCount};

/// Name of slot 0.
pub const UPLINK: &str = "uplink";

/// What sent a frame that slot 0 counts on egress: a device that is no port (yet).
const NO_PORT: &str = "-";

impl DropCount {
    /// A count in the words that users see.
    pub fn new(port: &str, direction: Direction, reason: DropReason, count: Count) -> Self {
        Self {
            port: port.to_owned(),
            direction: direction.as_str().to_owned(),
            reason: reason.as_str().to_owned(),
            description: reason.describe().trim().to_owned(),
            packets: count.packets,
            bytes: count.bytes,
            in_user_space: 0,
        }
    }
}

impl Dataplane {
    /// Drops of one slot that are not zero.
    pub fn drops(&self, slot: u32, port: &str) -> Result<Vec<DropCount>, Error> {
        let mut items = Vec::new();
        for direction in Direction::ALL {
            for reason in DropReason::ALL {
                let index = drop_index(slot, direction, *reason);
                let count = sum(&self.maps.drops, index, "DROPS")?;
                if count.packets != 0 {
                    let no_port = slot == 0 && direction == Direction::Egress;
                    let port = if no_port { NO_PORT } else { port };
                    items.push(DropCount::new(port, direction, *reason, count));
                }
            }
        }
        Ok(items)
    }

    /// Counters of one slot that are not zero.
    pub fn counters(&self, slot: u32, port: &str) -> Result<Vec<CounterCount>, Error> {
        let mut items = Vec::new();
        for counter in Counter::ALL {
            let index = counter_index(slot, *counter);
            let count = sum(&self.maps.counters, index, "COUNTERS")?;
            if count.packets != 0 {
                items.push(CounterCount {
                    port: port.to_owned(),
                    counter: counter.as_str().to_owned(),
                    packets: count.packets,
                    bytes: count.bytes,
                });
            }
        }
        Ok(items)
    }

    /// Sets the counts of a slot to zero, before another port gets it.
    pub fn clear(&mut self, slot: u32) -> Result<(), Error> {
        let cpus = aya::util::nr_cpus().map_or(1, |cpus| cpus);
        let zero = || aya::maps::PerCpuValues::try_from(vec![Count::default(); cpus]);
        let maps = &mut self.maps;
        for counter in Counter::ALL {
            let values = zero().map_err(|source| failed("COUNTERS")(source.into()))?;
            let index = counter_index(slot, *counter);
            maps.counters
                .set(index, values, 0)
                .map_err(failed("COUNTERS"))?;
        }
        for direction in Direction::ALL {
            for reason in DropReason::ALL {
                let values = zero().map_err(|source| failed("DROPS")(source.into()))?;
                let index = drop_index(slot, direction, *reason);
                maps.drops.set(index, values, 0).map_err(failed("DROPS"))?;
            }
        }
        Ok(())
    }
}

fn sum(map: &PerCpuArray<MapData, Count>, index: u32, name: &'static str) -> Result<Count, Error> {
    let values = map.get(&index, 0).map_err(failed(name))?;
    Ok(values.iter().fold(Count::default(), |all, one| Count {
        packets: all.packets.wrapping_add(one.packets),
        bytes: all.bytes.wrapping_add(one.bytes),
    }))
}
