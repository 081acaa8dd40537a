//! Whether there is a Windows to ask.

use super::credentials::Folders;
use super::facts::{Facts, gather};
use super::system::System;

/// The Windows on which this runs; `None` on every other system. It is the one place in which the doctor has to know for which
/// system it was built.
pub fn system() -> Option<Box<dyn System + Send>> {
    None
}

/// What it shows; `None` on every other system. It takes some milliseconds, and five seconds where w32tm does not answer.
pub async fn facts(env: &dyn Fn(&str) -> Option<String>) -> Option<Facts> {
    let system = system()?;
    let folders = Folders::of(env);
    let looking = tokio::task::spawn_blocking(move || gather(&*system, &folders));
    looking.await.ok()
}
