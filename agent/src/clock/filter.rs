//! The clock filter: which of a source's last answers to believe (RFC 5905 §10).

use std::collections::VecDeque;

use super::sample::{FREQUENCY_TOLERANCE, Sample};
use super::time::{BootTime, Span};

/// How many answers are kept.
const DEPTH: usize = 8;

/// No oscillator of a running host is off by more than this (the kernel's own limit of correction), in seconds a second.
const WORST_FREQUENCY: f64 = 500e-6;

/// A second answer confirms a first that contradicted all before it even if the clock runs away as fast as this.
const RUNAWAY: f64 = 1e-2;

/// Beyond what both bounds and the worst oscillator explain, this much is still put down to noise.
const NOISE: Span = Span::from_nanos(1_000_000);

/// So many answers in a row that agree neither with the earlier ones nor with each other still prove the earlier ones
/// wrong.
const MOST_CONTRADICTIONS: u32 = 4;

/// The last answers of one source.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    samples: VecDeque<Sample>,
    suspect: Option<Sample>,
    contradictions: u32,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It agrees with the earlier ones and was taken.
    Taken,
    /// It contradicts the earlier ones and is held back until a second one confirms it: one bad answer proves nothing.
    Suspected,
    /// It confirms the one that was held back: true time moved against the boot clock, and the earlier answers are gone.
    Jumped {
        /// When the first answer came that told so.
        since: BootTime,
    },
}

impl Filter {
    /// Offers an answer. Where there is none to compare it with, `is_surprising` says whether it contradicts what is held.
    pub fn offer(&mut self, sample: Sample, is_surprising: bool) -> Offered {
        let suspect = self.suspect.take();
        let best = self.best(sample.at, FREQUENCY_TOLERANCE);
        if best.map_or(!is_surprising, |best| agree(&best, &sample, WORST_FREQUENCY)) {
            self.contradictions = 0;
            self.take(sample);
            return Offered::Taken;
        }
        self.contradictions += 1;
        let confirmed = suspect.filter(|suspect| agree(suspect, &sample, RUNAWAY));
        if confirmed.is_some() || self.contradictions >= MOST_CONTRADICTIONS {
            self.samples.clear();
            self.contradictions = 0;
            confirmed.into_iter().for_each(|first| self.take(first));
            self.take(sample);
            return Offered::Jumped { since: confirmed.unwrap_or(sample).at };
        }
        self.suspect = Some(sample);
        Offered::Suspected
    }

    /// The answer with the least possible error at `now`, where the local clock gains at most `aging` s/s.
    pub fn best(&self, now: BootTime, aging: f64) -> Option<Sample> {
        self.samples.iter().min_by_key(|sample| sample.error_bound(now, aging)).copied()
    }

    /// The answer that came last.
    pub fn latest(&self) -> Option<&Sample> {
        self.samples.back()
    }

    /// Whether more than one answer says what the best one says.
    pub fn is_confirmed(&self) -> bool {
        self.samples.len() > 1
    }

    /// Takes note that all that was said so far may be wrong by `doubt` more.
    pub fn doubt(&mut self, doubt: Span) {
        for sample in self.samples.iter_mut().chain(&mut self.suspect) {
            sample.root_dispersion = sample.root_dispersion.plus(doubt);
        }
    }

