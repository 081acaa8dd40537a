//! Reads the clocks of this host. Nothing else in the agent does.

use std::fs::File;
use std::io;

use crate::sys;
use crate::time::{BootTime, Reading, Span};

/// Two readings of the boot clock may lie this far apart around a reading of the system clock.
const TIGHT: i64 = 1_000;

/// Reads both clocks at the same moment.
///
/// The system clock is read between two readings of the boot clock; where the thread was interrupted in between, the
/// attempt is repeated, and the tightest of five is taken.
pub fn read() -> Reading {
    let mut best: Option<(i64, Reading)> = None;
    for _ in 0..5 {
        let before = boot();
        let system = sys::realtime().expect("CLOCK_REALTIME exists on every kernel");
        let width = boot().since(before);
        let reading = Reading { boot: before.plus(width.half()), system };
        if best.is_none_or(|(best, _)| width.nanos() < best) {
            best = Some((width.nanos(), reading));
        }
        if width.nanos() <= TIGHT {
            break;
        }
    }
    best.expect("the loop ran").1
}

/// For how long this host has slept since it was booted. The value itself may have another zero; it grows while the host
/// sleeps, and only then.
pub fn asleep() -> Span {
    let before = boot();
    let awake = sys::monotonic().expect("CLOCK_MONOTONIC exists on every kernel");
    let boot = before.plus(boot().since(before).half());
    Span::from_nanos(boot.nanos().saturating_sub(awake.nanos()))
}

/// What the kernel has added to its clocks since it was booted by running them faster or slower than the oscillator ticks
/// ([`super::steering`]); `None` where it has no clock that it does not steer. The value itself may have another zero.
///
/// As in [`read`], the tightest of five attempts is taken.
pub fn steered() -> Option<Span> {
    let mut best: Option<(i64, Span)> = None;
    for _ in 0..5 {
        let before = sys::monotonic_raw().ok()?;
        let steered = awake();
        let width = sys::monotonic_raw().ok()?.since(before);
        let unsteered = before.plus(width.half());
        if best.is_none_or(|(best, _)| width.nanos() < best) {
            best = Some((width.nanos(), Span::from_nanos(steered.nanos().saturating_sub(unsteered.nanos()))));
        }
        if width.nanos() <= TIGHT {
            break;
        }
    }
    best.map(|(_, steered)| steered)
}

/// For how long this host has been awake since it was booted: as tokio's timers count, which stand still while it sleeps.
pub fn awake() -> Span {
    Span::from_nanos(sys::monotonic().expect("CLOCK_MONOTONIC exists on every kernel").nanos())
}

/// Reads the boot clock alone.
pub fn boot() -> BootTime {
    sys::boot_time().expect("CLOCK_BOOTTIME exists since Linux 2.6.39")
}

/// A reading of the clock of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceReading {
    /// The boot clock right before.
    pub before: BootTime,
    /// Nanoseconds since 1970, on the device's own time scale.
    pub nanos: i64,
    /// The boot clock right after.
    pub after: BootTime,
}

/// Reads the clock of an open device once, between two readings of the boot clock.
///
/// # Errors
/// Those of [`sys::device_time`].
pub fn device(device: &File) -> io::Result<DeviceReading> {
    let before = boot();
    let nanos = sys::device_time(device)?;
    Ok(DeviceReading { before, nanos, after: boot() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn the_two_clocks_keep_their_distance_while_nobody_sets_one() {
        let (first, second) = (read(), read());
        assert!(first.boot < second.boot);
        let moved = second.system_minus_boot().nanos() - first.system_minus_boot().nanos();
        assert!(moved.abs() < 1_000_000, "{moved} ns");
    }

    #[test]
    fn what_the_kernel_adds_is_no_more_than_it_can() {
        let (before, first) = (boot(), steered().unwrap());
        let mut readings = Vec::new();
        while boot().since(before) < Span::from_seconds(0.05) {
            readings.push(steered().unwrap().nanos() - first.nanos());
        }
        let most = readings.iter().map(|added| added.abs()).max().unwrap();
        assert!(readings.len() > 10 && most < 5_000_000 + 1_000_000, "a tenth of 50 ms at most: {most} ns");
    }

    #[test]
    fn a_host_that_is_awake_does_not_sleep() {
        let grown = asleep().nanos() - asleep().nanos();
        assert!(grown.abs() < 100_000_000, "{grown} ns");
    }
}
