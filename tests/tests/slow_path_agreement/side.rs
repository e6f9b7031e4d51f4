//! One of the two: programs with tables, and what they counted.

use dataplane_common::{abi::stats::Direction, reason::DropReason};
use dataplane_tests::prog_run::{Action, Counts, Hook, Programs, Ran};

/// What a frame came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) action: Action,
    /// Where it is not dropped.
    pub(crate) frame: Option<Vec<u8>>,
    pub(crate) moved: Counts,
}

impl Fate {
    pub(crate) fn of(ran: Ran, moved: Counts) -> Self {
        Self {
            frame: (ran.action != Action::Drop).then_some(ran.frame),
            action: ran.action,
            moved,
        }
    }

    pub(crate) fn reasons(&self) -> Vec<DropReason> {
        self.moved.drops.keys().map(|key| key.2).collect()
    }
}

/// Programs, and what they had counted when somebody last looked.
pub(crate) struct Side {
    pub(crate) programs: Programs,
    pub(crate) seen: Counts,
}

impl Side {
    pub(crate) fn new(programs: Programs) -> Self {
        let seen = programs.counts();
        Self { programs, seen }
    }

    /// What was counted since the last look.
    pub(crate) fn moved(&mut self) -> Counts {
        let now = self.programs.counts();
        let moved = now.since(&self.seen);
        self.seen = now;
        moved
    }

    /// Runs a frame, at TC too where XDP leaves it; `None`: the kernel takes no such frame.
    pub(crate) fn run(&mut self, hook: Hook, direction: Direction, frame: &[u8]) -> Option<Fate> {
        let programs = &self.programs;
        let mut ran = programs.try_run(hook, direction, frame, 0).ok()?;
        if hook == Hook::Xdp && ran.action == Action::Pass {
            ran = programs.try_run(Hook::Tc, direction, frame, 0).ok()?;
        }
        Some(Fate::of(ran, self.moved()))
    }
}
