//! Why the instance metadata service gave an SDK no credentials.

use crate::credentials::lease::Unavailable;

/// Why the instance metadata service gave an SDK no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symptom {
    /// Nothing accepted the connection, or it was broken off.
    Refused,
    /// No answer came in time.
    Timeout,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404: no role is attached.
    NoRole,
    /// 404 of something else than a role.
    NoSuchPath,
    /// 429 or 5xx.
    Throttled,
    /// A variable or a setting forbids the SDK to ask.
    Disabled,
    /// EC2 may not assume the role.
    Untrusted,
    /// The message does not say.
    Unclear,
}

impl Symptom {
    /// All of them.
    pub(super) const ALL: [Self; 10] = [
        Self::Refused,
        Self::Timeout,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NoRole,
        Self::NoSuchPath,
        Self::Throttled,
        Self::Disabled,
        Self::Untrusted,
        Self::Unclear,
    ];

    /// The name in output, in kebab-case.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Refused => "imds-refused",
            Self::Timeout => "imds-timeout",
            Self::Unauthorized => "imds-unauthorized",
            Self::Forbidden => "imds-forbidden",
            Self::NoRole => "imds-no-role",
            Self::NoSuchPath => "imds-path-not-found",
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
            Self::Disabled | Self::NoSuchPath | Self::Unclear => None,
        }
    }

    /// The meaning of the first HTTP status that a text names as one.
    pub(super) fn of_status(text: &str) -> Option<Self> {
        const BEFORE: [&str; 7] = ["status", "http", "response", "code", "error", "returned", "returns"];
        const AFTER: [&str; 5] = ["not", "unauthorized", "forbidden", "service", "too"];
        let text = text.to_ascii_lowercase();
        let words: Vec<&str> =
            text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        words.iter().enumerate().find_map(|(place, word)| {
            let symptom = match *word {
                "401" => Self::Unauthorized,
                "403" => Self::Forbidden,
                "404" => Self::NoRole,
                "429" | "500" | "502" | "503" | "504" => Self::Throttled,
                _ => return None,
            };
            let before = words.get(place.saturating_sub(3)..place).unwrap_or_default();
            let is_named = before.iter().any(|word| BEFORE.iter().any(|name| word.contains(name)))
                || words.get(place + 1).is_some_and(|word| AFTER.contains(word));
            is_named.then_some(symptom)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_status_only_where_it_is_called_one() {
        assert_eq!(Symptom::of_status("HTTP 404"), Some(Symptom::NoRole));
        assert_eq!(Symptom::of_status("403 Forbidden"), Some(Symptom::Forbidden));
        assert_eq!(Symptom::of_status("503 pods, and 404 of them"), None);
    }
}
