//! From the configuration to those who read what expires beside the role of the instance.

use std::time::Duration;

use super::cli_cache::CliCache;
use super::container::{Container, SetupError};
use super::environment::Environment;
use super::login_cache::LoginCache;
use super::named_file::{self, NamedFiles, Pointer};
use super::provider::{Provider, Read};
use super::shared_file::SharedFile;
use super::sso_cache::SsoCache;
use super::web_identity::WebIdentity;
use crate::config::checked::{Config, NamedFile, NamedKind};

/// How long one request for the role of a container may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Who reads what the configuration names, in the environment `env`.
///
/// # Errors
/// The environment names an endpoint for containers that cannot be asked.
pub fn readers(config: &Config, env: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Box<dyn Read>>, SetupError> {
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
            Provider::Container => {
                if let Some(container) = Container::from_env(&env, TIMEOUT).transpose()? {
                    readers.push(Box::new(container));
                }
            }
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
    Ok(readers)
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
