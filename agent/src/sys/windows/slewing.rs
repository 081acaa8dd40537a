//! What Windows adds to its system clock by running it faster or slower than the oscillator ticks.
//!
//! W32Time steers by `SetSystemTimeAdjustment`. Windows tells the adjustment in force, and not what all of them have added
//! together. So the distance of the system clock from the interrupt time, which nobody steers, is looked at ten times a second
//! at most: what the adjustment explains of its change was added by it, and what it does not explain is a step.

use std::io;
use std::sync::{LazyLock, Mutex, PoisonError};

use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::SystemInformation::GetSystemTimeAdjustment;

use super::wide::wide;
use crate::time::{BootTime, Span, SystemTime};

/// Between two looks at least.
const SPACING: Span = Span::from_nanos(100_000_000);
/// What two readings one after the other may be wrong together, and the granularity with which the adjustment is applied.
const NOISE: Span = Span::from_nanos(500_000);

/// Two readings of the interrupt time may lie this far apart around one of the system clock.
const TIGHT: Span = Span::from_nanos(10_000);
const ATTEMPTS: u32 = 5;

/// How Windows runs its clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Adjustment {
    /// By how much the clock is made faster, in seconds a second.
    pub(super) rate: f64,
    /// Nobody adjusts it: Windows does, by the hardware clock.
    pub(super) is_disabled: bool,
}

/// The adjustment in force: by the precise call, which Windows has since 10 1703, or else by the one that counts in 6.4 ppm.
///
/// # Errors
/// Those of the call.
#[expect(unsafe_code, reason = "calls of Windows")]
pub(super) fn adjustment() -> io::Result<Adjustment> {
    static PRECISE: LazyLock<Option<Precise>> = LazyLock::new(precise);
    let mut disabled = 0;
    if let Some(precise) = *PRECISE {
        let (mut adjusted, mut usual) = (0, 0);
        // SAFETY: it writes three numbers.
        if unsafe { precise(&raw mut adjusted, &raw mut usual, &raw mut disabled) } != 0 {
            return Ok(Adjustment::of(adjusted as f64, usual as f64, disabled != 0));
        }
    }
    let (mut added, mut increment) = (0, 0);
    // SAFETY: it writes three numbers.
    if unsafe { GetSystemTimeAdjustment(&raw mut added, &raw mut increment, &raw mut disabled) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Adjustment::of(added.into(), increment.into(), disabled != 0))
}

/// `GetSystemTimeAdjustmentPrecise`: the frequency to which the clock is adjusted, the usual one, and whether it is not.
type Precise = unsafe extern "system" fn(*mut u64, *mut u64, *mut i32) -> i32;

/// Asked for by its name, because a program that needs it does not start where it is missing.
#[expect(unsafe_code, reason = "calls of Windows")]
fn precise() -> Option<Precise> {
    // SAFETY: both names end with a zero; the library is never unloaded, and the function has this type.
    unsafe {
        let library = GetModuleHandleW(wide("kernelbase.dll").as_ptr());
        let found = GetProcAddress(library, c"GetSystemTimeAdjustmentPrecise".as_ptr().cast())?;
        Some(std::mem::transmute::<unsafe extern "system" fn() -> isize, Precise>(found))
    }
}

impl Adjustment {
    /// `added` to the clock for each `increment` that passes.
    fn of(added: f64, increment: f64, is_disabled: bool) -> Self {
        let rate = if is_disabled || increment <= 0.0 { 0.0 } else { added / increment - 1.0 };
        Self { rate, is_disabled }
    }
}

/// The clocks at one moment.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// The interrupt time.
    at: BootTime,
    /// The same without the time in which the host slept.
    awake: BootTime,
    system: SystemTime,
    /// The adjustment that is in force.
    rate: f64,
}

/// What has been added so far.
#[derive(Clone, Copy, Debug, Default)]
struct Slewing {
    seen: Option<Look>,
    added: Span,
}

/// How the clocks are read.
pub(super) struct Clocks {
    pub(super) interrupt: fn() -> BootTime,
    pub(super) unbiased: fn() -> BootTime,
    pub(super) system: fn() -> io::Result<SystemTime>,
}

static SLEWING: Mutex<Slewing> = Mutex::new(Slewing { seen: None, added: Span::ZERO });

/// What was added to the system clock since this process began to look, as of now.
pub(super) fn slewed(clocks: &Clocks) -> Span {
    let mut slewing = SLEWING.lock().unwrap_or_else(PoisonError::into_inner);
    let now = (clocks.interrupt)();
    if slewing.is_due(now)
        && let Some((at, system)) = together(clocks)
        && let Ok(Adjustment { rate, .. }) = adjustment()
    {
        slewing.look(Look { at, awake: (clocks.unbiased)(), system, rate });
    }
    slewing.added_by((clocks.interrupt)())
}

/// Both clocks at the same moment: what lies between two readings of the one that are near enough. `None` where this thread
/// was interrupted each time; then they are looked at soon again.
fn together(clocks: &Clocks) -> Option<(BootTime, SystemTime)> {
    (0..ATTEMPTS).find_map(|_| {
        let before = (clocks.interrupt)();
        let system = (clocks.system)().ok()?;
        let width = (clocks.interrupt)().since(before);
        (width <= TIGHT).then(|| (before.plus(width.half()), system))
    })
}

