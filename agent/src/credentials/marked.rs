//! What the tests of all providers look for: the secrets in their documents, which nothing that a provider returns may show.

use super::Provider;
use super::round::Round;

/// A part of every secret in a document of a test.
pub(super) const MARKERS: [&str; 2] = ["MARKER", "ASIAMARKER0KEY000000"];

/// All that can be said of a round.
fn shown(round: &Round) -> String {
    let reasons = round.readings.iter().filter_map(|reading| reading.result.as_ref().err());
    let reasons = reasons.map(|reason| format!("{reason} {} {}", reason.code(), reason.remedy(Provider::Imds)));
    format!("{round:?} {}", reasons.collect::<String>())
}

/// Fails where a round shows a secret.
pub(super) fn assert_unmarked(round: &Round) {
    let shown = shown(round);
    assert!(!MARKERS.iter().any(|marker| shown.contains(marker)), "{shown}");
}

#[test]
#[should_panic(expected = "MARKER")]
fn a_secret_in_a_round_is_found() {
    let rejected = super::lease::Unavailable::Rejected { code: "MARKERsecret".into() };
    assert_unmarked(&Round::one(Err(rejected), Vec::new()));
}
