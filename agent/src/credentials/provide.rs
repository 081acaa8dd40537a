//! What all providers have in common.

use std::path::PathBuf;

use super::lease::Unavailable;
use super::levels::Levels;
use super::round::Read;
use crate::setting::fault::{Environment, Fault};
use crate::setting::locate::Path;

/// Who hands out something that expires. Its settings, once they are checked, are the struct; where there are none, nobody
/// is asked.
pub trait Provide: Clone + PartialEq + Sized {
    /// The name in output and attributes.
    const NAME: &'static str;
    /// Who renews what it hands out.
    const RENEWAL: Renewal;
    /// Whether SDKs refresh by the expiration that it tells, so that their margin can be judged by it.
    const IS_REFRESHED_BY_SDKS: bool = false;
    /// What an operator can do where nobody has renewed it.
    const RENEW: &'static str;
    /// Whether SDKs sign requests with it, or with what they get for it; else nobody knows who uses it.
    const IS_USED_BY_SDKS: bool = true;
    /// What one of the things that it hands out is called in a sentence.
    const NOUN: &'static str = "credential";
    /// What the documentation says is read.
    const READS: &'static str;
    /// Whose clock the documentation says it expires by.
    const EXPIRES_BY: &'static str;
    /// Its key in `config/skewguard.yaml`, commented and with every key below it; empty where it has none.
    const REFERENCE: &'static str = "";

    /// What is written at its key: `()` where it has none. Its comment is the description in the JSON schema.
    type Written;

    /// Checks what is written at `at`; `None` where nobody is to be asked.
    ///
    /// # Errors
    /// What is wrong, where, and what is allowed.
    fn check(written: Option<&Self::Written>, at: &Path, around: &Around<'_>) -> Result<Option<Self>, Fault>;

    /// What could be written for these settings, every default filled in.
    fn written(settings: Option<&Self>) -> Option<Self::Written>;

    /// Who reads what it hands out, in this environment; `None` where another task does.
    fn reader(&self, env: Environment<'_>) -> Option<Box<dyn Read>>;

    /// What an operator can do about it where it is out of order.
    fn remedy(reason: &Unavailable) -> &'static str {
        reason.remedy_of_files()
    }

    /// The levels of what it hands out in `slot` alone.
    fn levels(&self, _slot: &str) -> Levels {
        Levels::default()
    }

    /// Whether what is known by the `earlier` settings holds for these.
    fn goes_on_from(&self, earlier: &Self) -> bool {
        self == earlier
    }
}

/// What the settings of a provider may depend on beside what is written at its key.
pub struct Around<'a> {
    /// The environment.
    pub env: Environment<'a>,
    /// The homes of users whose files are read.
    pub homes: &'a [PathBuf],
}

/// Who puts another credential in the place of one that runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// AWS does, long before the end.
    Platform,
    /// The kubelet does, at four fifths of the life.
    Kubelet,
    /// Some tool on this host has to.
    Tool,
    /// Whoever uses it does, at the next use. Until then an expired one is in order.
    OnUse,
}
