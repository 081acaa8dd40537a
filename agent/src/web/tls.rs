//! TLS that judges certificates by true time, and that says in words what is wrong with them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ConfigBuilder, Error, InconsistentKeys, RootCertStore,
    WantsVerifier,
};

use super::bootstrap::Bootstrap;
use crate::clock::local;
use crate::clock::true_clock::{Stamp, TrueClock};
use crate::setting::tls::Tls;
use crate::time::{BootTime, NANOS_PER_SECOND, Offset, Reading, Span, humane_offset, rfc3339};

/// A smaller difference between the two clocks decides about no certificate, and is not told.
const TELLING: Span = Span::from_nanos(NANOS_PER_SECOND);
/// The log says no more often than this by how much the two clocks differ.
const TELL_INTERVAL: Span = Span::from_nanos(60 * NANOS_PER_SECOND);
/// A smaller one is not worded: some time passes between a judgement and its wording.
const SAME: Span = Span::from_nanos(10 * NANOS_PER_SECOND);

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("failed to read the {what} {}: {error}: name a PEM file that this user can read", path.display())]
    Unreadable {
        /// What the file is for.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is not PEM.
    #[error("the {what} {} is no PEM file: {error}", path.display())]
    NoPem {
        /// What the file is for.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// Why.
        error: pem::Error,
    },
    /// A file holds no certificate.
    #[error(
        "the {what} {} holds no certificate: it needs a section that begins with -----BEGIN CERTIFICATE-----", path.display()
    )]
    NoCertificate {
        /// What the file is for.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
    },
    /// A certificate cannot be used as the root of trust.
    #[error("certificate {number} of the CA file {} cannot be used: {error}", path.display())]
    Root {
        /// Which one, from 1.
        number: usize,
        /// Where it is.
        path: PathBuf,
        /// Why.
        error: Error,
    },
    /// A file holds no key.
    #[error(
        "the key {} holds no private key: it needs a section such as -----BEGIN PRIVATE KEY-----, and a key with a passphrase must be decrypted first",
        path.display()
    )]
    NoKey {
        /// Where it is.
        path: PathBuf,
    },
    /// The key belongs to another certificate.
    #[error(
        "the key {} does not match the client certificate {}: the certificate of the client itself must come first in its file, and the key must be the one that it was made for",
        key.display(), certificate.display()
    )]
    Mismatch {
        /// Where the certificate is.
        certificate: PathBuf,
        /// Where the key is.
        key: PathBuf,
    },
    /// The client certificate or its key cannot be used.
    #[error("the client certificate {} with the key {} cannot be used: {error}", certificate.display(), key.display())]
    Identity {
        /// Where the certificate is.
        certificate: PathBuf,
        /// Where the key is.
        key: PathBuf,
        /// Why.
        error: Box<Error>,
    },
    /// The system has no roots.
    #[error(
        "no root certificate was found on this system{reason}: install the package ca-certificates, set SSL_CERT_FILE, or name a CA file for the destination"
    )]
    NoRoots {
        /// Why, if it is known; it begins with a blank.
        reason: String,
    },
    /// TLS itself cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] Error),
}

/// What all TLS configurations share: the cryptography, the clock, and the roots of the system once they are needed.
pub struct Setup {
    provider: Arc<CryptoProvider>,
    judge: Arc<Judge>,
    system: Option<Arc<RootCertStore>>,
}

impl Setup {
    /// Judges certificates by `clock`.
    pub fn new(clock: Arc<TrueClock>) -> Self {
        let judge = Judge { clock, notice: Mutex::default() };
        Self { provider: Arc::new(ring::default_provider()), judge: Arc::new(judge), system: None }
    }

    /// A configuration that trusts nobody, for what is sent without TLS. It reads no roots: a host may have none.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn nobody(&self) -> Result<ClientConfig, TlsError> {
        Ok(self.builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    }

