//! Why the metadata service hands nothing out.

use super::probe::{Facts, Reach};
use crate::credentials::lease::Unavailable;

/// Why the service hands nothing out. What it says of the role is another matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Nobody accepts connections.
    Unreachable,
    /// Somebody accepts connections and says nothing.
    Silent,
    /// The answer with the token is lost on its way, and others arrive.
    HopLimit,
    /// The instance's own switch.
    Off,
    /// The token alone is forbidden, as it is for requests with `X-Forwarded-For`.
    Forwarded,
    /// The token is refused for the time being.
    Throttled,
    /// Something that does not speak as the service does.
    Stranger,
}

impl Cause {
    /// The cause of what was found; `None` where nothing is wrong.
    pub(super) fn of(facts: &Facts) -> Option<Self> {
        if facts.reach != Reach::Connected {
            return Some(Self::Unreachable);
        }
        match (&facts.open, &facts.token) {
            (_, Some(Ok(()))) => None,
            _ if speaks_version_1_alone(facts) => None,
            (Some(Err(Unavailable::Forbidden)), Some(Err(Unavailable::Forbidden))) => Some(Self::Off),
            (_, Some(Err(Unavailable::Forbidden))) => Some(Self::Forwarded),
            (_, Some(Err(Unavailable::Throttled(_)))) | (Some(Err(Unavailable::Throttled(_))), _) => {
                Some(Self::Throttled)
            }
            (Some(open), Some(Err(Unavailable::Timeout))) if is_answer(open) => Some(Self::HopLimit),
            (_, None | Some(Err(Unavailable::Timeout))) => Some(Self::Silent),
            _ => Some(Self::Stranger),
        }
    }

    /// Whether it is the metadata service that fails, rather than nobody or somebody else.
    pub(super) const fn is_of_the_service(self) -> bool {
        matches!(self, Self::HopLimit | Self::Off | Self::Forwarded | Self::Throttled)
    }
}

fn is_answer(result: &Result<(), Unavailable>) -> bool {
    matches!(result, Ok(()) | Err(Unavailable::Http(_) | Unavailable::Forbidden | Unavailable::Redirect(_)))
}

/// Whether it hands out a role without a token and knows none: SDKs take these answers for that, and go on without. Other
/// clouds refuse a token as well and answer some of the rest, but have no role. EC2's own service is not asked for it so:
/// where that refuses a token, it does so for a reason.
pub(super) fn speaks_version_1_alone(facts: &Facts) -> bool {
    let refuses = matches!(facts.token, Some(Err(Unavailable::Forbidden | Unavailable::Http(404 | 405))));
    refuses && matches!(facts.open, Some(Ok(()))) && matches!(facts.role, Some(Ok(_)))
}
