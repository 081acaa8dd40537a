//! Every alert, a row each: what it is called, by which levels it is judged, and who says whether it is there. All else
//! that lists alerts (the configuration, its schema and its documentation) follows from the rows.

use std::time::Duration;

use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serialize};

use super::answer::Answer;
use super::clock_findings::{self, ClockFacts};
use super::credential_findings::{self, CredentialFacts};
use super::level::{Bad, Level, Levels};
use super::rule::Rule;
use super::source_findings::{self, SourceFacts};

/// One alert.
pub struct Row {
    /// What it is.
    pub kind: Kind,
    /// What it means, and what its levels and its `for` are about.
    pub description: &'static str,
    /// How long it takes to be found.
    pub shows: Shows,
    /// Its levels, with their unit, their bounds and their defaults.
    pub levels: Levels,
    /// How long a level must last before the alert fires, where the configuration says nothing.
    pub hold: Duration,
    /// The alert beside which it is not told anew.
    pub yields_to: Option<Kind>,
    /// Who says whether it is there. He sees the facts of one subject, and the rule of this alert alone.
    pub ask: Ask,
}

/// How long something takes to be found: `check` and the doctor, who look once, judge by those alone that show at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// One look is enough: it is true of the facts of a moment.
    AtOnce,
    /// It exists only over time, because it is made of several looks, or because a moment of it is nothing amiss.
    OverTime,
}

