//! A tenant that makes the kernel tell of changes without end.

use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{Site, ping, proof};
use std::time::{Duration, Instant};
use xtask::lab::Proc;

/// Clock ticks of CPU time that a process has used (`utime` and `stime` in `proc(5)`).
fn ticks(pid: u32) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let rest = stat.rsplit_once(')').context("no name in the stat")?.1;
    let words = rest.split_whitespace().skip(11).take(2);
    Ok(words.filter_map(|word| word.parse::<u64>().ok()).sum())
}

/// Ticks in a second, on every architecture that we build for.
const HZ: u64 = 100;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_tenant_that_floods_events_stops_nobody() {
    proof(Site::up("flood", "tc"), |site| {
        let flaps = "link set eth0 down\nlink set eth0 up\n".repeat(500);
        let file = site.file("flaps", flaps)?;
        let again = "while :; do ip -batch $0; done";
        let line = ["sh", "-c", again, &file.to_string_lossy()];
        let mut flood: Proc = site.vm("red-vm1").spawn(&line)?;
        let pid = site.nves[0].pid().context("no nved")?;
        let (since, before) = (Instant::now(), ticks(pid)?);
        let (mut asked, mut slowest) = (0_u64, Duration::ZERO);
        while since.elapsed() < Duration::from_secs(5) {
            let question = Instant::now();
            site.apply(0, &site.demo())?;
            slowest = slowest.max(question.elapsed());
            asked += 1;
        }
        flood.still_running()?;
        let used = (ticks(pid)? - before) * 1000 / HZ;
        let share = used * 100 / u64::try_from(since.elapsed().as_millis())?;
        println!("{share} % of a CPU; {asked} commands, the slowest took {slowest:?}");
        ensure!(share < 50, "nved used {share} % of a CPU");
        ping(site.vm("blue-vm1"), "10.0.0.7", 1472)?;
        drop(flood);
        site.vm("red-vm1")
            .exec(&["ip", "link", "set", "eth0", "up"])?;
        site.ready()?;
        site.conserved()
    });
}
