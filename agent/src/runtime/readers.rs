//! From the configuration to those who read what expires beside the role of the instance.

use std::time::Duration;

use async_trait::async_trait;

use crate::config::checked::Config;
use crate::credentials::cli_cache::CliCache;
use crate::credentials::container::{Container, SetupError};
use crate::credentials::environment::Environment;
use crate::credentials::lease::Unavailable;
use crate::credentials::login_cache::LoginCache;
use crate::credentials::named::{NamedFile, NamedKind};
use crate::credentials::named_file::{self, NamedFiles, Pointer};
use crate::credentials::provider::Provider;
use crate::credentials::round::{Read, Round};
use crate::credentials::shared_file::SharedFile;
use crate::credentials::sso_cache::SsoCache;
use crate::credentials::web_identity::WebIdentity;

/// How long one request for the role of a container may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Who reads what the configuration names, in the environment `env`.
pub fn readers(config: &Config, env: &dyn Fn(&str) -> Option<String>) -> Vec<Box<dyn Read>> {
    let asked = config.providers();
    let others = &config.other_credentials;
    let homes = || others.homes.clone();
    // What the file says wins over the environment.
    let env = |name: &str| match name {
        "AWS_SHARED_CREDENTIALS_FILE" => others.shared_file.as_ref().map(|path| path.display().to_string()),
        "AWS_WEB_IDENTITY_TOKEN_FILE" => others.web_identity.as_ref().map(|path| path.display().to_string()),
        _ => env(name),
    };
    let mut readers: Vec<Box<dyn Read>> = Vec::new();
    for provider in asked {
        match provider {
            Provider::Imds => {}
            Provider::Container => match Container::from_env(&env, TIMEOUT) {
                Some(Ok(container)) => readers.push(Box::new(container)),
                Some(Err(error)) => readers.push(Box::new(Nowhere(error))),
                None => {}
            },
            Provider::WebIdentity => {
                if let Some(token) = WebIdentity::from_env(&env) {
                    readers.push(Box::new(token));
                }
            }
            Provider::Environment => readers.push(Box::new(Environment::from_env(&env))),
            Provider::SharedFile => readers.push(Box::new(SharedFile::new(homes(), &env))),
            Provider::SsoCache => readers.push(Box::new(SsoCache::new(homes()))),
            Provider::CliCache => readers.push(Box::new(CliCache::new(homes()))),
            Provider::LoginCache => readers.push(Box::new(LoginCache::new(homes(), &env))),
            Provider::File => readers.push(Box::new(NamedFiles::new(others.files.iter().filter_map(named).collect()))),
        }
    }
    readers
}

/// An endpoint for containers that cannot be asked, which is a finding as any other: SDKs do not ask it either.
struct Nowhere(SetupError);

#[async_trait]
impl Read for Nowhere {
    fn provider(&self) -> Provider {
        Provider::Container
    }

    async fn read(&mut self) -> Round {
        let reason = match self.0 {
            SetupError::Path => "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not a path",
            SetupError::Url => "AWS_CONTAINER_CREDENTIALS_FULL_URI is not a url",
            SetupError::Host => {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI names a host to which no keys may travel by plain http"
            }
            SetupError::Http(_) => "no http client can be made",
        };
        Round::one(Err(Unavailable::Malformed(reason)), Vec::new())
    }
}

/// The file of the configuration, whose pointer was checked there.
fn named(file: &NamedFile) -> Option<named_file::NamedFile> {
    let (path, kind) = match &file.kind {
        NamedKind::Json { path, pointer, basis } => {
            let pointer = Pointer::parse(pointer).ok()?;
            (path.clone(), named_file::Kind::Json { pointer, basis: *basis })
        }
        NamedKind::Certificate { path } => (path.clone(), named_file::Kind::Certificate),
    };
    Some(named_file::NamedFile { name: file.name.clone(), path, kind })
}
