//! Clocks, `adjtimex`, and the notice that somebody set the clock.

use std::io;
use std::os::fd::OwnedFd;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{self, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::read;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::sys::KernelClock;
use crate::time::{BootTime, NANOS_PER_SECOND, Span, SystemTime};

/// Reads `CLOCK_BOOTTIME`.
///
/// # Errors
/// Those of `clock_gettime(2)`.
#[expect(clippy::disallowed_methods, reason = "called by clock::local alone")]
pub fn boot_time() -> io::Result<BootTime> {
    Ok(BootTime::from_nanos(nanos(clock_gettime(ClockId::CLOCK_BOOTTIME)?)))
}

/// Reads `CLOCK_REALTIME`.
///
/// # Errors
/// Those of `clock_gettime(2)`.
#[expect(clippy::disallowed_methods, reason = "called by clock::local alone")]
pub fn realtime() -> io::Result<SystemTime> {
    Ok(SystemTime::from_nanos(nanos(clock_gettime(ClockId::CLOCK_REALTIME)?)))
}

/// Reads `CLOCK_MONOTONIC`, which stands still while the host sleeps.
///
/// # Errors
/// Those of `clock_gettime(2)`.
#[expect(clippy::disallowed_methods, reason = "called by clock::local alone")]
pub fn monotonic() -> io::Result<BootTime> {
    Ok(BootTime::from_nanos(nanos(clock_gettime(ClockId::CLOCK_MONOTONIC)?)))
}

/// Reads `CLOCK_MONOTONIC_RAW`, which ticks as the oscillator does, whatever `adjtimex(2)` is asked to make of the others.
///
/// # Errors
/// Those of `clock_gettime(2)`.
#[expect(clippy::disallowed_methods, reason = "called by clock::local alone")]
pub fn monotonic_raw() -> io::Result<BootTime> {
    Ok(BootTime::from_nanos(nanos(clock_gettime(ClockId::CLOCK_MONOTONIC_RAW)?)))
}

/// What tells this boot of the host from every other one.
///
/// # Errors
/// Those of reading `/proc`.
pub fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Notices at once when somebody sets the system clock, and when the host wakes up.
pub struct StepWatch {
    timer: AsyncFd<OwnedFd>,
}

impl StepWatch {
    /// Begins to watch, on the runtime that calls it; `None` where the kernel or a sandbox has no timer that tells it.
    #[cfg_attr(
        target_env = "musl",
        expect(deprecated, reason = "the crate warns of a width that only 32 bits will have")
    )]
    pub fn start() -> Option<Self> {
        // The end of time never comes, so that the timer has nothing to tell but that the clock was set.
        Self::until(TimeSpec::new(libc::time_t::MAX, 0)).ok()
    }

    #[expect(unsafe_code, reason = "tokio wants the promise that the descriptor stays open")]
    fn until(end: TimeSpec) -> io::Result<Self> {
        let timer = TimerFd::new(timerfd::ClockId::CLOCK_REALTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        timer.set(Expiration::OneShot(end), flags)?;
        // SAFETY: an `OwnedFd` is open and always the same one for as long as it lives, and the `AsyncFd` owns it.
        let timer = unsafe { AsyncFd::register_with_interest(OwnedFd::from(timer), Interest::READABLE)? };
        Ok(Self { timer })
    }

    /// Waits until somebody sets the clock. A change while nobody waits is told to the next who does, and nothing is lost
    /// where this is cancelled. Should the timer break, it waits for ever.
    pub async fn changed(&mut self) {
        while let Ok(mut ready) = self.timer.readable().await {
            // The kernel goes on watching after the read that tells a change (timerfd_create(2), ECANCELED).
            match ready.try_io(|timer| Ok(read(timer.get_ref(), &mut [0; 8])?)) {
                Ok(Err(error)) if error.raw_os_error() == Some(libc::ECANCELED) => return,
                Ok(Ok(_)) => return,
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(_)) => break,
                Err(_) => {}
            }
        }
        std::future::pending::<()>().await;
    }
}

/// Asks the kernel how well its clock is disciplined. Changes nothing and needs no privilege.
///
/// # Errors
/// Those of `adjtimex(2)`, such as `EPERM` where a sandbox forbids the call.
#[expect(unsafe_code, reason = "adjtimex has no safe wrapper")]
pub fn kernel_clock() -> io::Result<KernelClock> {
    // SAFETY: `timex` is plain data for which all zeroes is a valid value, and modes = 0 makes the call read-only.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid for writes for the whole call.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(KernelClock {
        synchronized: state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0,
        max_error: Some(Span::from_nanos(timex.maxerror.saturating_mul(1_000)).abs()),
        frequency: frequency(timex.freq, timex.tick),
    })
}

/// The correction that `freq` and `tick` of `adjtimex(2)` make together.
///
/// `freq` has 16 bits of fraction of a millionth. A tick has 10 000 µs where nothing is corrected (`USER_HZ` is 100 on all
/// that this runs on); chronyd changes it for all that goes beyond 500 ppm. Where a sandbox tells none, there is no
/// correction.
fn frequency(freq: libc::c_long, tick: libc::c_long) -> f64 {
    let ticks = if tick > 0 { tick as f64 / 10_000.0 - 1.0 } else { 0.0 };
    freq as f64 / 65_536.0 * 1e-6 + ticks
}

pub(super) fn nanos(time: TimeSpec) -> i64 {
    time.tv_sec().saturating_mul(NANOS_PER_SECOND).saturating_add(time.tv_nsec())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::sys::time::TimeValLike;
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn the_kernel_tells_its_clock_without_privilege() {
        let clock = kernel_clock().unwrap();
        assert!(clock.max_error >= Some(Span::ZERO));
        assert!(clock.frequency.abs() < 1e-3, "{clock:?}");
    }

    #[test]
    fn what_the_kernel_corrects_is_the_frequency_and_the_tick() {
        let near = |one: f64, other: f64| (one - other).abs() < 1e-12;
        assert!(near(frequency(0, 10_000), 0.0));
        assert!(near(frequency(-12 << 16, 10_000), -12e-6));
        assert!(near(frequency(0, 10_833), 83_300e-6), "chronyd at its fastest");
        assert!(near(frequency(500 << 16, 9_000), 500e-6 - 0.1));
        assert!(near(frequency(3 << 16, 0), 3e-6));
    }

    #[test]
    fn this_boot_has_a_name_that_stays() {
        let id = boot_id().unwrap();
        assert_eq!((id.len(), boot_id().unwrap()), (36, id.clone()), "{id}");
    }

    #[tokio::test]
    async fn the_watch_tells_a_change_once_and_nothing_while_nobody_sets_the_clock() {
        let moment = Duration::from_millis(200);
        let mut watch = StepWatch::start().unwrap();
        assert!(timeout(moment, watch.changed()).await.is_err());
        // A test may not set the clock; a timer that runs out wakes the same way.
        let soon = TimeSpec::from(moment / 2) + TimeSpec::nanoseconds(realtime().unwrap().nanos());
        let mut watch = StepWatch::until(soon).unwrap();
        assert!(timeout(moment / 20, watch.changed()).await.is_err(), "cancelled before it happens");
        tokio::time::sleep(moment).await;
        timeout(moment, watch.changed()).await.unwrap();
        assert!(timeout(moment, watch.changed()).await.is_err());
    }
}
