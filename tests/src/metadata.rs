//! An instance metadata service that is in order, for tests whose subject is something else.

use std::net::SocketAddr;

use anyhow::Result;

use crate::http::{HttpServer, Reply};
use crate::net::{Net, Side};

/// The role that it hands out.
pub const ROLE: &str = "web";
/// The instance that it speaks for.
pub const INSTANCE_ID: &str = "i-0123456789abcdef0";

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