    /// The configuration for a destination. Its files are read now; the key is kept by rustls alone.
    ///
    /// # Errors
    /// A file cannot be used, or the system has no roots.
    pub fn config(&mut self, tls: &Tls) -> Result<ClientConfig, TlsError> {
        let roots = match &tls.ca {
            Some(path) => Arc::new(own_roots(path)?),
            None => self.system_roots()?,
        };
        let builder = self.builder()?.with_root_certificates(roots);
        let mut config = match &tls.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates("client certificate", certificate)?;
                builder.with_client_auth_cert(chain, private_key(key)?).map_err(|error| {
                    let (certificate, key) = (certificate.clone(), key.clone());
                    match error {
                        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                            TlsError::Mismatch { certificate, key }
                        }
                        error => TlsError::Identity { certificate, key, error: Box::new(error) },
                    }
                })?
            }
        };
        // A resumed session rests on a certificate that was judged earlier, perhaps by another time.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// The configuration for asking somebody for the time, and what tells whether the answer may be believed.
    ///
    /// # Errors
    /// The system has no roots.
    pub fn bootstrap(&mut self) -> Result<(ClientConfig, Arc<Bootstrap>), TlsError> {
        let usual = WebPkiServerVerifier::builder_with_provider(self.system_roots()?, Arc::clone(&self.provider));
        let usual = usual.build().map_err(|error| Error::General(error.to_string()))?;
        let verifier = Arc::new(Bootstrap::new(usual, Arc::clone(&self.judge.clock)));
        let own: Arc<dyn ServerCertVerifier> = Arc::<Bootstrap>::clone(&verifier);
        let mut config = self.builder()?.dangerous().with_custom_certificate_verifier(own).with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok((config, verifier))
    }

    fn builder(&self) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
        let judge: Arc<dyn TimeProvider> = Arc::<Judge>::clone(&self.judge);
        Ok(ClientConfig::builder_with_details(Arc::clone(&self.provider), judge)
            .with_safe_default_protocol_versions()?)
    }

    fn system_roots(&mut self) -> Result<Arc<RootCertStore>, TlsError> {
        if let Some(roots) = &self.system {
            return Ok(Arc::clone(roots));
        }
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let reason = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
            return Err(TlsError::NoRoots { reason });
        }
        for error in found.errors {
            tracing::debug!(%error, "some root certificates of the system cannot be read");
        }
        let roots = Arc::new(roots);
        self.system = Some(Arc::clone(&roots));
        Ok(roots)
    }
}

fn own_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for (certificate, number) in certificates("CA file", path)?.into_iter().zip(1..) {
        roots.add(certificate).map_err(|error| TlsError::Root { number, path: path.to_owned(), error })?;
    }
    Ok(roots)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(what, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(TlsError::NoCertificate { what, path: path.to_owned() }),
        Ok(found) => Ok(found),
        Err(error) => Err(TlsError::NoPem { what, path: path.to_owned(), error }),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read("key", path)?).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { path: path.to_owned() },
        error => TlsError::NoPem { what: "key", path: path.to_owned(), error },
    })
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::Unreadable { what, path: path.to_owned(), error })
}

/// The time by which certificates are judged.
#[derive(Debug)]
struct Judge {
    clock: Arc<TrueClock>,
    notice: Mutex<Notice>,
}

impl TimeProvider for Judge {
    fn current_time(&self) -> Option<UnixTime> {
        let reading = local::read();
        let stamp = self.clock.vouched_at(reading);
        let offset = Offset::new(Span::from_nanos(stamp.time.nanos().saturating_sub(reading.system.nanos())));
        if self.notice.lock().unwrap_or_else(PoisonError::into_inner).is_due(offset, reading.boot) {
            tell(offset, stamp);
        }
        // Before 1970 no certificate is valid yet, and at its beginning none is either.
        Some(UnixTime::since_unix_epoch(Span::from_nanos(stamp.time.nanos()).to_duration()))
    }
}

fn tell(offset: Offset, stamp: Stamp) {
    let clock = humane_offset(offset);
    if !stamp.verified && offset.span() <= Span::ZERO {
        tracing::info!("TLS certificates are judged by the system clock again, until true time is known");
    } else if !stamp.verified {
        let earliest = rfc3339(stamp.time.nanos());
        tracing::warn!(
            "TLS certificates are judged by {earliest}, because it is no earlier: the system clock, or who tells the \
             time, is {clock} or more; set the clock"
        );
    } else if offset.span().abs() >= TELLING {
        tracing::warn!("TLS certificates are judged by true time: the system clock is {clock}");
    } else {
        tracing::info!("TLS certificates are judged by true time: the system clock is {clock}, which is near enough");
    }
}

/// What the log was last told of the difference between the two clocks.
#[derive(Debug, Default)]
struct Notice {
    /// True minus system time.
    told: Span,
    at: Option<BootTime>,
}

