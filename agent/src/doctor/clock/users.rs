//! The users as which time daemons run, by the host's own list of users. What a process says of itself does not count.

use std::path::Path;

use super::program::Program;
use super::tree;
use crate::foreign::Writers;

/// Where users are listed; the second is that of hosts whose `/usr` is an image.
const LISTS: [&str; 2] = ["/etc/passwd", "/usr/lib/passwd"];

/// The users of this host that have to do with its time.
pub(super) struct Users(Vec<(String, u32)>);

impl Users {
    /// Reads the lists below `root`, where root alone can have written them.
    pub(super) fn read(root: &Path) -> Self {
        let lists = LISTS.map(|list| tree::read_of(root, Path::new(list), &Writers::with([])).unwrap_or_default());
        let users = lists.iter().flat_map(|list| list.lines()).filter_map(|line| {
            let mut fields = line.split(':');
            let (name, number) = (fields.next()?, fields.nth(1)?.parse().ok()?);
            Some((name.to_owned(), number))
        });
        Self(users.collect())
    }

    /// Whether `program` runs as this user: root, or the one whom its packages make.
    pub(super) fn run(&self, program: Program, user: u32) -> bool {
        user == 0 || self.numbers(program.users()).any(|number| number == user)
    }

    /// Who may have written the configuration of `program` and have opened its socket.
    pub(super) fn writers(&self, program: Program) -> Writers {
        // systemd-networkd tells systemd-timesyncd which servers DHCP gave.
        let others: &[&str] = if program == Program::Timesyncd { &["systemd-network"] } else { &[] };
        Writers::with(self.numbers(program.users()).chain(self.numbers(others)))
    }

    /// Who may have written the memory of ClockBound: its documents have it run as the user of chronyd, or as its own.
    pub(super) fn of_clockbound(&self) -> Writers {
        Writers::with(self.numbers(Program::Chronyd.users()).chain(self.numbers(&["clockbound"])))
    }

    fn numbers<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = u32> + 'a {
        self.0.iter().filter(|(name, _)| names.contains(&name.as_str())).map(|(_, number)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::clock::tree::plant;

    #[cfg(unix)]
    #[test]
    fn a_program_runs_as_root_or_as_the_user_that_the_host_lists_for_it() {
        let list = "root:x:0:0::/root:/bin/sh\n_chrony:x:105:112::/:/x\nntp:x:106:1::/:/x\nbroken\nchrony:x:-1:1\n";
        let root = plant(&[("/etc/passwd", list), ("/usr/lib/passwd", "chrony:x:993:990::/:/x\n")]);
        let users = Users::read(root.path());
        for (program, user, expected) in [
            (Program::Chronyd, 0, true),
            (Program::Chronyd, 105, true),
            (Program::Chronyd, 993, true),
            (Program::Chronyd, 106, false),
            (Program::Chronyd, 1000, false),
            (Program::Ntpd, 106, true),
            (Program::Phc2sys, 105, false),
        ] {
            assert_eq!(users.run(program, user), expected, "{program:?} {user}");
        }
        let writers = users.writers(Program::Chronyd);
        assert!(writers.include(0) && writers.include(105) && !writers.include(106));
        assert!(!Users::read(plant(&[]).path()).run(Program::Chronyd, 105), "a host without a list");
    }
}
