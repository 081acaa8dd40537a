//! The checks of what is kept on disk: the folder of what outlives a restart, and the bounds of the queue.

use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use super::checked::{Queue, StateDir};
use super::size::Size;
use super::{default, raw};
use crate::setting::fault::{Bounds, Environment, Fault, from_variable};
use crate::setting::locate::Path;
use crate::sys;

/// How many bytes may wait: enough for a few items of each destination, and no more than a root volume has to spare.
const SIZE: (Size, Size) = (Size(256 << 10), Size(1 << 30));
/// How old an item may become.
const AGE: Bounds = Bounds(Duration::from_secs(60), Duration::from_secs(720 * 3_600));
/// Set by systemd, which has made the folders: absolute paths with colons between them (systemd.exec(5)).
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

/// Checks the folder of what outlives a restart.
pub(super) fn state_dir(given: Option<&str>, env: Environment<'_>) -> Result<StateDir, Fault> {
    let named = match given {
        Some(path) => Some(folder(path).map_err(|message| Fault::at(Path::root("state_dir"), message))?),
        None => from_variable(env, STATE_DIRECTORY, |list| folder(list.split(':').next().unwrap_or_default()))?,
    };
    let is_given = named.is_some();
    Ok(StateDir { path: named.unwrap_or_else(|| sys::places().state_dir), is_given })
}

/// Checks what may wait for delivery.
pub(super) fn queue(given: Option<&raw::Queue>) -> Result<Queue, Fault> {
    let at = Path::root("queue");
    let (size, age) = given.map_or((None, None), |given| (given.size, given.age));
    let size = size.unwrap_or(Size(default::QUEUE.size));
    let (smallest, largest) = SIZE;
    let complaint = match size {
        _ if size < smallest => "small",
        _ if size > largest => "large",
        Size(size) => return Ok(Queue { size, age: AGE.or(age, default::QUEUE.age, &at, "age")? }),
    };
    Err(Fault::at(at.key("size"), format!("{size} is too {complaint}: allowed is {smallest} to {largest}")))
}

fn folder(text: &str) -> Result<PathBuf, String> {
    let is_below_root = sys::is_absolute(text) && FilePath::new(text).parent().is_some();
    if !is_below_root || text.contains(char::is_control) {
        let such = sys::places().state_dir;
        return Err(format!("the folder is an absolute path below {}, such as {}", sys::TOP, such.display()));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(given: Option<&str>, variable: &str) -> Option<(String, bool)> {
        let env = |name: &str| (name == STATE_DIRECTORY).then(|| variable.to_owned());
        state_dir(given, &env).ok().map(|found| (found.path.display().to_string(), found.is_given))
    }

    #[cfg(unix)]
    #[test]
    fn the_folder_of_the_file_wins_over_the_first_of_systemd_and_that_over_the_default() {
        let at = |path: &str, is_given| Some((path.to_owned(), is_given));
        assert_eq!(found(Some("/data"), "/var/lib/private/skewguard"), at("/data", true));
        assert_eq!(found(None, "/var/lib/private/skewguard:/var/lib/other"), at("/var/lib/private/skewguard", true));
        assert_eq!(found(None, ""), at("/var/lib/skewguard", false));
        for wrong in ["skewguard", "/", "//", ":/a", "/a\n/b"] {
            assert_eq!(found(None, wrong), None, "{wrong:?}");
            assert_eq!(found(Some(wrong), ""), None, "{wrong:?}");
        }
        assert_eq!(found(Some(""), ""), None);
    }

    #[test]
    fn a_bound_of_the_queue_that_is_not_given_is_the_default() {
        let size = Some(Size(1 << 20));
        let given = raw::Queue { size, age: None };
        assert_eq!(queue(Some(&given)).ok(), Some(Queue { size: 1 << 20, ..default::QUEUE }));
        assert_eq!(queue(None).ok(), Some(default::QUEUE));
    }
}