    fn take(&mut self, sample: Sample) {
        if self.samples.len() == DEPTH {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }
}

/// Whether two answers can both be true, if the local clock gains at most `worst_frequency` s/s between them.
fn agree(earlier: &Sample, later: &Sample, worst_frequency: f64) -> bool {
    let apart = later.anchor.since(earlier.anchor).abs();
    let explained = earlier.error_bound(later.at, worst_frequency).span().plus(later.root_distance()).plus(NOISE);
    apart <= explained
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::clock::sample::Timestamps;
    use crate::clock::time::Anchor;

    /// A sample at `at` s whose anchor is `anchor` s and whose round trip took `delay` s.
    pub(crate) fn sample(at: f64, anchor: f64, delay: f64) -> Sample {
        Sample {
            at: BootTime::from_seconds(at),
            anchor: Anchor::from_seconds(anchor),
            delay: Span::from_seconds(delay),
            root_delay: Span::ZERO,
            root_dispersion: Span::ZERO,
            precision: Span::ZERO,
            stratum: 1,
            leap_announced: false,
            timestamps: Timestamps::Kernel,
        }
    }

    #[test]
    fn the_shortest_round_trip_wins_until_it_is_too_old() {
        let mut filter = Filter::default();
        for (at, delay) in [(0.0, 0.010), (16.0, 0.001), (32.0, 0.020)] {
            assert_eq!(filter.offer(sample(at, 1_000.0, delay), false), Offered::Taken);
        }
        let best = |seconds| filter.best(BootTime::from_seconds(seconds), FREQUENCY_TOLERANCE).unwrap();
        assert_eq!(best(32.0).delay, Span::from_seconds(0.001));
        assert_eq!(filter.best(BootTime::from_seconds(32.0), 1e-2).unwrap().delay, Span::from_seconds(0.020));
    }

    #[test]
    fn one_bad_answer_is_held_back_and_forgotten() {
        let mut filter = Filter::default();
        filter.offer(sample(0.0, 1_000.0, 0.001), false);
        assert_eq!(filter.offer(sample(16.0, 1_030.0, 0.001), false), Offered::Suspected);
        assert_eq!(filter.offer(sample(17.0, 1_000.0, 0.001), false), Offered::Taken);
        assert_eq!(filter.offer(sample(33.0, 1_030.0, 0.001), false), Offered::Suspected);
        assert_eq!(filter.best(BootTime::from_seconds(33.0), 15e-6).unwrap().anchor, Anchor::from_seconds(1_000.0));
    }

    #[test]
    fn what_is_doubted_contradicts_nothing_within_the_doubt_and_yields_to_the_next_answer() {
        let mut filter = Filter::default();
        filter.offer(sample(0.0, 1_000.0, 0.001), false);
        filter.doubt(Span::from_seconds(1.0));
        assert_eq!(filter.offer(sample(16.0, 1_000.9, 0.010), false), Offered::Taken);
        assert_eq!(filter.best(BootTime::from_seconds(16.0), 15e-6).unwrap().anchor, Anchor::from_seconds(1_000.9));
        assert_eq!(filter.offer(sample(32.0, 1_001.9, 0.010), false), Offered::Suspected);
    }

    #[test]
    fn a_clock_that_runs_away_is_followed_and_noise_is_not_believed_for_ever() {
        let mut filter = Filter::default();
        for second in 0..61 {
            filter.offer(sample(f64::from(second), 1_000.0 + f64::from(second) * 5e-3, 1e-5), false);
        }
        let followed = filter.best(BootTime::from_seconds(60.0), 15e-6).unwrap().anchor;
        assert!(followed.since(Anchor::from_seconds(1_000.3)).abs() <= Span::from_seconds(0.011), "{followed:?}");
        let wild = [5.0, -70.0, 900.0, -4_000.0].map(|far| filter.offer(sample(70.0, far, 1e-5), false));
        let believed = Offered::Jumped { since: BootTime::from_seconds(70.0) };
        assert_eq!(wild, [Offered::Suspected, Offered::Suspected, Offered::Suspected, believed]);
    }

    #[test]
    fn a_first_answer_that_contradicts_what_is_held_is_believed_once_it_is_confirmed() {
        let mut filter = Filter::default();
        assert_eq!(filter.offer(sample(0.0, 1_400.0, 0.001), true), Offered::Suspected);
        assert_eq!(filter.best(BootTime::ZERO, 15e-6), None);
        assert_eq!(filter.offer(sample(1.0, 1_400.0, 0.001), true), Offered::Jumped { since: BootTime::ZERO });
        assert!(filter.is_confirmed());
    }

    #[test]
    fn two_answers_that_agree_on_a_jump_are_believed() {
        let mut filter = Filter::default();
        filter.offer(sample(0.0, 1_000.0, 0.001), false);
        filter.offer(sample(16.0, 1_400.0, 0.001), false);
        let since = BootTime::from_seconds(16.0);
        assert_eq!(filter.offer(sample(17.0, 1_400.0, 0.002), false), Offered::Jumped { since });
        assert_eq!(filter.best(BootTime::from_seconds(17.0), 15e-6).unwrap().anchor, Anchor::from_seconds(1_400.0));
    }
}
