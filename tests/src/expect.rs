//! A packet test is data: a description, a packet, what shall become of it.

use dataplane_common::{
    abi::stats::{Counter, Direction},
    reason::DropReason,
};

use crate::prog_run::{Action, Counts, Hook, Programs, Ran};

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
        let moved = programs.counts().since(&before);
        self.same("counters", &self.counts(), &moved)?;
        self.same("conservation", &true, &programs.counts().conserved())?;
        self.outcome(&ran)
    }

    fn outcome(&self, ran: &Ran) -> Result<(), String> {
        let (action, frame) = match &self.want {
            Want::Encapped(_, frame) | Want::Delivered(_, _, frame) | Want::Replied(_, frame) => {
                (Action::Redirect, frame)
            }
            Want::Passed => (Action::Pass, &self.frame),
            Want::Dropped(..) => return self.same("action", &Action::Drop, &ran.action),
        };
        self.same("action", &action, &ran.action)?;
        self.same("bytes", frame, &ran.frame)
    }

    /// Exactly the counters that shall move.
    fn counts(&self) -> Counts {
        use Counter as C;
        let mut counts = Counts::default();
        let received = match self.direction {
            Direction::Egress => C::EgressReceived,
            Direction::Ingress => C::IngressReceived,
        };
        let mut move_counter = |slot, counter| {
            counts.counters.insert((slot, counter), 1);
        };
        match (self.direction, &self.want) {
            (_, Want::Encapped(slot, _)) => {
                move_counter(*slot, received);
                move_counter(*slot, C::EgressEncapped);
            }
            (_, Want::Replied(slot, _)) => {
                move_counter(*slot, received);
                move_counter(*slot, C::EgressReplied);
            }
            (Direction::Egress, Want::Delivered(from, to, _)) => {
                move_counter(*from, received);
                move_counter(*from, C::EgressDelivered);
                move_counter(*to, C::LocalReceived);
            }
            (Direction::Ingress, Want::Delivered(_, to, _)) => {
                move_counter(*to, received);
                move_counter(*to, C::IngressDelivered);
            }
            (Direction::Egress, Want::Passed) => {
                move_counter(0, received);
                move_counter(0, C::EgressPassed);
            }
            (Direction::Ingress, Want::Passed) => {
                move_counter(0, received);
                move_counter(0, C::IngressPassed);
            }
            (direction, Want::Dropped(slot, reason)) => {
                move_counter(*slot, received);
                counts.drops.insert((*slot, direction, *reason), 1);
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
