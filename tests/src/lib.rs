//! Harness of the privileged tests: packets as data, programs run on them by
//! the kernel (`BPF_PROG_TEST_RUN`), networks from `xtask::lab`.

pub mod costs;
pub mod counting;
pub mod differ;
pub mod expect;
pub mod fixtures;
pub mod model;
pub mod net;
pub mod other_build;
pub mod packet;
pub mod peer;
pub mod policy;
pub mod prog_run;
pub mod random;
pub mod stranger;
pub mod want;
