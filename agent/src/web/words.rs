//! What went wrong with a request, in words without any secret.

use std::error::Error as _;
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
    if is_for_want_of_credentials(error) {
        return "the proxy demands authentication (407)".to_owned();
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

/// Whether a proxy would not connect to the server for somebody without credentials (407).
pub fn is_for_want_of_credentials(error: &reqwest::Error) -> bool {
    // The type of what hyper says of a tunnel is private.
    const SAID: &str = "tunnel error: proxy authorization required";
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.to_string() == SAID {
            return true;
        }
        cause = error.source();
    }
    false
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
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// What a proxy makes of a request that answers so to CONNECT.
    async fn through_a_proxy(answer: &'static str) -> reqwest::Error {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1_024];
            assert!(stream.read(&mut request).unwrap() > 0 && request.starts_with(b"CONNECT "));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let proxy = reqwest::Proxy::all(proxy).unwrap();
        let tls = tls::Setup::new(std::sync::Arc::default()).nobody().unwrap();
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).proxy(proxy).build().unwrap();
        let error = client.get("https://date.invalid/").send().await.unwrap_err();
        answering.join().unwrap();
        error
    }

    #[tokio::test]
    async fn a_proxy_that_demands_authentication_is_told_as_such_and_one_that_refuses_is_not() {
        let told = through_a_proxy("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(in_words(&told), "the proxy demands authentication (407)");
        let refused = through_a_proxy("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
        assert!(in_words(&refused).starts_with("no connection"), "{}", in_words(&refused));
    }

    #[test]
    fn what_tls_says_is_found_under_any_number_of_io_errors() {
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError));
        assert_eq!(tls_error(&wrapped), Some(&rustls::Error::DecryptError));
        assert_eq!(tls_error(&io::Error::from(io::ErrorKind::ConnectionRefused)), None);
    }
}
