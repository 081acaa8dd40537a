//! Where it is written what is to be done about an alert, as every message of it says.

use crate::assess::finding::Kind;
use crate::setting::url::WebUrl;

/// Where the runbooks of skewguard are: a file for each alert, called as that.
pub const OURS: &str = "https://github.com/skewguard/skewguard/blob/main/deploy/runbooks";
/// The word for none.
const OFF: &str = "off";
/// The longest URL, in characters. What follows it fits with it into what any service takes of a link.
const LONGEST: usize = 500;
/// What services take for the end of a link, or do not take for a part of one.
const ENDS_A_LINK: &[u8] = b"<>\"|^`{}\\";

/// The folder of the runbooks, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runbooks(Option<String>);

impl Runbooks {
    /// Understands what is written: a URL, or `off`.
    ///
    /// # Errors
    /// It is neither, or a URL to which nothing can be added, or one that not everybody who is alerted may see.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == OFF {
            return Ok(Self(None));
        }
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !ENDS_A_LINK.contains(&byte));
        let Some(url) = WebUrl::parse(text).ok().filter(|_| is_plain).and_then(|url| url.parts()) else {
            return Err(
                "write off, or the http:// or https:// URL of the folder that has a runbook for each alert, such \
                        as https://wiki.example/skewguard"
                    .to_owned(),
            );
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "everybody who is alerted is sent this URL: write it without a user and a password (the value is \
                        not shown)"
                    .to_owned(),
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("/ALERT.md is added to the URL: write it without ? and #".to_owned());
        }
        if text.len() > LONGEST {
            return Err(format!("the URL has {} characters: it may have {LONGEST}", text.len()));
        }
        Ok(Self(Some(text.trim_end_matches('/').to_owned())))
    }

    /// The URL of the runbook of an alert; `None` for a test, about which nothing is to be done, and where there are none.
    pub fn of(&self, kind: Kind) -> Option<String> {
        let folder = self.0.as_ref().filter(|_| kind != Kind::Test)?;
        Some(format!("{folder}/{}.md", kind.name()))
    }

    /// As it is written.
    pub fn written(&self) -> &str {
        self.0.as_deref().unwrap_or(OFF)
    }
}

impl Default for Runbooks {
    /// Those of skewguard.
    fn default() -> Self {
        Self(Some(OURS.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alert_has_a_url_unless_there_are_none() {
        let own = Runbooks::parse("http://wiki.example:8080/a/").unwrap();
        assert_eq!(own.of(Kind::ClockSkew).as_deref(), Some("http://wiki.example:8080/a/clock-skew.md"));
        assert_eq!(own.of(Kind::Test), None);
        assert_eq!(Runbooks::parse("off").unwrap().of(Kind::ClockSkew), None);
        let ours = Runbooks::default();
        assert_eq!(Runbooks::parse(OURS), Ok(ours.clone()));
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/runbooks");
        for kind in Kind::ALL {
            let url = ours.of(kind).unwrap();
            assert!(folder.join(url.rsplit('/').next().unwrap()).exists(), "{url} leads nowhere");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["off", OURS, "https://wiki.example"] {
            assert_eq!(Runbooks::parse(text).unwrap().written(), text);
        }
    }

    #[test]
    fn what_no_link_can_be_made_of_is_refused() {
        for (text, why) in [
            ("", "write off, or"),
            ("no", "write off, or"),
            ("ftp://wiki.example", "write off, or"),
            ("//wiki.example/a", "write off, or"),
            ("https://", "write off, or"),
            ("https://wiki.example/a b", "write off, or"),
            ("https://wiki.example/a|b", "write off, or"),
            ("https://wiki.example/a>b", "write off, or"),
            ("https://wiki.example/é", "write off, or"),
            ("https://me:hunter2@wiki.example", "without a user and a password"),
            ("https://wiki.example/?page=", "without ? and #"),
            ("https://wiki.example/#page", "without ? and #"),
        ] {
            let error = Runbooks::parse(text).unwrap_err();
            assert!(error.contains(why) && !error.contains("hunter2"), "{text}: {error}");
        }
        let long = |length: usize| format!("{:a<length$}", "https://wiki.example/");
        assert!(Runbooks::parse(&long(500)).is_ok());
        assert!(Runbooks::parse(&long(501)).unwrap_err().contains("501 characters"));
    }
}
