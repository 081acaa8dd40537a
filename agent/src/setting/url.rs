//! A URL in which something may be secret: it is shown masked, and used through the masker alone.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};

use super::masker::{MASK, Masker};
use super::secret::{SecretError, SecretRef};
use super::text::{self, inline_schema};

/// A part of a path that is as long as this may be a token: chat services put theirs there.
const TOKEN_LENGTH: usize = 16;
/// The one part of the path of Slack's webhooks that everybody knows.
const KNOWN_PART: &str = "services";

/// An `http://` or `https://` URL as it is written. Whatever shows it shows it masked; what is written is told to whoever
/// names the [`Masker`] that will mask it.
#[derive(Clone, PartialEq, Eq)]
pub struct WebUrl(String);

/// The text is no such URL. Nothing of it is repeated: it may hold a password or a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a URL begins with http:// or https:// and a host (the value is not shown)")]
pub struct NotWebUrl;

impl WebUrl {
    /// Understands what is written.
    ///
    /// # Errors
    /// It does not begin with `http://` or `https://` and a host.
    pub fn parse(text: &str) -> Result<Self, NotWebUrl> {
        let url = plain_url(text).filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.map(|_| Self(text.to_owned())).ok_or(NotWebUrl)
    }

    /// One that nobody has checked: it fails when it is used, if it is none.
    pub fn unchecked(text: String) -> Self {
        Self(text)
    }

    /// This URL, without slashes at its end, followed by `rest`.
    #[must_use]
    pub fn followed_by(&self, rest: &str) -> Self {
        Self(format!("{}{rest}", self.0.trim_end_matches('/')))
    }

    /// Its parts, to judge it by; `None` where it is no URL. None of them belongs into a text.
    pub fn parts(&self) -> Option<Url> {
        Url::parse(&self.0).ok()
    }

    /// This URL, if it is a scheme and a host alone, without the slash that some write at its end.
    pub fn origin(&self) -> Option<Self> {
        origin(&self.0, &["http", "https"]).map(Self)
    }

    /// What is written. `masker` masks from now on what [`WebUrl`] would not show.
    pub fn reveal(&self, masker: &mut Masker) -> &str {
        let Parts { user, path, query, fragment, .. } = Parts::of(&self.0);
        let mut hide = |secret: &str| masker.hide(secret.as_bytes());
        if let Some(user) = user {
            let decoded = percent_decode_str(user).decode_utf8_lossy();
            let (name, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
            [user, &decoded, if password.is_empty() { name } else { password }].into_iter().for_each(&mut hide);
            // What a client makes of it.
            hide(&STANDARD.encode(format!("{name}:{password}")));
        }
        path.split('/').filter(|part| part.len() >= TOKEN_LENGTH).for_each(&mut hide);
        let values = query.into_iter().flat_map(|query| query.split('&'));
        values.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value)).for_each(&mut hide);
        fragment.into_iter().for_each(hide);
        &self.0
    }
}

impl From<&'static str> for WebUrl {
    /// One that everybody knows, because it stands in the program.
    fn from(known: &'static str) -> Self {
        Self(known.to_owned())
    }
}

impl SecretRef {
    /// Reads a URL that is a secret as a whole. `masker` masks it from now on, with its host or without, and each part
    /// of its path.
    ///
    /// # Errors
    /// As those of [`SecretRef::read`].
    pub fn read_url(&self, masker: &mut Masker) -> Result<WebUrl, SecretError> {
        let url = self.read(masker)?;
        let behind = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let behind = behind.split_once('/').map_or("", |(_, path)| path);
        let parts = [behind].into_iter().chain(behind.split('/')).filter(|part| *part != KNOWN_PART);
        parts.for_each(|part| masker.hide(part.as_bytes()));
        Ok(WebUrl(url))
    }
}

/// A URL that is a scheme and a host, without the slash that some write at its end; else what is wrong with it.
pub(crate) fn origin(text: &str, schemes: &[&str]) -> Option<String> {
    let url = plain_url(text).filter(|url| schemes.contains(&url.scheme()) && url.has_host())?;
    let is_user = !url.username().is_empty() || url.password().is_some();
    let is_more = is_user || url.path() != "/" || url.query().is_some() || url.fragment().is_some();
    (!is_more).then(|| text.trim_end_matches('/').to_owned())
}

