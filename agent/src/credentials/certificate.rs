//! The life of a certificate, as IAM Roles Anywhere takes it for a credential. Private keys that stand beside it in its
//! file are not decoded.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use super::lease::Unavailable;
use super::timestamp::Timestamp;
use crate::time::{NANOS_PER_SECOND, TrueTime};

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    /// `notBefore`.
    pub(super) from: Timestamp,
    /// `notAfter`.
    pub(super) until: Timestamp,
}

/// The validity of the first certificate in a PEM file, which is the one of the holder where a chain follows.
///
/// # Errors
/// `Malformed` where there is none.
pub(super) fn validity(pem: &[u8]) -> Result<Validity, Unavailable> {
    let der = first(pem)?;
    let parsed = X509Certificate::from_der(&der);
    // The text of the error may quote the bytes.
    let (_, certificate) = parsed.map_err(|_| Unavailable::Malformed("the certificate cannot be read"))?;
    let validity = certificate.validity();
    Ok(Validity { from: time(validity.not_before), until: time(validity.not_after) })
}

/// The bytes of the first section that is a certificate. All others are passed over as lines of text.
fn first(pem: &[u8]) -> Result<Vec<u8>, Unavailable> {
    let mut lines = pem.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).skip_while(|line| *line != BEGIN).skip(1);
    let mut text = Vec::new();
    loop {
        match lines.next() {
            None => return Err(Unavailable::Malformed("the file holds no certificate")),
            Some(END) => break,
            Some(line) => text.extend_from_slice(line),
        }
    }
    STANDARD.decode(text).map_err(|_| Unavailable::Malformed("the certificate is not base64"))
}

/// One that never expires says the year 9999 (RFC 5280 §4.1.2.5): here it is as far away as can be told.
fn time(time: ASN1Time) -> Timestamp {
    Timestamp::Server(TrueTime::from_nanos(time.timestamp().saturating_mul(NANOS_PER_SECOND)))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;
    use crate::time::rfc3339;

    /// A certificate that is valid from 2026-01-01 to the first of `month`, and its key.
    pub(in super::super) fn certificate(month: u8) -> (String, String) {
        let mut params = CertificateParams::new(vec!["host.example".into()]).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, month, 1);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_certificate_without_an_end_lives_for_as_long_as_can_be_told() {
        let mut params = CertificateParams::new(vec!["host.example".into()]).unwrap();
        params.not_after = date_time_ymd(9999, 12, 31);
        let pem = params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        assert_eq!(validity(pem.as_bytes()).unwrap().until.nanos(), i64::MAX);
    }

    fn until(pem: &str) -> Result<String, Unavailable> {
        validity(pem.as_bytes()).map(|validity| rfc3339(validity.until.nanos()))
    }

    #[test]
    fn a_certificate_is_valid_from_one_moment_to_another() {
        let (pem, _) = certificate(3);
        let validity = validity(pem.as_bytes()).unwrap();
        let shown = [validity.from, validity.until].map(|time| (rfc3339(time.nanos()), time.basis().name()));
        let expected = ["2026-01-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z"].map(|time| (time.to_owned(), "server"));
        assert_eq!(shown, expected);
    }

    #[test]
    fn the_first_certificate_counts_and_keys_are_passed_over() {
        let ((leaf, key), (other, _)) = (certificate(3), certificate(4));
        let march = Ok("2026-03-01T00:00:00.000Z".to_owned());
        for pem in [
            format!("{leaf}{key}"),
            format!("{key}{leaf}"),
            format!("{leaf}{other}"),
            format!("subject=host\n{leaf}"),
            leaf.replace('\n', "\r\n"),
            format!("{}{leaf}", key.replace("PRIVATE KEY", "EC PRIVATE KEY").replace("\nM", "\n!")),
        ] {
            assert_eq!(until(&pem), march, "{pem}");
        }
    }

    #[test]
    fn what_holds_no_certificate_says_so() {
        let (pem, key) = certificate(3);
        let malformed = |text: &'static str| Err(Unavailable::Malformed(text));
        for none in ["", &key, &pem.replace("BEGIN", "START"), &pem[..200], "\0\u{1}"] {
            assert_eq!(until(none), malformed("the file holds no certificate"));
        }
        assert_eq!(until(&pem.replace("\nMI", "\n!!")), malformed("the certificate is not base64"));
        assert_eq!(
            until("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
            malformed("the certificate cannot be read")
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, der: Vec<u8>) {
            let _ = validity(&bytes);
            let pem = [BEGIN, b"\n", STANDARD.encode(der).as_bytes(), b"\n", END].concat();
            let _ = validity(&pem);
        }

        #[test]
        fn no_damage_makes_it_panic(at in 0_usize..300, byte: u8) {
            let (pem, _) = certificate(3);
            let mut der = first(pem.as_bytes()).unwrap();
            if let Some(place) = der.get_mut(at) {
                *place = byte;
            }
            let pem = [BEGIN, b"\n", STANDARD.encode(der).as_bytes(), b"\n", END].concat();
            let _ = validity(&pem);
        }
    }
}
