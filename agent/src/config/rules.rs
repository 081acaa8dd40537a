//! The checks of the alerts: levels in the right order, and durations that make sense.

use std::time::Duration;

use super::check::{Bounds, Fault};
use super::checked::{Alerts, Rule};
use super::locate::Path;
use super::period::Period;
use super::{default, raw};

const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3_600)
}

const BOOT_GRACE: Bounds = Bounds(Duration::ZERO, hours(1));
const REPEAT: Bounds = Bounds(Duration::from_secs(60), hours(168));
const HOLD: Bounds = Bounds(Duration::ZERO, hours(24));
/// The levels of an offset. Zero would be reached by every clock.
const OFFSET: Bounds = Bounds(Duration::from_millis(1), hours(24));
/// The levels of a forecast.
const FORECAST: Bounds = Bounds(Duration::from_secs(60), hours(30 * 24));
/// The levels of what is left of a credential. Below zero it is used although it has expired.
const REMAINING: Bounds = Bounds(Duration::ZERO, hours(24));
/// The level of an outage.
const OUTAGE: Bounds = Bounds(Duration::from_secs(1), hours(24));

/// On which side of a level it is bad to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bad {
    Above,
    Below,
}

/// What a rule of any kind may say.
#[derive(Default)]
struct Given {
    enabled: Option<bool>,
    warning: Option<Period>,
    critical: Option<Period>,
    hold: Option<Period>,
}

impl From<&raw::Levels> for Given {
    fn from(&raw::Levels { enabled, warning, critical, hold }: &raw::Levels) -> Self {
        Self { enabled, warning, critical, hold }
    }
}

impl From<&raw::Warning> for Given {
    fn from(&raw::Warning { enabled, warning, hold }: &raw::Warning) -> Self {
        Self { enabled, warning, critical: None, hold }
    }
}

impl From<&raw::Critical> for Given {
    fn from(&raw::Critical { enabled, critical, hold }: &raw::Critical) -> Self {
        Self { enabled, warning: None, critical, hold }
    }
}

impl From<&raw::State> for Given {
    fn from(&raw::State { enabled, hold }: &raw::State) -> Self {
        Self { enabled, hold, ..Self::default() }
    }
}

/// Checks all rules.
pub(super) fn alerts(given: Option<&raw::Alerts>) -> Result<Alerts, Fault> {
    let none = raw::Alerts::default();
    let given = given.unwrap_or(&none);
    let defaults = &default::ALERTS;
    let at = Path::root("alerts");
    Ok(Alerts {
        boot_grace: BOOT_GRACE.or(given.boot_grace, defaults.boot_grace, &at, "boot_grace")?,
        repeat: REPEAT.or(given.repeat, defaults.repeat, &at, "repeat")?,
        clock_skew: rule("clock-skew", given.clock_skew.as_ref(), &defaults.clock_skew, OFFSET, Bad::Above)?,
        clock_skew_forecast: rule(
            "clock-skew-forecast",
            given.clock_skew_forecast.as_ref(),
            &defaults.clock_skew_forecast,
            FORECAST,
            Bad::Below,
        )?,
        clock_undisciplined: rule(
            "clock-undisciplined",
            given.clock_undisciplined.as_ref(),
            &defaults.clock_undisciplined,
            OFFSET,
            Bad::Above,
        )?,
        clock_stepped: rule(
            "clock-stepped",
            given.clock_stepped.as_ref(),
            &defaults.clock_stepped,
            OFFSET,
            Bad::Above,
        )?,
        clock_unverified: rule(
            "clock-unverified",
            given.clock_unverified.as_ref(),
            &defaults.clock_unverified,
            OUTAGE,
            Bad::Above,
        )?,
        source_falseticker: rule(
            "source-falseticker",
            given.source_falseticker.as_ref(),
            &defaults.source_falseticker,
            OUTAGE,
            Bad::Above,
        )?,
        source_unreachable: rule(
            "source-unreachable",
            given.source_unreachable.as_ref(),
            &defaults.source_unreachable,
            OUTAGE,
            Bad::Above,
        )?,
        credential_refresh_margin: rule(
            "credential-refresh-margin",
            given.credential_refresh_margin.as_ref(),
            &defaults.credential_refresh_margin,
            REMAINING,
            Bad::Below,
        )?,
        credential_expiring: rule(
            "credential-expiring",
            given.credential_expiring.as_ref(),
            &defaults.credential_expiring,
            REMAINING,
            Bad::Below,
        )?,
        credential_rotation_overdue: rule(
            "credential-rotation-overdue",
            given.credential_rotation_overdue.as_ref(),
            &defaults.credential_rotation_overdue,
            OUTAGE,
            Bad::Above,
        )?,
        credential_unavailable: rule(
            "credential-unavailable",
            given.credential_unavailable.as_ref(),
            &defaults.credential_unavailable,
            OUTAGE,
            Bad::Above,
        )?,
    })
}