/// Who says whether an alert is there, and of what.
#[derive(Clone, Copy)]
pub enum Ask {
    /// Of the clock.
    Clock(fn(&ClockFacts<'_>, &Rule) -> Answer),
    /// Of each source.
    Source(fn(&SourceFacts<'_>, &Rule) -> Answer),
    /// Of each thing that expires.
    Credential(fn(&CredentialFacts<'_>, &Rule) -> Answer),
}

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The clock.
    Clock,
    /// A source.
    Source,
    /// Something that expires.
    Credential,
}

const fn seconds(seconds: u64) -> Level {
    Level::Time(Duration::from_secs(seconds))
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// A state that is there or not.
const STATE: Levels = Levels { bounds: (seconds(0), seconds(0)), bad: Bad::Above, warning: None, critical: None };
/// An offset. Zero would be reached by every clock.
const OFFSET: Levels = Levels { bounds: (Level::Time(Duration::from_millis(1)), seconds(DAY)), ..STATE };
/// How far away what is foretold is.
const FORECAST: Levels = Levels { bounds: (seconds(60), seconds(30 * DAY)), bad: Bad::Below, ..STATE };
/// What is left of a credential. Below zero it is used although it has expired.
const REMAINING: Levels = Levels { bounds: (seconds(0), seconds(DAY)), bad: Bad::Below, ..STATE };
/// How long an outage lasts.
const OUTAGE: Levels = Levels { bounds: (seconds(1), seconds(DAY)), ..STATE };

/// Makes the kinds and the table of their rows.
macro_rules! alerts {
    ($($(#[doc = $doc:literal])* $kind:ident = $name:literal { $($row:tt)* })*) => {
        /// The kinds of findings, named as the alerts that they become.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[doc = $doc])* #[serde(rename = $name)] $kind,)*
            /// Nothing: a test of the channels. No finding is of this kind, and only a message of it is read as such.
            #[serde(rename = "test", skip_deserializing)]
            Test,
        }

        impl Kind {
            /// Every kind that a finding can be of, in the order of the rows.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$kind),*];

            /// The name in output, configuration and attributes.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                    Self::Test => "test",
                }
            }
        }

        /// Every alert.
        pub static ROWS: [Row; Kind::ALL.len()] = [$(Row { kind: Kind::$kind, $($row)* }),*];
    };
}

alerts! {
    /// The system clock is off by minutes.
    ClockSkew = "clock-skew" {
        description: "The clock is wrong by a level or more; the text says which limits are past.",
        shows: Shows::AtOnce,
        levels: Levels { warning: Some(seconds(60)), critical: Some(seconds(150)), ..OFFSET },
        hold: Duration::ZERO,
        yields_to: None,
        ask: Ask::Clock(clock_findings::skew),
    }
    /// The system clock will be off by a limit soon.
    ClockSkewForecast = "clock-skew-forecast" {
        description: "At the present drift a limit will be passed within a level. A clock that drifts by less than 300 ppm is \
            past the levels of clock-skew before that.",
        shows: Shows::OverTime,
        levels: Levels { warning: Some(seconds(7 * DAY)), critical: Some(seconds(DAY)), ..FORECAST },
        hold: minutes(5),
        yields_to: None,
        ask: Ask::Clock(clock_findings::forecast),
    }
    /// Nobody keeps the system clock.
    ClockUndisciplined = "clock-undisciplined" {
        description: "The clock stays wrong by the level or more: nobody keeps it.",
        shows: Shows::OverTime,
        levels: Levels { warning: Some(seconds(1)), ..OFFSET },
        hold: minutes(10),
        yields_to: None,
        ask: Ask::Clock(clock_findings::undisciplined),
    }
    /// Somebody set the system clock.
    ClockStepped = "clock-stepped" {
        description: "The clock was set by the level or more, other than by a leap second. Here `for` is how long the alert \
            stays; a step within boot_grace is told when that is over.",
        shows: Shows::OverTime,
        levels: Levels { warning: Some(seconds(1)), ..OFFSET },
        hold: minutes(5),
        yields_to: None,
        ask: Ask::Clock(clock_findings::stepped),
    }
    /// Nothing vouches for the time.
    ClockUnverified = "clock-unverified" {
        description: "The sources do not agree on a true time, or none answers, which is never taken for a skew.",
        shows: Shows::OverTime,
        levels: STATE,
        hold: minutes(15),
        yields_to: None,
        ask: Ask::Clock(clock_findings::unverified),
    }
    /// A source contradicts the majority.
    SourceFalseticker = "source-falseticker" {
        description: "A source contradicts the majority.",
        shows: Shows::AtOnce,
        levels: STATE,
        hold: minutes(10),
        yields_to: None,
        ask: Ask::Source(source_findings::falseticker),
    }
    /// A source does not answer.
    SourceUnreachable = "source-unreachable" {
        description: "A source does not answer.",
        shows: Shows::AtOnce,
        levels: STATE,
        hold: minutes(10),
        yields_to: None,
        ask: Ask::Source(source_findings::unreachable),
    }
    /// An SDK would refresh a credential too late.
    CredentialRefreshMargin = "credential-refresh-margin" {
        description: "An SDK refreshes a credential with less than a level of its life left. Below 0s it uses expired \
            credentials.",
        shows: Shows::AtOnce,
        levels: Levels { warning: Some(seconds(60)), critical: Some(seconds(0)), ..REMAINING },
        hold: minutes(1),
        yields_to: None,
        ask: Ask::Credential(credential_findings::refresh_margin),
    }
    /// A credential is about to expire and was not rotated.
    CredentialExpiring = "credential-expiring" {
        description: "A credential has less than a level of its life left, by true time, and was not rotated.",
        shows: Shows::AtOnce,
        levels: Levels { warning: Some(seconds(900)), critical: Some(seconds(300)), ..REMAINING },
        hold: Duration::ZERO,
        yields_to: None,
        ask: Ask::Credential(credential_findings::expiring),
    }
    /// A credential was not rotated when it always had been.
    CredentialRotationOverdue = "credential-rotation-overdue" {
        description: "A credential is older than twice the longest interval at which it was replaced of late.",
        shows: Shows::OverTime,
        levels: STATE,
        hold: minutes(10),
        // Where the end is near, that says it all.
        yields_to: Some(Kind::CredentialExpiring),
        ask: Ask::Credential(credential_findings::overdue),
    }
    /// Credentials cannot be read.
    CredentialUnavailable = "credential-unavailable" {
        description: "Credentials could not be read twice in a row. `critical` is the time from which that is critical, if they \
            were ever read.",
        shows: Shows::AtOnce,
        levels: Levels { critical: Some(seconds(300)), ..OUTAGE },
        hold: Duration::ZERO,
        yields_to: None,
        ask: Ask::Credential(credential_findings::unavailable),
    }
}

impl Kind {
    /// Its row; `None` where nobody looks for it.
    pub fn row(self) -> Option<&'static Row> {
        ROWS.get(self as usize)
    }

    /// What it is about; `None` where that is nothing.
    pub fn part(self) -> Option<Part> {
        Some(match self.row()?.ask {
            Ask::Clock(_) => Part::Clock,
            Ask::Source(_) => Part::Source,
            Ask::Credential(_) => Part::Credential,
        })
    }

    /// Whether one look is enough to find it.
    pub fn shows_at_once(self) -> bool {
        self.row().is_some_and(|row| row.shows == Shows::AtOnce)
    }
}

/// Reads the kind of a message, which may be a test.
///
/// # Errors
/// There is no such kind.
pub fn told_kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name == Kind::Test.name() { Ok(Kind::Test) } else { Kind::deserialize(name.into_deserializer()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_the_row_that_bears_its_name() {
        for (kind, row) in Kind::ALL.iter().zip(&ROWS) {
            assert_eq!(kind.row().map(|row| row.kind), Some(*kind));
            assert_eq!(*kind, row.kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        assert!(Kind::Test.row().is_none() && Kind::Test.part().is_none());
    }

    #[test]
    fn a_test_is_a_kind_of_message_and_of_nothing_that_can_be_configured() {
        let read = |name: &str| told_kind(serde_json::Value::from(name)).ok();
        assert!(Kind::ALL.iter().all(|kind| read(kind.name()) == Some(*kind)));
        assert_eq!((read("test"), read("nothing")), (Some(Kind::Test), None));
        let refused = serde_json::from_str::<Kind>("\"test\"").unwrap_err().to_string();
        assert!(refused.contains("unknown variant") && !refused.contains("expected one of `test`"), "{refused}");
    }
}
