//! Who keeps the clock of a host.

use super::program::Program;
use crate::time::{Span, humane};

/// Who keeps the clock.
#[derive(Clone, Debug, PartialEq)]
pub enum Keeper {
    /// A daemon that follows somebody, or of which nothing says that it does not.
    Kept(Program),
    /// Somebody who cannot be seen from here, by the word of the kernel.
    Outside,
    /// A daemon that was started a moment ago.
    Starting(Program, Span),
    /// A daemon that follows nobody.
    Adrift {
        /// Which.
        program: Program,
        /// Why that is known.
        why: String,
    },
    /// Nobody.
    Nobody,
    /// It cannot be told, and why.
    Unknown(&'static str),
}

impl Keeper {
    /// In a few words, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Kept(program) => format!("{} keeps this clock", program.name()),
            Self::Outside => "somebody who cannot be seen from here keeps this clock".to_owned(),
            Self::Starting(program, age) => {
                format!("{} was started {} ago and follows nobody yet", program.name(), humane(*age))
            }
            Self::Adrift { program, why } => format!("{} runs but follows nobody: {why}", program.name()),
            Self::Nobody => "nobody keeps this clock: no time daemon runs that may set it".to_owned(),
            Self::Unknown(why) => (*why).to_owned(),
        }
    }

    /// Whether it is known that nobody corrects the clock.
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Adrift { .. } | Self::Nobody)
    }
}
