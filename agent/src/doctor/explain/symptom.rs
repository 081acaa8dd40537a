//! Why the instance metadata service gave an SDK no credentials, as the SDK tells it.

use crate::credentials::lease::Unavailable;

/// Why the instance metadata service gave an SDK no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symptom {
    /// Nothing accepted the connection.
    Refused,
    /// No answer came in time.
    Timeout,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404: no role is attached.
    NoRole,
    /// 429 or 5xx.
    Throttled,
    /// A variable or a setting forbids the SDK to ask.
    Disabled,
    /// EC2 may not assume the role.
    Untrusted,
    /// The message does not say.
    Unclear,
}

/// What tells why the metadata service gave nothing, the more telling above.
const SYMPTOMS: &[(&str, Symptom)] = &[
    ("assumeroleunauthorizedaccess", Symptom::Untrusted),
    ("access disabled to ec2 imds", Symptom::Disabled),
    ("imds credentials have been disabled", Symptom::Disabled),
    ("metadata service is disabled", Symptom::Disabled),
    ("ec2 metadata service access disabled", Symptom::Disabled),
    ("timed out", Symptom::Timeout),
    ("i/o timeout", Symptom::Timeout),
    ("read timeout", Symptom::Timeout),
    ("connect timeout", Symptom::Timeout),
    ("timeout occurred", Symptom::Timeout),
    ("timeouterror", Symptom::Timeout),
    ("timeoutexception", Symptom::Timeout),
    ("etimedout", Symptom::Timeout),
    ("deadline exceeded", Symptom::Timeout),
    ("max number of attempts exceeded", Symptom::Timeout),
    ("connection refused", Symptom::Refused),
    ("econnrefused", Symptom::Refused),
    ("no route to host", Symptom::Refused),
    ("ehostunreach", Symptom::Refused),
    ("network is unreachable", Symptom::Refused),
    ("enetunreach", Symptom::Refused),
    ("failed to connect", Symptom::Refused),
    ("could not connect", Symptom::Refused),
];

/// What tells that no role is attached, unless a status says otherwise.
const NO_ROLE: &[&str] = &["no ec2 instance role found", "no ec2 imds role found", "requested metadata is not found"];

impl Symptom {
    /// Finds it in a message in lower case that speaks of the metadata service; `None` where it does not say.
    pub(super) fn of(text: &str) -> Option<Self> {
        let told = || SYMPTOMS.iter().find(|(needle, _)| text.contains(needle)).map(|(_, symptom)| *symptom);
        let no_role = || NO_ROLE.iter().any(|needle| text.contains(needle)).then_some(Self::NoRole);
        told().or_else(|| status(text)).or_else(no_role)
    }

    /// The name in output, in kebab-case.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Refused => "imds-refused",
            Self::Timeout => "imds-timeout",
            Self::Unauthorized => "imds-unauthorized",
            Self::Forbidden => "imds-forbidden",
            Self::NoRole => "imds-no-role",
            Self::Throttled => "imds-throttled",
            Self::Disabled => "imds-disabled",
            Self::Untrusted => "imds-role-untrusted",
            Self::Unclear => "imds-failed",
        }
    }

    /// The same as the agent itself would have met it; `None` where it meets nothing like it.
    pub(super) fn unavailable(self) -> Option<Unavailable> {
        match self {
            Self::Refused => Some(Unavailable::Refused),
            Self::Timeout => Some(Unavailable::Timeout),
            Self::Unauthorized => Some(Unavailable::TokenRefused),
            Self::Forbidden => Some(Unavailable::Forbidden),
            Self::NoRole => Some(Unavailable::NoRole),
            Self::Throttled => Some(Unavailable::Throttled(503)),
            Self::Untrusted => Some(Unavailable::Rejected { code: "AssumeRoleUnauthorizedAccess".to_owned() }),
            Self::Disabled | Self::Unclear => None,
        }
    }
}

/// The meaning of the first HTTP status that the text names as one.
fn status(text: &str) -> Option<Symptom> {
    const BEFORE: [&str; 6] = ["status", "http", "response", "code", "error", "returned"];
    const AFTER: [&str; 3] = ["not", "unauthorized", "forbidden"];
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.iter().enumerate().find_map(|(place, word)| {
        let symptom = match *word {
            "401" => Symptom::Unauthorized,
            "403" => Symptom::Forbidden,
            "404" => Symptom::NoRole,
            "429" | "500" | "502" | "503" | "504" => Symptom::Throttled,
            _ => return None,
        };
        let before = words.get(place.saturating_sub(3)..place).unwrap_or_default();
        let is_named = before.iter().any(|word| BEFORE.iter().any(|name| word.contains(name)))
            || words.get(place + 1).is_some_and(|word| AFTER.contains(word));
        is_named.then_some(symptom)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_status_only_where_it_is_called_one() {
        assert_eq!(status("http 404"), Some(Symptom::NoRole));
        assert_eq!(status("403 forbidden"), Some(Symptom::Forbidden));
        assert_eq!(status("503 pods, and 404 of them"), None);
    }
}
