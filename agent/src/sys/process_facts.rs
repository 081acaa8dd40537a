//! What a platform without `/proc` tells of a process.

use std::path::PathBuf;

/// What can be asked of a process without a look into its memory. Its command line may hold secrets, so it cannot be shown.
#[derive(Default)]
pub struct ProcessFacts {
    /// By what text it was started, as it has it itself; `None` where that may not be asked.
    pub command_line: Option<String>,
    /// The file that it runs; `None` of a part of the kernel.
    pub executable: Option<PathBuf>,
    /// The files that are mapped into it, among them the libraries that it has loaded.
    pub modules: Vec<PathBuf>,
    /// Whether these are all.
    pub are_all_modules: bool,
    /// The profile of its user, as the system has it.
    pub home: Option<PathBuf>,
}
