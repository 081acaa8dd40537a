//! Where the agent has its files.

use std::path::PathBuf;

/// Where the agent has its files, unless somebody says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The configuration, where there is one.
    pub config: PathBuf,
    /// What is kept from one process to the next.
    pub state_dir: PathBuf,
    /// Where it is asked.
    pub socket: PathBuf,
}
