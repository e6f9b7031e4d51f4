//! What a packet and a record cost, in numbers that are the same on every run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use dataplane_common::{abi::stats::Direction, reason::DropReason, wire::ether};
use dataplane_user::policy::table_image::TableImage;

use crate::{
    counting::{Counting, TABLES},
    fixtures::{self, asked, rewrite, slow_path},
    model::{Setting, decide},
    packet::{outer_len, patch, received, udp},
    policy::{BLUE, PEER, PEER6, SENDER, asking, blue_on_demand, rewriting, two_tenants},
    want::Want,
};

/// Figures by name: those of one kernel series.
pub type Costs = BTreeMap<String, u64>;
/// Figures by kernel series and architecture ("6.18 `x86_64`").
pub type Baseline = BTreeMap<String, Costs>;
/// Look-ups by table.
pub type Counts = [u32; TABLES.len()];
/// Look-ups by direction and what becomes of the packet.
pub type Walks = BTreeMap<(&'static str, String), Counts>;

/// Accepted distance from the baseline, percent. Another release of the compiler lays the same code
/// out anew and the verifier then takes other ways through it; that is no reason to fail. The limit
/// on what the verifier may look at holds beside it, so that steps of 9 % do not add up unseen.
pub const TOLERANCE: u64 = 10;

const A: [u8; 4] = [10, 0, 0, 5];
const REMOTE: [u8; 4] = [10, 0, 0, 7];

/// Look-ups of every walk: direction, what becomes of the packet, and its most expensive fixture.
pub fn look_ups() -> Walks {
    let mut walks = Walks::new();
    let mut walk = |image: &TableImage, direction: Direction, frame: &[u8]| {
        let (fate, counts) = ask(image, direction, frame);
        keep(
            &mut walks,
            (direction, word(direction, &fate, frame)),
            counts,
        );
    };
    for world in fixtures::worlds() {
        for fixture in world.fixtures.iter().filter(|f| f.gso_size == 0) {
            walk(&world.image, fixture.direction, &fixture.frame);
        }
    }
    let image = two_tenants();
    let tunnelled = received(BLUE, PEER, 0, &udp(REMOTE, A, 30));
    let bad_sum = patch(&tunnelled, 24, &[0xAB, 0xCD]);
    walk(&image, Direction::Ingress, &bad_sum);
    let mut strict = image.clone();
    strict.config.drop_foreign_gre = 1;
    let foreign = patch(&tunnelled, 36, &[8, 0]);
    walk(&strict, Direction::Ingress, &foreign);
    let mut unknown = image.clone();
    unknown.vports.remove(&SENDER);
    walk(&unknown, Direction::Egress, &udp(A, REMOTE, 30));
    for (partial, punted) in [
        (blue_on_demand(), slow_path::punted()),
        (asking(), asked::punted()),
        (rewriting(), rewrite::punted()),
    ] {
        for fixture in punted.iter().filter(|f| f.gso_size == 0) {
            let Want::Punted(_, punt, _) = fixture.want else {
                continue;
            };
            let (_, counts) = ask(&partial, fixture.direction, &fixture.frame);
            let walk = format!("left to user space: `{}`", punt.as_str());
            keep(&mut walks, (fixture.direction, walk), counts);
        }
    }
    walks
}

/// What becomes of a packet, and its look-ups.
pub fn ask(image: &TableImage, direction: Direction, frame: &[u8]) -> (Want, Counts) {
    let counting = Counting::over(image);
    let setting = Setting {
        verify: true,
        attended: false,
    };
    let said = decide(&counting, direction, frame, setting);
    (said.want, counting.counts())
}

/// Of all packets with the same walk, the most expensive one counts.
fn keep(walks: &mut Walks, (direction, walk): (Direction, String), counts: Counts) {
    let most = walks.entry((direction.as_str(), walk)).or_insert(counts);
    if sum(&counts) > sum(most) {
        *most = counts;
    }
}

/// What is left of this many look-ups when all tables are counted together.
pub fn sum(counts: &Counts) -> u32 {
    counts.iter().sum()
}

fn word(direction: Direction, fate: &Want, frame: &[u8]) -> String {
    let place = match (direction, fate) {
        (_, Want::Dropped(_, reason)) => return format!("dropped: `{}`", reason.as_str()),
        (_, Want::Punted(_, punt, _)) => {
            return format!("left to user space: `{}`", punt.as_str());
        }
        (_, Want::Replied(..)) => "answered",
        (_, Want::Passed) => return "the host's own".to_owned(),
        (_, Want::Encapped(..)) => "to another host",
        (_, Want::Rewritten(..)) => "to another host, rewritten",
        (_, Want::Flooded(..)) => "copied",
        (Direction::Egress, Want::Delivered(..)) => "to a port of this host",
        (Direction::Ingress, Want::Delivered(_, _, out)) if out.len() == frame.len() => {
            "to its port, rewritten"
        }
        (Direction::Ingress, Want::Delivered(..)) => "to its port",
    };
    let ethertype = |at: usize| {
        let bytes = frame.get(at + 12..at + 14);
        bytes.map_or(0, |b| u16::from_be_bytes([b[0], b[1]]))
    };
    let bare = if let Want::Delivered(_, _, out) = fate {
        out.len() == frame.len()
    } else {
        matches!(fate, Want::Replied(..))
    };
    let inner = match direction {
        Direction::Egress => 0,
        Direction::Ingress if bare => 0,
        Direction::Ingress if ethertype(0) == ether::IPV6 => outer_len(PEER6),
        Direction::Ingress => outer_len(PEER),
    };
    let what = match ethertype(inner) {
        ether::ARP => "ARP",
        ether::IPV4 => "IPv4",
        ether::IPV6 => "IPv6",
        tag if ether::is_tag(tag) => "tagged",
        _ => "other",
    };
    format!("{what} {place}")
}

/// Drop reasons that no walk of [`look_ups`] has: their packets need a helper to fail, were left to
/// user space before, ended in a bucket or are of ports that no virtual network has.
pub const NOT_WALKED: [DropReason; 15] = [
    DropReason::LookupBusy,
    DropReason::EncapFailed,
    DropReason::DecapFailed,
    DropReason::PuntRate,
    DropReason::PuntFailed,
    DropReason::PuntLoop,
    DropReason::HoldFull,
    DropReason::TenantBudget,
    DropReason::HoldExpired,
    DropReason::WorkerLost,
    DropReason::TableFull,
    DropReason::Ipv6Unsupported,
    DropReason::BcastRate,
    DropReason::BcastFailed,
    DropReason::VlanForeign,
];

/// The series of a kernel release: "6.18" of "6.18.5-cloud".
pub fn series(release: &str) -> Result<String> {
    let mut parts = release.split(['.', '-', '+']);
    let mut number = || {
        let part = parts.next().unwrap_or_default();
        part.parse::<u32>()
            .with_context(|| format!("`{release}` is no kernel release"))
    };
    Ok(format!("{}.{}", number()?, number()?))
}

/// Compares figures with those of the baseline; the error names all that left it, and what to do.
pub fn compare(baseline: &Costs, measured: &Costs) -> Result<()> {
    let mut faults = String::new();
    for name in baseline.keys().chain(measured.keys()) {
        let (was, is) = (baseline.get(name), measured.get(name));
        let (Some(was), Some(is)) = (was, is) else {
            let _ = writeln!(faults, "{name}: was {was:?}, is {is:?}");
            continue;
        };
        if is * 100 > was * (100 + TOLERANCE) {
            let _ = writeln!(
                faults,
                "{name}: was {was}, is {is}: more than {TOLERANCE} % above"
            );
        } else if is * 100 < was * (100 - TOLERANCE) {
            let _ = writeln!(
                faults,
                "{name}: was {was}, is {is}: better, so lower the baseline"
            );
        }
    }
    ensure!(
        faults.is_empty(),
        "costs left their baseline; if that is meant, run `NVE_BLESS=1 cargo xtask test costs` and commit tests/baseline/costs.json and docs/costs.md:\n{faults}"
    );
    Ok(())
}

/// `docs/costs.md`.
pub fn page(baseline: &Baseline) -> String {
    let mut page = HEAD.to_owned();
    let names = TABLES.map(|table| format!("`{table}`")).join(" | ");
    let _ = writeln!(page, "| direction | packet | {names} | all |");
    let _ = writeln!(page, "|---|---|{}---:|", "---:|".repeat(TABLES.len()));
    for ((direction, walk), counts) in look_ups() {
        let each = counts
            .map(|count| {
                if count == 0 {
                    String::new()
                } else {
                    count.to_string()
                }
            })
            .join(" | ");
        let _ = writeln!(page, "| {direction} | {walk} | {each} | {} |", sum(&counts));
    }
    page += PROGRAMS;
    let series: Vec<String> = baseline.keys().map(|key| key.replace('_', "\\_")).collect();
    let _ = writeln!(page, "| | {} |", series.join(" | "));
    let _ = writeln!(page, "|---|{}", "---:|".repeat(series.len()));
    let names: std::collections::BTreeSet<&String> =
        baseline.values().flat_map(BTreeMap::keys).collect();
    for name in names {
        let each = baseline.values().map(|costs| {
            let cost = costs.get(name);
            cost.map_or(String::new(), ToString::to_string)
        });
        let each: Vec<String> = each.collect();
        let _ = writeln!(page, "| {name} | {} |", each.join(" | "));
    }
    page
}

const HEAD: &str = "\
# What a packet and a record cost

<!-- Generated by tests/src/costs.rs; to renew it: NVE_BLESS=1 cargo xtask test costs -->

Numbers that do not depend on how fast or busy a machine is. `cargo xtask test` compares them with
what the code does.

## Look-ups

How often a packet asks each table, at most. `CONFIG`, `VPORTS` and `UNDERLAY` are arrays, `ROUTES` is a
trie of prefixes, `LOOKUP` a table of buckets, the others are hash tables. The first of this host's PAs of
each family are found in `CONFIG`, not in `LOCAL_PAS`; and a port is found by its MAC in `NEAR_PORTS`, an array,
where the table below says `LOCAL_PORTS`, unless another port has its place there. Beside them a packet
moves two counters of its CPU, one that is delivered on its own host
three. A packet that bears another than the first address of its port asks `PORT_CAS` once more. One
that is left to user space asks for a socket, `CONFIG` and its bucket besides; a record on demand is
written to once a second at most.

";

const PROGRAMS: &str = "
## Programs and tables, by kernel

Instructions that the verifier looked at while it loaded a program (it gives up at 1,000,000; the
tests allow 100,000), bytes of machine code, and bytes of kernel memory: of a lookup record where
the table has room for no more than it holds, and of all tables at their default size but the
counters, which each CPU has for itself. Kernels before 6.4 count only keys and values of a hash
table, so their figures are too small.

";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_two_numbers() {
        for release in ["6.18.5", "6.18.0-rc1", "6.18-cloud", "6.18+"] {
            assert_eq!(series(release).expect("series"), "6.18", "{release}");
        }
        assert!(series("next").is_err() && series("6").is_err());
    }

    #[test]
    fn both_ways_out_of_the_baseline_are_told() {
        let costs = |value| Costs::from([("x".to_owned(), value)]);
        assert!(compare(&costs(1000), &costs(1100)).is_ok());
        assert!(compare(&costs(1000), &costs(900)).is_ok());
        let told = |is| {
            compare(&costs(1000), &costs(is))
                .expect_err("left")
                .to_string()
        };
        assert!(told(1101).contains("x: was 1000, is 1101: more than 10 % above"));
        assert!(told(899).contains("better, so lower the baseline"));
        assert!(compare(&costs(1), &Costs::new()).is_err());
        assert!(compare(&Costs::new(), &costs(1)).is_err());
    }
}
