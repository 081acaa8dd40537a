//! When the next attempt at a destination is made: pauses where it fails, and a pace where something has waited.
//!
//! A fleet loses its collector at one moment and finds it again at one moment, and what it has kept must not bring the
//! collector down once more. So what has waited is sent at twice the rate at which it came, not at once; the first of it at
//! half that rate; a pause is halved by a success, not forgotten; and all that a fleet would do together is spread.
//!
//! Alerts come at no rate. Those for a collector, which a fleet shares with its telemetry, take turns with that: while some
//! of them wait, telemetry goes at its own rate and no faster, and they at half of that. A channel is a host's own affair,
//! and gets one alert a second of those that have waited, which is what the strictest of the known receivers take.

use std::time::Duration;

use super::policy::Again;
use crate::time::{BootTime, Span};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Where somebody has to mend something first.
const FIRST_SLOW_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_SLOW_PAUSE: Duration = Duration::from_secs(300);
/// A destination that asks for more patience than this is asked again all the same.
const LONGEST_WISH: Duration = Duration::from_secs(3_600);
/// A fleet that was told the same does not come back at the same moment: up to this part of it is added.
const WISH_SPREAD: f64 = 0.1;
/// The distance between alerts that have waited. Slack, for one, takes no more from anybody.
const ALERTS: Duration = Duration::from_secs(1);
/// What comes regularly and has waited is sent so many times as often as it comes.
const CATCH_UP: u32 = 2;
/// The first of that is sent so many times as seldom as it comes.
const SLOW_START: u32 = 2;
/// Alerts that have waited are sent once while telemetry is sent so many times, or after so long where that is seldom.
const TURNS: u32 = 2;
const LONGEST_TURN: Duration = Duration::from_secs(120);

/// How often something is put into a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rhythm {
    /// When there is something to tell.
    #[default]
    AsItComes,
    /// When there is something to tell, to a receiver that hears from this host once in so long anyway.
    Beside(Duration),
    /// Once in so long.
    Every(Duration),
}

impl Rhythm {
    /// What the receiver can bear of this from every host of a fleet at once: one in so long; `None` where nobody can say.
    fn interval(self) -> Option<Duration> {
        match self {
            Self::AsItComes => None,
            Self::Beside(interval) => Some(interval.saturating_mul(TURNS).min(LONGEST_TURN)),
            Self::Every(interval) => Some(interval),
        }
    }
}

/// The pace of one lane.
#[derive(Debug, Default)]
pub(super) struct Pace {
    rhythm: Rhythm,
    /// The last pause, halved by each success since.
    pause: Option<Duration>,
    not_before: Option<BootTime>,
    /// The destination itself has asked to wait.
    is_asked_to_wait: bool,
    /// Somebody has to mend something first.
    is_slow: bool,
    /// What is in the lane has waited.
    is_backlog: bool,
    /// The last distance between two items that have waited.
    gap: Option<Duration>,
}

impl Pace {
    /// Until when nothing is sent; `None` where something may be sent at `now`.
    pub(super) fn until(&self, now: BootTime) -> Option<BootTime> {
        self.not_before.filter(|then| *then > now)
    }

    /// Something is in the lane that an earlier process could not deliver.
    pub(super) const fn found(&mut self) {
        self.is_backlog = true;
    }

    /// The lane is served from now on, at this rhythm. A fleet that was started together does not send together what it has
    /// found; `luck` of 0 to 1 says which part of it this host is.
    pub(super) fn open(&mut self, rhythm: Rhythm, now: BootTime, luck: f64) {
        self.rhythm = rhythm;
        if let (Some(interval), true, None) = (rhythm.interval(), self.is_backlog, self.not_before) {
            self.not_before = Some(now.plus(Span::from_duration(interval.mul_f64(luck))));
        }
    }

    /// An attempt failed, and another one will be made; `luck` of 0 to 1 spreads it.
    pub(super) fn fails(&mut self, again: Again, wish: Option<Duration>, now: BootTime, luck: f64) {
        self.is_slow = again == Again::Slowly;
        let interval = self.rhythm.interval().unwrap_or_default();
        let longest = if self.is_slow { LONGEST_SLOW_PAUSE } else { LONGEST_PAUSE.max(interval) };
        let pause = self.pause.map_or(self.first_pause(), |pause| pause.saturating_mul(2));
        let pause = pause.clamp(self.first_pause(), longest);
        self.pause = Some(pause);
        self.is_asked_to_wait = wish.is_some();
        let wished = wish.map(|wish| {
            let wish = wish.min(LONGEST_WISH);
            // Where all were told the same moment, it is theirs again as it was before.
            wish.saturating_add(wish.mul_f64(WISH_SPREAD).max(interval).mul_f64(luck))
        });
        self.is_backlog = true;
        self.gap = None;
        self.not_before = Some(now.plus(spread(pause, luck).max(Span::from_duration(wished.unwrap_or_default()))));
    }

