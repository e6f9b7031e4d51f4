//! The object is accepted by the kernel's verifier and by both loaders.

use dataplane_tests::{policy::two_tenants, prog_run::Programs};
use dataplane_user::dataplane::OBJECT;
use libbpf_rs::ObjectBuilder;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_verifier_accepts_every_program() {
    Programs::load(&two_tenants());
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn libbpf_opens_and_loads_the_same_object() {
    let object = ObjectBuilder::default()
        .open_memory(OBJECT)
        .expect("libbpf opens it");
    let names: Vec<String> = object
        .progs()
        .map(|program| program.name().to_string_lossy().into_owned())
        .collect();
    for name in [
        "nve_tc_egress",
        "nve_tc_ingress",
        "nve_xdp_egress",
        "nve_xdp_ingress",
    ] {
        assert!(names.iter().any(|have| have == name), "{name} in {names:?}");
    }
    object.load().expect("libbpf loads it");
}
