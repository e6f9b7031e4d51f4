//! Where frames and packets are.

use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{SOON, Site};
use serde_json::Value;
use xtask::lab::wait_until;

/// What went through the slow path of `host-a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// Packets that the programs left to user space.
    left: u64,
    /// Packets that came there.
    came: u64,
    /// Packets that found no room in a socket's rings.
    refused: u64,
    /// Packets that ended there.
    ended: u64,
    /// Of those that came, the ones that may go back in pieces.
    long: u64,
    /// Frames that went back to the programs.
    back: u64,
    /// Frames that the programs got back.
    returned: u64,
}

impl Account {
    /// When nothing waits and nothing moves any more.
    pub(crate) fn settled(site: &Site) -> Result<Self> {
        let mut last = None;
        wait_until("a slow path with nothing to do", SOON, || {
            let held: u64 = queues(site, 0)?.iter().map(|q| number(&q["held"])).sum();
            ensure!(held == 0, "{held} packets wait");
            let now = Self::now(site)?;
            Ok((last.replace(now) == Some(now)).then_some(now))
        })
    }

    fn now(site: &Site) -> Result<Self> {
        let upcalls = site.ask(0, &["get", "upcalls"])?;
        let upcalls = upcalls["items"].as_array().context("no upcalls")?.clone();
        let counters = site.ask(0, &["get", "counters"])?;
        let counters = counters["items"].as_array().context("no counters")?.clone();
        let of = |name: &str| {
            let all = counters.iter().filter(|item| {
                let counter = item["counter"].as_str().unwrap_or_default();
                counter.strip_prefix("egress_") == Some(name)
                    || counter.strip_prefix("ingress_") == Some(name)
            });
            all.map(|item| number(&item["packets"])).sum()
        };
        let sum = |read: fn(&Value) -> &Value| upcalls.iter().map(|item| number(read(item))).sum();
        Ok(Self {
            left: of("punted"),
            returned: of("reinjected"),
            came: sum(|item| &item["punted"]),
            ended: sum(|item| &item["dropped"]) + sum(|item| &item["consumed"]),
            long: sum(|item| &item["punts"]["OVERSIZE"]),
            back: sum(|item| &item["reinjected"]),
            refused: queues(site, 0)?.iter().map(|q| number(&q["refused"])).sum(),
        })
    }

    /// Packets that are nowhere, of those that were under way since. An error: more came of them
    /// than there were.
    pub(crate) fn since(self, before: &Self) -> Result<u64> {
        let left = self.left - before.left;
        let seen = self.came - before.came + self.refused - before.refused;
        let ended = self.ended - before.ended;
        let back = self.back - before.back;
        let came = self.came - before.came;
        let long = self.long - before.long;
        println!(
            "{left} packets left the programs: {seen} seen, {ended} ended, {back} frames back"
        );
        ensure!(
            came > 0 && long > 0,
            "nothing was asked of user space: {self:?}"
        );
        ensure!(
            back + ended >= came,
            "{came} came, {ended} ended, {back} frames went back"
        );
        ensure!(
            back + ended <= came + long,
            "{back} frames back of {came} packets"
        );
        let returned = self.returned - before.returned;
        // What waits in a socket for the kernel when it is closed does not return.
        ensure!(returned <= back, "{returned} frames returned of {back}");
        let nowhere = left.checked_sub(seen);
        let nowhere = nowhere.with_context(|| format!("{left} packets left, and {seen} came"))?;
        Ok(nowhere + back - returned)
    }
}

/// Each frame of the memory that sockets share with the kernel has somebody.
pub(crate) fn whole(site: &Site) -> Result<()> {
    for host in [0, 1] {
        for queue in queues(site, host)? {
            let frames = &queue["frames"];
            let of = |name: &str| frames[name].as_u64().context("a number of frames");
            let sum = of("free")? + of("receiving")? + of("sending")?;
            ensure!(of("lost")? == 0, "host {host}: frames are lost: {queue}");
            ensure!(sum == of("all")?, "host {host}: not all frames: {queue}");
            let open = queue["mode"] != "none";
            ensure!(
                !open || sum > 0,
                "host {host}: a socket without memory: {queue}"
            );
        }
    }
    Ok(())
}

fn queues(site: &Site, host: usize) -> Result<Vec<Value>> {
    let status = site.ask(host, &["status"])?;
    let queues = status["slowPath"]["queues"].as_array().cloned();
    let queues = queues.context("no queues in the status")?;
    ensure!(!queues.is_empty(), "nobody works for the slow path");
    Ok(queues)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}
