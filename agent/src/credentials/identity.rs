//! The names by which credentials are told from one another. None is an access key id, and none can harm a terminal or a
//! label.

use std::ffi::OsStr;

use super::document::printable;

/// The longest name of a role. Source: IAM quotas.
const MAX_ROLE: usize = 64;

/// Whether `name` can be a role, and so is safe as a segment of a path. Source: `RoleName` of the IAM API reference; the
/// two names that mean a directory match its pattern and are refused here.
pub(super) fn is_role(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    (1..=MAX_ROLE).contains(&name.len()) && name.bytes().all(legal) && name != "." && name != ".."
}

/// The name of the role in its ARN, `arn:aws:iam::123456789012:role/path/web`; `None` where it is no such ARN.
pub(super) fn role_of(arn: &str) -> Option<&str> {
    resource(arn, "role/")?.rsplit('/').next().filter(|name| is_role(name))
}

/// The role and the session in the ARN of an assumed role, `arn:aws:sts::123456789012:assumed-role/web/alice`, as
/// `web/alice`; `None` where it is no such ARN. A session that botocore named after the time is left out, because the next
/// one has another name.
pub(super) fn session_of(arn: &str) -> Option<String> {
    let (role, session) = resource(arn, "assumed-role/")?.split_once('/')?;
    if !is_role(role) || !is_role(session) {
        return None;
    }
    Some(if session.starts_with("botocore-session-") { role.to_owned() } else { format!("{role}/{session}") })
}

/// A name that people or tools have chosen, in printable ASCII; `None` where nothing is left of it, or it is an access key
/// id.
pub(super) fn name(text: impl AsRef<[u8]>) -> Option<String> {
    printable(text).filter(|name| !is_key_id(name))
}

/// The name of a file, or what to call it where it cannot be shown.
pub(super) fn file_name(file: &OsStr) -> String {
    name(file.as_encoded_bytes()).unwrap_or_else(|| "file".to_owned())
}

/// What follows `kind` in an ARN.
fn resource<'a>(arn: &'a str, kind: &str) -> Option<&'a str> {
    let mut parts = arn.splitn(6, ':');
    (parts.next() == Some("arn")).then(|| parts.nth(4))??.strip_prefix(kind)
}

/// Whether a word in `text` looks like an access key id: at least 16 capitals and digits, the first four of which are a
/// prefix of AWS. Source: unique identifiers in the IAM user guide.
fn is_key_id(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        let prefix = word.get(..4).is_some_and(|start| ["AKIA", "ASIA", "ABIA", "ACCA"].contains(&start));
        prefix && word.len() >= 16 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_part_of_a_roles_arn_is_its_name() {
        assert_eq!(role_of("arn:aws:iam::123456789012:role/web"), Some("web"));
        assert_eq!(role_of("arn:aws-cn:iam::123456789012:role/teams/a/web-1"), Some("web-1"));
        for arn in
            ["", "web", "arn:aws:iam::1:user/web", "arn:aws:iam::1:role/", "arn:aws:iam::1:role/a b", "arn:role/x"]
        {
            assert_eq!(role_of(arn), None, "{arn}");
        }
    }

    #[test]
    fn a_session_is_told_with_its_role_unless_its_name_is_the_time() {
        let of = |rest: &str| session_of(&format!("arn:aws:sts::123456789012:assumed-role/{rest}"));
        assert_eq!(of("web/alice@example.org").as_deref(), Some("web/alice@example.org"));
        assert_eq!(of("web/botocore-session-1772380800").as_deref(), Some("web"));
        for rest in ["web", "web/", "/alice", "web/a/b", "web/\u{1b}[31m"] {
            assert_eq!(of(rest), None, "{rest:?}");
        }
    }

    #[test]
    fn an_access_key_id_is_no_name() {
        for text in ["AKIAIOSFODNN7EXAMPLE", "old-ASIAIOSFODNN7EXAMPLE", "a:AKIAIOSFODNN7EXAMPLE"] {
            assert_eq!(name(text), None);
            assert_eq!(file_name(OsStr::new(text)), "file");
        }
        for text in ["default", "AKIA", "ASIA-pacific-production", "d41d8cd98f00b204e9800998ecf8427e.json"] {
            assert_eq!(name(text).as_deref(), Some(text));
        }
        assert_eq!(name("\u{1b}[31mred\n").as_deref(), Some("[31mred"));
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic_and_every_name_can_be_shown(text: String) {
            let names = [role_of(&text).map(str::to_owned), session_of(&text), name(&text)];
            for name in names.into_iter().flatten() {
                prop_assert!((1..=129).contains(&name.len()) && name.bytes().all(|b| (b' '..=b'~').contains(&b)));
            }
        }
    }
}
