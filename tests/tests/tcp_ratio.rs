//! Keeps the throughput measurement alive, and prints what it gives.

use dataplane_bench::{ratio::summary, tcp};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn tcp_through_the_overlay_beside_bare_veth() {
    let pairs = tcp::pairs(3, 1).expect("both paths carry TCP");
    let (least, median, most) = summary(&pairs).expect("three pairs");
    println!("TCP, overlay / bare veth: median {median:.2} ({least:.2} to {most:.2})");
}
