//! What went wrong with a request, in words without any secret.

use std::io;

use super::tls;

/// Why a request brought no answer. Never the URL: it may hold a token.
pub fn in_words(error: &reqwest::Error) -> String {
    if error.is_builder() {
        return "the URL is none (it is not shown)".to_owned();
    }
    if let Some(tls) = tls_error(error) {
        return format!("TLS failed: {}", tls::in_words(tls));
    }
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the exchange broke off"
    };
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match cause.downcast_ref::<io::Error>() {
        Some(io) => format!("{what}: {io}"),
        None => what.to_owned(),
    }
}

/// What TLS says, however deep it is wrapped: an `io::Error` passes over what it wraps when it is asked for its source.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tls_says_is_found_under_any_number_of_io_errors() {
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError));
        assert_eq!(tls_error(&wrapped), Some(&rustls::Error::DecryptError));
        assert_eq!(tls_error(&io::Error::from(io::ErrorKind::ConnectionRefused)), None);
    }
}
