//! The checks of the alerts: levels in the right order, and durations that make sense. A default is checked as what is
//! written is.

use std::time::Duration;

use super::checked::Alerts;
use super::default;
use super::raw_alerts::{self, Section};
use crate::assess::alerts::Row;
use crate::assess::level::{Bad, Level};
use crate::assess::rule::{Rule, Rules};
use crate::notify::runbooks::Runbooks;
use crate::setting::fault::{Bounds, Fault};
use crate::setting::locate::Path;
use crate::setting::period::Period;

const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3_600)
}

/// For how long the agent may be silent after its start.
pub(super) const BOOT_GRACE: Bounds = Bounds(Duration::ZERO, hours(1));
/// How often a firing alert may be repeated.
pub(super) const REPEAT: Bounds = Bounds(Duration::from_secs(60), hours(168));
/// For how long a level may have to last.
pub(super) const HOLD: Bounds = Bounds(Duration::ZERO, hours(24));

/// Checks all rules.
pub(super) fn alerts(given: Option<&raw_alerts::Alerts>) -> Result<Alerts, Fault> {
    let none = raw_alerts::Alerts::default();
    let given = given.unwrap_or(&none);
    let at = Path::root("alerts");
    let rule_of = |row: &Row| rule(row, given.sections.get(&row.kind).copied().unwrap_or_default());
    Ok(Alerts {
        boot_grace: BOOT_GRACE.or(given.boot_grace, default::BOOT_GRACE, &at, "boot_grace")?,
        repeat: REPEAT.or(given.repeat, default::REPEAT, &at, "repeat")?,
        runbooks: runbooks(given.runbooks.as_deref(), &at)?,
        rules: Rules::try_from_rows(rule_of)?,
    })
}

fn runbooks(given: Option<&str>, at: &Path) -> Result<Runbooks, Fault> {
    let Some(text) = given else { return Ok(Runbooks::default()) };
    Runbooks::parse(text).map_err(|message| Fault::at(at.key("runbooks"), message))
}

fn rule(row: &Row, given: Section) -> Result<Rule, Fault> {
    let at = Path::root("alerts").key(row.kind.name());
    let levels = &row.levels;
    let level = |given: Option<Level>, default: Option<Level>, key| {
        let checked = given.or(default).map(|level| levels.check(level)).transpose();
        checked.map_err(|message| Fault::at(at.key(key), message))
    };
    let hold = HOLD.check(given.hold.map_or(row.hold, |Period(hold)| hold));
    let rule = Rule {
        enabled: given.enabled.unwrap_or(true),
        warning: level(given.warning, levels.warning, "warning")?,
        critical: level(given.critical, levels.critical, "critical")?,
        hold: hold.map_err(|message| Fault::at(at.key("for"), message))?,
    };
    let (Some(warning), Some(critical)) = (rule.warning, rule.critical) else { return Ok(rule) };
    let (wrong, order, remedy) = match levels.bad {
        Bad::Above => (warning > critical, "above", "at or below"),
        Bad::Below => (warning < critical, "below", "at or above"),
    };
    if !wrong {
        return Ok(rule);
    }
    let note = |given: Option<Level>| if given.is_some() { "" } else { " (the default)" };
    let message = format!(
        "warning {warning}{} is {order} critical {critical}{}: a warning comes first, so its level is {remedy} the critical \
         one",
        note(given.warning),
        note(given.critical)
    );
    // The fault is shown at a level that is written in the file.
    Err(Fault::at(at.key(if given.warning.is_some() { "warning" } else { "critical" }), message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assess::alerts::ROWS;
    use crate::assess::finding::Kind;
    use crate::assess::level::Levels;

    const fn seconds(seconds: u64) -> Option<Level> {
        Some(Level::Time(Duration::from_secs(seconds)))
    }

    fn given(warning: u64, critical: u64) -> Section {
        Section { warning: seconds(warning), critical: seconds(critical), ..Section::default() }
    }

    fn said(row: &Row, given: Section) -> Result<Rule, String> {
        rule(row, given).map_err(|fault| match fault {
            Fault::At { message, .. } | Fault::Variable { message, .. } => message,
        })
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
            let row = Row { levels: Levels { bad, ..ROWS[0].levels }, ..ROWS[0] };
            assert_eq!(rule(&row, given(warning, critical)).is_ok(), accepted, "{warning} {critical}");
        }
    }

    #[test]
    fn what_is_not_given_is_the_default() {
        let sections = [(Kind::ClockSkew, given(5, 6))].into();
        let given = raw_alerts::Alerts { sections, ..raw_alerts::Alerts::default() };
        let (Ok(changed), Ok(default)) = (alerts(Some(&given)), alerts(None)) else { panic!("refused") };
        let expected = Rule { warning: seconds(5), critical: seconds(6), ..default.rules.of(Kind::ClockSkew).clone() };
        assert_eq!(*changed.rules.of(Kind::ClockSkew), expected);
        for ((row, changed), (_, default)) in changed.rules.iter().zip(default.rules.iter()) {
            assert_eq!(changed == default, row.kind != Kind::ClockSkew, "{}", row.kind.name());
        }
    }

    #[test]
    fn the_default_of_each_alert_is_held_to_the_bounds_and_the_order_of_what_is_given() {
        for row in &ROWS {
            let name = row.kind.name();
            let default = said(row, Section::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(
                (default.warning, default.critical, default.hold),
                (row.levels.warning, row.levels.critical, row.hold)
            );
            let late = Row { hold: hours(25), ..*row };
            assert!(said(&late, Section::default()).unwrap_err().contains("is too long"), "{name}");
            if row.levels.warning.or(row.levels.critical).is_none() {
                continue;
            }
            let (least, most) = row.levels.bounds;
            assert!(least < most && least.unit() == most.unit(), "{name}");
            let narrow = Row { levels: Levels { bounds: (most, most), ..row.levels }, ..*row };
            let error = said(&narrow, Section::default()).unwrap_err();
            assert!(error.contains("allowed is"), "{name}: {error}");
            if let (Some(warning), Some(critical)) = (row.levels.warning, row.levels.critical) {
                let levels = Levels { warning: Some(critical), critical: Some(warning), ..row.levels };
                let error = said(&Row { levels, ..*row }, Section::default()).unwrap_err();
                assert!(error.contains("a warning comes first"), "{name}: {error}");
            }
        }
    }
}
