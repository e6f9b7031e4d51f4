//! What the running kernel can do.

use aya::util::KernelVersion;

/// Whether TC programs may be attached at tcx; before, there is clsact alone.
pub fn has_tcx() -> bool {
    KernelVersion::current().is_ok_and(|kernel| kernel >= KernelVersion::new(6, 6, 0))
}