fn rule<'a, T>(name: &str, given: Option<&'a T>, default: &Rule, levels: Bounds, bad: Bad) -> Result<Rule, Fault>
where
    Given: From<&'a T>,
{
    let at = Path::root("alerts").key(name);
    let given = given.map(Given::from).unwrap_or_default();
    let level = |period: Option<Period>, default: Option<Duration>, key| match (period, default) {
        (None, default) => Ok(default),
        (Some(_), default) => levels.or(period, default.unwrap_or_default(), &at, key).map(Some),
    };
    let rule = Rule {
        enabled: given.enabled.unwrap_or(default.enabled),
        warning: level(given.warning, default.warning, "warning")?,
        critical: level(given.critical, default.critical, "critical")?,
        hold: HOLD.or(given.hold, default.hold, &at, "for")?,
    };
    let (Some(warning), Some(critical)) = (rule.warning, rule.critical) else { return Ok(rule) };
    let (wrong, order, remedy) = match bad {
        Bad::Above => (warning > critical, "above", "at or below"),
        Bad::Below => (warning < critical, "below", "at or above"),
    };
    if !wrong {
        return Ok(rule);
    }
    let note = |given: Option<Period>| if given.is_some() { "" } else { " (the default)" };
    let message = format!(
        "warning {}{} is {order} critical {}{}: a warning comes first, so its level is {remedy} the critical one",
        Period(warning),
        note(given.warning),
        Period(critical),
        note(given.critical)
    );
    // The fault is shown at a level that is written in the file.
    Err(Fault::at(at.key(if given.warning.is_some() { "warning" } else { "critical" }), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(warning: u64, critical: u64) -> raw::Levels {
        let level = |seconds| Some(Period(Duration::from_secs(seconds)));
        raw::Levels { warning: level(warning), critical: level(critical), ..raw::Levels::default() }
    }

    #[test]
    fn a_warning_comes_before_the_critical_level_on_either_side() {
        for (bad, warning, critical, accepted) in [
            (Bad::Above, 1, 2, true),
            (Bad::Above, 2, 2, true),
            (Bad::Above, 3, 2, false),
            (Bad::Below, 3, 2, true),
            (Bad::Below, 2, 2, true),
            (Bad::Below, 1, 2, false),
        ] {
            let given = levels(warning, critical);
            let checked = rule("a", Some(&given), &default::ALERTS.clock_skew, OFFSET, bad);
            assert_eq!(checked.is_ok(), accepted, "{warning} {critical}");
        }
    }

    #[test]
    fn what_is_not_given_is_the_default() {
        let given = raw::Alerts { clock_skew: Some(levels(5, 6)), ..raw::Alerts::default() };
        let Ok(alerts) = alerts(Some(&given)) else { panic!("refused") };
        let expected = Rule {
            warning: Some(Duration::from_secs(5)),
            critical: Some(Duration::from_secs(6)),
            ..default::ALERTS.clock_skew
        };
        assert_eq!(alerts.clock_skew, expected);
        assert_eq!(alerts.clock_stepped, default::ALERTS.clock_stepped);
    }
}
