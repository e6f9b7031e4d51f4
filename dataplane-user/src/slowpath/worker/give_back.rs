//! What a worker is done with: given back to the programs, or counted as dropped.

use std::{
    os::fd::AsFd,
    time::{Duration, Instant},
};

use dataplane_common::{abi::upcall::UpcallHeader, reason::DropReason};

use super::{Queue, SENDING, Worker};
use crate::slowpath::{
    channel::Channel,
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
            Act::Drop(reason) => self.drop(directory, upcall, reason),
        }
    }

    fn tell(
        &mut self,
        directory: &Directory,
        upcall: &Upcall,
        (header, frame): (UpcallHeader, Vec<u8>),
    ) {
        let allowed = self.answered.allows(header.slot(), Instant::now());
        if allowed
            && self.channel.send(&[&header.to_bytes(), &frame])
            && let Some(tenant) = handlers::tenant(directory, upcall)
        {
            self.office.counts.answered(tenant);
        }
    }

    fn again(&mut self, directory: &Directory, upcall: &Upcall, frames: Vec<Vec<u8>>) {
        let tenant = handlers::tenant(directory, upcall).unwrap_or(0);
        for frame in frames {
            let returned = Returned {
                header: upcall.back(),
                frame,
                tenant,
                since: upcall.since,
            };
            let given = match &self.queue {
                Queue::Pair(_) => self.send(&returned),
                Queue::Uplink(_, lane) => lane.put(returned).is_ok(),
            };
            if !given {
                self.drop(directory, upcall, DropReason::PuntFailed);
            }
        }
    }

    /// Sends a frame to the programs. `false`: there is no room.
    fn send(&mut self, returned: &Returned) -> bool {
        let Returned { header, frame, .. } = returned;
        let sent = self.channel.send(&[&header.to_bytes(), frame]);
        if sent {
            let waited = returned.since.elapsed();
            self.office.counts.reinjected(returned.tenant, waited);
        }
        sent
    }

    /// What other queues' threads give back: packets from uplinks. What waited longer than a packet
    /// may is dropped: there was no upcall pair for a while.
    pub(super) fn send_others(&mut self, now: Instant) {
        let Queue::Pair(lane) = self.queue.clone() else {
            return;
        };
        for returned in lane.try_iter() {
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
            tenant.inspect(|tenant| self.office.counts.punted(*tenant, upcall.punt));
            self.drop(&directory, &upcall, DropReason::WorkerLost);
        }
        for upcall in self.hold.clear() {
            self.drop(&directory, &upcall, DropReason::WorkerLost);
        }
    }
}