    /// Whether a fleet has the receiver in common, which hears of every host all the time.
    pub(super) const fn is_shared(&self) -> bool {
        !matches!(self.rhythm, Rhythm::AsItComes)
    }

    /// Whether alerts that have waited are on their way to a receiver of telemetry, which takes them.
    pub(super) const fn takes_turns(&self) -> bool {
        self.gap.is_some() && matches!(self.rhythm, Rhythm::Beside(_))
    }

    /// The destination has dealt with an item; `luck` of 0 to 1 spreads the next one. Where it `takes_turns` with alerts,
    /// nothing is caught up with.
    pub(super) fn goes_on(&mut self, takes_turns: bool, now: BootTime, luck: f64) {
        (self.is_asked_to_wait, self.is_slow) = (false, false);
        self.pause = self.pause.map(|pause| pause / 2).filter(|pause| *pause >= FIRST_PAUSE);
        self.not_before = None;
        if self.is_backlog {
            let interval = self.rhythm.interval().unwrap_or_default();
            let (first, least) = match self.rhythm {
                Rhythm::AsItComes => (ALERTS, ALERTS),
                Rhythm::Every(_) if !takes_turns => (interval.saturating_mul(SLOW_START), interval / CATCH_UP),
                _ => (interval, interval),
            };
            let gap = self.gap.map_or(first, |gap| (gap / 2).max(least));
            self.gap = Some(gap);
            self.not_before = Some(now.plus(spread(gap, luck)));
        }
    }

    /// Nothing is in the lane any more. An alert that comes now has not waited; and if the last one `was_taken`, the next
    /// failure is not a part of the outage that this was.
    pub(super) fn is_empty(&mut self, was_taken: bool, now: BootTime) {
        if let Rhythm::Every(interval) = self.rhythm {
            // Nor is the next export held up by the slow start of what there is no more of.
            let next = now.plus(Span::from_duration(interval));
            self.not_before = self.not_before.map(|then| if self.gap.is_some() { then.min(next) } else { then });
        } else {
            self.not_before = self.not_before.filter(|_| self.gap.is_none());
            self.pause = self.pause.filter(|_| !was_taken);
        }
        (self.is_backlog, self.gap) = (false, None);
    }

    /// An alert has come, which does not sit out a pause that began long before it, unless that was asked for, or hosts that
    /// share a receiver would end theirs together.
    pub(super) fn alert(&mut self, now: BootTime) {
        if !self.is_asked_to_wait && matches!(self.rhythm, Rhythm::AsItComes) {
            let soon = now.plus(Span::from_duration(self.first_pause()));
            self.not_before = self.not_before.map(|then| then.min(soon));
        }
    }

    /// Ends a pause that is due to a failure, even one that was asked for.
    pub(super) const fn hurry(&mut self) {
        if self.pause.is_some() || self.is_asked_to_wait {
            (self.pause, self.not_before) = (None, None);
            (self.is_asked_to_wait, self.is_slow) = (false, false);
        }
    }

    /// A fleet that tries again more often than something new comes would load its collector by that alone.
    fn first_pause(&self) -> Duration {
        match self.rhythm {
            _ if self.is_slow => FIRST_SLOW_PAUSE,
            Rhythm::AsItComes => FIRST_PAUSE,
            Rhythm::Beside(_) => FIRST_PAUSE.max(self.rhythm.interval().unwrap_or_default()),
            Rhythm::Every(interval) => FIRST_PAUSE.max(interval / CATCH_UP),
        }
    }
}

