//! A packet test is data: a description, a packet, what shall become of it.

use dataplane_common::{
    abi::{
        stats::{Counter, Direction},
        upcall::{Task, UpcallHeader},
    },
    punt::Punt,
    reason::DropReason,
};

use crate::{
    policy::SENDER,
    prog_run::{Action, Counts, Hook, Programs, Ran},
};

/// One packet and its fate.
pub struct Fixture {
    /// What it shows.
    pub name: &'static str,
    /// Whose program sees it.
    pub direction: Direction,
    /// The frame.
    pub frame: Vec<u8>,
    /// Segment size when the frame is a super-packet; 0 otherwise.
    pub gso_size: u32,
    /// What shall happen.
    pub want: Want,
    /// Whether XDP leaves the packet to TC (which then decides the same).
    pub xdp_leaves: bool,
}

/// The fate of a packet, with the slots whose counters move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// On the wire as these bytes.
    Encapped(u32, Vec<u8>),
    /// At another port (sender's slot; 0 from the underlay) as these bytes.
    Delivered(u32, u32, Vec<u8>),
    /// Back to the sender as these bytes.
    Replied(u32, Vec<u8>),
    /// Untouched.
    Passed,
    /// Left to user space, counted in this slot: behind a header that says why, these bytes.
    Punted(u32, Punt, Vec<u8>),
    /// Dropped, counted in this slot.
    Dropped(u32, DropReason),
}

impl Fixture {
    /// From a port.
    pub fn egress(name: &'static str, frame: Vec<u8>, want: Want) -> Self {
        Self {
            name,
            direction: Direction::Egress,
            frame,
            gso_size: 0,
            want,
            xdp_leaves: false,
        }
    }

    /// From the underlay.
    pub fn ingress(name: &'static str, frame: Vec<u8>, want: Want) -> Self {
        let xdp_leaves = want == Want::Passed;
        Self {
            name,
            direction: Direction::Ingress,
            frame,
            gso_size: 0,
            want,
            xdp_leaves,
        }
    }

    /// XDP leaves it to TC.
    #[must_use]
    pub fn left_by_xdp(mut self) -> Self {
        self.xdp_leaves = true;
        self
    }

    /// As a super-packet.
    #[must_use]
    pub fn gso(mut self, size: u32) -> Self {
        self.gso_size = size;
        self
    }

    /// Runs it at a hook and compares return code, bytes and every counter.
    pub fn check(&self, programs: &Programs, hook: Hook) -> Result<(), String> {
        if self.gso_size > 0 && hook == Hook::Xdp {
            return Ok(()); // there are no super-packets at XDP
        }
        let before = programs.counts();
        let mut ran = programs.run_gso(hook, self.direction, &self.frame, self.gso_size);
        if hook == Hook::Xdp && self.xdp_leaves {
            self.same("XDP leaves", &Action::Pass, &ran.action)?;
            self.same("XDP leaves the frame", &self.frame, &ran.frame)?;
            self.same(
                "XDP counts nothing",
                &Counts::default(),
                &programs.counts().since(&before),
            )?;
            ran = programs.run(Hook::Tc, self.direction, &ran.frame);
        }
        self.counted(programs, &before, &self.counts())?;
        self.outcome(hook, &ran)
    }

    /// The same with the frame given back by user space, as if it came from where it came from at first.
    pub fn check_back(&self, programs: &Programs) -> Result<(), String> {
        let (task, again) = match self.direction {
            Direction::Egress => (Task::Egress, Counter::EgressReinjected),
            Direction::Ingress => (Task::Ingress, Counter::IngressReinjected),
        };
        let before = programs.counts();
        let slot = self.slot();
        let of_port = match self.direction {
            Direction::Egress => slot,
            Direction::Ingress => 0,
        };
        let header = UpcallHeader::new(task, SENDER, of_port, 0);
        let ran = programs.give_back(header, &self.frame);
        let mut counts = self.counts();
        counts.counters.insert((slot, again), 1);
        self.counted(programs, &before, &counts)?;
        self.outcome(Hook::Tc, &ran)
    }

