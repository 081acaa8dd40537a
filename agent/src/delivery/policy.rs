//! Whether what was not taken is sent again, and how soon: one table for every destination.
//!
//! | what happened | an alert | telemetry |
//! |---|---|---|
//! | nobody answers, TLS fails, a secret or a key cannot be read | soon | soon |
//! | 429, 502, 503, 504 | soon | soon |
//! | 408, 425, any other 5xx | soon | never |
//! | 400, 413, 422 | never | never |
//! | any other status: 3xx, 401, 403, 404, 407, 409, 410 and so on | slowly | never |
//! | AWS names a code that passes: throttling, an outage, keys or a signature that expired | soon | |
//! | AWS names a code of the message, with status 400 or for one entry | never | |
//! | AWS names any other code with status 400 or for one entry: a right, a topic, a bus | slowly | |
//! | PagerDuty says 400 for its routing key, Slack for its webhook | slowly | |
//! | a status of success from whoever is not that service: a portal, a proxy | soon | |
//! | OTLP took it in part, and threw the rest away | never | never |
//! | what was queued cannot be written as a request, or is larger than the service takes | never | never |
//!
//! An alert is given up only where the message itself is at fault. Whatever else a receiver says is about its address, its
//! credentials, its proxy, or about itself, and somebody will mend that: until then the alert waits, as long as
//! `queue.age` allows. What tells an alert is an alert on every road, also as a log record.
//!
//! Telemetry is what the OpenTelemetry protocol calls a request. That one has a list of what may be retried
//! (<https://opentelemetry.io/docs/specs/otlp/#failures-1>), and all else must not be.

use super::item::Class;

/// Whether another attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Again {
    /// It may succeed at any moment.
    Soon,
    /// It will succeed once somebody has mended something.
    Slowly,
    /// It would fail in the same way.
    Never,
}

/// After an answer of this status.
pub const fn of_status(class: Class, status: u16) -> Again {
    match (class, status) {
        (_, 429 | 502..=504) => Again::Soon,
        (_, 400 | 413 | 422) | (Class::Telemetry, _) => Again::Never,
        (Class::Alert, 408 | 425 | 500..=599) => Again::Soon,
        (Class::Alert, _) => Again::Slowly,
    }
}

/// After a refusal for which AWS names a code: one of a whole request, or with a status of success that of one entry.
pub fn of_aws(status: u16, code: &str) -> Again {
    if passes(code) {
        return Again::Soon;
    }
    // AWS says 400 of nearly everything.
    match status {
        200..=299 | 400 if is_of_the_message(code) => Again::Never,
        200..=299 | 400 => Again::Slowly,
        _ => of_status(Class::Alert, status),
    }
}

/// It was too much, the service was out of order, the keys had just expired, or the signature was off because of the time.
/// The next attempt has fresh keys and a fresh estimate of true time.
fn passes(code: &str) -> bool {
    code.contains("Throttl")
        || matches!(
            code,
            "TooManyRequestsException"
                | "RequestLimitExceeded"
                | "SlowDown"
                | "InternalFailure"
                | "InternalError"
                | "InternalException"
                | "ServiceUnavailable"
                | "ServiceUnavailableException"
                | "ConcurrentModificationException"
                | "RequestTimeout"
                | "RequestTimeoutException"
                | "ExpiredToken"
                | "ExpiredTokenException"
                | "RequestExpired"
                | "RequestInTheFuture"
                | "RequestTimeTooSkewed"
                | "InvalidSignatureException"
                | "SignatureDoesNotMatch"
                | "InvalidClientTokenId"
                | "UnrecognizedClientException"
        )
}

fn is_of_the_message(code: &str) -> bool {
    matches!(
        code,
        "InvalidParameter"
            | "InvalidParameterException"
            | "InvalidParameterValue"
            | "InvalidParameterValueException"
            | "ParameterValueInvalid"
            | "InvalidArgument"
            | "MalformedDetail"
            | "MalformedQueryString"
            | "SerializationException"
            | "ValidationError"
            | "ValidationException"
    )
}

