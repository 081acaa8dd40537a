//! Whether what is told to be over is over, by what is true, whatever the agent believes.

use super::{CLEAR, LIMITS, Run, has_short_margin};
use crate::alert::machine::Transition;
use crate::assess::finding::Kind;
use crate::time::Reading;

/// By then an answer has been judged: one that tells a jump waits for the others.
const JUDGED: f64 = 60.0;
/// For how long a step is told.
const STEP_IS_TOLD: f64 = 300.0;
/// The level of the forecast.
const FORESEEN: f64 = 7.0 * 86_400.0;
/// By so much a level may be missed.
const NOISE: f64 = 0.5;
/// The trend is not known to the last digit.
const TREND: f64 = 20e-6;

impl Run {
    /// No alert is over without a cause: what is true has changed, and somebody has said so, or its rule or its subject was
    /// taken away. Those who cannot know the time may be wrong about all that rests on it.
    pub(super) fn check_over(&self, over: &Transition, now: Reading) {
        let (host, rules) = (&self.host, &self.config.alerts.rules);
        let offset = host.offset().abs();
        let least = offset - self.bound(now);
        let is_blind = !host.is_known();
        let fired = self.fired.get(&(over.kind, over.subject.clone())).copied().unwrap_or(f64::NEG_INFINITY);
        let has_cause = match over.kind {
            Kind::ClockSkew => least < CLEAR[0].1 || is_blind,
            Kind::ClockUndisciplined => least < 0.8 || is_blind || !rules.of(Kind::ClockUndisciplined).enabled,
            Kind::ClockStepped => host.elapsed - fired >= STEP_IS_TOLD - JUDGED || host.began > fired,
            Kind::ClockSkewForecast => !self.is_sure_to_reach_a_limit() || host.changed >= fired || is_blind,
            Kind::ClockUnverified => host.configured.iter().any(|source| self.has_answered(*source)),
            Kind::SourceUnreachable | Kind::SourceFalseticker => {
                let source: usize = over.subject[1..].parse().unwrap();
                let is_liar = over.kind == Kind::SourceFalseticker && host.is_lying(source);
                !host.configured.contains(&source) || (self.has_answered(source) && (!is_liar || is_blind))
            }
            Kind::CredentialUnavailable => !host.imds_out,
            Kind::CredentialExpiring => (host.remaining() > 1_000.0 && !host.imds_out) || is_blind,
            Kind::CredentialRotationOverdue => {
                (host.elapsed - host.rotated < 3.0 * 3_600.0 && !host.imds_out) || is_blind
            }
            Kind::CredentialRefreshMargin => !has_short_margin(host.offset(), -self.bound(now) - NOISE) || is_blind,
            Kind::Test => false,
        };
        assert!(has_cause, "{} {} is over without a cause (offset {offset} s)", over.kind.name(), over.subject);
    }

    /// Whether the source of this name has not answered lately.
    pub(super) fn is_silent(&self, subject: &str) -> bool {
        !self.has_answered(subject[1..].parse().unwrap())
    }

    fn has_answered(&self, source: usize) -> bool {
        self.answered.get(&source).is_some_and(|at| self.watched - at <= JUDGED)
    }

    /// Whether the clock reaches the next limit within the level of the forecast, however the trend is measured.
    fn is_sure_to_reach_a_limit(&self) -> bool {
        let (offset, drift) = (self.host.offset(), self.host.drift);
        let worsens = (drift > 0.0) == (offset >= 0.0);
        let surely = (drift.abs() - TREND).max(0.0) * FORESEEN;
        worsens && LIMITS.into_iter().any(|limit| limit > offset.abs() + 1.0 && limit - offset.abs() < surely)
    }
}
