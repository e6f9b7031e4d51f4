//! What must not become more expensive unnoticed: look-ups, program size, memory. Never wall time.

use std::{collections::BTreeSet, env, fs, mem::size_of};

use dataplane_bench::figures::memory::{LOOKUP, of_tables};
use dataplane_common::{
    abi::{
        lookup::{LookupEntry, LookupKey4},
        stats::Direction,
    },
    reason::DropReason,
};
use dataplane_tests::{
    costs::{Baseline, Costs, NOT_WALKED, ask, compare, look_ups, page, series, sum},
    packet::{received, udp},
    policy::{BLUE, BLUE_RDID, PEER, ca, own_pa, rewriting, two_tenants},
    prog_run::Programs,
};
use dataplane_user::dataplane::layout;
use xtask::lab::skip;

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline/costs.json");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/costs.md");

/// What the tests accept of the verifier's limit of a million.
const VERIFIED: u64 = 100_000;
/// Records of `LOOKUP` at which the memory of one is measured, of a table that was made for so many.
const SIZES: [u32; 2] = [1 << 16, 1 << 17];
/// Tables of which each CPU has its own, so that their memory is the machine's matter.
const EACH_CPU: [&str; 2] = ["COUNTERS", "DROPS"];
/// Capacity of `LOOKUP` when none is set.
const DEFAULT: u32 = 65_536;
/// Memory of all tables at their default size, without and by CPU, bytes.
const TABLES: u64 = 24 << 20;
const TABLES_PER_CPU: u64 = 8 << 20;

fn baseline() -> Baseline {
    let text = fs::read_to_string(BASELINE).unwrap_or_else(|_| "{}".to_owned());
    serde_json::from_str(&text).expect(BASELINE)
}

fn lookup_memory(capacity: u32) -> u64 {
    let tables = of_tables(capacity).expect("memory of tables");
    let mut found = tables.iter().filter(|(name, _)| *name == LOOKUP);
    found.next().expect("LOOKUP").1
}

fn measured() -> Costs {
    let mut costs = Costs::new();
    for (name, info) in Programs::load(&two_tenants()).infos() {
        let verified = info.verified_instruction_count().expect("since 5.16");
        costs.insert(format!("`{name}`: instructions"), verified.into());
        let size = info.size_jitted();
        assert!(
            size > 0,
            "{name} is not compiled: set net.core.bpf_jit_enable"
        );
        costs.insert(format!("`{name}`: machine code"), size.into());
    }
    let [small, large] = SIZES.map(lookup_memory);
    let record = (large - small) / u64::from(SIZES[1] - SIZES[0]);
    costs.insert("a record of `LOOKUP`: memory".to_owned(), record);
    let tables = of_tables(DEFAULT).expect("memory of tables");
    let shared = tables.iter().filter(|(name, _)| !EACH_CPU.contains(name));
    let shared = shared.map(|(_, bytes)| bytes).sum();
    costs.insert("all tables but the counters: memory".to_owned(), shared);
    costs
}

