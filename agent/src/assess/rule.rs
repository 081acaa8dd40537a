//! What the configuration says of alerts.

use std::time::Duration;

use super::alerts::{ROWS, Row};
use super::finding::Kind;
use super::level::Level;

/// What raises an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Whether it is judged at all.
    pub enabled: bool,
    /// The level of a warning; `None` where there is no warning.
    pub warning: Option<Level>,
    /// The level of a critical alert; `None` where there is none.
    pub critical: Option<Level>,
    /// How long a level must last before the alert fires.
    pub hold: Duration,
}

/// What holds for a kind that nobody looks for.
const NEVER: Rule = Rule { enabled: false, warning: None, critical: None, hold: Duration::ZERO };

/// The rules of all alerts, in the order of their rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// Makes the rule of each row.
    ///
    /// # Errors
    /// The first of `make`.
    pub fn try_from_rows<E>(make: impl FnMut(&'static Row) -> Result<Rule, E>) -> Result<Self, E> {
        ROWS.iter().map(make).collect::<Result<_, E>>().map(Self)
    }

    /// The rows, each with its rule.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Row, &Rule)> {
        ROWS.iter().zip(&self.0)
    }

    /// The rule of this kind.
    pub fn of(&self, kind: Kind) -> &Rule {
        self.0.get(kind as usize).unwrap_or(&NEVER)
    }

    /// Changes the rule of this kind.
    pub fn change(&mut self, kind: Kind, change: impl FnOnce(&mut Rule)) {
        if let Some(rule) = self.0.get_mut(kind as usize) {
            change(rule);
        }
    }
}
