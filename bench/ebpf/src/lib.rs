//! Empty; it exists so that other packages can depend on this one and be
//! rebuilt when its dependencies change. The programs are in `main.rs`.
#![no_std]
