//! What the project's verbs and its privileged tests share: running commands,
//! a small laboratory of network namespaces, and guests with kernels
//! of their own.

pub mod lab;
pub mod packages;
pub mod shell;
pub mod vm;
