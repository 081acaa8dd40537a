//! An instance metadata service that is in order, for tests whose subject is something else.

use std::net::SocketAddr;
use std::time::SystemTime;

use anyhow::Result;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::http::{HttpServer, Reply};
use crate::net::{Net, Side};

/// The role that it hands out.
pub const ROLE: &str = "web";
/// The instance that it speaks for.
pub const INSTANCE_ID: &str = "i-0123456789abcdef0";

/// Credentials that live for six hours from now on.
pub fn valid_document() -> String {
    let now = DateTime::<Utc>::from(SystemTime::now());
    let at = |hours| (now + TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true);
    format!(
        r#"{{"Code":"Success","LastUpdated":"{}","Type":"AWS-HMAC","AccessKeyId":"lab","SecretAccessKey":"lab",
"Token":"lab","Expiration":"{}"}}"#,
        at(0),
        at(6)
    )
}

/// Starts one whose role has this document.
///
/// # Errors
/// When the address is not there or taken.
pub fn start(net: &Net, side: Side, address: SocketAddr, document: &str) -> Result<HttpServer> {
    let server = HttpServer::start(net, side, address)?;
    server.on("PUT /latest/api/token", Reply::ok("token").header("x-aws-ec2-metadata-token-ttl-seconds", "21600"));
    let roles = "GET /latest/meta-data/iam/security-credentials/";
    server.on(roles, Reply::ok(ROLE));
    server.on(&format!("{roles}{ROLE}"), Reply::ok(document));
    server.on("GET /latest/meta-data/instance-id", Reply::ok(INSTANCE_ID));
    server.on("GET /latest/meta-data/instance-type", Reply::ok("m7g.large"));
    server.on("GET /latest/meta-data/placement/region", Reply::ok("eu-central-1"));
    server.on("GET /latest/meta-data/placement/availability-zone", Reply::ok("eu-central-1a"));
    server.on("GET /latest/dynamic/instance-identity/document", Reply::ok(r#"{"accountId":"123456789012"}"#));
    Ok(server)
}
