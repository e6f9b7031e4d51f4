//! XDP programs of somebody else on a device.

use std::os::fd::BorrowedFd;

use aya::programs::loaded_programs;
use libbpf_rs::{Xdp, XdpFlags};

/// Names the XDP program on a device, as `program 17 (their_xdp)`.
pub fn xdp(ours: BorrowedFd<'_>, ifindex: u32) -> Option<String> {
    let id = Xdp::new(ours)
        .query_id(ifindex.cast_signed(), XdpFlags::NONE)
        .ok()
        .filter(|id| *id != 0)?;
    let info = loaded_programs().flatten().find(|info| info.id() == id);
    let name = info.as_ref().and_then(|info| info.name_as_str());
    Some(format!(
        "program {id} ({})",
        name.unwrap_or("without a name")
    ))
}
