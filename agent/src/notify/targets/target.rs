//! What all targets have in common.

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::true_clock::Stamp;
use crate::config::check::Fault;
use crate::config::locate::Path;
use crate::config::url::WebUrl;
use crate::delivery::item::Item;
use crate::delivery::request::{Answer, Failure};
use crate::notify::attempt::Attempt;
use crate::snapshot::AlertMessage;

/// Who takes the alerts of a channel.
///
/// The struct is what is written below its key, so its comments are the descriptions in the JSON schema. A secret in it is
/// a `SecretRef` and a URL a `WebUrl`: these are shown masked, and sent through an [`Attempt`] alone, which masks them in
/// whatever comes of it.
#[async_trait]
pub trait Target: Send + Sync {
    /// Checks what is written at `at`, and fills in what is not.
    ///
    /// # Errors
    /// What is wrong, where, and what is allowed.
    fn check(&mut self, at: &Path) -> Result<(), Fault>;

    /// Where it is, once it is checked; `None` where that is a secret.
    fn url(&self) -> Option<&WebUrl>;

    /// Whether its requests are signed with the keys of the instance's role.
    fn is_signed(&self) -> bool {
        false
    }

    /// How it is told again what fires, where it would take that for over otherwise.
    fn repost(&self) -> Option<Repost> {
        None
    }

    /// Sends `item` once.
    ///
    /// # Errors
    /// It was not taken.
    async fn send(&self, item: &Item, attempt: &mut Attempt<'_>) -> Result<Answer, Failure>;

    /// Whether an error may show the value that is written at one of its keys. Most may be a secret in the wrong place.
    fn is_public(_key: &str, _value: &str) -> bool
    where
        Self: Sized,
    {
        false
    }

    /// A channel of it with every key, commented, for `config/skewguard.yaml`.
    fn reference() -> &'static str
    where
        Self: Sized;

    /// A channel of it as somebody would have it, for `config/examples/channels.yaml`.
    fn example() -> &'static str
    where
        Self: Sized;
}

/// The telling again of what fires.
#[derive(Clone, Copy)]
pub struct Repost {
    /// How often.
    pub every: Duration,
    /// All that fires as one item; `None` where nothing does.
    pub item: fn(&[AlertMessage], Stamp) -> Option<Item>,
}