impl Slewing {
    fn is_due(&self, now: BootTime) -> bool {
        self.seen.is_none_or(|seen| now.since(seen.at) >= SPACING)
    }

    /// What was added by `now`, which is no more than a moment after the last look: without that moment the boot clock would
    /// go on in steps, and backwards where the system clock is slowed.
    fn added_by(&self, now: BootTime) -> Span {
        let since = self.seen.map_or(Span::ZERO, |seen| now.since(seen.at).min(SPACING).scaled(seen.rate));
        self.added.plus(since)
    }

    fn look(&mut self, look: Look) {
        if let Some(seen) = self.seen {
            let moved = |look: &Look| look.system.nanos().saturating_sub(look.at.nanos());
            let moved = Span::from_nanos(moved(&look).saturating_sub(moved(&seen)));
            // While the host sleeps nobody adjusts its clock, and what it comes back with is no slewing.
            let (passed, awake) = (look.at.since(seen.at), look.awake.since(seen.awake));
            let has_slept = passed.minus(awake) > NOISE;
            let expected = [awake.scaled(seen.rate), awake.scaled(look.rate)];
            let (least, most) = (expected[0].min(expected[1]), expected[0].max(expected[1]));
            let is_explained = !has_slept && moved >= least.minus(NOISE) && moved <= most.plus(NOISE);
            self.added = self.added.plus(if is_explained { moved } else { expected[1] });
        }
        self.seen = Some(look);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is added, and how far the clocks that the agent sees are apart in the end: the system clock goes by `rates`, each
    /// for so many looks, and is set once.
    fn play(rates: &[(f64, u32)], step: Option<(u32, f64)>) -> (f64, f64) {
        let (mut slewing, mut passed, mut moved, mut looks) = (Slewing::default(), 0.0, 0.0, 0);
        let look = |passed: f64, moved: f64, rate| {
            let at = BootTime::from_seconds(passed);
            Look { at, awake: at, system: SystemTime::from_seconds(1e9 + passed + moved), rate }
        };
        slewing.look(look(0.0, 0.0, rates[0].0));
        for (rate, count) in rates {
            for _ in 0..*count {
                (passed, moved, looks) = (passed + 1.0, moved + rate, looks + 1);
                if let Some((_, by)) = step.filter(|(at, _)| *at == looks) {
                    moved += by;
                }
                slewing.look(look(passed, moved, *rate));
            }
        }
        (slewing.added.seconds(), moved - slewing.added.seconds())
    }

    #[test]
    fn a_sleep_adds_nothing_but_what_was_slewed_while_the_host_was_awake() {
        let mut slewing = Slewing::default();
        let at = BootTime::from_seconds;
        let look = |passed, awake, system| Look {
            at: at(passed),
            awake: at(awake),
            system: SystemTime::from_seconds(system),
            rate: 50e-6,
        };
        slewing.look(look(10.0, 10.0, 1_010.0));
        // Eight hours, out of which the clock comes two seconds late.
        slewing.look(look(28_811.0, 11.0, 29_809.0));
        assert!((slewing.added.seconds() - 50e-6).abs() < 1e-9, "{:?}", slewing.added);
    }

    #[test]
    fn the_boot_clock_never_goes_back_where_the_system_clock_is_slowed() {
        let mut slewing = Slewing::default();
        let mut last = BootTime::ZERO;
        for tenth in 0..100 {
            for fraction in 0..10 {
                let now = BootTime::from_nanos(tenth * 100_000_000 + fraction * 10_000_000);
                if slewing.is_due(now) {
                    let system = SystemTime::from_seconds(1e9 + now.since(BootTime::ZERO).seconds() * 0.6);
                    slewing.look(Look { at: now, awake: now, system, rate: -0.4 });
                }
                let boot = now.plus(slewing.added_by(now));
                assert!(boot >= last, "{boot:?} after {last:?}");
                last = boot;
            }
        }
        assert!((last.since(BootTime::ZERO).seconds() - 9.99 * 0.6).abs() < 1e-3, "{last:?}");
    }

    #[test]
    fn what_the_adjustment_explains_is_added_and_a_step_is_what_is_left() {
        let (added, apart) = play(&[(0.0, 10), (2e-3, 60), (-1e-4, 30)], None);
        assert!((added - 0.117).abs() < 1e-6 && apart.abs() < 1e-6, "{added} {apart}");
        for by in [-300.0, -0.01, 0.01, 3_600.0] {
            let (added, apart) = play(&[(1e-4, 50)], Some((20, by)));
            assert!((added - 5e-3).abs() < 1e-4 && (apart - by).abs() < 1e-4, "{by}: {added} {apart}");
        }
        // W32Time may slew by up to a half.
        let (added, apart) = play(&[(0.4, 10), (0.0, 10)], None);
        assert!((added - 4.0).abs() < 1e-6 && apart.abs() < 1e-6, "{added} {apart}");
    }

    #[test]
    fn an_adjustment_is_a_rate_and_none_where_nobody_adjusts() {
        assert_eq!(Adjustment::of(156_250.0, 156_250.0, false).rate, 0.0);
        assert!((Adjustment::of(156_328.0, 156_250.0, false).rate - 499.2e-6).abs() < 1e-9);
        assert_eq!(Adjustment::of(156_328.0, 156_250.0, true), Adjustment { rate: 0.0, is_disabled: true });
        assert_eq!(Adjustment::of(1.0, 0.0, false).rate, 0.0);
    }
}
