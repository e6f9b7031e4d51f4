//! The object is accepted by the kernel's verifier and by both loaders, with room to spare.

use std::fmt::Write as _;
use std::io::Write as _;

use dataplane_tests::{policy::two_tenants, prog_run::Programs};
use dataplane_user::dataplane::OBJECT;
use libbpf_rs::ObjectBuilder;

/// `BPF_COMPLEXITY_LIMIT_INSNS`, what the verifier looks at before it gives up on a program.
const VERIFIER_LIMIT: u32 = 1_000_000;
/// A tenth of it: the next kernel or compiler may need more.
const OURS: u32 = VERIFIER_LIMIT / 10;

/// What the kernel made of one program.
struct Row {
    name: String,
    /// Instructions that the verifier went through, on all paths.
    verified: u32,
    /// Bytes that the verifier left, `None` where the kernel does not show them.
    translated: Option<u32>,
    /// Bytes of machine code.
    jited: u32,
}

fn rows() -> Vec<Row> {
    let infos = Programs::load(&two_tenants()).infos();
    let rows = infos.into_iter().map(|(name, info)| Row {
        verified: info.verified_instruction_count().expect("since Linux 5.16"),
        translated: info.size_translated(),
        jited: info.size_jitted(),
        name,
    });
    rows.collect()
}

fn table(rows: &[Row]) -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a name");
    let mut text = format!(
        "verifier of {}\n{:<18} {:>9} {:>7} {:>9} {:>9}\n",
        kernel.trim(),
        "program",
        "verified",
        "limit",
        "xlated B",
        "jited B"
    );
    for row in rows {
        let percent = f64::from(row.verified) * 100.0 / f64::from(VERIFIER_LIMIT);
        let translated = row.translated.map_or("?".into(), |bytes| bytes.to_string());
        let Row {
            name,
            verified,
            jited,
            ..
        } = row;
        let line = format!("{name:<18} {verified:>9} {percent:>6.2}% {translated:>9} {jited:>9}");
        writeln!(text, "{line}").expect("a string takes all");
    }
    text
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_verifier_accepts_every_program_and_is_far_from_its_limit() {
    let rows = rows();
    // Past the harness, which keeps what a test prints to itself.
    let told = std::io::stderr().write_all(table(&rows).as_bytes());
    told.expect("standard error is open");
    assert!(!rows.is_empty());
    for Row { name, verified, .. } in rows {
        assert!(
            verified <= OURS,
            "{name}: the verifier went through {verified} instructions, {OURS} are a tenth of its limit"
        );
    }
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
        "nve_tc_upcall",
        "nve_xdp_upcall",
    ] {
        assert!(names.iter().any(|have| have == name), "{name} in {names:?}");
    }
    object.load().expect("libbpf loads it");
}
