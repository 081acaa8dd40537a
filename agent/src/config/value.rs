//! Which names the file may say, for its schema.

use crate::assess::finding::{Kind, Severity};
use crate::credentials::timestamp::Basis;
use crate::setting::named::Named;
use crate::setting::text::inline_schema;
use crate::telemetry::detail::Detail;

inline_schema!(Named<Kind>, "Kind", { "type": "string", "enum": Kind::ALL.map(Kind::name) });
inline_schema!(Named<Basis>, "Basis", { "type": "string", "enum": [Basis::Server.name(), Basis::Local.name()] });
inline_schema!(Named<Detail>, "Detail", { "type": "string", "enum": Detail::ALL.map(Detail::name) });
inline_schema!(Named<Severity>, "Severity", { "type": "string", "enum": [Severity::Warning.name(), Severity::Critical.name()] });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_accepted_is_the_one_that_is_shown() {
        for kind in Kind::ALL {
            assert_eq!(serde_yaml::from_str::<Named<Kind>>(kind.name()).unwrap().0, kind);
            assert_eq!(serde_yaml::to_string(&Named(kind)).unwrap().trim(), kind.name());
        }
        for severity in [Severity::Warning, Severity::Critical] {
            assert_eq!(serde_yaml::from_str::<Named<Severity>>(severity.name()).unwrap().0, severity);
            assert_eq!(serde_yaml::to_string(&Named(severity)).unwrap().trim(), severity.name());
        }
    }

    #[test]
    fn a_tag_is_no_name() {
        assert!(serde_yaml::from_str::<Named<Severity>>("!critical").is_err());
        assert!(serde_yaml::from_str::<Named<Kind>>("!clock-skew").is_err());
        assert!(serde_yaml::from_str::<Named<Kind>>("{ clock-skew: }").is_err());
    }
}