impl Notice {
    /// Whether the difference is news.
    fn is_due(&mut self, offset: Offset, now: BootTime) -> bool {
        let moved = Span::from_nanos(offset.span().nanos().saturating_sub(self.told.nanos()));
        let is_due = moved.abs() >= TELLING && self.at.is_none_or(|at| now.since(at) >= TELL_INTERVAL);
        if is_due {
            *self = Self { told: offset.span(), at: Some(now) };
        }
        is_due
    }
}

/// What is wrong, in words without any secret.
pub fn in_words(error: &Error) -> String {
    worded(error, local::read())
}

fn worded(error: &Error, now: Reading) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate_in_words(error, now),
        Error::AlertReceived(alert) => alert_in_words(*alert),
        Error::InvalidMessage(_) => "what answers there does not speak TLS".to_owned(),
        Error::PeerIncompatible(reason) => format!("the server offers no TLS that is safe enough ({reason:?})"),
        other => other.to_string(),
    }
}

fn certificate_in_words(error: &CertificateError, now: Reading) -> String {
    match error {
        CertificateError::Expired => "the certificate of the server has expired".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => {
            format!("the certificate of the server expired at {}: it is {}", date(*not_after), judged(*time, now))
        }
        CertificateError::NotValidYet => "the certificate of the server is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the certificate of the server is not valid yet, but from {} on: it is {}",
            date(*not_before),
            judged(*time, now)
        ),
        CertificateError::UnknownIssuer => {
            "nobody who is trusted here has issued the certificate of the server (unknown issuer): trust the authority \
             by a CA file"
                .to_owned()
        }
        CertificateError::NotValidForName => "the certificate of the server is not for this name".to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } => {
            format!("the certificate of the server is not for this name, but for {}", presented.join(", "))
        }
        CertificateError::BadSignature => {
            "the signature of the server's certificate is wrong: the authority of that name which is trusted here has \
             not made it, and may have got a new key since its CA file was written"
                .to_owned()
        }
        // webpki has no public name for it here.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "the server presents the certificate of an authority (CA:TRUE) as its own: issue one for the server with it"
                .to_owned()
        }
        other => format!("the certificate of the server cannot be used: {other}"),
    }
}

/// What the server says of the client: in TLS 1.3 it comes after the handshake.
fn alert_in_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "the server wants a client certificate, and none is configured for it".to_owned()
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => {
            format!("the server refuses the client certificate, or that there is none (alert {alert:?})")
        }
        other => format!("the server ended TLS (alert {other:?})"),
    }
}

/// The time at which a certificate was judged, and by which clock where they differ.
fn judged(time: UnixTime, now: Reading) -> String {
    let offset = Offset::new(Span::from_nanos(nanos(time).saturating_sub(now.system.nanos())));
    if offset.span().abs() < SAME {
        return format!("{} now", date(time));
    }
    format!("{} by true time (the system clock is {})", date(time), humane_offset(offset))
}

fn date(time: UnixTime) -> String {
    rfc3339(nanos(time))
}

fn nanos(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_mul(NANOS_PER_SECOND)
}