/// A URL as it is written: the parser forgives spaces and missing slashes, which others would not.
fn plain_url(text: &str) -> Option<Url> {
    let rest = text.split_once(':')?.1.strip_prefix("//")?;
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    if rest.starts_with('/') || text.contains(is_odd) { None } else { Url::parse(text).ok() }
}

/// A URL taken apart as it is written, whatever it is.
struct Parts<'a> {
    scheme: &'a str,
    user: Option<&'a str>,
    host: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Self {
        let (rest, fragment) = url.split_once('#').map_or((url, None), |(rest, fragment)| (rest, Some(fragment)));
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (scheme, rest) = rest.split_once("://").unwrap_or(("", rest));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        Self { scheme, user, host, path, query, fragment }
    }
}

/// Without what may be secret in it: user information, long parts of the path, the values of the query, and the fragment.
impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { scheme, user, host, path, query, fragment } = Parts::of(&self.0);
        if !scheme.is_empty() {
            write!(f, "{scheme}://")?;
        }
        if user.is_some() {
            write!(f, "{MASK}@")?;
        }
        let parts = path.split('/').map(|part| if part.len() >= TOKEN_LENGTH { MASK } else { part });
        write!(f, "{host}{}", parts.collect::<Vec<_>>().join("/"))?;
        if let Some(query) = query {
            let pairs = query.split('&').map(|pair| match pair.split_once('=') {
                Some((name, _)) => format!("{name}={MASK}"),
                None => MASK.to_owned(),
            });
            write!(f, "?{}", pairs.collect::<Vec<_>>().join("&"))?;
        }
        if fragment.is_some() { write!(f, "#{MASK}") } else { Ok(()) }
    }
}

impl Serialize for WebUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WebUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read(deserializer, "a string", Self::parse)
    }
}

inline_schema!(WebUrl, "WebUrl", { "type": "string" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_url_has_a_host() {
        for url in ["http://a", "https://a:1/b?c=d", "HTTPS://[::1]/", "http://a/?b=file:///c"] {
            assert!(WebUrl::parse(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "a",
            "ftp://a",
            "http:a",
            "http:a/?b=http://c",
            "http:///a",
            "http://a b",
            "http://a\n",
            "http://a:99999",
        ] {
            assert!(WebUrl::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        let both = ["http", "https"];
        for (url, found) in [
            ("https://sns.eu-west-1.amazonaws.com/", Some("https://sns.eu-west-1.amazonaws.com")),
            ("http://127.0.0.1:4566", Some("http://127.0.0.1:4566")),
            ("http://a/b", None),
            ("https://u@a", None),
            ("https://:p@a", None),
            ("https://a?b", None),
            ("https://a#b", None),
            ("ftp://a", None),
        ] {
            assert_eq!(origin(url, &both).as_deref(), found, "{url}");
        }
        assert_eq!(origin("https://a", &["http"]), None);
    }

    #[test]
    fn what_may_be_secret_in_a_url_is_shown_masked_and_masked_in_what_comes_back() {
        for (url, shown, secret) in [
            ("https://ops.example/hook", "https://ops.example/hook", None),
            ("https://u:hunter2@ops.example", "https://***@ops.example", Some("hunter2")),
            ("https://u:hunt@er2@ops.example/a@b", "https://***@ops.example/a@b", Some("hunt@er2")),
            ("https://hunter2@ops.example", "https://***@ops.example", Some("hunter2")),
            ("https://u:%68unter2@ops.example", "https://***@ops.example", Some("hunter2")),
            ("https://u:hunter2@ops.example", "https://***@ops.example", Some("dTpodW50ZXIy")),
            ("https://ops.example/hunter2hunter2hunter2", "https://ops.example/***", Some("hunter2hunter2hunter2")),
            ("http://[::1]:80/a?token=hunter2&x=1&hunter2", "http://[::1]:80/a?token=***&x=***&***", Some("hunter2")),
            ("http://a?b=http://c@d/", "http://a?b=***", Some("http://c@d/")),
            ("http://a/#hunter2", "http://a/#***", Some("hunter2")),
        ] {
            let (parsed, mut masker) = (WebUrl::unchecked(url.to_owned()), Masker::default());
            assert_eq!(parsed.to_string(), shown);
            assert_eq!(parsed.reveal(&mut masker), url);
            let repeated = format!("no {} here", secret.unwrap_or("secret"));
            let expected = if secret.is_some() { "no *** here" } else { "no secret here" };
            assert_eq!(masker.masked_text(&repeated), expected, "{url}");
        }
    }
}
