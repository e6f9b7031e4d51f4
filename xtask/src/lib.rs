//! What the project's verbs and its privileged tests share: running commands,
//! and a small laboratory of network namespaces.

pub mod lab;
pub mod shell;
