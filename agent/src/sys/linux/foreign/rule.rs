//! What may be followed and believed on the way to a file.

use std::ops::Range;

use nix::sys::stat::FileStat;
use nix::unistd::geteuid;

/// May be searched, of a folder.
pub(super) const SEARCH: u32 = 0o1;
/// May be read.
pub(super) const READ: u32 = 0o4;
/// Anybody but the owner may write.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// `CAP_DAC_OVERRIDE` and `CAP_DAC_READ_SEARCH` (capabilities(7)): either may read what the mode forbids.
const READS_ALL: u64 = 0b110;

/// On whose behalf something is read. Whoever names a file must not see it through our eyes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reader {
    is_unlimited: bool,
    users: Vec<Range<u32>>,
    groups: Vec<Range<u32>>,
}

impl Reader {
    /// Whoever runs this process: what the system lets it read, it may.
    pub const fn ourselves() -> Self {
        Self { is_unlimited: true, users: Vec::new(), groups: Vec::new() }
    }

    /// A user of whose groups nothing is known.
    pub fn user(user: u32) -> Self {
        Self { users: vec![one(user)], ..Self::default() }
    }

    /// The process with this `/proc/PID/status`. `mapped` is its `uid_map` and `gid_map` where it lives in a user namespace
    /// of its own: there its capabilities count for no others. Of whom nothing is known, that may read what everybody may.
    pub fn of_process(status: &str, mapped: Option<(&str, &str)>) -> Self {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        // Real, effective, saved, and the one that counts for files.
        let for_files = |name: &str| field(name).split_whitespace().nth(3).and_then(|id| id.parse().ok());
        let capabilities = u64::from_str_radix(field("CapEff:").trim(), 16).unwrap_or(0);
        let user: Option<u32> = for_files("Uid:");
        match (capabilities & READS_ALL != 0, mapped) {
            (true, None) => Self::ourselves(),
            (true, Some((users, groups))) => Self { is_unlimited: false, users: ranges(users), groups: ranges(groups) },
            (false, _) => {
                let further = field("Groups:").split_whitespace().filter_map(|group| group.parse().ok());
                Self {
                    is_unlimited: false,
                    users: user.into_iter().map(one).collect(),
                    groups: for_files("Gid:").into_iter().chain(further).map(one).collect(),
                }
            }
        }
    }

    /// Whether the mode of a file lets this reader do it.
    pub(super) fn may(&self, wanted: u32, stat: &FileStat) -> bool {
        let is_of = |ids: &[Range<u32>], id| ids.iter().any(|range| range.contains(&id));
        let shift = match () {
            () if self.is_unlimited => return true,
            () if is_of(&self.users, stat.st_uid) => 6,
            () if is_of(&self.groups, stat.st_gid) => 3,
            () => 0,
        };
        stat.st_mode >> shift & wanted == wanted
    }
}

/// Who may have written what is believed: root, whoever runs this process, and those that are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writers(Vec<u32>);

impl Writers {
    /// Root, ourselves, and `others`.
    pub fn with(others: impl IntoIterator<Item = u32>) -> Self {
        Self(trusted().into_iter().chain(others).collect())
    }

    /// These alone.
    #[cfg(test)]
    pub(crate) fn only(users: impl IntoIterator<Item = u32>) -> Self {
        Self(users.into_iter().collect())
    }

    /// Whether this user is one of them.
    pub fn include(&self, user: u32) -> bool {
        self.0.contains(&user)
    }

    /// Whether nobody else may write to it.
    pub(super) fn alone_write(stat: &FileStat) -> bool {
        stat.st_mode & WRITABLE_BY_OTHERS == 0
    }
}

/// Root and ourselves.
pub(super) fn trusted() -> [u32; 2] {
    [0, geteuid().as_raw()]
}

const fn one(id: u32) -> Range<u32> {
    id..id.saturating_add(1)
}

/// The ranges of a `uid_map` or `gid_map` as we see them: the second column, and the third says how many.
fn ranges(map: &str) -> Vec<Range<u32>> {
    let range = |line: &str| {
        let mut columns = line.split_whitespace().skip(1).map(str::parse::<u32>);
        let (begin, count) = (columns.next()?.ok()?, columns.next()?.ok()?);
        Some(begin..begin.saturating_add(count))
    };
    map.lines().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(user: u32, group: u32, mode: u32) -> FileStat {
        let mut stat = nix::sys::stat::stat("/").unwrap();
        (stat.st_uid, stat.st_gid, stat.st_mode) = (user, group, mode);
        stat
    }

    #[test]
    fn a_process_reads_what_its_user_and_its_groups_may() {
        let status = "Name:\tx\nUid:\t1000\t1000\t1000\t1001\nGid:\t1000\t1000\t1000\t1002\nGroups:\t4 24 \nCapEff:\t0000000000000000\n";
        let reader = Reader::of_process(status, None);
        for (user, group, mode, expected) in [
            (1001, 0, 0o400, true),
            (1001, 0, 0o044, false),
            (1000, 0, 0o440, false),
            (0, 1002, 0o040, true),
            (0, 24, 0o040, true),
            (0, 24, 0o404, false),
            (0, 25, 0o440, false),
            (0, 0, 0o004, true),
        ] {
            assert_eq!(reader.may(READ, &stat(user, group, mode)), expected, "{user} {group} {mode:o}");
        }
        assert!(!Reader::of_process("", None).may(READ, &stat(0, 0, 0o440)));
        assert!(Reader::of_process("", None).may(READ, &stat(0, 0, 0o444)));
    }

    #[test]
    fn capabilities_count_where_they_were_given_and_in_a_namespace_for_its_own_users_alone() {
        let status = "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n";
        assert!(Reader::of_process(status, None).may(READ, &stat(1000, 1000, 0)));
        let maps = ("         0       1000          1\n         1     100000      65536\n", "0 1000 1\n");
        let inside = Reader::of_process(status, Some(maps));
        for (user, mode, expected) in [(1000, 0o400, true), (100_010, 0o400, true), (0, 0o400, false), (0, 0o004, true)]
        {
            assert_eq!(inside.may(READ, &stat(user, 0, mode)), expected, "{user} {mode:o}");
        }
    }
}
