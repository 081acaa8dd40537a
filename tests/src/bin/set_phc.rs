//! Moves the clock of a device, in a guest: `set-phc /dev/ptp0 -400` by so many seconds. Whoever has a clock of hardware has a
//! program that sets it, and a guest of busybox has none.

#![expect(clippy::disallowed_methods, reason = "it moves the clock that the agent is to read")]

use std::env;
use std::fs::File;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::time::{ClockId, clock_gettime, clock_settime};

/// How many nanoseconds the clock may be off in the end: to set it takes as long as the guest is slow.
const CLOSE: i64 = 50_000;
const ATTEMPTS: u32 = 100;
/// Of so many readings the quickest counts.
const READINGS: u32 = 5;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let device = arguments.next().context("which device?")?;
    let by: f64 = arguments.next().context("by how many seconds?")?.parse()?;
    let device = File::options().read(true).write(true).open(&device).with_context(|| device.clone())?;
    // FD_TO_CLOCKID of clock_getres(2), "Dynamic clocks".
    let clock = ClockId::from_raw((!device.as_raw_fd() << 3) | 3);
    #[expect(clippy::cast_possible_truncation, reason = "nanoseconds are as exact as is wanted")]
    let wanted = ahead(clock)? + (by * 1e9) as i64;
    let mut late = 0;
    for _ in 0..ATTEMPTS {
        clock_settime(clock, TimeSpec::nanoseconds(boot()? + wanted + late))?;
        let off = wanted - ahead(clock)?;
        if off.abs() < CLOSE {
            return Ok(());
        }
        // By half, because the next attempt may be quicker.
        late += off / 2;
    }
    bail!("the clock cannot be set to within {CLOSE} ns")
}

/// The clock minus the boot clock in nanoseconds, by the quickest of several readings.
fn ahead(clock: ClockId) -> Result<i64> {
    let mut readings = Vec::new();
    for _ in 0..READINGS {
        let before = boot()?;
        let told = clock_gettime(clock)?.num_nanoseconds();
        let took = boot()? - before;
        readings.push((took, told - before - took / 2));
    }
    readings.into_iter().min().map(|(_, ahead)| ahead).context("no reading")
}

fn boot() -> Result<i64> {
    Ok(clock_gettime(ClockId::CLOCK_BOOTTIME)?.num_nanoseconds())
}
