//! A packet at XDP: a complete frame in driver memory, before the stack.

use aya_ebpf::{bindings::xdp_md, helpers::generated::bpf_xdp_adjust_head, programs::XdpContext};
use dataplane_common::{
    abi::vport::Vport,
    forward::{
        Halt,
        parse::{Frame, Headers},
    },
    reason::DropReason,
    wire::{
        Wire,
        checksum::{self, Delta},
        ether::EthHeader,
        outer::{OuterHeaders, Tunnelled},
    },
};

use super::{Packet, read, read_to, summed, tags_in, write};
use crate::{edit, opaque::opaque, rewrite, scan};

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

    /// Where the frame begins. Looked at anew each time: what is kept of it the verifier may not know for
    /// a pointer any more.
    #[inline(always)]
    fn start(&self) -> usize {
        opaque(self.ctx.data() as u64) as usize
    }

    #[inline(always)]
    fn adjust_head(&mut self, by: i32) -> bool {
        // SAFETY: the context is the one of this run. No packet pointer outlives a
        // call of `read` or `write`, so none is stale afterwards.
        unsafe { bpf_xdp_adjust_head(self.ctx.ctx, by) == 0 }
    }
}

/// See [`scan`]. The context is this run's.
#[inline(never)]
fn scan_buff(ctx: *mut xdp_md, offset: u32) -> u32 {
    scan::write(&Buff::new(XdpContext::new(ctx)), offset)
}

/// Parser and decision in one, for which XDP has the stack. The context is this run's.
#[inline(never)]
fn decide_buff(ctx: *mut xdp_md, port: &Vport) -> u32 {
    scan::write_and_judge(&Buff::new(XdpContext::new(ctx)), port)
}

/// A function of its own, with a stack of its own. The context is this run's.
#[inline(never)]
fn clamp_buff(ctx: *mut xdp_md, l4: u32, most: u32) {
    edit::clamp(&mut Buff::new(XdpContext::new(ctx)), l4, most);
}

/// A function of its own, with a stack of its own. The context is this run's.
#[inline(never)]
fn readdress_buff(ctx: *mut xdp_md) -> u32 {
    scan::tell(rewrite::readdress(&mut Buff::new(XdpContext::new(ctx))))
}

impl Frame for Buff {
    #[inline(always)]
    fn len(&self) -> u32 {
        // Computed here and now: LLVM would keep half of a pointer for later, and the verifier
        // refuses to see one in 32 bits on the stack.
        opaque((self.ctx.data_end() - self.ctx.data()) as u64) as u32
    }
    #[inline(always)]
    fn gso_size(&self) -> u32 {
        0
    }
    #[inline(always)]
    fn load<T: Wire>(&self, offset: usize) -> Option<T> {
        read(self.start(), self.ctx.data_end(), offset)
    }
    #[inline(always)]
    fn load_to<T: Wire>(&self, offset: usize, to: &mut T) -> Option<()> {
        read_to(self.start(), self.ctx.data_end(), offset, to)
    }
}

impl Packet for Buff {
    const BEFORE_STACK: bool = true;

    #[inline(always)]
    fn scan<'k>(&self, offset: usize) -> Result<&'k Headers, DropReason> {
        scan::kept(scan_buff(self.ctx.ctx, offset as u32))
    }

    #[inline(always)]
    fn decide(&self, port: &Vport) -> u32 {
        decide_buff(self.ctx.ctx, port)
    }

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
        write(self.start(), self.ctx.data_end(), offset, value)
    }
    #[inline(always)]
    fn rewrite<T: Wire>(&mut self, offset: usize, value: T) -> Option<()> {
        self.store(offset, value)
    }
    #[inline(always)]
    fn replace(&mut self, check: usize, offset: usize, old: [u8; 2], new: [u8; 2]) -> bool {
        let Some(sum) = self.load::<[u8; 2]>(check) else {
            return false;
        };
        let [from, to] = [old, new].map(|bytes| summed(check, offset, bytes));
        let [sum, old, word] = [sum, from, to].map(u16::from_be_bytes);
        let updated = checksum::update(sum, old, word).to_be_bytes();
        self.store(check, updated).is_some() && self.store(offset, new).is_some()
    }
    #[inline(always)]
    fn resum(&mut self, at: usize, change: Delta, optional: bool) -> Option<()> {
        let old = self.load(at)?;
        let new = if optional {
            change.update_udp(old)
        } else {
            change.update(old)
        };
        self.store(at, new)
    }
    const REQUOTES: bool = false;
    #[inline(always)]
    fn readdress(&mut self) -> Result<(), DropReason> {
        scan::told(readdress_buff(self.ctx.ctx))
    }
    #[inline(always)]
    fn clamp(&mut self, l4: u32, most: u32) {
        clamp_buff(self.ctx.ctx, l4, most);
    }
    #[inline(always)]
    fn push_outer<O: OuterHeaders>(
        &mut self,
        outer: &Tunnelled,
        inner: EthHeader,
    ) -> Result<(), Halt> {
        self.store(0, inner).ok_or(DropReason::Truncated)?;
        if !self.adjust_head(-(O::LEN as i32)) {
            return Err(DropReason::EncapFailed.into());
        }
        self.store_outer::<O>(outer)
            .ok_or(DropReason::EncapFailed)?;
        Ok(())
    }
    #[inline(always)]
    fn copy_to(&mut self, _ifindex: u32) -> bool {
        false
    }
    #[inline(always)]
    fn turn_inwards(&mut self) {}
    #[inline(always)]
    fn pop_outer<O: OuterHeaders>(&mut self, _inner: EthHeader) -> Result<(), DropReason> {
        if self.adjust_head(O::LEN as i32) {
            Ok(())
        } else {
            Err(DropReason::DecapFailed)
        }
    }
    #[inline(always)]
    fn may_peer(&self, _eth: &EthHeader) -> bool {
        false
    }
}
