//! When a table may be made anew: what did not help is not done again at once, for it costs a copy of
//! all records each time.

use std::time::{Duration, Instant};

/// How long a table waits after the kernel gave no memory for the next one, and between two seeds that
/// it takes for want of a place for one record.
pub const PAUSE: Duration = Duration::from_secs(10);
/// How long a table has been far too large before it becomes a smaller one.
pub const SPARSE: Duration = Duration::from_mins(10);

/// What has been tried, and when.
#[derive(Default)]
pub(in crate::dataplane) struct Patience {
    /// The last growth failed then, for this reason.
    starved: Option<(Instant, String)>,
    /// The last seed for want of a place.
    reseeded: Option<Instant>,
    /// Since when it has been far too large.
    sparse: Option<Instant>,
}

impl Patience {
    /// Why the kernel is not asked for memory yet.
    pub(in crate::dataplane) fn starved(&self, now: Instant) -> Option<&str> {
        let (since, reason) = self.starved.as_ref()?;
        is_recent(*since, now, PAUSE).then_some(reason)
    }

    /// Growth failed.
    pub(in crate::dataplane) fn starve(&mut self, now: Instant, reason: String) {
        self.starved = Some((now, reason));
    }

    /// The table is another one.
    pub(in crate::dataplane) fn renewed(&mut self) {
        self.starved = None;
    }

    /// Whether another seed may be tried for one record; if so, it is.
    pub(in crate::dataplane) fn reseeds(&mut self, now: Instant) -> bool {
        let recent = self.reseeded.is_some_and(|at| is_recent(at, now, PAUSE));
        if !recent {
            self.reseeded = Some(now);
        }
        !recent
    }

    /// Whether it has been sparse for long; if so, that begins anew.
    pub(in crate::dataplane) fn was_sparse(&mut self, sparse: bool, now: Instant) -> bool {
        if !sparse {
            self.sparse = None;
            return false;
        }
        let since = *self.sparse.get_or_insert(now);
        let long = !is_recent(since, now, SPARSE);
        if long {
            self.sparse = None;
        }
        long
    }
}

fn is_recent(at: Instant, now: Instant, pause: Duration) -> bool {
    now.saturating_duration_since(at) < pause
}
