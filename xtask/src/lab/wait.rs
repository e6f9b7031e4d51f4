//! Waiting for something to become true, with a deadline.

use super::interrupted;
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(10);

/// Calls `probe` until it answers, at most for `limit`. `what` completes "gave up waiting for ...".
///
/// An error of `probe` is not final; the last one is part of the message when time is up.
pub fn wait_until<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        let answer = probe();
        if let Ok(Some(value)) = answer {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            let why = answer
                .err()
                .map(|error| format!("; last: {error:#}"))
                .unwrap_or_default();
            bail!("gave up waiting for {what} after {limit:?}{why}");
        }
        interrupted()?;
        std::thread::sleep(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn answers_as_soon_as_the_probe_does() {
        let mut calls = 0;
        let value = wait_until("the third call", Duration::from_secs(5), || {
            calls += 1;
            Ok((calls == 3).then_some(calls))
        });
        assert_eq!(value.unwrap(), 3);
    }

    #[test]
    fn the_last_error_is_told() {
        let probe = || Err::<Option<()>, _>(anyhow!("no route"));
        let error = wait_until("a reply", Duration::from_millis(20), probe).unwrap_err();
        assert_eq!(
            error.to_string(),
            "gave up waiting for a reply after 20ms; last: no route"
        );
    }
}
