//! What a command is given beside its arguments: the environment and the configuration.

use std::path::{Path, PathBuf};

use super::args::ConfigFile;
use crate::config::checked::Config;
use crate::config::explain::ConfigError;
use crate::config::load::load;

/// The configuration that a package installs.
const DEFAULT_PATH: &str = "/etc/skewguard/skewguard.yaml";

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
    let installed = || Some(PathBuf::from(DEFAULT_PATH)).filter(|path| path.exists());
    load(file.path.clone().or_else(installed).as_deref().map(Path::new), env)
}
