//! What the checks of all that is reached over HTTP share: URLs, headers, time limits and TLS.

use std::path::PathBuf;
use std::time::Duration;

use super::fault::{Bounds, Fault};
use super::headers::Headers;
use super::locate::Path;
use super::secret::SecretRef;
use super::tls::{Tls, WrittenTls};
use super::url::WebUrl;

use crate::sys::{self, WORDS};

/// How long one request may take.
pub(crate) const TIMEOUT: Bounds = Bounds(Duration::from_millis(50), Duration::from_secs(60));

/// Checks that no header is written twice.
pub(crate) fn headers(given: Option<&Headers>, at: &Path) -> Result<Vec<(String, SecretRef)>, Fault> {
    let headers = given.map(|headers| headers.0.as_slice()).unwrap_or_default();
    for (index, (name, _)) in headers.iter().enumerate() {
        let before = headers.iter().take(index);
        if before.clone().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            let place = at.name(name, before.filter(|(other, _)| other == name).count());
            return Err(Fault::at(place, "the header is written twice: remove one"));
        }
    }
    Ok(headers.to_vec())
}

/// Checks the headers that a target may say, and takes none for nothing said.
pub(crate) fn check_headers(given: &mut Option<Headers>, at: &Path) -> Result<(), Fault> {
    let checked = headers(given.as_ref(), &at.key("headers"))?;
    *given = (!checked.is_empty()).then_some(Headers(checked));
    Ok(())
}

/// Checks whom TLS trusts and as whom it speaks, towards `url` where the file says which it is.
pub(crate) fn tls(given: Option<&WrittenTls>, url: Option<&WebUrl>, at: &Path) -> Result<Tls, Fault> {
    let Some(WrittenTls { ca, cert, key }) = given else { return Ok(Tls::default()) };
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
    let is_plain = url.and_then(WebUrl::parts).is_some_and(|url| url.scheme() == "http");
    if is_plain && tls != Tls::default() {
        return Err(Fault::at(at.clone(), "nothing is encrypted with an http:// URL: write https://, or remove tls"));
    }
    Ok(tls)
}

/// Nothing of the path is repeated: it may be the key itself.
fn pem_file(text: &str) -> Result<PathBuf, String> {
    if text.contains("-----BEGIN") {
        let message = "this is the content of a PEM file: write it into a file, and the absolute path of the file here";
        return Err(message.to_owned());
    }
    if !sys::is_absolute(text) || text.ends_with('/') || text.contains(char::is_control) {
        let such = WORDS.absolute_path;
        return Err(format!("a PEM file is named by its absolute path, such as {such} (the value is not shown)"));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_pem_file_is_named_by_an_absolute_path() {
        assert_eq!(pem_file("/etc/a b.pem"), Ok("/etc/a b.pem".into()));
        for path in ["", "ca.pem", "./ca.pem", "/etc/", "/a\n", "-----BEGIN CERTIFICATE-----\nMII="] {
            assert!(pem_file(path).is_err(), "{path}");
        }
    }
}
