//! A packet at XDP: a complete frame in driver memory, before the stack.

use aya_ebpf::{helpers::generated::bpf_xdp_adjust_head, programs::XdpContext};
use dataplane_common::{
    forward::{Halt, parse::Frame},
    reason::DropReason,
    wire::{
        Wire,
        ether::EthHeader,
        outer::{self, OuterHeaders},
    },
};

use super::{Packet, read, tags_in, write};

/// An XDP buffer.
pub struct Buff {
    ctx: XdpContext,
}

impl Buff {
    /// The packet of this run.
    #[inline(always)]
    pub fn new(ctx: XdpContext) -> Self {
        Self { ctx }
    }

    #[inline(always)]
    fn adjust_head(&mut self, by: i32) -> bool {
        // SAFETY: the context is the one of this run. No packet pointer outlives a
        // call of `read` or `write`, so none is stale afterwards.
        unsafe { bpf_xdp_adjust_head(self.ctx.ctx, by) == 0 }
    }
}

impl Frame for Buff {
    #[inline(always)]
    fn len(&self) -> u32 {
        // Computed here and now: LLVM would keep half of a pointer for later, and the verifier
        // refuses to see one in 32 bits on the stack.
        core::hint::black_box((self.ctx.data_end() - self.ctx.data()) as u32)
    }
    #[inline(always)]
    fn gso_size(&self) -> u32 {
        0
    }
    #[inline(always)]
    fn load<T: Wire>(&self, offset: usize) -> Option<T> {
        read(self.ctx.data(), self.ctx.data_end(), offset)
    }
}

impl Packet for Buff {
    const BEFORE_STACK: bool = true;

    #[inline(always)]
    fn ifindex(&self) -> u32 {
        self.ctx.ingress_ifindex() as u32
    }
    #[inline(always)]
    fn tags(&self) -> u8 {
        tags_in(self)
    }
    /// Tagged frames are rare: the TC program strips them.
    #[inline(always)]
    fn strip(&mut self, _tags: u8) -> Result<bool, DropReason> {
        Ok(false)
    }
    #[inline(always)]
    fn store<T: Wire>(&mut self, offset: usize, value: T) -> Option<()> {
        write(self.ctx.data(), self.ctx.data_end(), offset, value)
    }
    #[inline(always)]
    fn push_outer(&mut self, outer: &OuterHeaders, inner: EthHeader) -> Result<(), Halt> {
        self.store(0, inner).ok_or(DropReason::Truncated)?;
        if !self.adjust_head(-(outer::LEN as i32)) {
            return Err(DropReason::EncapFailed.into());
        }
        self.store(0, *outer).ok_or(DropReason::EncapFailed)?;
        Ok(())
    }
    #[inline(always)]
    fn turn_inwards(&mut self) {}
    #[inline(always)]
    fn pop_outer(&mut self, _inner: EthHeader) -> Result<(), DropReason> {
        if self.adjust_head(outer::LEN as i32) {
            Ok(())
        } else {
            Err(DropReason::DecapFailed)
        }
    }
}
