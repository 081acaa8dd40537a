//! The truth of the demo: what time it is in its AWS, and what its metadata service hands out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::local;
use crate::time::{BootTime, Span, TrueTime};

const LIFETIME: Span = Span::from_nanos(6 * 3_600 * 1_000_000_000);
const ROTATION: Span = Span::from_nanos(3_600 * 1_000_000_000);
/// What is left of a credential that was not rotated for long.
const STALE: Span = Span::from_nanos(10 * 60 * 1_000_000_000);

/// What the script changes and the servers obey. The clock of the host is never touched: the time of AWS runs away
/// from it instead, which is the same as seen from here.
pub(crate) struct World {
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct State {
    /// AWS time minus system time at `since`.
    shift: Span,
    since: BootTime,
    /// What the shift grows by, in seconds a second.
    rate: f64,
    rotated: TrueTime,
    rotates: bool,
}

/// When a credential was rotated, and when it expires.
pub(super) struct Lease {
    pub(super) last_updated: TrueTime,
    pub(super) expiration: TrueTime,
}

impl Default for World {
    /// A world in which all is well.
    fn default() -> Self {
        let now = local::read();
        let rotated = TrueTime::from_nanos(now.system.nanos());
        Self { state: Mutex::new(State { shift: Span::ZERO, since: now.boot, rate: 0.0, rotated, rotates: true }) }
    }
}

impl World {
    /// What time it is in AWS.
    pub(super) fn now(&self) -> TrueTime {
        let reading = local::read();
        TrueTime::from_nanos(reading.system.nanos()).plus(self.state().shift_at(reading.boot))
    }

    /// From now on the clock of the host loses `rate` seconds a second.
    pub(super) fn drift(&self, rate: f64) {
        let now = local::boot();
        let mut state = self.state();
        *state = State { shift: state.shift_at(now), since: now, rate, ..*state };
    }

    /// The clock of the host is off by `shift`, and does not drift any more.
    pub(super) fn jump(&self, shift: Span) {
        let mut state = self.state();
        *state = State { shift, since: local::boot(), rate: 0.0, ..*state };
    }

    /// The credential was not rotated for hours.
    pub(super) fn stall_rotation(&self) {
        let rotated = TrueTime::from_nanos(self.now().nanos() - LIFETIME.nanos() + STALE.nanos());
        let mut state = self.state();
        *state = State { rotated, rotates: false, ..*state };
    }

    /// The credential is rotated again.
    pub(super) fn resume_rotation(&self) {
        let rotated = self.now();
        let mut state = self.state();
        *state = State { rotated, rotates: true, ..*state };
    }

    /// What the metadata service hands out.
    pub(super) fn lease(&self) -> Lease {
        let now = self.now();
        let mut state = self.state();
        if state.rotates && now.since(state.rotated).abs() > ROTATION {
            state.rotated = now;
        }
        Lease { last_updated: state.rotated, expiration: state.rotated.plus(LIFETIME) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn shift_at(&self, now: BootTime) -> Span {
        self.shift.plus(now.since(self.since).scaled(self.rate))
    }
}
