//! The clock filter: which of a source's last answers to believe (RFC 5905 §10).

use std::collections::VecDeque;

use super::aging::{Aging, WORST_FREQUENCY};
use super::sample::{FREQUENCY_TOLERANCE, Sample, Timestamps};
use crate::time::{Anchor, BootTime, Span};

/// How many answers are kept.
const DEPTH: usize = 8;

/// A second answer confirms a first that contradicted all before it even if the clock runs away as fast as this.
const RUNAWAY: f64 = 1e-2;

/// Beyond what both bounds and the worst oscillator explain, this much is still put down to noise.
const NOISE: Span = Span::from_nanos(1_000_000);

/// How wrong the clock of a server may be whose whole seconds are narrowed.
const SERVER_CLOCK: Span = Span::from_nanos(200_000_000);

/// So many answers in a row that agree neither with the earlier ones nor with each other still prove the earlier ones
/// wrong.
const MOST_CONTRADICTIONS: u32 = 4;

/// The last answers of one source.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    samples: VecDeque<Kept>,
    suspect: Option<Kept>,
    contradictions: u32,
}

/// An answer that is kept.
#[derive(Clone, Copy, Debug)]
struct Kept {
    sample: Sample,
    /// For how long the host has slept since: what that may have done is in the sample's dispersion.
    asleep: Span,
}

/// What an answer says of a moment after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Claim {
    /// The answer.
    pub sample: Sample,
    /// Where the answer's anchor is by then.
    pub anchor: Anchor,
    /// How far that can be wrong.
    pub bound: Span,
}

impl Claim {
    /// What this claim and all of `others` say together: whole seconds that were told at different moments narrow one another.
    fn within(self, others: impl Iterator<Item = Self>) -> Self {
        let ends = |claim: &Self| (claim.anchor.minus(claim.bound), claim.anchor.plus(claim.bound));
        let (low, high) = others.fold(ends(&self), |(low, high), other| {
            let (other_low, other_high) = ends(&other);
            (low.max(other_low), high.min(other_high))
        });
        let half = high.since(low).half();
        if half < Span::ZERO {
            // They contradict one another, and the best one is as good as any.
            return self;
        }
        // What is told at many moments is as wrong as the clock of whoever tells it, which a single answer need not show.
        let bound = half.plus(SERVER_CLOCK).min(self.bound);
        Self { anchor: low.plus(half), bound, ..self }
    }
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
        let new = Kept { sample, asleep: Span::ZERO };
        let suspect = self.suspect.take();
        let bound = |kept: &&Kept| kept.claim(sample.at, &Aging::within(FREQUENCY_TOLERANCE)).bound;
        let best = self.samples.iter().min_by_key(bound);
        let oscillator = Aging::within(WORST_FREQUENCY);
        if best.map_or(!is_surprising, |best| best.explains(&new, &oscillator, NOISE)) {
            self.contradictions = 0;
            self.take(new);
            return Offered::Taken;
        }
        self.contradictions += 1;
        let confirmed = suspect.filter(|suspect| suspect.explains(&new, &Aging::within(RUNAWAY), NOISE));
        if confirmed.is_some() || self.contradictions >= MOST_CONTRADICTIONS {
            self.samples.clear();
            self.contradictions = 0;
            confirmed.into_iter().for_each(|first| self.take(first));
            self.take(new);
            return Offered::Jumped { since: confirmed.unwrap_or(new).sample.at };
        }
        self.suspect = Some(new);
        Offered::Suspected
    }

    /// What the answer says with the least possible error at `now`. One that a later answer contradicts says nothing any
    /// more, however short its way was.
    pub fn best(&self, now: BootTime, aging: &Aging) -> Option<Claim> {
        self.best_since(None, now, aging)
    }

    /// The same, where true time may have jumped at `since`: intervals of before do not narrow those of after.
    pub fn best_since(&self, since: Option<BootTime>, now: BootTime, aging: &Aging) -> Option<Claim> {
        let is_current = |index: usize, kept: &Kept| {
            self.samples.iter().skip(index + 1).all(|later| kept.explains(later, aging, Span::ZERO))
        };
        let current = || self.samples.iter().enumerate().filter(|(index, kept)| is_current(*index, kept));
        let claims = || current().map(|(_, kept)| kept.claim(now, aging));
        let best = claims().min_by_key(|claim| claim.bound)?;
        if best.sample.timestamps != Timestamps::HttpDate {
            return Some(best);
        }
        let claims = || claims().filter(|claim| Some(claim.sample.at) >= since);
        Some(claims().min_by_key(|claim| claim.bound).unwrap_or(best).within(claims()))
    }

    /// The answer that came last.
    pub fn latest(&self) -> Option<&Sample> {
        self.samples.back().map(|kept| &kept.sample)
    }

    /// When the answer came that was offered last, be it taken or held back.
    pub fn heard(&self) -> Option<BootTime> {
        self.suspect.as_ref().or(self.samples.back()).map(|kept| kept.sample.at)
    }

    /// Whether more than one answer says what the best one says.
    pub fn is_confirmed(&self) -> bool {
        self.samples.len() > 1
    }

    /// Takes note that the host slept for `by`, so that all that was said so far may be wrong by `doubt` more.
    pub fn slept(&mut self, by: Span, doubt: Span) {
        for Kept { sample, asleep } in self.samples.iter_mut().chain(&mut self.suspect) {
            *asleep = asleep.plus(by);
            sample.root_dispersion = sample.root_dispersion.plus(doubt);
        }
    }

    fn take(&mut self, kept: Kept) {
        if self.samples.len() == DEPTH {
            self.samples.pop_front();
        }
        self.samples.push_back(kept);
    }
}

