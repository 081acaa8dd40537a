//! Whether there is a Windows to ask.

use super::credentials::Folders;
use super::facts::{Facts, gather};
use crate::sys;

/// What it shows; `None` on every other system. It takes some milliseconds, and five seconds where w32tm does not answer.
pub async fn facts(env: &dyn Fn(&str) -> Option<String>) -> Option<Facts> {
    let system = sys::windows()?;
    let folders = Folders::of(env);
    let looking = tokio::task::spawn_blocking(move || gather(&*system, &folders));
    looking.await.ok()
}
