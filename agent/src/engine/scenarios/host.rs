//! The host of a scenario and the world around it: its clocks, what happens to them, and who tells it the time.

use super::witnesses::Witnesses;
use super::{BEGIN, POLL};
use crate::clock::sample::{Sample, Timestamps};
use crate::credentials::Provider;
use crate::credentials::lease::{Lease, Unavailable};
use crate::credentials::round::{self, Round};
use crate::credentials::timestamp::Timestamp;
use crate::sources::poller::Polled;
use crate::sources::refusal::Refusal;
use crate::sys::KernelClock;
use crate::time::{Anchor, BootTime, Reading, Span, SystemTime, TrueTime};

/// By how much a clock that runs away gains or loses, in seconds a second.
const SLOWEST_RUN: f64 = 0.02;
const FASTEST_RUN: f64 = 0.3;
/// How long ago what a trend is drawn through may have been measured.
const TREND_WINDOW: f64 = 3_600.0;
/// A smaller step is the noise of reading two clocks.
const STEP: f64 = 1e-3;
/// By then every source was asked, and what contradicted the earlier answers was asked again.
const ASKED: f64 = 60.0;

/// A host and the world around it.
pub(super) struct Host {
    pub(super) random: fastrand::Rng,
    /// True seconds since the beginning.
    pub(super) elapsed: f64,
    /// What true time gains on the boot clock, in seconds a second.
    pub(super) drift: f64,
    /// True minus boot time gained so far.
    pub(super) gained: f64,
    /// System minus boot time, less the beginning: what steps have added.
    pub(super) stepped: f64,
    pub(super) last_step: f64,
    /// When its clock last began to behave in another way, in true seconds since the beginning.
    pub(super) changed: f64,
    /// By what it drifted since something last ended the trend, and until when: a drift that changes by too little for an
    /// answer to contradict the trend ends none.
    drifts: Vec<(f64, f64)>,
    /// When it was booted, in true seconds since the beginning.
    pub(super) began: f64,
    /// What the boot clock read at the beginning.
    pub(super) booted: f64,
    pub(super) asleep: f64,
    /// For how long a quorum has answered since something happened of which only the sources can tell.
    pub(super) heard: f64,
    /// Which sources are one.
    pub(super) witnesses: Witnesses,
    /// The witness that lies, with all of its sources.
    pub(super) liar: Option<usize>,
    pub(super) lie: f64,
    /// Which sources are out of reach.
    pub(super) lost: Vec<bool>,
    /// When each source is asked within the time between two polls.
    phases: Vec<f64>,
    pub(super) poll_every: f64,
    /// Which sources are in the configuration, in its order.
    pub(super) configured: Vec<usize>,
    pub(super) imds_out: bool,
    /// Whether nobody has ever heard of the metadata service.
    pub(super) imds_never: bool,
    pub(super) rotated: f64,
    pub(super) rotates: bool,
    /// Whether its kernel may be asked about the clock.
    has_kernel: bool,
}

