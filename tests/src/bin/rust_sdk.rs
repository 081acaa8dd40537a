//! A program on the AWS SDK for Rust, as one runs on a host with a role: it asks STS who it is, once for each line that it
//! is sent, and answers `used`, or with the error.
//!
//! Its credentials come from the default chain of aws-config and go through the SDK's own cache. Only the sockets are the
//! lab's, because the SDK's bring a TLS of their own. Argument: the URL of STS.

#![expect(clippy::print_stdout, reason = "the answer")]

use std::env;
use std::io;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};
use aws_config::{BehaviorVersion, Region};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use tests::http;

fn main() -> Result<()> {
    let sts = env::args().nth(1).context("usage: rust-sdk URL-OF-STS")?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(answer(&sts))
}

async fn answer(sts: &str) -> Result<()> {
    let client = http_client_fn(|_, _| SharedHttpConnector::new(Plain));
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(client);
    let config = config.region(Region::new("eu-central-1")).load().await;
    let sts = aws_sdk_sts::Client::from_conf(aws_sdk_sts::config::Builder::from(&config).endpoint_url(sts).build());
    for line in io::stdin().lines() {
        line?;
        match sts.get_caller_identity().send().await {
            Ok(_) => println!("used"),
            Err(error) => println!("{error:?}"),
        }
    }
    Ok(())
}

/// HTTP without TLS, one connection a request.
#[derive(Debug)]
struct Plain;

impl HttpConnector for Plain {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(exchange(&request).map_err(|error| ConnectorError::other(error.into(), None)))
    }
}

fn exchange(request: &HttpRequest) -> Result<HttpResponse> {
    let rest = request.uri().strip_prefix("http://").context("the lab has no TLS")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let server = authority.parse::<IpAddr>().map(|address| SocketAddr::new(address, 80)).or_else(|_| authority.parse());
    let headers: Vec<_> = request.headers().iter().filter(|(name, _)| !is_framing(name)).collect();
    let body = str::from_utf8(request.body().bytes().unwrap_or_default())?;
    let server: SocketAddr = server.with_context(|| authority.to_owned())?;
    let answer = http::request(server, request.method(), &format!("/{path}"), &headers, body)?;
    let mut response = HttpResponse::new(answer.status.try_into()?, answer.body.into());
    for (name, value) in answer.headers {
        response.headers_mut().try_insert(name, value)?;
    }
    Ok(response)
}

/// Headers that the lab's client writes itself.
fn is_framing(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case("content-length")
}
