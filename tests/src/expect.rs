//! A packet test is data: a description, a packet, what shall become of it.

use dataplane_common::abi::{
    stats::{Counter, Direction},
    upcall::{Task, UpcallHeader},
};

pub use crate::want::{Copies, Want};
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
        self.counted(programs, &before, &self.want.counts(self.direction))?;
        self.outcome(hook, &ran)
    }

    /// The same with the frame given back by user space, as if it came from where it came from at first.
    pub fn check_back(&self, programs: &Programs) -> Result<(), String> {
        let (task, again) = match self.direction {
            Direction::Egress => (Task::Egress, Counter::EgressReinjected),
            Direction::Ingress => (Task::Ingress, Counter::IngressReinjected),
        };
        let before = programs.counts();
        let slot = self.want.slot(self.direction);
        let of_port = match self.direction {
            Direction::Egress => slot,
            Direction::Ingress => 0,
        };
        let header = UpcallHeader::new(task, SENDER, of_port, 0);
        let ran = programs.give_back(header, &self.frame);
        let mut counts = self.want.counts(self.direction);
        counts.count(slot, again);
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
            Want::Encapped(_, frame)
            | Want::Rewritten(_, frame)
            | Want::Delivered(_, _, frame)
            | Want::Replied(_, frame) => (Action::Redirect, frame.clone()),
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
            // The copies are on their way, and this is no more.
            Want::Flooded(..) | Want::Dropped(..) => {
                return self.same("action", &Action::Drop, &ran.action);
            }
        };
        self.same("action", &action, &ran.action)?;
        self.same("bytes", &frame, &ran.frame)
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
