//! Why a source gave no sample, whatever its kind.

use std::borrow::Cow;

use crate::clock::sample::Failure;

/// Why a source gave no sample.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// The `outcome` in metrics: one of few, for each makes a series of its own.
    pub outcome: &'static str,
    /// What is wrong, in words for people. What a stranger sent is not repeated.
    pub text: Cow<'static, str>,
    /// What it means for the estimate.
    pub failure: Failure,
    /// Whether it is asked too often, so that it is to be asked less often for good.
    pub is_too_often: bool,
}

impl Refusal {
    /// Nothing came in time.
    pub const TIMEOUT: Self = Self {
        outcome: "timeout",
        text: Cow::Borrowed("no reply in time"),
        failure: Failure::Unanswered,
        is_too_often: false,
    };
}