fn spread(pause: Duration, luck: f64) -> Span {
    Span::from_duration(pause.mul_f64(0.5 + luck))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> BootTime {
        BootTime::from_seconds(seconds)
    }

    /// How long a lane waits from now on.
    fn wait(pace: &Pace) -> f64 {
        pace.until(at(0.0)).map_or(0.0, |then| then.since(at(0.0)).seconds())
    }

    #[test]
    fn a_success_halves_the_pause_and_does_not_clear_it() {
        let mut pace = Pace::default();
        for _ in 0..9 {
            pace.fails(Again::Soon, None, at(0.0), 0.5);
        }
        for (successes, next) in [(1, 60.0), (2, 30.0), (3, 15.0), (6, 1.0)] {
            let mut pace = Pace { pause: pace.pause, ..Pace::default() };
            for _ in 0..successes {
                pace.goes_on(false, at(0.0), 0.5);
            }
            pace.fails(Again::Soon, None, at(0.0), 0.5);
            assert!((next..=next * 1.001).contains(&wait(&pace)), "{successes}: {}", wait(&pace));
        }
    }

    #[test]
    fn what_somebody_has_to_mend_is_tried_slowly_and_a_new_alert_does_not_change_that() {
        let mut pace = Pace::default();
        let mut waits = Vec::new();
        for _ in 0..7 {
            pace.fails(Again::Slowly, None, at(0.0), 0.5);
            waits.push(wait(&pace));
        }
        assert_eq!(waits, [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]);
        pace.alert(at(0.0));
        assert_eq!(wait(&pace), 10.0);
        pace.fails(Again::Soon, None, at(0.0), 0.5);
        assert_eq!(wait(&pace), 60.0, "out of reach, it is tried as any other");
    }

    #[test]
    fn what_comes_regularly_is_caught_up_with_at_twice_its_rate_after_a_slow_start() {
        let mut pace = Pace::default();
        pace.open(Rhythm::Every(Duration::from_secs(60)), at(0.0), 0.5);
        assert_eq!(wait(&pace), 0.0, "nothing has waited");
        pace.fails(Again::Soon, None, at(0.0), 0.5);
        let waits = [0; 3].map(|_| {
            pace.goes_on(false, at(0.0), 0.5);
            wait(&pace)
        });
        assert_eq!(waits, [120.0, 60.0, 30.0]);
        pace.is_empty(true, at(0.0));
        pace.goes_on(false, at(0.0), 0.5);
        assert_eq!(wait(&pace), 0.0, "nothing waits any more");
    }

    #[test]
    fn alerts_that_have_waited_go_one_by_one_and_the_next_one_as_if_there_had_been_no_outage() {
        for (rhythm, gap) in [(Rhythm::AsItComes, 1.0), (Rhythm::Beside(Duration::from_secs(60)), 120.0)] {
            let mut pace = Pace::default();
            pace.open(rhythm, at(0.0), 0.5);
            let first = {
                pace.fails(Again::Soon, None, at(0.0), 0.5);
                wait(&pace)
            };
            (0..9).for_each(|_| pace.fails(Again::Soon, None, at(0.0), 0.5));
            for _ in 0..5 {
                pace.goes_on(false, at(0.0), 0.5);
                assert_eq!((wait(&pace), pace.takes_turns()), (gap, gap > 1.0));
            }
            pace.is_empty(true, at(0.0));
            assert_eq!((wait(&pace), pace.takes_turns()), (0.0, false), "nothing has waited");
            pace.fails(Again::Soon, None, at(0.0), 0.5);
            assert_eq!(wait(&pace), first);
        }
    }

    #[test]
    fn telemetry_that_takes_turns_with_alerts_is_not_caught_up_with() {
        let mut pace = Pace::default();
        pace.open(Rhythm::Every(Duration::from_secs(60)), at(0.0), 0.5);
        pace.fails(Again::Soon, None, at(0.0), 0.5);
        let waits = [true, true, false, false].map(|takes_turns| {
            pace.goes_on(takes_turns, at(0.0), 0.5);
            wait(&pace)
        });
        assert_eq!(waits, [60.0, 60.0, 30.0, 30.0]);
    }

    #[test]
    fn what_was_found_at_the_start_and_what_was_told_to_all_is_spread_over_an_interval() {
        for (luck, seconds) in [(0.0, 0.0), (0.5, 30.0), (1.0, 60.0)] {
            let mut pace = Pace::default();
            pace.found();
            pace.open(Rhythm::Every(Duration::from_secs(60)), at(0.0), luck);
            pace.hurry();
            assert_eq!(wait(&pace), seconds, "no failure is to be forgotten");
            pace.fails(Again::Soon, Some(Duration::from_secs(100)), at(0.0), luck);
            assert_eq!(wait(&pace), 100.0 + seconds);
            pace.hurry();
            assert_eq!(wait(&pace), 0.0);
        }
    }
}