impl Kept {
    fn claim(&self, now: BootTime, aging: &Aging) -> Claim {
        self.aged(now.minus(self.asleep).since(self.sample.at), aging)
    }

    /// What it says after so long an age, without the time that the host has slept.
    fn aged(&self, age: Span, aging: &Aging) -> Claim {
        Claim {
            sample: self.sample,
            anchor: aging.moved(self.sample.anchor, age),
            bound: aging.grown(self.sample.root_distance(), age),
        }
    }

    /// Whether this and a `later` answer can both be true, `noise` aside.
    fn explains(&self, later: &Self, aging: &Aging, noise: Span) -> bool {
        let asleep = Span::from_nanos(self.asleep.nanos().saturating_sub(later.asleep.nanos()));
        let claim = self.aged(later.sample.at.minus(asleep).since(self.sample.at), aging);
        let apart = later.sample.anchor.since(claim.anchor).abs();
        apart <= claim.bound.plus(later.sample.root_distance()).plus(noise)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const PHI: Aging = Aging::within(FREQUENCY_TOLERANCE);

    /// A sample at `at` s whose anchor is `anchor` s and whose round trip took `delay` s.
    pub(crate) fn sample(at: f64, anchor: f64, delay: f64) -> Sample {
        Sample {
            at: BootTime::from_seconds(at),
            anchor: Anchor::from_seconds(anchor),
            delay: Span::from_seconds(delay),
            root_delay: Span::ZERO,
            root_dispersion: Span::ZERO,
            precision: Span::ZERO,
            stratum: Some(1),
            timestamps: Timestamps::Kernel,
        }
    }

    #[test]
    fn whole_seconds_that_were_told_at_different_moments_narrow_one_another_and_one_that_contradicts_does_not() {
        let mut filter = Filter::default();
        let told = |at: f64, anchor: f64| Sample { timestamps: Timestamps::HttpDate, ..sample(at, anchor, 2.0) };
        // The truth is 1,000 s; each tells an interval of two seconds that holds it somewhere.
        for (at, off) in [(0.0, 0.7), (300.0, -0.8), (600.0, 0.1)] {
            assert_eq!(filter.offer(told(at, 1_000.0 + off), false), Offered::Taken);
        }
        let best = filter.best(BootTime::from_seconds(600.0), &PHI).unwrap();
        let (low, high) = (best.anchor.minus(best.bound).seconds(), best.anchor.plus(best.bound).seconds());
        assert!((low - 999.5).abs() < 0.02 && (high - 1_000.4).abs() < 0.02, "{low} {high}");
        // Of what was told before a jump, nothing narrows what was told after it.
        let since = Some(BootTime::from_seconds(600.0));
        let best = filter.best_since(since, BootTime::from_seconds(600.0), &PHI).unwrap();
        assert!(best.bound.seconds() >= 1.0, "{best:?}");
        // Those of a time server are points, of which the best one speaks.
        let mut points = Filter::default();
        for (at, off) in [(0.0, 0.7), (300.0, -0.8)] {
            points.offer(sample(at, 1_000.0 + off, 2.0), false);
        }
        assert!(points.best(BootTime::from_seconds(300.0), &PHI).unwrap().bound.seconds() >= 1.0);
    }

    #[test]
    fn the_shortest_round_trip_wins_until_it_is_too_old() {
        let mut filter = Filter::default();
        for (at, delay) in [(0.0, 0.010), (16.0, 0.001), (32.0, 0.020)] {
            assert_eq!(filter.offer(sample(at, 1_000.0, delay), false), Offered::Taken);
        }
        let best = |seconds| filter.best(BootTime::from_seconds(seconds), &PHI).unwrap().sample;
        assert_eq!(best(32.0).delay, Span::from_seconds(0.001));
        assert_eq!(
            filter.best(BootTime::from_seconds(32.0), &Aging::within(1e-2)).unwrap().sample.delay,
            Span::from_seconds(0.020)
        );
    }

    #[test]
    fn one_bad_answer_is_held_back_and_forgotten() {
        let mut filter = Filter::default();
        filter.offer(sample(0.0, 1_000.0, 0.001), false);
        assert_eq!(filter.offer(sample(16.0, 1_030.0, 0.001), false), Offered::Suspected);
        assert_eq!(filter.offer(sample(17.0, 1_000.0, 0.001), false), Offered::Taken);
        assert_eq!(filter.offer(sample(33.0, 1_030.0, 0.001), false), Offered::Suspected);
        assert_eq!(filter.best(BootTime::from_seconds(33.0), &PHI).unwrap().anchor, Anchor::from_seconds(1_000.0));
    }

    #[test]
    fn what_is_doubted_contradicts_nothing_within_the_doubt_and_yields_to_the_next_answer() {
        let mut filter = Filter::default();
        filter.offer(sample(0.0, 1_000.0, 0.001), false);
        filter.slept(Span::ZERO, Span::from_seconds(1.0));
        assert_eq!(filter.offer(sample(16.0, 1_000.9, 0.010), false), Offered::Taken);
        assert_eq!(filter.best(BootTime::from_seconds(16.0), &PHI).unwrap().anchor, Anchor::from_seconds(1_000.9));
        assert_eq!(filter.offer(sample(32.0, 1_001.9, 0.010), false), Offered::Suspected);
    }

    #[test]
    fn a_clock_that_runs_away_is_followed_and_noise_is_not_believed_for_ever() {
        let mut filter = Filter::default();
        for second in 0..61 {
            filter.offer(sample(f64::from(second), 1_000.0 + f64::from(second) * 5e-3, 1e-5), false);
        }
        let followed = filter.best(BootTime::from_seconds(60.0), &PHI).unwrap().anchor;
        assert!(followed.since(Anchor::from_seconds(1_000.3)).abs() <= Span::from_seconds(0.011), "{followed:?}");
        let wild = [5.0, -70.0, 900.0, -4_000.0].map(|far| filter.offer(sample(70.0, far, 1e-5), false));
        let believed = Offered::Jumped { since: BootTime::from_seconds(70.0) };
        assert_eq!(wild, [Offered::Suspected, Offered::Suspected, Offered::Suspected, believed]);
    }

    #[test]
    fn a_first_answer_that_contradicts_what_is_held_is_believed_once_it_is_confirmed() {
        let mut filter = Filter::default();
        assert_eq!(filter.offer(sample(0.0, 1_400.0, 0.001), true), Offered::Suspected);
        assert_eq!(filter.best(BootTime::ZERO, &PHI), None);
        assert_eq!(filter.offer(sample(1.0, 1_400.0, 0.001), true), Offered::Jumped { since: BootTime::ZERO });
        assert!(filter.is_confirmed());
    }

    #[test]
    fn an_answer_that_a_later_one_contradicts_is_not_the_best_however_short_its_way_was() {
        let mut filter = Filter::default();
        filter.offer(sample(0.0, 1_000.0, 1e-5), false);
        assert_eq!(filter.offer(sample(16.0, 1_000.0 + 16.0 * 100e-6, 1e-3), false), Offered::Taken);
        let best = |doubt: f64| filter.best(BootTime::from_seconds(16.0), &Aging::within(doubt)).unwrap().sample.delay;
        assert_eq!(best(15e-6), Span::from_seconds(1e-3), "true time moved on by 100 ppm");
        assert_eq!(best(30e-6), Span::from_seconds(1e-3));
        assert_eq!(best(100e-6), Span::from_seconds(1e-3), "it has aged by more than the other is wrong");
        assert_eq!(filter.offer(sample(16.001, 1_000.0 + 16.0 * 100e-6, 5e-3), false), Offered::Taken);
        let best = filter.best(BootTime::from_seconds(16.001), &PHI).unwrap();
        assert_eq!(
            best.sample.delay,
            Span::from_seconds(1e-3),
            "the longer way of a third one does not make it right again"
        );
    }

    #[test]
    fn two_answers_that_agree_on_a_jump_are_believed() {
        let mut filter = Filter::default();
        filter.offer(sample(0.0, 1_000.0, 0.001), false);
        filter.offer(sample(16.0, 1_400.0, 0.001), false);
        let since = BootTime::from_seconds(16.0);
        assert_eq!(filter.offer(sample(17.0, 1_400.0, 0.002), false), Offered::Jumped { since });
        assert_eq!(filter.best(BootTime::from_seconds(17.0), &PHI).unwrap().anchor, Anchor::from_seconds(1_400.0));
    }
}
