//! How long a credential lives: in truth, and as the host believes.

use crate::assess::limit::Skew;
use crate::assess::sdk::Sdk;
use crate::clock::time::{Reading, Span, SystemTime, TrueTime};

/// What is left of a credential.
#[derive(Clone, Debug, PartialEq)]
pub struct Lifetime {
    /// Expiration minus true time; negative once it is past. `None` while true time is not known.
    pub remaining: Option<Span>,
    /// Expiration minus system time: what the SDKs on this host believe.
    pub remaining_local: Span,
    /// What is left in true time at the moment at which each SDK refreshes; negative where it then uses expired
    /// credentials for that long in every lifetime.
    pub refresh_margins: Vec<(Sdk, Span)>,
}

impl Lifetime {
    /// Works it out for a credential that expires at `expiration`.
    pub fn of(
        expiration: TrueTime,
        reading: Reading,
        true_now: Option<TrueTime>,
        skew: Option<&Skew>,
        sdks: &[Sdk],
    ) -> Self {
        let believed = SystemTime::from_nanos(expiration.nanos());
        Self {
            remaining: true_now.map(|now| expiration.since(now)),
            remaining_local: believed.since(reading.system),
            refresh_margins: skew
                .map_or_else(Vec::new, |skew| sdks.iter().map(|sdk| (*sdk, refresh_margin(*sdk, skew))).collect()),
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
    use crate::clock::time::{BootTime, ErrorBound, Offset};

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
            TrueTime::from_seconds(2_000.0),
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
