//! Whether a guest runs on this machine's processor or is emulated.

/// How QEMU executes a guest's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accel {
    /// On the processor.
    Kvm,
    /// By translation.
    Tcg,
}

impl Accel {
    /// QEMU's options.
    pub(super) fn args(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // Five levels of page tables are slower to emulate and nobody needs them.
            Self::Tcg => [
                "-accel",
                "tcg,thread=multi,tb-size=512",
                "-cpu",
                "max,la57=off",
            ],
        }
    }
}
