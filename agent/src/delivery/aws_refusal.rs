//! What a refusal of AWS says: the code of its error decides whether there is another attempt.

use bytes::Bytes;

use super::item::Class;
use super::policy::{Again, of_status};
use super::request::{Answer, Failure};

/// The longest error code that is passed on, in bytes.
const LONGEST_CODE: usize = 80;

/// Judges a refusal by its code. Of the answer nothing else is kept: with a signature that does not match, AWS says
/// what should have been signed, and the session token is a part of that.
pub fn judged(failure: Failure, class: Class) -> Failure {
    let Some(answer) = &failure.answer else { return failure };
    let Some(code) = code(&answer.body) else {
        return Failure { answer: Some(Answer { body: Bytes::new(), ..answer.clone() }), ..failure };
    };
    Failure {
        reason: format!("{}: {code}", failure.reason),
        again: again(class, answer.status, &code),
        answer: Some(Answer { status: answer.status, body: code.into() }),
        ..failure
    }
}

/// The code of an error, from XML (`<Code>…`) or JSON (`"__type": "…#…"`).
fn code(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let code = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(json) => {
            let kind = ["__type", "code", "Code"].iter().find_map(|name| json.get(name)?.as_str())?;
            let kind = kind.rsplit('#').next().unwrap_or(kind);
            kind.split(':').next().unwrap_or(kind).to_owned()
        }
        Err(_) => text.split_once("<Code>")?.1.split_once("</Code>")?.0.to_owned(),
    };
    named(&code)
}

/// `code` where it can be the code of an error, which is a word.
pub fn named(code: &str) -> Option<String> {
    let is_word = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    ((1..=LONGEST_CODE).contains(&code.len()) && is_word).then(|| code.to_owned())
}

/// After a refusal for which AWS names a code: one of a whole request, or with a status of success that of one entry.
pub fn again(class: Class, status: u16, code: &str) -> Again {
    if passes(code) {
        return Again::Soon;
    }
    // AWS says 400 of nearly everything, which OTLP alone has be final.
    match (class, status) {
        (Class::Alert, 200..=299 | 400) if is_of_the_message(code) => Again::Never,
        (Class::Alert, 200..=299 | 400) => Again::Slowly,
        _ => of_status(class, status),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_an_error_is_found_in_xml_and_in_json() {
        let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>x</Message>";
        for (body, expected) in [
            (xml, Some("AuthorizationError")),
            (r#"{"__type":"com.amazonaws.events#ThrottlingException","message":"x"}"#, Some("ThrottlingException")),
            (r#"{"__type":"AccessDeniedException:http://x"}"#, Some("AccessDeniedException")),
            (r#"{"message":"x"}"#, None),
            ("<Code>not a word</Code>", None),
            ("<Code></Code>", None),
            ("<html>", None),
        ] {
            assert_eq!(code(body.as_bytes()).as_deref(), expected, "{body}");
        }
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
            assert_eq!(super::again(Class::Alert, status, code), again, "{status} {code}");
        }
        for (status, code, again) in [
            (400, "ThrottlingException", Again::Soon),
            (403, "ExpiredTokenException", Again::Soon),
            (400, "ValidationException", Again::Never),
            (403, "AccessDeniedException", Again::Never),
            (503, "Unknown", Again::Soon),
        ] {
            assert_eq!(super::again(Class::Telemetry, status, code), again, "{status} {code}");
        }
    }
}