    fn counted(&self, programs: &Programs, before: &Counts, want: &Counts) -> Result<(), String> {
        let now = programs.counts();
        self.same("counters", want, &now.since(before))?;
        self.same("conservation", &true, &now.conserved())
    }

    fn outcome(&self, hook: Hook, ran: &Ran) -> Result<(), String> {
        let (action, frame) = match &self.want {
            Want::Encapped(_, frame) | Want::Delivered(_, _, frame) | Want::Replied(_, frame) => {
                (Action::Redirect, frame.clone())
            }
            // The socket of an uplink's queue gets the frame as it is.
            Want::Punted(_, _, frame) if hook == Hook::Xdp && !self.xdp_leaves => {
                (Action::Redirect, frame.clone())
            }
            Want::Punted(slot, punt, frame) => {
                let header = UpcallHeader::new(Task::Handle, SENDER, *slot, punt.number());
                let header = header.segmented(self.gso_size);
                (Action::Redirect, [&header.to_bytes(), &frame[..]].concat())
            }
            Want::Passed => (Action::Pass, self.frame.clone()),
            Want::Dropped(..) => return self.same("action", &Action::Drop, &ran.action),
        };
        self.same("action", &action, &ran.action)?;
        self.same("bytes", &frame, &ran.frame)
    }

    /// Whose packets were received.
    fn slot(&self) -> u32 {
        match (self.direction, &self.want) {
            (
                _,
                Want::Encapped(slot, _)
                | Want::Replied(slot, _)
                | Want::Punted(slot, ..)
                | Want::Dropped(slot, _),
            )
            | (Direction::Egress, Want::Delivered(slot, ..))
            | (Direction::Ingress, Want::Delivered(_, slot, _)) => *slot,
            (_, Want::Passed) => 0,
        }
    }

    /// Exactly the counters that shall move.
    fn counts(&self) -> Counts {
        use Counter as C;
        let mut counts = Counts::default();
        let slot = self.slot();
        let (received, passed, punted) = match self.direction {
            Direction::Egress => (C::EgressReceived, C::EgressPassed, C::EgressPunted),
            Direction::Ingress => (C::IngressReceived, C::IngressPassed, C::IngressPunted),
        };
        let mut move_counter = |slot, counter| {
            counts.counters.insert((slot, counter), 1);
        };
        move_counter(slot, received);
        match (self.direction, &self.want) {
            (_, Want::Encapped(..)) => move_counter(slot, C::EgressEncapped),
            (_, Want::Replied(..)) => move_counter(slot, C::EgressReplied),
            (Direction::Egress, Want::Delivered(_, to, _)) => {
                move_counter(slot, C::EgressDelivered);
                move_counter(*to, C::LocalReceived);
            }
            (Direction::Ingress, Want::Delivered(..)) => move_counter(slot, C::IngressDelivered),
            (_, Want::Passed) => move_counter(slot, passed),
            (_, Want::Punted(..)) => move_counter(slot, punted),
            (direction, Want::Dropped(_, reason)) => {
                counts.drops.insert((slot, direction, *reason), 1);
            }
        }
        counts
    }

    fn same<T: PartialEq + std::fmt::Debug>(
        &self,
        what: &str,
        want: &T,
        got: &T,
    ) -> Result<(), String> {
        if want == got {
            return Ok(());
        }
        Err(format!(
            "{}: {what}\n  want {want:02x?}\n  got  {got:02x?}",
            self.name
        ))
    }
}

/// Runs each fixture, and panics with all faults at once.
pub fn check_each(fixtures: &[Fixture], run: impl Fn(&Fixture) -> Result<(), String>) {
    assert!(!fixtures.is_empty());
    let faults: Vec<String> = fixtures.iter().filter_map(|f| run(f).err()).collect();
    let count = faults.len();
    assert!(faults.is_empty(), "{count} faults:\n{}", faults.join("\n"));
}

/// [`check_each`] at these hooks.
pub fn check_at(hooks: &[Hook], programs: &Programs, fixtures: &[Fixture]) {
    for hook in hooks {
        check_each(fixtures, |fixture| {
            let checked = fixture.check(programs, *hook);
            checked.map_err(|fault| format!("{hook:?} {fault}"))
        });
    }
}
