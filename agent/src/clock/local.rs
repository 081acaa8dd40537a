//! Reads the clocks of this host. Nothing else in the agent does.

use super::time::Reading;
use crate::clock::time::BootTime;
use crate::sys;

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

/// Reads the boot clock alone.
pub fn boot() -> BootTime {
    sys::boot_time().expect("CLOCK_BOOTTIME exists since Linux 2.6.39")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_clocks_keep_their_distance_while_nobody_sets_one() {
        let (first, second) = (read(), read());
        assert!(first.boot < second.boot);
        let moved = second.system_minus_boot().nanos() - first.system_minus_boot().nanos();
        assert!(moved.abs() < 1_000_000, "{moved} ns");
    }
}
