//! What was done with a packet, and where it goes.

use dataplane_common::{abi::bucket, forward::Halt, punt::Punt, reason::DropReason};

/// What was done with a packet; the entry point tells the kernel. One word: a
/// variant with fields of its own would leave registers unwritten on the other
/// ways, and the verifier refuses a program that so much as copies one.
#[derive(Clone, Copy)]
pub enum Verdict {
    /// An outer header is in front; it goes out of the uplink.
    Encapped,
    /// It bears PAs in place of its CAs; it goes out of the uplink.
    Rewritten,
    /// It goes to a port of this host.
    Delivered,
    /// It became an answer to its sender.
    Replied,
    /// Untouched; at XDP, left to the TC program.
    Passed,
    /// As it is, or with a VLAN tag, out of an interface.
    Sent,
    /// Another program decides: of a port that is not virtualized, or with a VLAN tag from the
    /// underlay.
    Plain,
    /// Another program answers, for the PA of a port here.
    Asked,
    /// Left to user space.
    Punted,
    /// Copies are to be made, by another program.
    Flood,
    /// Copies of it were sent.
    Flooded,
    /// It ends here.
    Dropped(DropReason),
}

/// Where a packet goes; all zero when nowhere.
#[derive(Clone, Copy, Default)]
pub struct Target {
    /// Device.
    pub ifindex: u32,
    /// Slot of the port that gets it.
    pub slot: u32,
    /// 1: by `bpf_redirect_peer`.
    pub peer: u32,
}

/// What was done, and whose counters move.
#[derive(Clone, Copy)]
pub struct Outcome {
    /// What was done.
    pub verdict: Verdict,
    /// Why user space shall have the packet instead, if it can be reached.
    pub punt: Option<Punt>,
    /// Where it goes.
    pub target: Target,
    /// Slot of the port that sent it; 0 when it came from the underlay.
    pub slot: u32,
    /// Bytes of the frame as it came.
    pub len: u32,
    /// Index in `BUCKETS` of what pays for a punt, if that is not the port that sent it.
    pub bucket: u32,
}

impl Outcome {
    /// Index in `BUCKETS` of what pays for a punt.
    #[inline(always)]
    pub const fn payer(&self) -> u32 {
        if self.slot == 0 {
            self.bucket
        } else {
            bucket::of_port(self.slot)
        }
    }
}

/// What a way through the pipeline ends with.
pub type Done = Result<(Verdict, Target), Halt>;

/// What is not ours.
pub const PASSED: Done = Ok((Verdict::Passed, NOWHERE));
/// Of a question about an address.
pub const ASKED: Done = Ok((Verdict::Asked, NOWHERE));
/// Of what is not virtualized.
pub const PLAIN: Done = Ok((Verdict::Plain, NOWHERE));
/// Of a packet that does not go on itself.
pub const NOWHERE: Target = Target {
    ifindex: 0,
    slot: 0,
    peer: 0,
};

/// Of what a way ended with: whose counters move.
#[inline(always)]
pub fn of(done: Done, slot: u32, bucket: u32, len: u32) -> Outcome {
    let mut punt = None;
    let (verdict, target) = match done {
        Ok(done) => done,
        Err(halt) => {
            punt = halt.punt;
            (Verdict::Dropped(halt.reason), NOWHERE)
        }
    };
    Outcome {
        verdict,
        punt,
        target,
        slot,
        len,
        bucket,
    }
}

/// A frame that ends here for a reason of no port's.
#[inline(always)]
pub fn dropped(reason: DropReason, len: u32) -> Outcome {
    of(Err(reason.into()), 0, 0, len)
}

/// A frame that user space made for a port.
#[inline(always)]
pub fn handed(target: Target, len: u32) -> Outcome {
    of(Ok((Verdict::Delivered, target)), 0, 0, len)
}
