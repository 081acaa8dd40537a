//! botocore, the SDK under boto3 and the AWS CLI, as a host's programs use it.

use std::ffi::OsString;
use std::net::SocketAddr;

use anyhow::Result;

use crate::agent::FakeClock;
use crate::dialogue::Dialogue;
use crate::net::Net;
use crate::process::lab_dir;
use crate::s3;

/// A program on the agent's host that holds the credentials of its role, and lives by this clock. It has no other
/// credentials, and does without IMDSv1. Whatever it is sent, it uses them, and answers `used` or names the exception.
///
/// # Errors
/// When it cannot be started.
pub fn role(net: &Net, clock: &FakeClock) -> Result<Dialogue> {
    let mut environment = clock.environment()?.to_vec();
    environment.push(("AWS_EC2_METADATA_V1_DISABLED", "true".into()));
    start(net, &environment, include_str!("botocore/credentials.py"), &[])
}

/// A program on the agent's host that lists the bucket of the S3 server at `address` whenever it is sent a line, signed by
/// the machine's clock. It answers `accepted` or the code of the error, and never tries twice.
///
/// # Errors
/// When it cannot be started.
pub fn s3_client(net: &Net, address: SocketAddr) -> Result<Dialogue> {
    let environment = [("AWS_ACCESS_KEY_ID", s3::ACCESS_KEY.into()), ("AWS_SECRET_ACCESS_KEY", s3::SECRET_KEY.into())];
    start(net, &environment, include_str!("botocore/s3.py"), &[&format!("http://{address}"), s3::BUCKET])
}

/// A program that says of each request, a JSON object on a line, whether botocore would have signed it so: see `verify.py`.
///
/// # Errors
/// When it cannot be started.
pub fn verifier(net: &Net) -> Result<Dialogue> {
    start(net, &[], include_str!("botocore/verify.py"), &[])
}

fn start(net: &Net, environment: &[(&str, OsString)], program: &str, arguments: &[&str]) -> Result<Dialogue> {
    let arguments: Vec<&str> = ["-c", program].into_iter().chain(arguments.iter().copied()).collect();
    Dialogue::on_host(net, environment, lab_dir()?.join("venv/bin/python"), &arguments)
}
