//! From a message to what the doctor says of it.

use super::complaint::Complaint;
use super::here::Here;
use super::host::HostFacts;
use super::times::Times;
use crate::doctor::report::{Area, Check};
use crate::time::{humane, humane_offset};

/// More of a text is not looked at.
const LONGEST: usize = 256 * 1024;

const UNKNOWN_REMEDY: &str = "hand in the whole message, with its code: what is understood is ExpiredToken, RequestExpired, \
    RequestTimeTooSkewed, InvalidSignatureException, SignatureDoesNotMatch, AuthFailure, InvalidClientTokenId, \
    UnrecognizedClientException, InvalidAccessKeyId, InvalidToken, InvalidIdentityToken, IncompleteSignature, \
    MissingAuthenticationToken, \"Request has expired\" of a pre-signed URL, an expired SSO session, and what SDKs say when \
    they find no credentials or cannot reach the metadata service";

/// Says what an error message means, how far the clock was off by its times, and what it comes from on this host: a
/// problem where the cause is there now, else a warning.
pub fn explain(text: &str, host: &HostFacts) -> Check {
    let text = beginning(text);
    let Some(complaint) = Complaint::of(text) else {
        return Check::warning(
            Area::Error,
            "error-unknown",
            "the message names no error of time or credentials that is known",
            "it says nothing about the clock or the credentials of this host",
            UNKNOWN_REMEDY,
        );
    };
    let (words, times) = (complaint.words(), Times::of(text, complaint));
    let here = Here::of(complaint, &times, host);
    let name = format!("error-{}", complaint.name());
    let summary = format!("{}: {}; {}", words.title, words.meaning, here.text);
    let remedy = here.remedy.unwrap_or_else(|| words.remedy.to_owned());
    let make = if here.is_present { Check::problem } else { Check::warning };
    let causes = words.causes.iter().enumerate().map(|(number, cause)| format!("cause {}: {cause}", number + 1));
    make(Area::Error, &name, summary, words.effect.to_owned(), remedy).with_evidence(told(&times)).with_evidence(causes)
}

/// The times of the message, and what follows from them.
fn told(times: &Times) -> Vec<String> {
    let skew = times.offset().map(|offset| {
        format!("the clock that signed was {} ({} s)", humane_offset(offset), offset.span().abs().seconds())
    });
    let overdue = times.overdue().map(|overdue| match overdue.nanos() {
        0.. => format!("it came {} too late", humane(overdue)),
        _ => format!("it came {} before its end", humane(overdue)),
    });
    // Without a window the request may have been signed long before it was sent: the distance is its age.
    let is_skew = times.good_until.is_none() || times.offset().is_some_and(|offset| offset.lag().nanos() == 0);
    times.lines().into_iter().chain(skew.filter(|_| is_skew)).chain(overdue).collect()
}

