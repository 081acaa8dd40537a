//! The instance metadata service of the demo's AWS.

use std::net::SocketAddr;
use std::sync::Arc;

use super::http::{self, Request, Response};
use super::world::World;
use crate::time::rfc3339;

const TOKEN: &str = "demo-token";
const TOKEN_TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";

/// Starts the service on a port that the kernel chooses.
pub(super) async fn start(world: Arc<World>) -> std::io::Result<SocketAddr> {
    http::start(move |request| answer(&request, &world)).await
}

fn answer(request: &Request, world: &World) -> Response {
    if request.method == "PUT" && request.path == "/latest/api/token" {
        let ttl = request.header(TOKEN_TTL).unwrap_or("21600").to_owned();
        return Response { headers: vec![(TOKEN_TTL, ttl)], ..Response::ok(TOKEN) };
    }
    if request.header("x-aws-ec2-metadata-token") != Some(TOKEN) {
        return Response::status(401);
    }
    match request.path.as_str() {
        "/latest/meta-data/iam/security-credentials/" => Response::ok("demo-role"),
        "/latest/meta-data/iam/security-credentials/demo-role" => Response::ok(document(world)),
        "/latest/meta-data/instance-id" => Response::ok("i-0demo0demo0demo00"),
        "/latest/meta-data/instance-type" => Response::ok("m7g.large"),
        "/latest/meta-data/placement/region" => Response::ok("eu-central-1"),
        "/latest/meta-data/placement/availability-zone" => Response::ok("eu-central-1a"),
        "/latest/dynamic/instance-identity/document" => Response::ok(r#"{"accountId":"123456789012"}"#),
        _ => Response::status(404),
    }
}

/// What looks like secrets here are the words of AWS's own documentation.
fn document(world: &World) -> String {
    let lease = world.lease();
    serde_json::json!({
        "Code": "Success",
        "LastUpdated": rfc3339(lease.last_updated.nanos()),
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "Token": "demo-session-token",
        "Expiration": rfc3339(lease.expiration.nanos()),
    })
    .to_string()
}
