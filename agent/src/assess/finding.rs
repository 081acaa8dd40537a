//! A finding: one thing that is wrong now, with its effect and its remedy.

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use super::alerts::{Kind, told_kind};
use super::level::Level;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody should look at it by day.
    Warning,
    /// Somebody should be woken.
    Critical,
}

impl Severity {
    /// The name in output and attributes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The severity by the levels at which alerts are raised; `None` where it is below them all.
    pub raised: Option<Severity>,
    /// The severity by the levels at which alerts are cleared. Never below `raised`.
    pub held: Severity,
    /// How long it must last before it is an alert.
    pub hold: Duration,
    /// Whether it is certain enough to be told before the boot grace is over.
    pub urgent: bool,
    /// Cause and effect, in a sentence or two.
    pub summary: String,
    /// What mends it.
    pub remedy: String,
}

impl Finding {
    /// A finding that is not urgent.
    pub fn new(hold: Duration, graded: Graded, summary: String, remedy: &str) -> Self {
        Self { raised: graded.raised, held: graded.held, hold, urgent: false, summary, remedy: remedy.to_owned() }
    }
}

/// An alert is cleared when its value has come back from the level by this share of it, so that noise around the level
/// does not make it flap.
const HYSTERESIS: f64 = 0.2;
/// In the unit of the level, the least by which what is bad below a level comes back from it: a level of zero has no share.
const LEAST_CLEARANCE: f64 = 0.2;

/// The severities of a value by the levels of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Graded {
    /// By the levels themselves.
    pub raised: Option<Severity>,
    /// By the levels at which an alert is cleared.
    pub held: Severity,
}

impl Graded {
    /// What has no level to come back from: it is there or not.
    pub const fn at(severity: Severity) -> Self {
        Self { raised: Some(severity), held: severity }
    }
}

/// Grades a value (in the unit of the levels) that is bad **above** the levels; `None` where it is below the level of clearing.
pub fn grade_above(
    value_raise: f64,
    value_clear: f64,
    warning: Option<Level>,
    critical: Option<Level>,
) -> Option<Graded> {
    grade(warning, critical, |level| value_raise >= level, |level| value_clear >= level * (1.0 - HYSTERESIS))
}

/// Grades a value (in the unit of the levels) that is bad **below** the levels; `None` where it is above the level of clearing.
pub fn grade_below(value: f64, warning: Option<Level>, critical: Option<Level>) -> Option<Graded> {
    grade(warning, critical, |level| value < level, |level| value < level + (level * HYSTERESIS).max(LEAST_CLEARANCE))
}

fn grade(
    warning: Option<Level>,
    critical: Option<Level>,
    raises: impl Fn(f64) -> bool,
    holds: impl Fn(f64) -> bool,
) -> Option<Graded> {
    let worst = |reached: &dyn Fn(f64) -> bool| {
        let is_reached = |level: Option<Level>| level.is_some_and(|level| reached(level.value()));
        if is_reached(critical) {
            Some(Severity::Critical)
        } else if is_reached(warning) {
            Some(Severity::Warning)
        } else {
            None
        }
    };
    let raised = worst(&raises);
    let held = worst(&holds).max(raised)?;
    Some(Graded { raised, held })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn level(seconds: u64) -> Option<Level> {
        Some(Level::Time(Duration::from_secs(seconds)))
    }

    #[test]
    fn an_alert_clears_at_a_fifth_below_the_level_that_raised_it() {
        let levels = |value| grade_above(value, value, level(60), level(150));
        assert_eq!(levels(47.9), None);
        assert_eq!(levels(48.0), Some(Graded { raised: None, held: Severity::Warning }));
        assert_eq!(levels(60.0), Some(Graded { raised: Some(Severity::Warning), held: Severity::Warning }));
        assert_eq!(levels(120.0), Some(Graded { raised: Some(Severity::Warning), held: Severity::Critical }));
        assert_eq!(levels(150.0), Some(Graded { raised: Some(Severity::Critical), held: Severity::Critical }));
    }

    #[test]
    fn what_is_bad_below_a_level_clears_above_it() {
        let levels = |value| grade_below(value, level(900), level(300));
        assert_eq!(levels(1_080.0), None);
        assert_eq!(levels(1_000.0), Some(Graded { raised: None, held: Severity::Warning }));
        assert_eq!(levels(299.0), Some(Graded { raised: Some(Severity::Critical), held: Severity::Critical }));
        let zero = |value| grade_below(value, None, level(0));
        assert_eq!(zero(0.21), None);
        assert_eq!(zero(0.19), Some(Graded { raised: None, held: Severity::Critical }));
        assert_eq!(zero(-0.01), Some(Graded { raised: Some(Severity::Critical), held: Severity::Critical }));
    }
}
