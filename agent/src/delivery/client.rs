//! The HTTP client of everything that leaves the agent.

use std::sync::Arc;

use reqwest::redirect;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The client cannot be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Http(#[from] reqwest::Error),
}

/// Makes a client. The roots of trust of the system are read only where a destination needs them, because they take
/// more memory than all the rest of the agent.
///
/// # Errors
/// TLS or the client cannot be set up.
pub fn client(needs_tls: bool) -> Result<reqwest::Client, ClientError> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("skewguard/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(1)
        .http1_only();
    let builder = if needs_tls {
        // The first one installed serves every client of the process; a second attempt changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        builder
    } else {
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        builder.tls_backend_preconfigured(tls)
    };
    Ok(builder.build()?)
}