impl Host {
    pub(super) fn new(seed: u64, may_have_twins: bool) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let witnesses = 1 + usize::try_from(seed % 5).unwrap();
        let liar = (witnesses >= 3 && random.bool()).then(|| random.usize(..witnesses));
        let witnesses = Witnesses::new(seed, witnesses, liar, may_have_twins);
        let sources = witnesses.sources();
        let lie = [30.0, -400.0, 400.0, 86_400.0][random.usize(..4)];
        Self {
            elapsed: 0.0,
            drift: 0.0,
            gained: 0.0,
            stepped: 0.0,
            last_step: f64::NEG_INFINITY,
            changed: 0.0,
            drifts: Vec::new(),
            began: 0.0,
            poll_every: POLL,
            booted: 1_000.0,
            asleep: 0.0,
            heard: 0.0,
            witnesses,
            liar,
            lie,
            lost: vec![false; sources],
            phases: (0..sources).map(|_| random.f64() * POLL).collect(),
            configured: (0..sources).collect(),
            imds_out: false,
            imds_never: seed % 7 == 3,
            rotated: 0.0,
            rotates: true,
            has_kernel: !seed.is_multiple_of(3),
            random,
        }
    }

    pub(super) fn boot(&self) -> f64 {
        self.booted + self.elapsed - self.gained
    }

    pub(super) fn offset(&self) -> f64 {
        self.gained - self.stepped
    }

    pub(super) fn reading(&self) -> Reading {
        Reading {
            boot: BootTime::from_seconds(self.boot()),
            system: SystemTime::from_seconds(BEGIN + self.elapsed - self.offset()),
        }
    }

    /// What the kernel says of its clock, where it may be asked: it is the kernel that lets the clock drift.
    pub(super) fn kernel(&self) -> Option<KernelClock> {
        let (synchronized, max_error) = (self.drift == 0.0, Some(Span::from_seconds(1e-3)));
        self.has_kernel.then_some(KernelClock { synchronized, max_error, frequency: -self.drift })
    }

    pub(super) fn advance(&mut self, seconds: f64) {
        self.elapsed += seconds;
        self.gained += seconds * self.drift;
        if self.rotates && self.elapsed - self.rotated >= 3_600.0 {
            self.rotated = self.elapsed;
        }
    }

    /// The host sleeps, and a clock that is not very exact counts meanwhile.
    pub(super) fn sleep(&mut self, seconds: f64) {
        let error = (self.random.f64() - 0.5) * 2.0 * (0.9 + 90e-6 * seconds);
        self.advance(seconds);
        self.gained -= error;
        self.asleep += seconds + error;
        self.end_trend();
    }

    /// The host is booted: the boot clock begins again, and the system clock has what another clock has kept.
    pub(super) fn boot_again(&mut self, in_trouble: bool) {
        self.advance(30.0);
        self.booted = 20.0 - self.elapsed + self.gained;
        self.asleep = 0.0;
        self.last_step = f64::NEG_INFINITY;
        self.began = self.elapsed;
        self.end_trend();
        self.heard = 0.0;
        if in_trouble {
            let offset = [0.0, 0.3, -2.0, 100.0, self.offset(), self.offset()][self.random.usize(..6)];
            self.stepped = self.gained - offset;
        }
    }

    /// Breaks or mends one thing.
    pub(super) fn something_happens(&mut self) {
        match self.random.u8(..11) {
            0 | 1 => {
                let sizes = [0.02, 2.0, 30.0, 75.0, 200.0, 400.0, 5_000.0, 172_800.0];
                let size = sizes[self.random.usize(..sizes.len())];
                let sign = if self.random.bool() { 1.0 } else { -1.0 };
                self.step(sign * size);
            }
            2 => {
                self.drifts.push((self.drift, self.elapsed));
                self.drift = (self.random.f64() - 0.5) * 400e-6;
                self.changed = self.elapsed;
            }
            3 => self.step(self.gained - self.stepped),
            4 => {
                let is_lost = !self.lost.iter().all(|lost| *lost);
                self.lost.fill(is_lost);
            }
            // The host is paused, and neither of its clocks knows.
            7 => {
                let pause = [5.0, 100.0, 400.0, 3_600.0][self.random.usize(..4)];
                self.elapsed += pause;
                self.gained += pause;
                self.end_trend();
                self.heard = 0.0;
            }
            // One source is lost or found again; the others go on.
            8 => self.lose_or_find_one(),
            5 => self.imds_out = !self.imds_out,
            10 => {
                let seconds = [3.0, 60.0, 1_800.0, 20_000.0][self.random.usize(..4)];
                self.sleep(seconds);
            }
            6 => {
                self.rotates = false;
                self.rotated = self.elapsed - 6.0 * 3_600.0 + self.random.f64() * 1_800.0;
            }
            _ => {
                self.rotates = true;
                self.rotated = self.elapsed;
            }
        }
    }

    pub(super) fn lose_or_find_one(&mut self) {
        let one = self.random.usize(..self.lost.len());
        let is_lost = !self.lost[one];
        self.witnesses.lost_with(one).into_iter().for_each(|source| self.lost[source] = is_lost);
    }

    pub(super) fn step(&mut self, by: f64) {
        self.stepped += by;
        self.changed = self.elapsed;
        if by.abs() >= STEP {
            self.end_trend();
        }
        if by.abs() >= 1.0 {
            self.last_step = self.boot();
        }
    }

    pub(super) fn repair(&mut self) {
        (self.drift, self.imds_out, self.imds_never, self.liar) = (0.0, false, false, None);
        self.step(self.gained - self.stepped);
        self.lost.fill(false);
        (self.rotates, self.rotated) = (true, self.elapsed);
    }

    /// The clock runs away, faster than any that a time daemon looks after, in either direction.
    pub(super) fn run_away(&mut self) {
        let rate = SLOWEST_RUN * (FASTEST_RUN / SLOWEST_RUN).powf(self.random.f64());
        self.drift = if self.random.bool() { rate } else { -rate };
        self.changed = self.elapsed;
    }

    pub(super) fn runs_away(&self) -> bool {
        self.drift.abs() >= SLOWEST_RUN
    }

    /// Its clock behaves in a way that ends every trend that was measured before.
    fn end_trend(&mut self) {
        self.changed = self.elapsed;
        self.drifts.clear();
    }

    /// The steepest drift that may still be told: the trend is that of the last hour, whatever came within it.
    pub(super) fn steepest(&self) -> f64 {
        let within = self.drifts.iter().filter(|(_, until)| self.elapsed - until <= TREND_WINDOW);
        within.fold(self.drift.abs(), |steepest, (drift, _)| steepest.max(drift.abs()))
    }

    /// Which sources are to be asked within the `tick` that begins.
    pub(super) fn due(&self, tick: f64) -> Vec<usize> {
        let is_due = |source: &usize| (self.elapsed + self.phases[*source]) % self.poll_every < tick;
        self.configured.iter().copied().filter(is_due).collect()
    }

    /// Takes note of who answers while the agent runs for `seconds`.
    pub(super) fn listen(&mut self, seconds: f64) {
        if self.has_quorum() {
            self.heard += seconds;
        } else if !self.is_known() {
            self.heard = 0.0;
        }
    }

    /// Whether an agent can know how wrong the clock is. It cannot after a pause that both clocks slept through, nor after
    /// a start without memory or with other sources, until a quorum has been asked.
    pub(super) fn is_known(&self) -> bool {
        self.heard >= ASKED
    }

    pub(super) fn poll(&mut self, source: usize) -> Polled {
        let delay = 1e-4 + self.random.f64() * 2e-3;
        let lie = if self.is_lying(source) { self.lie } else { 0.0 };
        // The error of an honest answer stays within half of its round trip.
        let error = (self.random.f64() - 0.5) * delay;
        let lost = self.lost[source] || self.random.u8(..50) == 0;
        // No two wild answers say the same. There are none while the clock runs away: then one is all there is to believe.
        let is_wild = self.random.u16(..300) == 0 && !self.runs_away();
        let wild = if is_wild { 500.0 + 1_000.0 * self.random.f64() } else { 0.0 };
        let sample = Sample {
            at: self.reading().boot,
            anchor: Anchor::from_seconds(BEGIN + self.elapsed - self.boot() + lie + error + wild),
            delay: Span::from_seconds(delay),
            root_delay: Span::from_seconds(1e-3),
            root_dispersion: Span::from_seconds(1e-3),
            precision: Span::from_nanos(1_000),
            stratum: Some(2),
            timestamps: Timestamps::Kernel,
        };
        Polled { source, address: None, result: if lost { Err(Refusal::TIMEOUT) } else { Ok(sample) } }
    }

    pub(super) fn read_credentials(&self) -> round::Polled {
        let at = |seconds: f64| Some(Timestamp::Server(TrueTime::from_seconds(BEGIN + seconds)));
        let lease = Lease {
            identity: "role".to_owned(),
            code: None,
            kind: None,
            last_updated: at(self.rotated),
            expiration: at(self.rotated + 6.0 * 3_600.0),
        };
        let result = if self.is_imds_silent() { Err(Unavailable::Timeout) } else { Ok(lease) };
        round::Polled { provider: Provider::Imds, round: Round::one(result, Vec::new()) }
    }

    pub(super) const fn is_imds_silent(&self) -> bool {
        self.imds_out || self.imds_never
    }

    /// Whether a majority of all witnesses is honest and answers, or the one that is trusted.
    pub(super) fn has_quorum(&self) -> bool {
        let answers = |source: &usize| !self.lost[*source] && !self.is_lying(*source);
        let configured = || self.configured.iter().copied();
        let honest = self.witnesses.among(configured().filter(answers));
        let is_trusted = configured().filter(answers).any(|source| self.is_trusted(source));
        honest > self.witnesses.among(configured()) / 2 || is_trusted
    }

    /// Whether it decides where there is no majority: the first witness where there are too few for one.
    pub(super) fn is_trusted(&self, source: usize) -> bool {
        self.witnesses.of(source) == 0 && self.witnesses.count() < 3
    }

    /// All of its sources, of which some may be missing in the configuration.
    pub(super) fn all_sources(&self) -> Vec<usize> {
        (0..self.witnesses.sources()).collect()
    }

    /// Whether it is a source of the witness that lies.
    pub(super) fn is_lying(&self, source: usize) -> bool {
        self.liar == Some(self.witnesses.of(source))
    }

    pub(super) fn remaining(&self) -> f64 {
        self.rotated + 6.0 * 3_600.0 - self.elapsed
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "[offset {:.3} boot {:.0} asleep {:.0} drift {:.1e} sources {:?} lost {:?} imds silent {} rotates {}]",
            self.offset(),
            self.boot(),
            self.asleep,
            self.drift,
            self.configured,
            self.lost,
            self.is_imds_silent(),
            self.rotates
        )
    }
}
