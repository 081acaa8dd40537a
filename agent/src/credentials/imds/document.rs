//! What is read from the texts of the service. Secrets are skipped where they stand and never become a value.

use crate::credentials::document::role_lease;
use crate::credentials::identity::is_role;
use crate::credentials::lease::{Lease, Unavailable};

/// The name of the role in the list of roles: the first line that is not empty.
///
/// # Errors
/// `NoRole` where there is no line, `Malformed` where it cannot be the name of a role.
pub fn role(list: &[u8]) -> Result<&str, Unavailable> {
    let mut lines = list.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let line = lines.find(|line| !line.is_empty()).ok_or(Unavailable::NoRole)?;
    let name = std::str::from_utf8(line).ok().filter(|name| is_role(name));
    name.ok_or(Unavailable::Malformed("the name of the role is not a name"))
}

/// How many lines of the list of roles are not empty. The service is made to name one role alone.
pub(super) fn roles(list: &[u8]) -> usize {
    list.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count()
}

/// The lease in the document of `role`.
///
/// # Errors
/// `Rejected`, `MissingExpiration`, and `Malformed` for all that is not such a document.
pub fn lease(role: &str, body: &[u8]) -> Result<Lease, Unavailable> {
    role_lease(body, |_| role.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fake::{DOCUMENT, SECRETS};
    use super::*;
    use crate::credentials::Provider;
    use crate::credentials::document::{MAX_TEXT, printable};
    use crate::time::rfc3339;

    fn expiration(text: &str) -> Result<String, Unavailable> {
        let body = format!(r#"{{"Expiration": "{text}"}}"#);
        lease("r", body.as_bytes()).map(|lease| rfc3339(lease.expiration.unwrap().nanos()))
    }

    #[test]
    fn a_document_becomes_a_lease() {
        let lease = lease("web", DOCUMENT.as_bytes()).unwrap();
        assert_eq!((lease.identity.as_str(), lease.code.as_deref()), ("web", Some("Success")));
        assert_eq!(lease.kind.as_deref(), Some("AWS-HMAC"));
        assert_eq!(rfc3339(lease.last_updated.unwrap().nanos()), "2026-03-01T10:00:00.000Z");
        assert_eq!(rfc3339(lease.expiration.unwrap().nanos()), "2026-03-01T16:00:00.000Z");
    }

    #[test]
    fn a_document_without_code_type_and_last_updated_is_a_lease() {
        let lease = lease("web", br#"{"Expiration": "2026-03-01T16:00:00Z"}"#).unwrap();
        assert_eq!((lease.code, lease.kind, lease.last_updated), (None, None, None));
    }

    #[test]
    fn keys_are_compared_without_regard_to_case() {
        let lease = lease("web", br#"{"code":"success","EXPIRATION":"2026-03-01T16:00:00Z","lastupdated":null}"#);
        assert_eq!(lease.unwrap().code.as_deref(), Some("success"));
    }

    #[test]
    fn an_expiration_in_the_past_is_a_lease() {
        assert_eq!(expiration("1999-12-31T23:59:59Z").unwrap(), "1999-12-31T23:59:59.000Z");
    }

    #[test]
    fn times_may_have_a_fraction_an_offset_both_or_neither() {
        assert_eq!(expiration("2026-03-01T16:00:00.25Z").unwrap(), "2026-03-01T16:00:00.250Z");
        assert_eq!(expiration("2026-03-01T16:00:00.5+01:30").unwrap(), "2026-03-01T14:30:00.500Z");
        assert_eq!(expiration("2026-03-01T16:00:00").unwrap(), "2026-03-01T16:00:00.000Z");
        assert_eq!(expiration("2026-03-01T16:00:00.123").unwrap(), "2026-03-01T16:00:00.123Z");
    }

    #[test]
    fn a_time_out_of_range_or_in_another_format_is_malformed() {
        for text in ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "tomorrow", "1772380800", "2026-02-30T00:00:00Z"] {
            assert!(matches!(expiration(text), Err(Unavailable::Malformed(_))), "{text}");
        }
        for last_updated in ["\"yesterday\"", "1772380800", "{}"] {
            let body = format!("{{\"Expiration\": \"2026-03-01T16:00:00Z\", \"LastUpdated\": {last_updated}}}");
            let lease = lease("r", body.as_bytes()).unwrap();
            assert!(lease.last_updated.is_none() && lease.expiration.is_some(), "no SDK reads it");
        }
    }

    #[test]
    fn a_missing_expiration_is_named_as_such() {
        for body in [r#"{"Code":"Success"}"#, r#"{"Expiration":null}"#, r#"{"Expiration":""}"#, "{}"] {
            assert_eq!(lease("r", body.as_bytes()), Err(Unavailable::MissingExpiration), "{body}");
        }
    }

    #[test]
    fn a_code_other_than_success_is_carried_in_printable_form() {
        let rejected = |code: &str| lease("r", format!(r#"{{"Code":"{code}"}}"#).as_bytes()).unwrap_err();
        assert_eq!(
            rejected("AssumeRoleUnauthorizedAccess"),
            Unavailable::Rejected { code: "AssumeRoleUnauthorizedAccess".into() }
        );
        assert_eq!(rejected(r"Bad\u001b[31m\nWord"), Unavailable::Rejected { code: "Bad[31mWord".into() });
        assert_eq!(rejected(&"x".repeat(500)), Unavailable::Rejected { code: "x".repeat(128) });
    }

    #[test]
    fn what_is_not_a_document_is_malformed_and_the_reason_says_in_which_way() {
        let reason = |body: &str| lease("r", body.as_bytes()).unwrap_err();
        assert_eq!(reason("<html>"), Unavailable::Malformed("the document is not json"));
        assert_eq!(reason(&DOCUMENT[..40]), Unavailable::Malformed("the document is cut short"));
        assert_eq!(reason(""), Unavailable::Malformed("the document is cut short"));
        assert_eq!(reason("[]"), Unavailable::Malformed("the document has an unexpected shape"));
        assert_eq!(reason(r#"{"Code": 7}"#), Unavailable::Malformed("the document has an unexpected shape"));
        assert_eq!(reason(&format!("{DOCUMENT}x")), Unavailable::Malformed("the document is not json"));
        assert_eq!(reason(&"[".repeat(50_000)), Unavailable::Malformed("the document has an unexpected shape"));
    }

    #[test]
    fn the_first_line_that_is_not_empty_names_the_role() {
        assert_eq!(role(b"\n  web-role_1+=,.@-  \r\nother"), Ok("web-role_1+=,.@-"));
        assert_eq!(role(b" \r\n\n"), Err(Unavailable::NoRole));
        assert_eq!(role("x".repeat(64).as_bytes()).map(str::len), Ok(64));
    }

    #[test]
    fn a_name_that_could_lead_elsewhere_is_not_a_role() {
        let long = "x".repeat(65);
        for list in ["..", ".", "a/b", "a?b", "a%2fb", "a b", "r\u{f6}le", "a\0b", "<html>", &long] {
            assert!(matches!(role(list.as_bytes()), Err(Unavailable::Malformed(_))), "{list:?}");
        }
        assert!(matches!(role(b"\xff\xfe"), Err(Unavailable::Malformed(_))));
    }

    proptest! {
        #[test]
        fn no_result_of_a_damaged_document_shows_a_secret(
            cut in 0..=DOCUMENT.len(),
            at in 0..DOCUMENT.len(),
            byte: u8,
        ) {
            let mut body = DOCUMENT.as_bytes().to_vec();
            body[at] = byte;
            body.truncate(cut);
            let shown = match lease("web", &body) {
                Ok(lease) => format!("{lease:?}"),
                Err(reason) => format!("{reason:?} {reason} {} {}", reason.code(), reason.remedy(Provider::Imds)),
            };
            for secret in SECRETS {
                prop_assert!(!shown.contains(secret));
            }
        }

        #[test]
        fn no_bytes_make_the_parsers_panic(body: Vec<u8>) {
            let _ = lease("web", &body);
            let _ = role(&body);
            prop_assert!(printable(&body).is_none_or(|text| text.len() <= MAX_TEXT));
        }
    }
}