#[cfg(test)]
pub(crate) mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
    use rustls::{ClientConnection, InvalidMessage, ServerConfig, ServerConnection};
    use tempfile::TempDir;

    use super::*;
    use crate::time::{Anchor, SystemTime};

    pub(crate) const DAY: i64 = 86_400;

    pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

    /// Validity in seconds from now, by the system clock.
    fn params(names: &[&str], from: i64, to: i64) -> CertificateParams {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let now = local::read().system.nanos() / NANOS_PER_SECOND;
        let date = |seconds: i64| {
            (std::time::UNIX_EPOCH + Span::from_nanos((now + seconds) * NANOS_PER_SECOND).to_duration()).into()
        };
        (params.not_before, params.not_after) = (date(from), date(to));
        params
    }

    pub(crate) fn authority(name: &str) -> Authority {
        let mut params = params(&[], -1_000 * DAY, 1_000 * DAY);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn server(authority: &Authority, from: i64, to: i64) -> Arc<ServerConfig> {
        server_named("collector.test", authority, from, to)
    }

    pub(crate) fn server_named(name: &str, authority: &Authority, from: i64, to: i64) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let certificate = params(&[name], from, to).signed_by(&key, authority).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap())
    }

    fn file(dir: &TempDir, name: &str, content: &str) -> PathBuf {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// What the client says to the server's certificate.
    fn handshake(client: &ClientConfig, server: &Arc<ServerConfig>, name: &'static str) -> Result<(), Error> {
        let name = ServerName::try_from(name).unwrap();
        let mut client = ClientConnection::new(Arc::new(client.clone()), name).unwrap();
        let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
        while client.is_handshaking() {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets()?;
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }

    /// A clock whose estimate is that the system clock is slow by `seconds`.
    fn slow_by(seconds: i64, is_vouched: bool) -> Arc<TrueClock> {
        let clock = TrueClock::default();
        set_slow_by(&clock, seconds, is_vouched);
        Arc::new(clock)
    }

    pub(crate) fn set_slow_by(clock: &TrueClock, seconds: i64, is_vouched: bool) {
        let anchor = local::read().system_minus_boot().nanos() + seconds * NANOS_PER_SECOND;
        clock.set(Anchor::from_nanos(anchor), is_vouched);
    }

    #[test]
    fn certificates_are_judged_by_vouched_true_time_and_by_the_system_clock_before_there_is_any() {
        let (dir, authority) = (TempDir::new().unwrap(), authority("one"));
        let tls = Tls { ca: Some(file(&dir, "ca.pem", &authority.pem())), identity: None };
        let now = server(&authority, -DAY / 2, DAY / 2);
        let later = server(&authority, 2 * DAY - DAY / 2, 2 * DAY + DAY / 2);
        let judgement = |clock: Arc<TrueClock>, server| {
            let config = Setup::new(clock).config(&tls).unwrap();
            handshake(&config, server, "collector.test").map_err(|error| in_words(&error)).err().unwrap_or_default()
        };
        for clock in [Arc::default(), slow_by(2 * DAY, false), slow_by(0, true)] {
            assert_eq!(judgement(Arc::clone(&clock), &now), "");
            let words = judgement(clock, &later);
            assert!(words.contains("is not valid yet, but from ") && words.ends_with("Z now"), "{words}");
        }
        assert_eq!(judgement(slow_by(2 * DAY, true), &later), "");
        let words = judgement(slow_by(2 * DAY, true), &now);
        assert!(
            words.contains(" expired at ") && words.ends_with("by true time (the system clock is 2.0 days slow)"),
            "{words}"
        );
        let words = judgement(slow_by(-2 * DAY, true), &now);
        assert!(words.contains("not valid yet") && words.ends_with("2.0 days fast)"), "{words}");
        let words = judgement(slow_by(-100 * 365 * DAY, true), &now);
        assert!(words.contains("not valid yet"), "before 1970: {words}");
    }

    #[test]
    fn a_name_an_issuer_and_an_authority_that_are_wrong_are_named() {
        let (dir, authority) = (TempDir::new().unwrap(), authority("one"));
        let config = |pem: &str| {
            let tls = Tls { ca: Some(file(&dir, "ca.pem", pem)), identity: None };
            Setup::new(Arc::default()).config(&tls).unwrap()
        };
        let words = |client: &ClientConfig, server: &Arc<ServerConfig>, name| {
            in_words(&handshake(client, server, name).unwrap_err())
        };
        let good = server(&authority, -DAY, DAY);
        let text = words(&config(&authority.pem()), &good, "another.test");
        assert!(text.contains("not for this name, but for") && text.contains("collector.test"), "{text}");
        assert!(!text.contains("another.test"), "the destination may be a secret: {text}");
        for (name, what) in
            [("another", "unknown issuer"), ("one", "the signature of the server's certificate is wrong")]
        {
            let text = words(&config(&self::authority(name).pem()), &good, "collector.test");
            assert!(text.contains(what), "{text}");
        }
        let trusting_nobody = Setup::new(Arc::default()).nobody().unwrap();
        assert!(words(&trusting_nobody, &good, "collector.test").contains("unknown issuer"));

        let mut own = params(&["collector.test"], -DAY, DAY);
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = own.self_signed(&key).unwrap();
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        let text = words(&config(&certificate.pem()), &Arc::new(server), "collector.test");
        assert!(text.contains("CA:TRUE"), "{text}");
        let text = in_words(&Error::InvalidMessage(InvalidMessage::InvalidContentType));
        assert_eq!(text, "what answers there does not speak TLS");
    }

    #[test]
    fn a_file_that_is_wrong_is_named_with_what_is_wrong_and_what_to_do() {
        let (dir, authority) = (TempDir::new().unwrap(), authority("one"));
        let key = KeyPair::generate().unwrap();
        let certificate = params(&["client"], -DAY, DAY).signed_by(&key, &authority).unwrap();
        let good_ca = file(&dir, "ca.pem", &authority.pem());
        let good_certificate = file(&dir, "client.pem", &certificate.pem());
        let good_key = file(&dir, "client.key", &key.serialize_pem());
        let try_out = |ca: &Path, identity: Option<(&Path, &Path)>| {
            let identity = identity.map(|(certificate, key)| (certificate.to_owned(), key.to_owned()));
            let tls = Tls { ca: Some(ca.to_owned()), identity };
            Setup::new(Arc::default()).config(&tls).map_err(|error| error.to_string()).err()
        };
        assert_eq!(try_out(&good_ca, Some((&good_certificate, &good_key))), None);

        let missing = dir.path().join("missing.pem");
        let empty = file(&dir, "empty.pem", "nothing here\n");
        let cut = file(&dir, "cut.pem", authority.pem().split("-----END").next().unwrap());
        let no_der = file(&dir, "no-der.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let encrypted = file(&dir, "encrypted.key", encrypted);
        let other_key = file(&dir, "other.key", &KeyPair::generate().unwrap().serialize_pem());
        let no_key = file(&dir, "no-der.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        let identity = |certificate, key| try_out(&good_ca, Some((certificate, key)));
        for (said, file, what) in [
            (try_out(&missing, None), "missing.pem", "failed to read the CA file"),
            (try_out(dir.path(), None), dir.path().to_str().unwrap(), "failed to read the CA file"),
            (try_out(&empty, None), "empty.pem", "holds no certificate"),
            (try_out(&good_key, None), "client.key", "holds no certificate"),
            (try_out(&cut, None), "cut.pem", "is no PEM file"),
            (try_out(&no_der, None), "no-der.pem", "certificate 1 of the CA file"),
            (identity(&missing, &good_key), "missing.pem", "failed to read the client certificate"),
            (identity(&empty, &good_key), "empty.pem", "the client certificate"),
            (identity(&good_certificate, &missing), "missing.pem", "failed to read the key"),
            (identity(&good_certificate, &good_certificate), "client.pem", "holds no private key"),
            (identity(&good_certificate, &encrypted), "encrypted.key", "must be decrypted"),
            (identity(&good_certificate, &other_key), "other.key", "does not match the client certificate"),
            (identity(&good_certificate, &no_key), "no-der.key", "cannot be used"),
        ] {
            let said = said.unwrap();
            assert!(said.contains(file) && said.contains(what), "{what}: {said}");
            assert!(!said.contains("PRIVATE KEY-----\n") && !said.contains("AAAA"), "{said}");
        }
    }

    #[test]
    fn the_log_says_by_how_much_the_clocks_differ_once_and_when_it_changes_but_not_all_the_time() {
        let mut notice = Notice::default();
        let mut is_due = |seconds: f64, now: f64| {
            notice.is_due(Offset::new(Span::from_seconds(seconds)), BootTime::from_seconds(now))
        };
        assert!(!is_due(0.3, 1.0), "that is no difference");
        assert!(is_due(-172_800.0, 2.0));
        assert!(!is_due(-172_800.5, 300.0));
        assert!(is_due(-172_802.0, 301.0));
        assert!(!is_due(0.0, 302.0), "not twice in a minute");
        assert!(is_due(0.0, 362.0), "it is right again");
        assert!(!is_due(0.0, 900.0));
    }

    #[test]
    fn alerts_of_the_server_are_put_into_words() {
        let words = |alert| worded(&Error::AlertReceived(alert), local::read());
        assert!(words(AlertDescription::CertificateRequired).contains("wants a client certificate"));
        assert!(words(AlertDescription::UnknownCA).contains("refuses the client certificate"));
        assert!(words(AlertDescription::InternalError).contains("InternalError"));
    }

    #[test]
    fn dates_that_no_clock_can_read_are_no_panic() {
        let now = Reading { boot: BootTime::ZERO, system: SystemTime::from_nanos(i64::MIN) };
        let far = UnixTime::since_unix_epoch(std::time::Duration::MAX);
        let error = CertificateError::NotValidYetContext { time: far, not_before: far };
        assert!(worded(&error.into(), now).contains("not valid yet"));
    }
}
