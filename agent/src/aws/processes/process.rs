//! What is kept of a process.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::environment::Environment;
use super::properties::Properties;
use crate::aws::sdk::Sdk;

pub use super::library::{Found, Library};

/// A process, without its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The name that the kernel gives it, 15 characters at most.
    pub command: String,
    /// The libraries that it can use, a line each. Whether it ever does cannot be told.
    pub found: Vec<Found>,
    /// The variables about AWS and proxies that it was started with; `None` where they cannot be read.
    pub environment: Option<Environment>,
    /// Whether it has written over what it was started with, so that nobody can read its variables.
    pub is_overwritten: bool,
    /// The system properties of Java about AWS and proxies that it was started with.
    pub properties: Properties,
    /// The home that the user database has for its user; `None` where that is not known.
    pub home: Option<PathBuf>,
    /// Whether something of it could not be read, so that a library may be missing.
    pub is_partial: bool,
}

/// All SDKs that run.
pub fn sdks_in_use(processes: &[Process]) -> BTreeSet<Sdk> {
    processes.iter().flat_map(|process| &process.found).filter_map(|found| found.library.sdk()).collect()
}
