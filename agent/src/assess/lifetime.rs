//! How long a credential lives: in truth, and as the host believes.

use crate::assess::limit::Skew;
use crate::aws::sdk::Sdk;
use crate::credentials::timestamp::Timestamp;
use crate::time::{Reading, Span, TrueTime};

/// What is left of a credential.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lifetime {
    /// Expiration minus true time; negative once it is past. `None` while true time is not known.
    pub remaining: Option<Span>,
    /// Expiration minus system time: what the SDKs on this host believe.
    pub remaining_local: Span,
    /// What is left in true time at the moment at which each SDK refreshes; negative where it then uses expired
    /// credentials for that long in every lifetime.
    pub refresh_margins: Vec<(Sdk, Span)>,
    /// From its issue to its expiration; `None` where nobody says when it was issued.
    pub whole: Option<Span>,
}

impl Lifetime {
    /// Works it out for a credential that was issued at `issued` and expires at `expiration`. Only what `sdks` refresh by
    /// this expiration has a margin.
    pub fn of(
        (issued, expiration): (Option<Timestamp>, Timestamp),
        reading: Reading,
        true_now: Option<TrueTime>,
        skew: Option<&Skew>,
        sdks: &[Sdk],
    ) -> Self {
        let is_same_clock = |issued: &Timestamp| issued.basis() == expiration.basis();
        let whole = |issued: Timestamp| Span::from_nanos(expiration.nanos().saturating_sub(issued.nanos()));
        Self {
            remaining: expiration.remaining(reading, true_now),
            remaining_local: expiration.remaining_local(reading),
            refresh_margins: skew
                .map_or_else(Vec::new, |skew| sdks.iter().map(|sdk| (*sdk, refresh_margin(*sdk, skew))).collect()),
            whole: issued.filter(is_same_clock).map(whole).filter(|whole| *whole > Span::ZERO),
        }
    }
}

/// M − lag: an SDK refreshes when the local clock reads E − M, which is at true time E − M + lag.
pub fn refresh_margin(sdk: Sdk, skew: &Skew) -> Span {
    let margin = Span::from_duration(sdk.refresh_margin());
    Span::from_nanos(margin.nanos().saturating_sub(skew.offset.lag().nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{BootTime, ErrorBound, Offset, SystemTime};

    fn skew(offset: f64) -> Skew {
        Skew { offset: Offset::new(Span::from_seconds(offset)), bound: ErrorBound::new(Span::ZERO) }
    }

    #[test]
    fn a_slow_clock_eats_the_margin_and_a_fast_one_does_not() {
        assert_eq!(refresh_margin(Sdk::Botocore, &skew(590.0)), Span::from_seconds(10.0));
        assert_eq!(refresh_margin(Sdk::Botocore, &skew(610.0)), Span::from_seconds(-10.0));
        assert_eq!(refresh_margin(Sdk::Rust, &skew(15.0)), Span::from_seconds(-10.0));
        assert_eq!(refresh_margin(Sdk::JavaV2, &skew(-400.0)), Span::from_seconds(60.0));
    }

    #[test]
    fn a_slow_host_believes_in_a_longer_life() {
        let reading = Reading { boot: BootTime::ZERO, system: SystemTime::from_seconds(1_000.0) };
        let life = Lifetime::of(
            (None, Timestamp::Server(TrueTime::from_seconds(2_000.0))),
            reading,
            Some(TrueTime::from_seconds(1_400.0)),
            Some(&skew(400.0)),
            &[Sdk::JavaV2],
        );
        assert_eq!(life.remaining, Some(Span::from_seconds(600.0)));
        assert_eq!(life.remaining_local, Span::from_seconds(1_000.0));
        assert_eq!(life.refresh_margins, [(Sdk::JavaV2, Span::from_seconds(-340.0))]);
    }
}
