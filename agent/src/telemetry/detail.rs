//! How much is exported of what is known.

use serde::{Deserialize, Serialize};

/// How much is exported of what is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// What dashboards, rules and pages need of each host of a fleet.
    #[default]
    Fleet,
    /// Everything, for the host that is looked into.
    Full,
}

impl Detail {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Fleet, Self::Full];

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Full => "full",
        }
    }
}
