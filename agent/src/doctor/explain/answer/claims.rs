//! What is said is no more than the text supports.

use super::*;
use crate::assess::limit::Skew;
use crate::time::{ErrorBound, Span};

fn alone(text: &str) -> Explained {
    explain(&Paste::of(text.as_bytes()), None).1.remove(0)
}

fn on_a_host(text: &str, offset: f64) -> Check {
    let skew =
        Skew { offset: Offset::new(Span::from_seconds(offset)), bound: ErrorBound::new(Span::from_seconds(0.001)) };
    let host = HostFacts { skew: Some(skew), ..HostFacts::default() };
    explain(&Paste::of(text.as_bytes()), Some(&host)).0.remove(0)
}

#[test]
fn a_url_that_does_not_tell_when_it_came_is_no_problem_of_a_host_that_is_right() {
    let url = "<Code>AccessDenied</Code><Message>Request has expired</Message><X-Amz-Expires>300</X-Amz-Expires>\
               <Expires>2026-03-01T12:05:00Z</Expires>";
    for text in [url.to_owned(), format!("{url}<ServerTime>2026-03-01T12:04:50Z</ServerTime>")] {
        let check = on_a_host(&text, 0.002);
        assert_eq!(
            (check.name.as_str(), check.verdict),
            ("error-presigned-url-expired", Verdict::Warning),
            "{check:?}"
        );
        assert!(!check.evidence.iter().any(|line| line.contains("before its end")), "{check:?}");
        assert!(!check.summary.contains("too late"), "{check:?}");
        assert_eq!(on_a_host(&text, 120.0).verdict, Verdict::Problem, "a clock that lags by enough is suspected");
    }
}

#[test]
fn who_gives_no_answer_may_have_been_reached() {
    for text in [
        "caused by: Post \"https://sts.eu-west-1.amazonaws.com/\": read tcp: connection reset by peer",
        "Read timeout on endpoint URL: \"https://sts.eu-west-1.amazonaws.com/\"",
    ] {
        let explained = alone(text);
        assert_eq!(explained.kind, "credential-service-unreachable", "{text}");
        assert!(explained.causes.iter().all(|cause| cause.standing != Standing::Proven), "{explained:?}");
        assert!(explained.causes[0].cause.contains("did not answer"), "{explained:?}");
        assert!(explained.summary.contains("did not answer"), "{explained:?}");
    }
}

#[test]
fn of_two_clocks_of_which_neither_is_known_to_be_right_only_the_difference_is_told() {
    for text in [
        "client time 2026-03-01 12:20:00 +0000 UTC is too apart with server time 2026-03-01 12:00:00.0 +0000 UTC",
        "NOTICE: request time skew too big now=2026-03-01 12:00:00.000000 req_time=2026-03-01 12:20:00.000000",
        "Time may be set wrong - time from \"b.example\" is 20m0s different from this computer",
    ] {
        let explained = alone(text);
        assert_eq!(
            (explained.kind.as_str(), explained.skew_seconds),
            ("request-time-too-skewed", Some(-1_200)),
            "{text}"
        );
        assert_eq!((explained.direction, explained.skew_bound), (None, None), "{text}");
        assert!(explained.causes.iter().all(|cause| cause.standing != Standing::Proven), "{explained:?}");
        assert!(explained.causes[0].remedy.starts_with("on both"), "{explained:?}");
        assert!(explained.times.iter().any(|line| line.starts_with("the two clocks differed by")), "{explained:?}");
        assert!(!explained.times.iter().any(|line| line.starts_with("the clock that signed")), "{explained:?}");
        // Whichever of the two this host is.
        for offset in [1_000.0, -1_000.0] {
            let check = on_a_host(text, offset);
            assert_eq!(check.verdict, Verdict::Problem, "{check:?}");
            assert!(!check.summary.contains("the clock that signed"), "{check:?}");
        }
        assert_eq!(on_a_host(text, 0.002).verdict, Verdict::Warning);
    }
    let aws =
        "Time may be set wrong - time from \"b.s3.eu-west-1.amazonaws.com\" is 20m0s different from this computer";
    let explained = alone(aws);
    assert_eq!((explained.direction, explained.skew_bound), (Some(Direction::Fast), Some(Bound::Exact)));
    assert_eq!(explained.causes[0].standing, Standing::Proven, "AWS's clock is right: {explained:?}");
}

#[test]
fn the_skew_of_several_is_that_nearest_to_zero_on_the_side_of_the_newest() {
    let s3 = |signed: &str| {
        format!(
            "S3 said <Code>RequestTimeTooSkewed</Code><RequestTime>{signed}</RequestTime><ServerTime>2026-03-01T12:00:00Z</ServerTime>"
        )
    };
    let (fast, slow, slower) = (s3("20260301T121640Z"), s3("20260301T114000Z"), s3("20260301T113000Z"));
    let explained = alone(&format!("{slower}\n\n{fast}\n\n{slow}"));
    assert_eq!((explained.count, explained.direction), (3, Some(Direction::Slow)));
    assert_eq!((explained.skew_seconds, explained.skew_range), (Some(1_200), Some([-1_000, 1_800])));
    assert_eq!(explained.skew_bound, Some(Bound::AtMost));
    let explained = alone(&format!("{slow}\n\n{fast}"));
    assert_eq!((explained.direction, explained.skew_seconds), (Some(Direction::Fast), Some(-1_000)));
    assert_eq!(explained.skew_bound, Some(Bound::AtLeast));
    let explained = alone(&format!("{fast}\n\n{slow}\n\n{slower}"));
    assert_eq!((explained.direction, explained.skew_seconds), (Some(Direction::Slow), Some(1_200)));
}
