//! What the checks of all that is reached over HTTP share: URLs, headers, time limits and TLS.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::check::{Bounds, Fault};
use super::checked::{SecretRef, Tls};
use super::locate::Path;
use super::raw;
use super::value::Headers;

/// How long one request may take.
pub(super) const TIMEOUT: Bounds = Bounds(Duration::from_millis(50), Duration::from_secs(60));

/// Checks that no header is written twice.
pub(super) fn headers(given: Option<&Headers>, at: &Path) -> Result<Vec<(String, SecretRef)>, Fault> {
    let mut headers: Vec<(String, SecretRef)> = Vec::new();
    for (name, secret) in given.map(|headers| headers.0.as_slice()).unwrap_or_default() {
        let spelled = |(other, _): &&(String, SecretRef)| other == name;
        let place = at.name(name, headers.iter().filter(spelled).count());
        if headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            return Err(Fault::at(place, "the header is written twice: remove one"));
        }
        headers.push((name.clone(), secret.0.clone()));
    }
    Ok(headers)
}

/// Checks whom TLS trusts and as whom it speaks, towards `url` where the file says which it is.
pub(super) fn tls(given: Option<&raw::Tls>, url: Option<&str>, at: &Path) -> Result<Tls, Fault> {
    let Some(raw::Tls { ca, cert, key }) = given else { return Ok(Tls::default()) };
    let file = |given: &Option<String>, name| {
        let checked = given.as_deref().map(pem_file).transpose();
        checked.map_err(|message| Fault::at(at.key(name), message))
    };
    let ca = file(ca, "ca")?;
    let identity = match (file(cert, "cert")?, file(key, "key")?) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (Some(_), None) => {
            return Err(Fault::at(at.key("cert"), "a certificate is of no use without its key: add key"));
        }
        (None, Some(_)) => {
            return Err(Fault::at(at.key("key"), "a key is of no use without its certificate: add cert"));
        }
    };
    let tls = Tls { ca, identity };
    let is_plain = url.and_then(plain_url).is_some_and(|url| url.scheme() == "http");
    if is_plain && tls != Tls::default() {
        return Err(Fault::at(at.clone(), "nothing is encrypted with an http:// URL: write https://, or remove tls"));
    }
    Ok(tls)
}

/// Nothing of the path is repeated: it may be the key itself.
fn pem_file(text: &str) -> Result<PathBuf, &'static str> {
    if text.contains("-----BEGIN") {
        return Err("this is the content of a PEM file: write it into a file, and the absolute path of the file here");
    }
    if !text.starts_with('/') || text.ends_with('/') || text.contains(char::is_control) {
        return Err("a PEM file is named by its absolute path, such as /etc/skewguard/ca.pem (the value is not shown)");
    }
    Ok(text.into())
}

/// Nothing of the URL is repeated: it may hold a password or a token.
pub(super) fn web_url(text: &str) -> Result<Url, String> {
    let url = plain_url(text).filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| "a URL begins with http:// or https:// and a host (the value is not shown)".to_owned())
}

/// A URL that is a scheme and a host, without the slash that some write at its end; else what is wrong with it.
pub(super) fn origin(text: &str, schemes: &[&str]) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_url_has_a_host() {
        for url in ["http://a", "https://a:1/b?c=d", "HTTPS://[::1]/", "http://a/?b=file:///c"] {
            assert!(web_url(url).is_ok(), "{url}");
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
            assert!(web_url(url).is_err(), "{url}");
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
    fn a_pem_file_is_named_by_an_absolute_path() {
        assert_eq!(pem_file("/etc/a b.pem"), Ok("/etc/a b.pem".into()));
        for path in ["", "ca.pem", "./ca.pem", "/etc/", "/a\n", "-----BEGIN CERTIFICATE-----\nMII="] {
            assert!(pem_file(path).is_err(), "{path}");
        }
    }
}
