//! Programs on the AWS SDKs for Java and JavaScript, as those of users are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::dialogue::Dialogue;
use crate::net::Net;
use crate::process::{lab_dir, tool};

/// An SDK for Java.
#[derive(Clone, Copy, Debug)]
pub enum Java {
    /// 2.x, of 2025.
    V2,
    /// 1.x.
    V1,
}

/// How a program in Java is started.
#[derive(Clone, Copy, Debug)]
pub struct Jvm<'a> {
    /// The variables that it has, and no others.
    pub environment: &'a [(&'a str, OsString)],
    /// Properties and other options before the program.
    pub options: &'a [&'a str],
    /// `default` for the chain of the SDK, or `profile` for the shared files alone.
    pub provider: &'a str,
    /// The URL of STS; without it the credentials are looked up and not used.
    pub sts: Option<&'a str>,
}

impl Jvm<'_> {
    /// A program on the agent's host, once it is ready, that asks STS who it is, or looks up its credentials, whenever it is sent a line. It
    /// answers `accepted` or `used`, or the exception, which it writes to its log as well, with its causes.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, net: &Net, sdk: Java) -> Result<Dialogue> {
        let (jars, source) = match sdk {
            Java::V2 => ("v2", "Requests.java"),
            Java::V1 => ("v1", "RequestsV1.java"),
        };
        let jars = format!("{}/*", lab_dir()?.join("sdks/java").join(jars).display());
        let source = program("java").join(source);
        // It lives for seconds: what compiles longer is never used.
        let mut arguments = vec!["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m"];
        arguments.extend(self.options);
        arguments.extend(["-cp", &jars, source.to_str().context("a path that is no text")?, self.provider]);
        arguments.push(self.sts.unwrap_or("-"));
        let mut program = Dialogue::on_host(net, self.environment, tool("java")?, &arguments)?;
        program.hear()?;
        Ok(program)
    }
}

/// A program on the agent's host that looks up the credentials of its role with the SDK for JavaScript whenever it is sent
/// a line, and answers `used` or the name of the error.
///
/// # Errors
/// When it cannot be started.
pub fn javascript(net: &Net, environment: &[(&str, OsString)]) -> Result<Dialogue> {
    let mut environment = environment.to_vec();
    environment.push(("NODE_PATH", lab_dir()?.join("sdks/javascript/node_modules").into()));
    let source = program("javascript").join("role.js");
    Dialogue::on_host(net, &environment, tool("node")?, &[source.to_str().context("a path that is no text")?])
}

/// An SDK that is asked which credentials it picks.
#[derive(Clone, Copy, Debug)]
pub enum Picking {
    /// For Java.
    Java(Java),
    /// For JavaScript, version 3.
    JavaScript,
}

impl Picking {
    /// A program on the agent's host, to which a line is an environment (`NAME=VALUE`, or `-DNAME=VALUE` of a
    /// property for Java, separated by U+001F), and which
    /// answers with the outcome (`picked`, `nothing` or `failed`), the identifier of the keys, and the error, separated by tabs.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(self, net: &Net) -> Result<Dialogue> {
        let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is no text");
        match self {
            Self::JavaScript => {
                let modules = lab_dir()?.join("sdks/javascript/node_modules").into();
                let source = text(&program("javascript").join("picks.js"))?;
                Dialogue::on_host(net, &[("NODE_PATH", modules)], tool("node")?, &[&source])
            }
            Self::Java(sdk) => {
                let (jars, source) = match sdk {
                    Java::V2 => ("v2", "Picks.java"),
                    Java::V1 => ("v1", "PicksV1.java"),
                };
                let jars = format!("{}/*", lab_dir()?.join("sdks/java").join(jars).display());
                let source = text(&program("java").join(source))?;
                let open = ["java.base/java.lang=ALL-UNNAMED", "java.base/java.util=ALL-UNNAMED"];
                let open = open.iter().flat_map(|module| ["--add-opens", module]);
                let arguments: Vec<&str> =
                    open.chain(["-XX:+UseSerialGC", "-Xmx128m", "-cp", &jars, &source]).collect();
                Dialogue::on_host(net, &[], tool("java")?, &arguments)
            }
        }
    }
}

fn program(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(language)
}
