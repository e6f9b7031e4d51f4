//! What a service manager is told, as `sd_notify(3)` has it; nothing where there is none.
//!
//! Everything follows from the agent's rounds, so an agent that is stuck is silent, and the
//! manager's watchdog sees it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sd_notify::NotifyState;
use tokio::{sync::watch, task::block_in_place};

use crate::{agent::View, control::protocol::Status, render};

/// Tells of every round of the agent, until there are no more. It is ready after the first:
/// then it answers, follows its devices, and has done what the policy asks as far as it can.
/// A degraded host is ready as well, for its agent can be asked why.
pub async fn follow(mut rounds: watch::Receiver<Arc<View>>) {
    let mut report = Report::new(sd_notify::watchdog_enabled());
    while rounds.changed().await.is_ok() {
        let view = rounds.borrow_and_update().clone();
        tell(&report.round(&view.status, Instant::now()));
    }
}

/// Tells that nved ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// What was told so far.
struct Report {
    /// The manager's patience.
    watchdog: Option<Duration>,
    pinged: Option<Instant>,
    words: String,
    ready: bool,
}

impl Report {
    fn new(watchdog: Option<Duration>) -> Self {
        Self {
            watchdog,
            pinged: None,
            words: String::new(),
            ready: false,
        }
    }

    fn round(&mut self, status: &Status, now: Instant) -> Vec<NotifyState<'_>> {
        let mut states = Vec::new();
        if !self.ready {
            self.ready = true;
            states.push(NotifyState::Ready);
        }
        // Half of the patience is the rule; a quarter leaves the other to a slow round.
        let due = |patience: Duration| {
            self.pinged
                .is_none_or(|last| now.duration_since(last) >= patience / 4)
        };
        if self.watchdog.is_some_and(due) {
            self.pinged = Some(now);
            states.push(NotifyState::Watchdog);
        }
        let words = words(status);
        if words != self.words {
            self.words = words;
            states.push(NotifyState::Status(&self.words));
        }
        states
    }
}

/// The words of `nvectl status --brief`, and the first condition. One line: the next would be
/// read as another notification.
fn words(status: &Status) -> String {
    let brief = render::brief(status);
    let Some(condition) = status.conditions.first() else {
        return brief.to_owned();
    };
    let line = condition.lines().next().unwrap_or_default();
    match status.conditions.len() {
        1 => format!("{brief}: {line}"),
        all => format!("{brief}: {line} (and {} more)", all - 1),
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if states.is_empty() {
        return;
    }
    // A manager that does not read its socket must not hold up the agent's other tasks.
    if let Err(error) = block_in_place(|| sd_notify::notify(states)) {
        tracing::debug!("the service manager cannot be told: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(conditions: &[&str]) -> Status {
        Status {
            ready: conditions.is_empty(),
            conditions: conditions.iter().map(|&text| text.to_owned()).collect(),
            ..View::default().status
        }
    }

    fn lines(states: &[NotifyState<'_>]) -> Vec<String> {
        states.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_first_round_is_ready_and_news_are_told_once() {
        let (mut report, now) = (Report::new(None), Instant::now());
        let first = lines(&report.round(&status(&["uplink eth0 is down"]), now));
        assert_eq!(first, ["READY=1", "STATUS=Degraded: uplink eth0 is down"]);
        assert!(
            report
                .round(&status(&["uplink eth0 is down"]), now)
                .is_empty()
        );
        assert_eq!(lines(&report.round(&status(&[]), now)), ["STATUS=OK"]);
    }

    #[test]
    fn rounds_keep_the_watchdog_quiet_without_a_ping_each() {
        let (mut report, start) = (Report::new(Some(Duration::from_secs(8))), Instant::now());
        let pings: Vec<_> = (0..9)
            .filter(|second| {
                let now = start + Duration::from_secs(*second);
                lines(&report.round(&status(&[]), now)).contains(&"WATCHDOG=1".to_owned())
            })
            .collect();
        assert_eq!(pings, [0, 2, 4, 6, 8]);
    }

    #[test]
    fn a_condition_cannot_forge_a_notification() {
        let forged = status(&["a\nWATCHDOG=trigger", "b"]);
        assert_eq!(words(&forged), "Degraded: a (and 1 more)");
    }
}
