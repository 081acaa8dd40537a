//! Clocks, and the notice that somebody set one.
//!
//! The interrupt time is never set, counts while the host sleeps, and follows the oscillator alone: what Windows does to run
//! the system clock faster or slower ([`super::slewing`]) is not in it. Everywhere else the agent's boot clock is steered as
//! the system clock is, so that only a step parts the two. Here that is made so.

use std::io;
use std::sync::LazyLock;

use tokio::sync::Notify;
use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::SystemInformation::GetSystemTimePreciseAsFileTime;
use windows_sys::Win32::System::WindowsProgramming::{QueryInterruptTimePrecise, QueryUnbiasedInterruptTimePrecise};

use super::slewing::{self, Clocks, slewed};
use crate::sys::KernelClock;
use crate::time::{BootTime, SystemTime};

/// Windows counts in hundreds of nanoseconds.
pub(super) const TICK: i64 = 100;
/// From the first of January 1601, at which Windows begins, to that of 1970, in its ticks (MS-DTYP 2.3.3).
const EPOCH: i64 = 116_444_736_000_000_000;

/// How they are read.
const CLOCKS: Clocks = Clocks { interrupt: interrupt_time, unbiased: unbiased_time, system: realtime };

/// Told by the service manager, which hears of it from the kernel.
pub(super) static SET: LazyLock<Notify> = LazyLock::new(Notify::new);

/// The interrupt time, moved as the system clock was.
///
/// # Errors
/// None.
pub fn boot_time() -> io::Result<BootTime> {
    // Looked at first, so that the reading is of the moment of the return.
    let slewed = slewed(&CLOCKS);
    Ok(interrupt_time().plus(slewed))
}

/// The system clock.
///
/// # Errors
/// None.
#[expect(unsafe_code, reason = "a call of Windows")]
pub fn realtime() -> io::Result<SystemTime> {
    let mut time = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
    // SAFETY: it writes one `FILETIME`.
    unsafe { GetSystemTimePreciseAsFileTime(&raw mut time) };
    let ticks = i64::from(time.dwHighDateTime) << 32 | i64::from(time.dwLowDateTime);
    Ok(SystemTime::from_nanos(ticks.saturating_sub(EPOCH).saturating_mul(TICK)))
}

/// The interrupt time without the time in which the host slept, moved as the system clock was.
///
/// # Errors
/// None.
pub fn monotonic() -> io::Result<BootTime> {
    let slewed = slewed(&CLOCKS);
    Ok(unbiased_time().plus(slewed))
}

/// The interrupt time without the time in which the host slept, as the oscillator ticks.
///
/// # Errors
/// None.
pub fn monotonic_raw() -> io::Result<BootTime> {
    Ok(unbiased_time())
}

/// What tells this process from every other one. How the boot clock was moved is known to it alone ([`slewed`]), so that the
/// next process begins as after another boot.
///
/// # Errors
/// None.
pub fn boot_id() -> io::Result<String> {
    static ID: LazyLock<String> = LazyLock::new(|| format!("process-{:032x}", fastrand::u128(..)));
    Ok(ID.clone())
}

#[expect(unsafe_code, reason = "a call of Windows")]
fn interrupt_time() -> BootTime {
    let mut ticks = 0;
    // SAFETY: it writes one number.
    unsafe { QueryInterruptTimePrecise(&raw mut ticks) };
    of(ticks)
}

#[expect(unsafe_code, reason = "a call of Windows")]
fn unbiased_time() -> BootTime {
    let mut ticks = 0;
    // SAFETY: it writes one number.
    unsafe { QueryUnbiasedInterruptTimePrecise(&raw mut ticks) };
    of(ticks)
}

fn of(ticks: u64) -> BootTime {
    BootTime::from_nanos(i64::try_from(ticks).unwrap_or(i64::MAX).saturating_mul(TICK))
}

/// How Windows runs its clock. It knows no bound of its error: a service that keeps time has its own.
///
/// # Errors
/// Those of `GetSystemTimeAdjustment`.
pub fn kernel_clock() -> io::Result<KernelClock> {
    let adjustment = slewing::adjustment()?;
    // Without a service that adjusts it, Windows lets the hardware clock correct the system clock, which is no discipline.
    Ok(KernelClock { synchronized: !adjustment.is_disabled, max_error: None, frequency: adjustment.rate })
}

/// Notices at once when somebody sets the system clock: the service manager tells it to a service. Elsewhere the comparison
/// of the clocks, once a second, has to do.
pub struct StepWatch(());

impl StepWatch {
    /// Begins to watch.
    pub const fn start() -> Option<Self> {
        Some(Self(()))
    }

    /// Waits until somebody sets the clock. A change while nobody waits is told to the next who does.
    pub async fn changed(&mut self) {
        SET.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    #[test]
    fn the_epochs_of_windows_and_unix_are_369_years_apart() {
        // 1601 is the first year of a cycle of 400: three centuries have 24 leap years each, and 1904 to 1968 seventeen.
        let days = 369 * 365 + 3 * 24 + 17;
        assert_eq!(EPOCH, days * 86_400 * 10_000_000);
    }

    #[test]
    fn the_system_clock_is_that_of_the_standard_library() {
        let before = SystemTime::of(std::time::SystemTime::now());
        let read = realtime().unwrap();
        let after = SystemTime::of(std::time::SystemTime::now());
        // That of the standard library may be one of the last interrupt.
        let slack = Span::from_nanos(20_000_000);
        assert!(read.plus(slack) > before && after.plus(slack) > read, "{before:?} {read:?} {after:?}");
    }
}
