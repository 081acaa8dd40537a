//! The homes of the users whose files are read.

use std::path::{Path, PathBuf};

use super::identity::file_name;
use super::lease::Lease;

/// The homes whose files are read. What is found in the first has its own name, and what is found in each further one the
/// home's name before it: `alice:default`.
#[derive(Clone, Debug)]
pub(super) struct Homes(Vec<Home>);

/// One home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Home {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What tells it from the first; `None` for the first.
    prefix: Option<String>,
}

impl Homes {
    /// The homes at `paths`, each once.
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        let mut homes: Vec<Home> = Vec::new();
        for path in paths {
            if homes.iter().any(|home| home.path == path) {
                continue;
            }
            let prefix = (!homes.is_empty()).then(|| prefix(&path, &homes));
            homes.push(Home { path, prefix });
        }
        Self(homes)
    }

    /// Each of them, the first one first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Home> {
        self.0.iter()
    }
}

impl Home {
    /// The same lease, named after this home as well.
    pub(super) fn own(&self, lease: Lease) -> Lease {
        Lease { identity: self.slot(&lease.identity), ..lease }
    }

    /// What tells `name` in this home from the same in another.
    pub(super) fn slot(&self, name: &str) -> String {
        match &self.prefix {
            None => name.to_owned(),
            Some(prefix) if name.is_empty() => prefix.clone(),
            Some(prefix) => format!("{prefix}:{name}"),
        }
    }
}

/// The last part of the path, or all of it where another home has that already, as it can be shown.
fn prefix(path: &Path, homes: &[Home]) -> String {
    let short = file_name(path.file_name().unwrap_or(path.as_os_str()));
    let is_taken = homes.iter().any(|home| home.prefix.as_ref() == Some(&short));
    if is_taken { file_name(path.as_os_str()) } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_home_has_plain_slots_and_the_others_are_told_apart() {
        let paths = ["/root", "/home/alice", "/home/bob", "/srv/bob", "/home/alice", "/"].map(PathBuf::from);
        let homes = Homes::new(paths.to_vec());
        let slots: Vec<_> = homes.iter().map(|home| home.slot("default")).collect();
        assert_eq!(slots, ["default", "alice:default", "bob:default", "/srv/bob:default", "/:default"]);
        let slots: Vec<_> = homes.iter().map(|home| home.slot("")).collect();
        assert_eq!(slots, ["", "alice", "bob", "/srv/bob", "/"]);
    }

    #[test]
    fn without_a_home_there_is_nothing() {
        assert_eq!(Homes::new(Vec::new()).iter().count(), 0);
    }
}
