//! Why the decision ends early.

use crate::{punt::Punt, reason::DropReason};

/// The packet is not forwarded by this run of the decision.
///
/// A plain struct, both words of which are always written: an enum would leave one unwritten, and
/// the kernel's verifier refuses a program that so much as copies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halt {
    /// Why it ends here, if user space is not asked.
    pub reason: DropReason,
    /// User space has to look at it, and why.
    pub punt: Option<Punt>,
}

impl From<DropReason> for Halt {
    #[inline(always)]
    fn from(reason: DropReason) -> Self {
        Self { reason, punt: None }
    }
}

impl Halt {
    /// User space is asked; without it, the packet is dropped for this reason.
    #[inline(always)]
    pub const fn ask(punt: Punt, reason: DropReason) -> Self {
        Self {
            reason,
            punt: Some(punt),
        }
    }
}
