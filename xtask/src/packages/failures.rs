//! What could not be fetched, so that a run asks a network that is not there once and not for each
//! of its tests.

use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

/// The environment variable by which a run tells the programs that it starts what failed: reasons
/// by what was to be fetched, as JSON. Who is to try for itself removes it.
pub const FAILURES: &str = "NVE_FAILED_PACKAGES";

/// The lists of all packages, without which nothing can be fetched.
pub(super) const LISTS: &str = "";

type Reasons = BTreeMap<String, String>;

static FAILED: LazyLock<Mutex<Reasons>> = LazyLock::new(|| {
    let told = std::env::var(FAILURES).unwrap_or_default();
    Mutex::new(serde_json::from_str(&told).unwrap_or_default())
});

/// The value of [`FAILURES`] for programs that this one starts; `None` when nothing failed.
pub fn failures() -> Option<String> {
    let failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    let told = || serde_json::to_string(&*failed).ok();
    (!failed.is_empty()).then(told).flatten()
}

/// Does `fetch` unless it failed before, for this `what`.
pub(super) fn once<T>(what: &str, fetch: impl FnOnce() -> Result<T>) -> Result<T> {
    tried(&FAILED, what, fetch)
}

fn tried<T>(failed: &Mutex<Reasons>, what: &str, fetch: impl FnOnce() -> Result<T>) -> Result<T> {
    let reasons = || failed.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(why) = reasons().get(what) {
        bail!("{why}");
    }
    fetch().inspect_err(|error| {
        reasons().insert(what.to_owned(), format!("{error:#}"));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_not_tried_again() {
        let failed = Mutex::default();
        let try_it = |what: &str| tried(&failed, what, || bail!("no network") as Result<()>);
        assert_eq!(try_it(LISTS).unwrap_err().to_string(), "no network");
        let again = tried(&failed, LISTS, || -> Result<()> { panic!("tried again") });
        assert_eq!(again.unwrap_err().to_string(), "no network");
        assert_eq!(tried(&failed, "kmod_", || Ok(1)).unwrap(), 1);
        assert_eq!(tried(&failed, "kmod_", || Ok(2)).unwrap(), 2);
    }
}
