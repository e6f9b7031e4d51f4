//! A policy's way: load -> validate -> compile -> diff -> commit.

pub mod document;
pub mod table_image;
