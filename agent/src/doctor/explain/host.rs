//! What is known of this host when an error is explained.

use crate::assess::lifetime::Lifetime;
use crate::assess::limit::Skew;
use crate::credentials::Provider;
use crate::credentials::lease::Unavailable;
use crate::sys::WORDS;

/// What is known of this host. All of it may be unknown: then an error is explained by itself.
#[derive(Clone, Debug, Default)]
pub struct HostFacts {
    /// How far the system clock is off now.
    pub skew: Option<Skew>,
    /// What sets the clock and keeps it, by what was found to keep it here; `None` where nobody looked.
    pub clock_remedy: Option<String>,
    /// What was read of each provider.
    pub holdings: Vec<Holding>,
    /// Who signs with keys that nobody renews, as a sentence without its full stop such as `this shell signs with the keys
    /// in the environment, which never expire`; `None` where nobody does.
    pub shadow: Option<String>,
    /// What takes those keys away.
    pub shadow_remedy: Option<String>,
    /// Whether those keys never expire, so that nothing that has run out comes from them.
    pub is_shadow_lasting: bool,
    /// Who sends requests for the metadata service to a proxy, as a sentence without its full stop; `None` where nobody does.
    pub proxy: Option<String>,
}

/// The credentials of one provider.
#[derive(Clone, Debug)]
pub struct Holding {
    /// Who hands them out.
    pub provider: Provider,
    /// The name of the role, the profile or the file; empty where it is not known.
    pub identity: String,
    /// How long they live, or why nothing is known of them.
    pub life: Result<Lifetime, Unavailable>,
}

impl HostFacts {
    /// What sets the clock and keeps it.
    pub(super) fn set_the_clock(&self) -> &str {
        self.clock_remedy.as_deref().unwrap_or(WORDS.set_the_clock_of_another)
    }

    /// What was read of `provider` first.
    pub(super) fn holding(&self, provider: Provider) -> Option<&Holding> {
        self.holdings.iter().find(|holding| holding.provider == provider)
    }
}

impl Holding {
    /// Its name for people.
    pub(super) fn name(&self) -> String {
        match self.identity.as_str() {
            "" => format!("the credential of {}", self.provider.name()),
            identity => format!("the credential {identity} of {}", self.provider.name()),
        }
    }
}
