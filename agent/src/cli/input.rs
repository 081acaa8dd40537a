//! What a command is given beside its arguments: the environment and the configuration.

use super::args::ConfigFile;
use crate::config::checked::Config;
use crate::config::explain::ConfigError;
use crate::config::load::{load_installed, load_on};
use crate::host::firmware;
use crate::sys;

/// The environment of this process. Where a variable is not UTF-8 it is as good as not set.
pub(super) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads the configuration that was named, or the installed one, or else takes the built-in defaults.
pub(super) fn read(file: &ConfigFile) -> Result<Config, ConfigError> {
    read_in(file, &env)
}

/// The same in another environment.
pub(super) fn read_in(file: &ConfigFile, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
    // The one that an administrator writes; no package has one there.
    let installed = Some(sys::places().config).filter(|path| file.path.is_none() && path.exists());
    let is_ec2 = firmware::is_ec2(sys::root()).unwrap_or_else(|| is_task(env));
    match installed {
        Some(installed) => load_installed(&installed, env, is_ec2),
        None => load_on(file.path.as_deref(), env, is_ec2),
    }
}

/// Whether this is a task of ECS, whose machine may hide its firmware, as Fargate does. Variables of this process can be
/// set by nobody who could not trust the source in the configuration as well.
fn is_task(env: &dyn Fn(&str) -> Option<String>) -> bool {
    ["ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI"].iter().any(|name| env(name).is_some())
}
