//! Whether what was not taken is sent again, and how soon: one table for every destination. The rows that name a service are
//! in the file of whoever speaks with it.
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
}
