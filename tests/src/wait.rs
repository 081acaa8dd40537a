//! Awaiting an event by short polls with a deadline.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const POLL: Duration = Duration::from_millis(10);

/// Returns the first value that `attempt` yields.
///
/// # Errors
/// When `deadline` passes first; the text names `what` was awaited.
pub fn wait_for<T>(what: &str, deadline: Duration, mut attempt: impl FnMut() -> Option<T>) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return Ok(value);
        }
        if started.elapsed() >= deadline {
            bail!("waited {deadline:?} in vain for {what}");
        }
        thread::sleep(POLL);
    }
}

/// Returns as soon as `condition` holds.
///
/// # Errors
/// When `deadline` passes first; the text names `what` was awaited.
pub fn wait_until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    wait_for(what, deadline, || condition().then_some(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_what_was_awaited() {
        let error = wait_until("a miracle", Duration::ZERO, || false).unwrap_err();
        assert!(error.to_string().contains("a miracle"), "{error}");
    }

    #[test]
    fn a_condition_that_already_holds_needs_no_time() {
        wait_until("the obvious", Duration::ZERO, || true).unwrap();
    }
}