/// After an answer of PagerDuty's, which calls an event invalid whose routing key it does not know.
pub fn of_pagerduty(status: u16, body: &[u8]) -> Again {
    let said = String::from_utf8_lossy(body).to_ascii_lowercase();
    let names_the_key = said.contains("routing_key") || said.contains("routing key");
    if status == 400 && names_the_key { Again::Slowly } else { of_status(Class::Alert, status) }
}

/// After an answer of Slack's, which is a word: some of them speak of the webhook or its workspace.
pub fn of_slack(status: u16, word: &str) -> Again {
    let is_of_the_webhook = matches!(
        word,
        "invalid_token"
            | "token_revoked"
            | "no_active_hooks"
            | "no_service"
            | "no_service_id"
            | "no_team"
            | "team_disabled"
            | "user_not_found"
            | "channel_not_found"
            | "channel_is_archived"
            | "action_prohibited"
            | "posting_to_general_channel_denied"
    );
    if status == 400 && is_of_the_webhook { Again::Slowly } else { of_status(Class::Alert, status) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_given_up_only_for_what_is_wrong_with_the_message() {
        let never: Vec<u16> = (100..=599).filter(|status| of_status(Class::Alert, *status) == Again::Never).collect();
        assert_eq!(never, [400, 413, 422]);
        for status in [301, 302, 307, 401, 402, 403, 404, 405, 407, 409, 410, 418, 451] {
            assert_eq!(of_status(Class::Alert, status), Again::Slowly, "{status}");
        }
        for status in [408, 425, 429, 500, 501, 502, 503, 504, 507, 599] {
            assert_eq!(of_status(Class::Alert, status), Again::Soon, "{status}");
        }
    }

    #[test]
    fn telemetry_is_sent_again_only_where_its_protocol_has_it() {
        let again: Vec<u16> =
            (100..=599).filter(|status| of_status(Class::Telemetry, *status) != Again::Never).collect();
        assert_eq!(again, [429, 502, 503, 504]);
    }

    #[test]
    fn a_code_of_aws_says_more_than_its_status() {
        for (status, code, again) in [
            (400, "Throttling", Again::Soon),
            (400, "ThrottlingException", Again::Soon),
            (400, "ExpiredTokenException", Again::Soon),
            (403, "ExpiredToken", Again::Soon),
            (403, "SignatureDoesNotMatch", Again::Soon),
            (400, "InvalidParameter", Again::Never),
            (200, "MalformedDetail", Again::Never),
            (400, "AccessDeniedException", Again::Slowly),
            (403, "AuthorizationError", Again::Slowly),
            (404, "NotFound", Again::Slowly),
            (200, "NotAuthorizedForSourceException", Again::Slowly),
            (400, "AWordOfNextYear", Again::Slowly),
            (413, "RequestEntityTooLarge", Again::Never),
            (500, "Unknown", Again::Soon),
        ] {
            assert_eq!(of_aws(status, code), again, "{status} {code}");
        }
    }

    #[test]
    fn a_wrong_key_or_webhook_is_not_a_wrong_message() {
        let key = br#"{"status":"invalid event","errors":["Length of 'routing_key' is incorrect (should be 32)"]}"#;
        assert_eq!(of_pagerduty(400, key), Again::Slowly);
        assert_eq!(of_pagerduty(400, br#"{"errors":["Invalid routing key"]}"#), Again::Slowly);
        assert_eq!(of_pagerduty(400, br#"{"errors":["'payload.summary' is missing"]}"#), Again::Never);
        assert_eq!(of_pagerduty(403, b""), Again::Slowly);
        assert_eq!(of_slack(400, "user_not_found"), Again::Slowly);
        assert_eq!(of_slack(400, "invalid_payload"), Again::Never);
        assert_eq!(of_slack(410, "channel_is_archived"), Again::Slowly);
        assert_eq!(of_slack(500, "rollup_error"), Again::Soon);
    }
}
