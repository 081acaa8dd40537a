//! What all clients have in common.

use reqwest::{ClientBuilder, redirect, retry};
use rustls::ClientConfig;

use crate::resolver::Names;

/// A client that says who it is, asks the system for names, follows nobody elsewhere and asks nobody twice by itself.
/// It follows the proxy variables where `is_proxied` says so.
pub fn builder(tls: ClientConfig, is_proxied: bool) -> ClientBuilder {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("skewguard/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Names)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .http1_only();
    if is_proxied { builder } else { builder.no_proxy() }
}