fn cpus() -> u64 {
    aya::util::nr_cpus().expect("CPUs") as u64
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn costs_of_programs_and_records_stay_at_the_baseline() {
    let release = rustix::system::uname();
    let series = series(&release.release().to_string_lossy()).expect("series");
    // Machine code is a matter of the processor too.
    let series = format!("{series} {}", env::consts::ARCH);
    let measured = measured();
    let all = measured.iter();
    let verified: Vec<_> = all
        .filter(|(name, _)| name.ends_with("instructions"))
        .collect();
    let programs = Programs::load(&two_tenants()).infos().len();
    assert_eq!(verified.len(), programs, "{verified:?}");
    for (name, cost) in verified {
        assert!(*cost < VERIFIED, "{name}: {cost}");
    }
    let record = measured["a record of `LOOKUP`: memory"];
    let content = size_of::<LookupKey4>() + size_of::<LookupEntry>();
    assert!(record >= content as u64, "{record} bytes hold {content}");
    let mut baseline = baseline();
    if env::var_os("NVE_BLESS").is_some() {
        baseline.insert(series.clone(), measured.clone());
        let text = serde_json::to_string_pretty(&baseline).expect("JSON");
        fs::write(BASELINE, text + "\n").expect(BASELINE);
        fs::write(PAGE, page(&baseline)).expect(PAGE);
    }
    match baseline.get(&series) {
        Some(costs) => compare(costs, &measured).unwrap_or_else(|faults| panic!("{faults}")),
        None => skip(&format!(
            "no baseline for kernel {series}; write it with `NVE_BLESS=1 cargo xtask test costs`"
        )),
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn costs_in_memory_of_all_tables_are_bounded() {
    let bytes = of_tables(DEFAULT).expect("memory of tables");
    assert_eq!(bytes.len(), layout::MAPS.len(), "{bytes:?}");
    let all: u64 = bytes.iter().map(|(_, bytes)| bytes).sum();
    let bound = TABLES + cpus() * TABLES_PER_CPU;
    assert!(all <= bound, "{all} of {bound} bytes: {bytes:?}");
    assert!(
        all >= bound / 8,
        "the bound {bound} is far from {all}: {bytes:?}"
    );
}

#[test]
fn costs_in_look_ups_of_every_walk_are_known() {
    let walks = look_ups();
    let counted: BTreeSet<&str> = walks.keys().map(|(_, walk)| walk.as_str()).collect();
    for reason in DropReason::ALL.iter().filter(|r| !NOT_WALKED.contains(r)) {
        let walk = format!("dropped: `{}`", reason.as_str());
        assert!(counted.contains(&*walk), "{walk}");
    }
    let most = |direction, walk: &str| sum(&walks[&(direction, walk.to_owned())]);
    // The port, the record, the next hop and the settings; and the route where there is no record.
    assert_eq!(most("egress", "IPv4 to another host"), 5);
    assert_eq!(most("egress", "IPv4 to a port of this host"), 4);
    // Neighbour discovery asks about its target as well; whose it is, `PORT_CAS` says.
    assert_eq!(most("egress", "IPv6 to another host"), 6);
    // The port, no record, and the route that says that there may be one; or the port's other CAs
    // where ARP names one that is not its own.
    assert_eq!(most("egress", "left to user space: `MISS`"), 3);
    // Our PA, the port by MAC and twice by device, no record, no station, and the route.
    assert_eq!(most("ingress", "left to user space: `SOURCE_MISS`"), 7);
    // The port, its other CAs, the record and its next hop; and both of the other CA itself, which
    // have its PA.
    assert_eq!(most("egress", "IPv4 to another host, rewritten"), 7);
    // The settings, whose the destination is (once for each who asks), the source, and the port.
    assert_eq!(most("ingress", "IPv4 to its port, rewritten"), 4);
    // Our PA, the port by MAC and twice by device, the sender's record and PA; and its station and
    // route where there is no record.
    assert_eq!(most("ingress", "IPv4 to its port"), 8);
}

#[test]
fn costs_in_look_ups_of_usual_packets_are_the_same_over_ipv4_and_ipv6() {
    let image = two_tenants();
    for v6 in [false, true] {
        let cost = |direction, frame: &[u8]| ask(&image, direction, frame).1.iter().sum::<u32>();
        let (own, local, remote) = (ca(v6, 0, 5), ca(v6, 0, 6), ca(v6, 0, 7));
        assert_eq!(cost(Direction::Egress, &udp(own, remote, 30)), 4);
        assert_eq!(cost(Direction::Egress, &udp(own, local, 30)), 3);
        let tunnelled = received(BLUE, PEER, 0, &udp(remote, own, 30));
        assert_eq!(cost(Direction::Ingress, &tunnelled), 6);
        let nat = rewriting();
        let cost = |direction, frame: &[u8]| ask(&nat, direction, frame).1.iter().sum::<u32>();
        // Without an outer header the settings are not asked for.
        assert_eq!(cost(Direction::Egress, &udp(own, remote, 30)), 4);
        let pa = |last| own_pa(v6, BLUE_RDID, 0, last);
        assert_eq!(cost(Direction::Ingress, &udp(pa(7), pa(5), 30)), 4);
    }
}

#[test]
fn costs_page_is_up_to_date() {
    let page = page(&baseline());
    if env::var_os("NVE_BLESS").is_some() {
        fs::write(PAGE, &page).expect(PAGE);
    }
    let committed = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        committed == page,
        "docs/costs.md is out of date; run `NVE_BLESS=1 cargo xtask test costs` and commit it"
    );
}
