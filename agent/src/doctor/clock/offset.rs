//! How far the clock is off, whether that looks like a time zone, and how to set it.

use super::facts::Facts;
use super::keeper::Keeper;
use super::mend;
use crate::assess::clock_findings::effect;
use crate::assess::finding::Kind;
use crate::assess::level::Level;
use crate::assess::limit::Skew;
use crate::clock::estimate::ClockState;
use crate::config::checked::Config;
use crate::doctor::report::{Area, CLOCK_OFFSET, Check};
use crate::snapshot::{Limit, Snapshot};
use crate::time::{ErrorBound, Offset, Span, humane, humane_offset};

const ZONE: &str = "clock-time-zone";

/// The zones of the world that are no whole number of hours from UTC, in minutes.
const ODD_ZONES: [i64; 11] = [150, 210, 270, 330, 345, 390, 525, 570, 630, 765, 825];
/// The farthest zone.
const FARTHEST_HOURS: i64 = 14;
/// A clock that was set by the wrong zone is off by that and by little more.
const NEAR_SECONDS: i64 = 60;
/// What chronyd takes the offset to be, and what was measured, may differ by so much.
const SAME_SECONDS: f64 = 1.0;
const SAME_SHARE: f64 = 0.1;

/// How far the clock is off: a problem from the critical level of `clock-skew` on, and where a limit is passed.
pub(super) fn check(
    facts: &Facts,
    keeper: &Keeper,
    snapshot: &Snapshot,
    agent: Option<&Snapshot>,
    config: &Config,
) -> Check {
    let Some((skew, raise)) = skew(snapshot) else {
        let why = match snapshot.clock.state.as_str() {
            state if state == ClockState::Disagreement.name() => {
                "true time is not known: the sources of time contradict one another"
            }
            _ => "true time is not known: no source of time vouches for it",
        };
        return Check::skipped(Area::Clock, CLOCK_OFFSET, why).with_evidence([keeper.describe()]);
    };
    let (passed, ahead): (Vec<&Limit>, Vec<&Limit>) =
        snapshot.limits.iter().partition(|limit| limit.window_seconds <= raise.seconds());
    let next = ahead.into_iter().min_by(|a, b| a.window_seconds.total_cmp(&b.window_seconds));
    let rule = config.alerts.rules.of(Kind::ClockSkew);
    let reaches = |level: Option<Level>| {
        let level = level.and_then(Level::time).filter(|_| rule.enabled);
        level.is_some_and(|level| raise >= Span::from_duration(level))
    };
    let offset = humane_offset(skew.offset);
    let summary = format!("the system clock is {offset} (± {})", humane(skew.bound.span()));
    let is_problem = !passed.is_empty() || reaches(rule.critical);
    if !is_problem && !reaches(rule.warning) {
        let left = next.map_or_else(String::new, |next| {
            format!(", {} to {}", humane(Span::from_seconds(next.window_seconds - raise.seconds())), name(next))
        });
        return Check::ok(Area::Clock, CLOCK_OFFSET, summary + &left);
    }
    let names: Vec<String> = passed.iter().map(|limit| name(limit)).collect();
    let summary = if names.is_empty() { summary } else { format!("{summary}: past {}", names.join(", ")) };
    let effect = match (passed.last(), next) {
        (Some(worst), _) => effect(&worst.name).to_owned(),
        (None, Some(next)) => format!("from {} s on: {}", next.window_seconds, effect(&next.name)),
        (None, None) => "AWS rejects requests with a wrong time".to_owned(),
    };
    let knows = does_chronyd_know(facts, skew.offset);
    let zone = zone(skew.offset);
    let remedy = mend::set(facts, keeper, knows);
    let remedy = if zone.is_some() { format!("{remedy}; {}", keep_utc(facts)) } else { remedy };
    let build = if is_problem { Check::problem } else { Check::warning };
    build(Area::Clock, CLOCK_OFFSET, summary, effect, remedy).with_evidence(
        [keeper.describe()]
            .into_iter()
            .chain(knows.map(|knows| match knows {
                true => "chronyd knows it and slews the clock, which takes long".to_owned(),
                false => "chronyd takes the clock to be right: its sources contradict those of skewguard".to_owned(),
            }))
            .chain(zone)
            .chain(since(agent)),
    )
}

/// Whether the offset is that of a time zone.
pub(super) fn check_zone(facts: &Facts, snapshot: &Snapshot) -> Check {
    let Some((skew, _)) = skew(snapshot) else {
        return Check::skipped(Area::Clock, ZONE, "true time is not known");
    };
    let evidence = facts.zone.iter().map(|zone| format!("the zone of this host is {zone}"));
    let check = match zone(skew.offset) {
        None => Check::ok(Area::Clock, ZONE, "the offset is not that of a time zone"),
        Some(zone) => Check::warning(
            Area::Clock,
            ZONE,
            zone,
            "whoever sets the clock from local time does so again, at the next boot or by the next script",
            keep_utc(facts),
        ),
    };
    check.with_evidence(evidence)
}

