//! What all kinds of sources have in common.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::pace::{Cadence, SLOWEST};
use super::witness::Witness;
use crate::clock::true_clock::TrueClock;
use crate::setting::fault::{Bounds, Fault};
use crate::setting::locate::Path;

/// A kind of source: whatever implements this is what the configuration says of one source, once it is checked.
///
/// As text it is who is asked, by which people know the source, and by which it is known again after a restart.
pub trait SourceKind: fmt::Display + Send + Sync {
    /// What is written below its key.
    type Written: DeserializeOwned + Serialize + JsonSchema
    where
        Self: Sized;

    /// Checks what is written at `at`, and fills in what is not.
    ///
    /// # Errors
    /// What is wrong, where, and what is allowed.
    fn check(written: &Self::Written, at: &Path) -> Result<Self, Fault>
    where
        Self: Sized;

    /// What would be written for it.
    fn written(&self) -> Self::Written
    where
        Self: Sized;

    /// Whether it is so near that asking it every second harms nobody.
    fn is_near(&self) -> bool;

    /// How often it is asked at most by somebody who looks at a host for a moment, however wrong that seems, and who has not
    /// asked for more; `None` where it harms nobody.
    fn most_at_once(&self) -> Option<u32> {
        None
    }

    /// How often it is asked.
    fn cadence(&self) -> Cadence {
        if self.is_near() { Cadence::NEAR } else { Cadence::FAR }
    }

    /// Checks how often it is to be asked.
    ///
    /// # Errors
    /// What is wrong, and what is allowed.
    fn check_poll(&self, poll: Duration) -> Result<(), String> {
        Bounds(self.cadence().shortest, SLOWEST).check(poll).map(|_| ())
    }

    /// Whether it wins a tie where nobody says, on a host that is an EC2 instance or not.
    fn is_trusted(&self, _is_ec2: bool) -> bool {
        false
    }

    /// Whether it smears leap seconds where nobody says.
    fn smears_leaps(&self) -> bool {
        false
    }

    /// The witness that it is a part of where nobody says: sources of one are wrong together, so that they have one vote.
    /// `None` where it is a witness by itself.
    fn group(&self) -> Option<&'static str> {
        None
    }

    /// What two of this kind have in common that are the same witness, as far as can be told without asking them.
    fn identity(&self) -> String {
        self.to_string()
    }

    /// What is wrong where it is the same witness as `first`, which is a place in the configuration.
    fn named_twice(&self, first: &Path) -> String {
        format!("{self} is the same as {first}: it is one witness, however often it is named, so remove one")
    }

    /// Who is asked. Whoever needs TLS judges it by `clock`.
    fn witness(&self, clock: &Arc<TrueClock>) -> Box<dyn Witness>;

    /// What mends it where the last poll was refused in these words, on a host that is an EC2 instance or not. A refusal
    /// has no more than its words once it stands in a snapshot.
    fn remedy(&self, refusal: &str, is_ec2: bool) -> String;

    /// What the documents say of it.
    fn words() -> Words
    where
        Self: Sized;
}

/// The card of an EC2 instance that tells the time: over NTP, and as a clock of its network interface.
pub const NITRO: &str = "nitro";
/// The endpoints of AWS, each of which answers with its own time.
pub const AWS_API: &str = "aws-api";

/// What the documents say of a kind of source.
#[derive(Clone, Copy)]
pub struct Words {
    /// What one source of it is, as a sentence.
    pub what: &'static str,
    /// What is written below its key, as sentences.
    pub value: &'static str,
    /// The default of `trusted`.
    pub trusted: &'static str,
    /// The default of `leap_smear`.
    pub leap_smear: &'static str,
    /// The default of `group`.
    pub group: &'static str,
    /// What `poll` may be, and its default.
    pub poll: &'static str,
    /// A source of it with every key below its own, commented, for `config/skewguard.yaml`.
    pub reference: &'static str,
}
