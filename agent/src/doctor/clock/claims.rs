//! What daemons and the kernel say of the clock, compared with what was measured. None of them is a witness.

use super::facts::Facts;
use super::offset;
use super::tracking::Leap;
use crate::assess::limit::Skew;
use crate::doctor::report::{Area, Check};
use crate::snapshot::Snapshot;
use crate::time::{Offset, Span, humane, humane_offset};

const NAME: &str = "clock-claims";
/// A daemon measures now and then, and what happens in between is no lie; and it tells the kernel a bound when it begins to
/// slew, as if it had ended already.
const OF_DAEMONS: Span = Span::from_nanos(1_000_000_000);

/// What somebody says of the clock.
struct Claim {
    who: &'static str,
    /// True minus system time, by their account.
    offset: Span,
    /// How far that can be wrong, by their account, and what is allowed beyond it.
    bound: Span,
    allowance: Span,
}

impl Claim {
    /// By how much the measured offset lies outside of what is claimed for certain.
    fn contradiction(&self, measured: Skew) -> Option<Span> {
        let apart = Span::from_nanos(measured.offset.span().nanos().saturating_sub(self.offset.nanos())).abs();
        let explained = self.bound.plus(self.allowance).plus(measured.bound.span());
        let beyond = Span::from_nanos(apart.nanos().saturating_sub(explained.nanos()));
        (beyond > Span::ZERO).then_some(beyond)
    }

    fn in_words(&self) -> String {
        let bound = humane(self.bound);
        match self.offset {
            Span::ZERO => format!("{} says that the clock is right to {bound}", self.who),
            offset => format!("{} says that the clock is {} (± {bound})", self.who, humane_offset(Offset::new(offset))),
        }
    }
}

/// A warning where somebody claims for certain what is not so.
pub(super) fn check(facts: &Facts, snapshot: &Snapshot) -> Check {
    let claims = claims(facts, snapshot);
    let unread = facts.clockbound.as_ref().and_then(|read| read.as_ref().err());
    let unread = unread.map(|why| format!("what ClockBound says could not be read: {why}"));
    let evidence: Vec<String> = claims.iter().map(Claim::in_words).chain(unread).collect();
    let Some((measured, _)) = offset::skew(snapshot) else {
        return Check::skipped(Area::Clock, NAME, "true time is not known, by which claims could be judged")
            .with_evidence(evidence);
    };
    let wrong: Vec<&Claim> = claims.iter().filter(|claim| claim.contradiction(measured).is_some()).collect();
    let check = if wrong.is_empty() {
        let summary = match claims.len() {
            0 => "nobody on this host says how wrong the clock is",
            _ => "what is said on this host of the clock agrees with what was measured",
        };
        Check::ok(Area::Clock, NAME, summary)
    } else {
        let said: Vec<String> = wrong.iter().map(|claim| claim.in_words()).collect();
        Check::warning(
            Area::Clock,
            NAME,
            format!("{}, and it is {}", said.join("; "), humane_offset(measured.offset)),
            "whoever believes that takes wrong times for right ones, and the daemon sees no reason to set the clock",
            "look whom the time daemon follows (`chronyc sources -v`, `chronyc tracking`), and have it follow 169.254.169.123; \
             after a step that somebody else has made, `sudo chronyc makestep`",
        )
    };
    check.with_evidence(evidence)
}

fn claims(facts: &Facts, snapshot: &Snapshot) -> Vec<Claim> {
    let mut claims = Vec::new();
    let tracking = facts.tracking.as_ref().and_then(|tracking| tracking.as_ref().ok());
    let tracking = tracking.filter(|tracking| tracking.leap != Leap::Unsynchronized && tracking.stratum > 0);
    if let Some(tracking) = tracking {
        claims.push(Claim {
            who: "chronyd",
            offset: Span::from_seconds(tracking.correction),
            bound: Span::from_seconds((tracking.root_delay / 2.0 + tracking.root_dispersion).max(0.0)),
            allowance: OF_DAEMONS,
        });
    } else if let Some(bound) =
        snapshot.clock.kernel.filter(|kernel| kernel.synchronized).and_then(|kernel| kernel.max_error_seconds)
    {
        // What the kernel says is chronyd's word where that runs.
        let bound = Span::from_seconds(bound);
        claims.push(Claim { who: "the kernel", offset: Span::ZERO, bound, allowance: OF_DAEMONS });
    }
    if let Some(bound) = facts.clockbound.as_ref().and_then(|read| read.as_ref().ok()?.claim()) {
        claims.push(Claim { who: "ClockBound", offset: Span::ZERO, bound, allowance: Span::ZERO });
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::clock::clockbound::ClockBound;
    use crate::doctor::clock::scenes::host::{facts, snapshot};
    use crate::doctor::report::Verdict;
    use crate::time::ErrorBound;

    fn verdict(claim: &Claim, offset: f64, bound: f64) -> bool {
        let offset = Offset::new(Span::from_seconds(offset));
        claim.contradiction(Skew { offset, bound: ErrorBound::new(Span::from_seconds(bound)) }).is_some()
    }

    #[test]
    fn only_what_is_wrong_for_certain_contradicts_a_claim() {
        let claim = |offset: f64, bound: f64| Claim {
            who: "x",
            offset: Span::from_seconds(offset),
            bound: Span::from_seconds(bound),
            allowance: Span::ZERO,
        };
        assert!(verdict(&claim(0.0, 0.001), 30.0, 0.01) && verdict(&claim(0.0, 0.001), -30.0, 0.01));
        assert!(!verdict(&claim(30.0, 0.001), 30.0, 0.01), "a daemon that is slewing knows it");
        assert!(!verdict(&claim(0.0, 0.001), 0.5, 1.0), "nobody knows");
        assert!(!verdict(&claim(0.0, 60.0), 30.0, 0.01));
        assert!(verdict(&claim(-30.0, 0.001), 30.0, 0.01));
    }

    #[test]
    fn clockbound_that_promises_more_than_it_holds_is_named() {
        let bound = |holds| {
            let bound = Span::from_seconds(0.001);
            Some(Ok(ClockBound { bound, age: Span::ZERO, drift: 0.0, holds }))
        };
        let judged = |holds, offset: f64| {
            let facts = Facts { clockbound: bound(holds), ..facts(&[], None) };
            check(&facts, &snapshot(offset, false))
        };
        let lied = judged(true, 30.0);
        assert_eq!(lied.verdict, Verdict::Warning);
        assert!(
            lied.summary.contains("ClockBound says that the clock is right to 1.0 ms, and it is 30.0 s slow"),
            "{lied:?}"
        );
        assert_eq!((judged(true, 0.0).verdict, judged(false, 30.0).verdict), (Verdict::Ok, Verdict::Ok));
    }
}
