//! An instance metadata service that is in order, for tests whose subject is something else, and that hands out user data.

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
    document(6 * 3_600)
}

/// Credentials of six hours of which so many seconds are left.
pub fn document(left: i64) -> String {
    let now = DateTime::<Utc>::from(SystemTime::now());
    let at =
        |hours| (now + TimeDelta::seconds(left) + TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true);
    format!(
        r#"{{"Code":"Success","LastUpdated":"{}","Type":"AWS-HMAC","AccessKeyId":"lab","SecretAccessKey":"lab",
"Token":"lab","Expiration":"{}"}}"#,
        at(-6),
        at(0)
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
    server.on("GET /latest/meta-data/services/domain", Reply::ok("amazonaws.com"));
    server.on("GET /latest/dynamic/instance-identity/document", Reply::ok(r#"{"accountId":"123456789012"}"#));
    Ok(server)
}

/// The version of the service by which cloud-init asks for user data.
const VERSION: &str = "2009-04-04";
/// Where [`hand_out`] hands it out.
pub const USER_DATA: &str = "GET /2009-04-04/user-data";

/// Lets one hand out user data, with what cloud-init asks of an instance beside it.
pub fn hand_out(server: &HttpServer, user_data: &str) {
    let data = format!("GET /{VERSION}/meta-data/");
    let members = [
        ("", "instance-id\nlocal-hostname\nnetwork/"),
        ("instance-id", INSTANCE_ID),
        ("local-hostname", "ip-10-0-0-1"),
        // One interface, which is none of the host's: a lab has its network before.
        ("network/", "interfaces/"),
        ("network/interfaces/", "macs/"),
        ("network/interfaces/macs/", "02:00:00:00:00:01/"),
        ("network/interfaces/macs/02:00:00:00:00:01/", "device-number"),
        ("network/interfaces/macs/02:00:00:00:00:01/device-number", "0"),
    ];
    for (name, value) in members {
        server.on(&format!("{data}{name}"), Reply::ok(value));
    }
    server.on(USER_DATA, Reply::ok(user_data));
}
