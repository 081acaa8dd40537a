//! TLS to somebody who is asked for the time, by a host that may not know it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_parser::parse_x509_certificate;

use crate::clock::local;
use crate::clock::true_clock::TrueClock;
use crate::time::{NANOS_PER_SECOND, TrueTime};

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub from: TrueTime,
    /// The last one.
    pub to: TrueTime,
}

impl Validity {
    /// Whether it is valid at this time.
    pub fn contains(&self, time: TrueTime) -> bool {
        (self.from..=self.to).contains(&time)
    }
}

/// Judges a certificate as usual, but for the time: as long as that is not known for certain, one that has expired or is not
/// valid yet is judged inside its own validity. Then it proves who answers and nothing more, and whoever believes the time in that
/// answer has to ask [`Bootstrap::validity`] whether the certificate was valid at that time.
///
/// Whoever has the key of a certificate that has expired could tell a time at which it was valid. That is no time before this
/// program was built, which is for the caller to check, and a single answer vouches for nothing.
#[derive(Debug)]
pub struct Bootstrap {
    usual: Arc<WebPkiServerVerifier>,
    clock: Arc<TrueClock>,
    validity: Mutex<Option<Validity>>,
}

impl Bootstrap {
    /// Judges as `usual`, while `clock` knows the time.
    pub fn new(usual: Arc<WebPkiServerVerifier>, clock: Arc<TrueClock>) -> Self {
        Self { usual, clock, validity: Mutex::default() }
    }

    /// The validity of the last certificate, within which the time has to lie that is told; `None` where the time is known.
    pub fn validity(&self) -> Option<Validity> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Validity>> {
        self.validity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerCertVerifier for Bootstrap {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.lock() = None;
        let judge = |time| self.usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, time);
        let judged = judge(now);
        if self.clock.is_known(local::read()) {
            return judged;
        }
        let Some((validity, middle)) = validity(end_entity) else { return judged };
        // Where it is valid by a clock that may be wrong, it need not be valid at the time that is told.
        let verified = match judged {
            Err(refusal) if is_about_time(&refusal) => judge(middle)?,
            judged => judged?,
        };
        *self.lock() = Some(validity);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

const fn is_about_time(refusal: &Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    let Error::InvalidCertificate(refusal) = refusal else { return false };
    matches!(refusal, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
}

/// When a certificate is valid, and the middle of that.
fn validity(certificate: &CertificateDer<'_>) -> Option<(Validity, UnixTime)> {
    let (_, parsed) = parse_x509_certificate(certificate).ok()?;
    let (from, to) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
    let middle = u64::try_from(from.checked_add(to.checked_sub(from)? / 2)?).ok()?;
    let time = |seconds: i64| TrueTime::from_nanos(seconds.saturating_mul(NANOS_PER_SECOND));
    let middle = UnixTime::since_unix_epoch(std::time::Duration::from_secs(middle));
    Some((Validity { from: time(from), to: time(to) }, middle))
}
