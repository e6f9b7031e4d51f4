//! What a worker is done with: given back to the programs, or counted as dropped.

use std::{
    os::fd::AsFd,
    time::{Duration, Instant},
};

use dataplane_common::{
    abi::upcall::{Task, UpcallHeader},
    reason::DropReason,
};

use super::{Queue, SENDING, Worker};
use crate::slowpath::{
    channel::Channel,
    counts::UNDERLAY,
    directory::Directory,
    handlers::{self, Act},
    lane::Returned,
    upcall::Upcall,
};

/// How long a worker that ends waits for the kernel to send what it was given.
const FLUSH: Duration = Duration::from_millis(50);

impl<C: Channel> Worker<C> {
    /// Does what the handler says.
    pub(super) fn act(&mut self, directory: &Directory, upcall: &Upcall, act: Act) {
        match act {
            Act::Again(frames) => self.again(directory, upcall, frames),
            Act::Tell { frame, reason } => {
                self.tell(directory, upcall, frame);
                self.drop(directory, upcall, reason);
            }
            Act::Answer(header, frame) => {
                // Who gets none asks again.
                if self.tell(directory, upcall, (header, frame)) {
                    self.consume(directory, upcall);
                } else {
                    self.drop(directory, upcall, DropReason::PuntRate);
                }
            }
            Act::Spread(headers, frame) => self.spread(directory, upcall, &headers, &frame),
            Act::Narrow(pa, mtu) => {
                // Full of the like, the agent has enough to do; the next packet says it again.
                let _ = self.office.paths.try_send((pa, mtu));
                self.consume(directory, upcall);
            }
            Act::Drop(reason) => self.drop(directory, upcall, reason),
        }
    }

    /// Copies of a broadcast, which the programs count.
    fn spread(
        &mut self,
        directory: &Directory,
        upcall: &Upcall,
        headers: &[UpcallHeader],
        frame: &[u8],
    ) {
        self.consume(directory, upcall);
        let tenant = handlers::tenant(directory, upcall).unwrap_or(UNDERLAY);
        for header in headers {
            let returned = Returned {
                header: *header,
                frame: frame.to_vec(),
                tenant,
                since: upcall.since,
            };
            if !self.give(returned) {
                self.drop(directory, upcall, DropReason::PuntFailed);
            }
        }
    }

    fn give(&mut self, returned: Returned) -> bool {
        match &self.queue {
            Queue::Pair(_) => self.send(&returned),
            Queue::Uplink(_, lane) => lane.put(returned).is_ok(),
        }
    }

    fn tell(
        &mut self,
        directory: &Directory,
        upcall: &Upcall,
        (header, frame): (UpcallHeader, Vec<u8>),
    ) -> bool {
        let tenant = handlers::tenant(directory, upcall);
        let returned = Returned {
            header,
            frame,
            tenant: tenant.unwrap_or(UNDERLAY),
            since: upcall.since,
        };
        let allowed = self.answered.allows(header.slot(), Instant::now());
        let sent = allowed && self.give(returned);
        if sent && let Some(tenant) = tenant {
            self.office.counts.answered(tenant);
        }
        sent
    }

    fn again(&mut self, directory: &Directory, upcall: &Upcall, frames: Vec<Vec<u8>>) {
        let tenant = handlers::tenant(directory, upcall).unwrap_or(UNDERLAY);
        for frame in frames {
            let returned = Returned {
                header: upcall.back(),
                frame,
                tenant,
                since: upcall.since,
            };
            if !self.give(returned) {
                self.drop(directory, upcall, DropReason::PuntFailed);
            }
        }
    }

    /// Sends a frame to the programs. `false`: there is no room.
    fn send(&mut self, returned: &Returned) -> bool {
        let Returned { header, frame, .. } = returned;
        let sent = self.channel.send(&[&header.to_bytes(), frame]);
        let again = matches!(header.task(), Some(Task::Egress | Task::Ingress));
        if sent && again {
            let waited = returned.since.elapsed();
            self.office.counts.reinjected(returned.tenant, waited);
        }
        sent
    }

    /// What other threads give back: packets from uplinks, and what the gateway says unasked. What waited longer than a packet
    /// may is dropped: there was no upcall pair for a while.
    pub(super) fn send_others(&mut self, now: Instant) {
        let Queue::Pair(lane) = self.queue.clone() else {
            return;
        };
        for returned in lane.try_iter() {
            if returned.header.task() == Some(Task::Deliver) {
                // Nobody asked for it, and who gets none is told again.
                let Returned { header, frame, .. } = returned;
                self.channel.send(&[&header.to_bytes(), &frame]);
                continue;
            }
            let late = now.saturating_duration_since(returned.since) > self.hold.limits().time;
            let reason = if late {
                DropReason::HoldExpired
            } else if self.send(&returned) {
                continue;
            } else {
                DropReason::PuntFailed
            };
            let whose = (Some(returned.tenant), 0);
            let counts = &self.office.counts;
            counts.dropped(whose, reason, returned.frame.len());
        }
    }

    /// The packet was meant to end here.
    fn consume(&self, directory: &Directory, upcall: &Upcall) {
        if let Some(tenant) = handlers::tenant(directory, upcall) {
            self.office.counts.consumed(tenant);
        }
    }

    pub(super) fn drop(&self, directory: &Directory, upcall: &Upcall, reason: DropReason) {
        let whose = (handlers::tenant(directory, upcall), upcall.slot());
        let counts = &self.office.counts;
        counts.dropped(whose, reason, upcall.frame.len());
    }

    /// Ends with its hands empty: what it gave the kernel to send is sent, and the rest counted.
    pub fn close(&mut self) {
        let deadline = Instant::now() + FLUSH;
        while self.channel.account().sending > 0 && Instant::now() < deadline {
            let bell = self.control.bell.clone();
            if self.channel.turn().is_err() || self.channel.wait(bell.as_fd(), SENDING).is_err() {
                break;
            }
        }
        for _ in 0..self.channel.account().sending {
            let counts = &self.office.counts;
            counts.dropped((None, 0), DropReason::WorkerLost, 0);
        }
        while self.receive(Instant::now()) > 0 {}
        let directory = self.office.shared.directory();
        for upcall in std::mem::take(&mut self.batch) {
            let tenant = handlers::tenant(&directory, &upcall);
            let punt = handlers::why(&directory, &upcall);
            tenant.inspect(|tenant| self.office.counts.punted(*tenant, punt));
            self.drop(&directory, &upcall, DropReason::WorkerLost);
        }
        for upcall in self.hold.clear() {
            self.drop(&directory, &upcall, DropReason::WorkerLost);
        }
    }
}