/// The offset, and how much of it counts: with a quorum the most that it can be, without one the least.
pub(super) fn skew(snapshot: &Snapshot) -> Option<(Skew, Span)> {
    let clock = &snapshot.clock;
    let skew = Skew {
        offset: Offset::new(Span::from_seconds(clock.offset_seconds?)),
        bound: ErrorBound::new(Span::from_seconds(clock.error_bound_seconds?)),
    };
    let state = clock.state.as_str();
    if state == ClockState::Synchronized.name() {
        Some((skew, skew.at_most()))
    } else if state == ClockState::Holdover.name() {
        Some((skew, skew.at_least()))
    } else {
        None
    }
}

fn name(limit: &Limit) -> String {
    format!("{} ({} s)", limit.name, limit.window_seconds)
}

/// Whether chronyd's own account agrees with what was measured; `None` where it gives none.
fn does_chronyd_know(facts: &Facts, offset: Offset) -> Option<bool> {
    let tracking = facts.tracking.as_ref()?.as_ref().ok().filter(|tracking| tracking.follows_somebody())?;
    let difference = (tracking.correction - offset.seconds()).abs();
    Some(difference <= SAME_SECONDS + SAME_SHARE * offset.seconds().abs())
}

/// The zone whose local time the clock shows as if it were UTC.
fn zone(offset: Offset) -> Option<String> {
    let whole_hours = (1..=FARTHEST_HOURS).map(|hours| hours * 60);
    let minutes = whole_hours.chain(ODD_ZONES).find(|minutes| {
        let distance = offset.span().abs().minus(Span::from_seconds(*minutes as f64 * 60.0)).abs();
        distance <= Span::from_seconds(NEAR_SECONDS as f64)
    })?;
    let (hours, rest) = (minutes / 60, minutes % 60);
    // A slow clock shows the time of the west.
    let sign = if offset.span() >= Span::ZERO { '-' } else { '+' };
    Some(format!(
        "the offset is that of a time zone: the clock shows the local time of UTC{sign}{hours:02}:{rest:02}, or of its \
         summer time, as if it were UTC"
    ))
}

fn keep_utc(facts: &Facts) -> String {
    if facts.is_rtc_local {
        format!("keep the hardware clock in UTC: {}", mend::hardware_in_utc(facts))
    } else {
        "find what sets the clock from local time (a script with `date -s`, an image, a hypervisor) and let it use UTC; \
         `timedatectl` must say that the RTC is not in the local time zone"
            .to_owned()
    }
}

/// Since when, as the running agent tells it.
fn since(agent: Option<&Snapshot>) -> Option<String> {
    let alerts = &agent?.alerts;
    [Kind::ClockSkew, Kind::ClockUndisciplined].into_iter().find_map(|kind| {
        let alert = alerts.iter().find(|alert| alert.alert == kind)?;
        Some(format!("since {} by the agent's alert {}", alert.since.as_ref()?, kind.name()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone_of(seconds: f64) -> Option<String> {
        zone(Offset::new(Span::from_seconds(seconds)))
    }

    #[test]
    fn the_offset_of_a_time_zone_is_named_with_its_side_of_utc() {
        for (seconds, expected) in [
            (-3_600.0, "UTC+01:00"),
            (-7_259.0, "UTC+02:00"),
            (5.0 * 3_600.0 + 59.0, "UTC-05:00"),
            (-19_800.0, "UTC+05:30"),
            (-20_700.0, "UTC+05:45"),
            (12_600.0, "UTC-03:30"),
            (-50_400.0, "UTC+14:00"),
        ] {
            assert!(zone_of(seconds).unwrap().contains(expected), "{seconds}: {:?}", zone_of(seconds));
        }
    }

    #[test]
    fn an_offset_that_no_zone_has_is_none_of_a_zone() {
        for seconds in [0.0, 59.0, -400.0, 1_800.0, 900.0, 3_600.0 + 61.0, -3_600.0 + 61.0, 15.0 * 3_600.0, 86_400.0] {
            assert_eq!(zone_of(seconds), None, "{seconds}");
        }
    }

    proptest! {
        #[test]
        fn a_zone_is_the_same_for_a_slow_and_a_fast_clock_but_for_its_side(seconds in 0.0_f64..100_000.0) {
            let (slow, fast) = (zone_of(seconds), zone_of(-seconds));
            prop_assert_eq!(slow.map(|zone| zone.replace("UTC-", "UTC+")), fast);
        }
    }
}