fn beginning(text: &str) -> &str {
    let end = (0..=LONGEST.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::assess::lifetime::Lifetime;
    use crate::assess::limit::Skew;
    use crate::aws::sdk::Sdk;
    use crate::credentials::Provider;
    use crate::credentials::lease::Unavailable;
    use crate::doctor::explain::host::Holding;
    use crate::doctor::report::Verdict;
    use crate::time::{ErrorBound, Offset, Span};

    const SLOW: &str = r#"{"__type":"com.amazon.coral.service#InvalidSignatureException","message":"Signature expired: 20260301T120000Z is now earlier than 20260301T120959Z (20260301T121459Z - 5 min.)"}"#;
    const EXPIRED: &str =
        "An error occurred (ExpiredToken) when calling the ListBuckets operation: The provided token has expired.";

    fn seconds(seconds: f64) -> Span {
        Span::from_seconds(seconds)
    }

    fn off(offset: f64) -> HostFacts {
        let skew = Skew { offset: Offset::new(seconds(offset)), bound: ErrorBound::new(seconds(0.001)) };
        HostFacts { skew: Some(skew), ..HostFacts::default() }
    }

    fn holding(provider: Provider, remaining: f64, remaining_local: f64) -> Holding {
        let life = Lifetime {
            remaining: Some(seconds(remaining)),
            remaining_local: seconds(remaining_local),
            ..Lifetime::default()
        };
        Holding { provider, identity: "app".to_owned(), life: Ok(life) }
    }

    fn missing(provider: Provider, reason: Unavailable) -> Holding {
        Holding { provider, identity: String::new(), life: Err(reason) }
    }

    fn with(holding: Holding) -> HostFacts {
        HostFacts { holdings: vec![holding], ..HostFacts::default() }
    }

    fn remedy(check: &Check) -> &str {
        check.remedy.as_deref().unwrap()
    }

    #[test]
    fn a_clock_that_was_slow_and_still_is_is_the_problem_and_one_that_is_right_now_is_not() {
        let still = explain(SLOW, &off(890.0));
        assert_eq!((still.name.as_str(), still.verdict), ("error-signature-expired", Verdict::Problem));
        assert!(still.summary.contains("the clock that signed was 15 min slow"), "{}", still.summary);
        assert!(still.summary.contains("the system clock is 15 min slow"), "{}", still.summary);
        assert!(still.evidence.contains(&"the clock that signed was 15 min slow (899 s)".to_owned()), "{still:?}");
        assert!(remedy(&still).contains("chronyc makestep"));
        let mended = explain(SLOW, &off(0.002));
        assert_eq!(mended.verdict, Verdict::Warning);
        assert!(mended.summary.contains("2.0 ms slow (± 1.0 ms) now, within the limit of 300 s"), "{}", mended.summary);
        let unknown = explain(SLOW, &HostFacts::default());
        assert_eq!(unknown.verdict, Verdict::Warning);
        assert!(unknown.summary.contains("is not known: `skewguard check`"), "{}", unknown.summary);
    }

    #[test]
    fn the_window_of_the_message_counts_more_than_the_usual_one() {
        let s3 = "<Code>RequestTimeTooSkewed</Code><RequestTime>20260301T120000Z</RequestTime>\
                  <ServerTime>2026-03-01T12:20:00Z</ServerTime>";
        assert_eq!(explain(s3, &off(600.0)).verdict, Verdict::Warning);
        assert_eq!(explain(s3, &off(1_000.0)).verdict, Verdict::Problem);
        assert_eq!(explain(s3, &off(-1_000.0)).verdict, Verdict::Problem);
        let strict = format!("{s3}<MaxAllowedSkewMilliseconds>300000</MaxAllowedSkewMilliseconds>");
        assert_eq!(explain(&strict, &off(600.0)).verdict, Verdict::Problem);
    }

    #[test]
    fn an_expired_token_is_traced_to_what_has_run_out_here() {
        let tool = explain(EXPIRED, &with(holding(Provider::SharedFile, -60.0, -60.0)));
        assert_eq!((tool.name.as_str(), tool.verdict), ("error-expired-token", Verdict::Problem));
        assert!(tool.summary.ends_with("the credential app of shared-file ran out 60.0 s ago"), "{}", tool.summary);
        assert!(remedy(&tool).contains("run the tool that writes"));
        let platform = explain(EXPIRED, &with(holding(Provider::Imds, -60.0, -60.0)));
        assert!(remedy(&platform).contains("rotates"));
        let slow = explain(EXPIRED, &with(holding(Provider::Imds, -60.0, 400.0)));
        assert!(slow.summary.contains("SDKs go on using it"), "{}", slow.summary);
        assert!(remedy(&slow).contains("chronyc makestep"));
    }

    #[test]
    fn a_refresh_that_comes_too_late_is_a_clock_that_is_slow() {
        let mut late = holding(Provider::Imds, 600.0, 1_010.0);
        late.life.as_mut().unwrap().refresh_margins =
            vec![(Sdk::Botocore, seconds(190.0)), (Sdk::JavaV2, seconds(-350.0))];
        let check = explain(EXPIRED, &with(late));
        assert_eq!(check.verdict, Verdict::Problem);
        assert!(check.summary.contains("java-v2 uses the credential app of imds for 350 s"), "{}", check.summary);
    }

    #[test]
    fn a_cache_that_is_renewed_on_use_is_not_the_cause() {
        assert_eq!(explain(EXPIRED, &with(holding(Provider::CliCache, -60.0, -60.0))).verdict, Verdict::Warning);
        let sso = "Error loading SSO Token: Token for work does not exist";
        assert_eq!(explain(sso, &with(holding(Provider::SsoCache, -60.0, -60.0))).verdict, Verdict::Problem);
    }

    const UNKNOWN_KEY: &str =
        "An error occurred (InvalidClientTokenId) when calling the GetCallerIdentity operation: …";

    fn shadowed_by(sentence: &str, is_lasting: bool) -> HostFacts {
        HostFacts {
            shadow: Some(sentence.to_owned()),
            shadow_remedy: Some("unset AWS_ACCESS_KEY_ID".to_owned()),
            is_shadow_lasting: is_lasting,
            ..HostFacts::default()
        }
    }

    #[test]
    fn keys_that_hide_the_role_are_named_by_a_sentence_of_their_own_and_its_remedy() {
        let sentence = "this shell signs with the keys in the environment, which nobody renews";
        let host = shadowed_by(sentence, false);
        for text in [EXPIRED, UNKNOWN_KEY, "UnrecognizedClientException", "AuthFailure", "SignatureDoesNotMatch"] {
            let check = explain(text, &host);
            assert_eq!(check.verdict, Verdict::Problem, "{text}");
            assert!(check.summary.ends_with(&format!("; {sentence}")), "{}", check.summary);
            assert_eq!(remedy(&check), "unset AWS_ACCESS_KEY_ID");
            assert_eq!(explain(text, &off(0.0)).verdict, Verdict::Warning, "{text}");
        }
        let bare = HostFacts { shadow_remedy: None, ..host };
        assert!(remedy(&explain(EXPIRED, &bare)).starts_with("restart the process"), "the remedy of the error itself");
    }

    #[test]
    fn keys_that_never_expire_are_the_cause_where_aws_does_not_know_them_and_not_where_something_ran_out() {
        let sentence = "this shell signs with the keys in the environment, which never expire";
        let host = shadowed_by(sentence, true);
        for (text, suspicion) in [
            (UNKNOWN_KEY, "the key was deleted or deactivated"),
            ("UnrecognizedClientException", "the key was deleted or deactivated"),
            ("InvalidAccessKeyId", "the key was deleted or deactivated"),
            ("AuthFailure", "the key was deleted or deactivated"),
            ("SignatureDoesNotMatch", "the secret key is not the one of this access key"),
        ] {
            let check = explain(text, &host);
            assert_eq!((check.verdict, remedy(&check)), (Verdict::Problem, "unset AWS_ACCESS_KEY_ID"), "{text}");
            assert!(check.summary.ends_with(&format!("; {sentence}: most likely {suspicion}")), "{check:?}");
        }
        for text in [EXPIRED, "RequestExpired", "InvalidToken"] {
            let check = explain(text, &host);
            assert_eq!(check.verdict, Verdict::Warning, "{text}");
            assert!(!check.summary.contains(sentence), "{}", check.summary);
        }
    }

    #[test]
    fn what_ec2_does_not_say_is_told_by_the_clock() {
        for offset in [400.0, -400.0] {
            let check =
                explain("An error occurred (AuthFailure) when calling the DescribeInstances operation", &off(offset));
            assert_eq!(check.verdict, Verdict::Problem);
            assert!(check.summary.contains("past the limit of 300 s"), "{}", check.summary);
        }
    }

    #[test]
    fn a_fast_clock_makes_fresh_credentials_look_old() {
        let text = "Credentials were refreshed, but the refreshed credentials are still expired.";
        let check = explain(text, &with(holding(Provider::Imds, 21_600.0, -10.0)));
        assert_eq!(check.verdict, Verdict::Problem);
        assert!(
            check.summary.contains("so fast that the credential app of imds has run out by it"),
            "{}",
            check.summary
        );
        assert_eq!(explain(text, &with(holding(Provider::Imds, 21_600.0, 21_600.0))).verdict, Verdict::Warning);
    }

    #[test]
    fn a_slow_host_shortens_the_urls_that_it_signs() {
        let url = "<Code>AccessDenied</Code><Message>Request has expired</Message><X-Amz-Expires>300</X-Amz-Expires>\
                   <Expires>2026-03-01T12:05:00Z</Expires><ServerTime>2026-03-01T12:05:10Z</ServerTime>";
        let check = explain(url, &off(200.0));
        assert_eq!((check.name.as_str(), check.verdict), ("error-presigned-url-expired", Verdict::Problem));
        assert!(check.evidence.contains(&"it came 10.0 s too late".to_owned()), "{check:?}");
        assert!(
            !check.evidence.iter().any(|line| line.starts_with("the clock that signed")),
            "age is no skew: {check:?}"
        );
        for offset in [-200.0, 0.1, 9.0] {
            assert_eq!(explain(url, &off(offset)).verdict, Verdict::Warning, "it came too late by more");
        }
        assert_eq!(explain(url, &off(11.0)).verdict, Verdict::Problem);
    }

    #[test]
    fn what_the_metadata_service_says_now_decides() {
        let text = "EC2MetadataError: failed to make EC2Metadata request\n\tstatus code: 404";
        let none = explain(text, &with(missing(Provider::Imds, Unavailable::NoRole)));
        assert_eq!((none.name.as_str(), none.verdict), ("error-imds-no-role", Verdict::Problem));
        assert!(remedy(&none).contains("associate-iam-instance-profile"));
        assert_eq!(explain(text, &with(holding(Provider::Imds, 600.0, 600.0))).verdict, Verdict::Warning);
        let throttled = explain("imds: http status 503", &with(holding(Provider::Imds, 600.0, 600.0)));
        assert!(remedy(&throttled).contains("AWS_METADATA_SERVICE_NUM_ATTEMPTS=5"));
        let timeout = "operation error ec2imds: GetMetadata, context deadline exceeded";
        let container = explain(timeout, &with(holding(Provider::Imds, 600.0, 600.0)));
        assert_eq!(container.verdict, Verdict::Warning);
        assert!(container.summary.contains("a container behind another hop"), "{}", container.summary);
        assert!(remedy(&container).contains("--http-put-response-hop-limit 2"));
        let nothing = explain("Unable to locate credentials", &with(missing(Provider::Imds, Unavailable::Timeout)));
        assert_eq!(nothing.verdict, Verdict::Problem);
        let proxy = "the proxy variables of this shell send the requests of botocore through a proxy";
        let host = HostFacts { proxy: Some(proxy.to_owned()), ..HostFacts::default() };
        let proxied = explain(timeout, &host);
        assert!(proxied.summary.ends_with(&format!("; {proxy}")), "{}", proxied.summary);
        assert!(remedy(&proxied).contains("NO_PROXY=169.254.169.254"));
        assert!(remedy(&explain("NoCredentialProviders", &host)).contains("NO_PROXY=169.254.169.254"));
    }

    #[test]
    fn a_text_that_is_not_understood_is_answered_with_what_is() {
        let check = explain("it does not work", &off(1_000.0));
        assert_eq!((check.name.as_str(), check.verdict), ("error-unknown", Verdict::Warning));
        assert!(remedy(&check).contains("RequestTimeTooSkewed"));
    }

    const CODES: [&str; 12] = [
        "ExpiredToken",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "Signature expired:",
        "Signature not yet current:",
        "AuthFailure",
        "InvalidClientTokenId",
        "AccessDenied Request has expired",
        "Token expired: current date/time",
        "ec2imds status code: 401",
        "169.254.170.2",
        "Unable to locate credentials",
    ];

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, code in 0..CODES.len()) {
            explain(&text, &HostFacts::default());
            explain(&format!("{}{text}", CODES[code]), &off(400.0));
        }

        #[test]
        fn nothing_of_a_secret_is_repeated(
            code in 0..CODES.len(),
            secret in "(AKIA|ASIA)[A-Z0-9]{16}|[A-Za-z0-9/+]{40}",
            frame in 0..6_usize,
        ) {
            let code = CODES[code];
            let text = match frame {
                0 => format!("{code} {secret}"),
                1 => format!("{secret} {code}"),
                2 => format!("{code} <RequestTime>{secret}</RequestTime><ServerTime>{secret}</ServerTime>"),
                3 => format!("{code} <Expires>{secret}</Expires><X-Amz-Expires>{secret}</X-Amz-Expires><X-Amz-Date>{secret}"),
                4 => format!("{code} {secret} must be before the expiration date/time {secret}"),
                _ => format!("{code} 20260301T120000Z {secret} 20260301T120959Z ({secret} 20260301T121459Z - {secret} min"),
            };
            let said = serde_json::to_string(&explain(&text, &off(400.0))).unwrap();
            // What is as short as a time may be one.
            for part in secret.as_bytes().windows(12) {
                let part = std::str::from_utf8(part).unwrap();
                prop_assert!(!said.contains(part), "{part} of {text} in {said}");
            }
        }
    }
}
