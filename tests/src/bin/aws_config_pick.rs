//! Asks aws-config which credentials it picks in the environment of this process, and answers as JSON.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};
use aws_config::BehaviorVersion;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use serde_json::json;
use tests::http;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(ask());
    serde_json::to_writer(std::io::stdout(), &answer)?;
    Ok(())
}

async fn ask() -> serde_json::Value {
    let client = http_client_fn(|_, _| SharedHttpConnector::new(Plain));
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(client).load().await;
    let Some(provider) = config.credentials_provider() else { return json!({ "outcome": "nothing" }) };
    match provider.provide_credentials().await {
        Ok(credentials) => json!({ "outcome": "picked", "id": credentials.access_key_id() }),
        Err(CredentialsError::CredentialsNotLoaded(_)) => json!({ "outcome": "nothing" }),
        Err(error) => {
            let mut error: &dyn std::error::Error = &error;
            while let Some(source) = error.source() {
                error = source;
            }
            json!({ "outcome": "failed", "error": error.to_string() })
        }
    }
}

/// HTTP without TLS to an address, which is all that the lab has.
#[derive(Debug)]
struct Plain;

impl HttpConnector for Plain {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(send(&request).map_err(|error| ConnectorError::io(error.into())))
    }
}

fn send(request: &HttpRequest) -> Result<HttpResponse> {
    let rest = request.uri().strip_prefix("http://").context("the lab has no TLS")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let server = match authority.parse::<SocketAddr>() {
        Ok(server) => server,
        Err(_) => SocketAddr::new(authority.parse::<IpAddr>().context("the lab has no names")?, 80),
    };
    // The client writes these itself.
    let headers: Vec<_> = request
        .headers()
        .iter()
        .filter(|(name, _)| !["host", "content-length"].contains(&name.to_ascii_lowercase().as_str()))
        .collect();
    let body = std::str::from_utf8(request.body().bytes().unwrap_or_default())?;
    let path = if path.is_empty() { "/" } else { path };
    let response = http::request(server, request.method(), path, &headers, body)?;
    let mut answer = HttpResponse::new(StatusCode::try_from(response.status)?, response.body.into());
    for (name, value) in response.headers {
        answer.headers_mut().insert(name, value);
    }
    Ok(answer)
}
