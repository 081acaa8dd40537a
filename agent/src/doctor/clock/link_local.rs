//! Packets that the link to Amazon's services drops: DNS, IMDS and NTP share 1024 packets a second.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::tree;
use crate::doctor::report::{Area, Check};
use crate::reason::reason;
use crate::sys;

const NAME: &str = "sources-dropped";
/// The counter of the ENA driver.
const COUNTER: &str = "linklocal_allowance_exceeded";
/// How far two looks at the counters are apart: the allowance is one for each second.
const APART: Duration = Duration::from_secs(1);

/// What each interface but loopback has dropped since it came up; `None` where its driver does not count it.
type Counters = BTreeMap<String, Counted>;
/// What one interface tells, or why it does not.
type Counted = Result<Option<u64>, String>;

/// What the interfaces have dropped, looked at twice: a counter that no longer grows is of the past.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    earlier: Counters,
    later: Counters,
}

impl Dropped {
    /// Whether there is no interface but loopback.
    pub fn is_empty(&self) -> bool {
        self.later.is_empty()
    }

    /// How many packets an interface has dropped between the two looks.
    fn grown(&self, name: &str) -> u64 {
        let count = |counters: &Counters| counters.get(name)?.as_ref().ok().copied().flatten();
        let pair = count(&self.earlier).zip(count(&self.later));
        pair.map_or(0, |(earlier, later)| later.saturating_sub(earlier))
    }
}

/// Counters that did not grow.
impl<const N: usize> From<[(String, Counted); N]> for Dropped {
    fn from(counters: [(String, Counted); N]) -> Self {
        let later = Counters::from(counters);
        Self { earlier: later.clone(), later }
    }
}

/// Asks the interfaces below `root`, twice where one of them counts: then it blocks for a second.
pub fn look(root: &Path) -> Dropped {
    look_twice(|| counters(root), || thread::sleep(APART))
}

fn look_twice(mut look: impl FnMut() -> Counters, wait: impl FnOnce()) -> Dropped {
    let earlier = look();
    if !earlier.values().any(|counted| matches!(counted, Ok(Some(_)))) {
        return Dropped { later: earlier.clone(), earlier };
    }
    wait();
    Dropped { earlier, later: look() }
}

fn counters(root: &Path) -> Counters {
    let names = tree::names(&tree::under(root, "/sys/class/net")).unwrap_or_default();
    let interfaces = names.into_iter().filter(|name| name != "lo");
    interfaces
        .filter_map(|name| {
            let counted = counted(sys::interface_statistics(&name))?;
            Some((name, counted))
        })
        .collect()
}

/// What an interface tells; `None` where there is none of that name here. `/sys` may show those of another network
/// namespace, as in a container that has the host's, and one may go while it is looked at.
fn counted(told: io::Result<Vec<(String, u64)>>) -> Option<Counted> {
    match told {
        Ok(counters) => Some(Ok(counters.into_iter().find(|(counter, _)| counter == COUNTER).map(|(_, count)| count))),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => None,
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Some(Ok(None)),
        Err(error) => Some(Err(reason(&error))),
    }
}

/// Whether packets to the link-local services are being dropped.
pub(super) fn check(dropped: &Dropped) -> Check {
    let evidence = dropped.later.iter().filter_map(|(name, counted)| match (counted, dropped.grown(name)) {
        (Ok(Some(0)), _) => Some(format!("{name}: {COUNTER} 0")),
        (Ok(Some(count)), 0) => {
            Some(format!("{name}: {COUNTER} {count} since the interface came up, none in the last second"))
        }
        (Ok(Some(count)), grown) => {
            Some(format!("{name}: {COUNTER} {count} since the interface came up, {grown} in the last second"))
        }
        (Ok(None), _) => None,
        (Err(why), _) => Some(format!("{name} could not be asked: {why}")),
    });
    let counts: Vec<u64> =
        dropped.later.values().filter_map(|counted| counted.as_ref().ok().copied().flatten()).collect();
    let grown = dropped.later.keys().fold(0, |grown: u64, name| grown.saturating_add(dropped.grown(name)));
    let check = if counts.is_empty() {
        let why = "no interface counts them: the ENA driver of EC2 does, from version 2.2.10 on";
        Check::skipped(Area::Sources, NAME, why)
    } else if counts.iter().all(|count| *count == 0) {
        Check::ok(Area::Sources, NAME, "no packet to a link-local service was dropped")
    } else if grown == 0 {
        Check::ok(Area::Sources, NAME, "no packet to a link-local service was dropped in the last second")
    } else {
        Check::warning(
            Area::Sources,
            NAME,
            format!("{grown} packets to or from link-local services were dropped in the last second"),
            "DNS, IMDS and NTP share 1024 packets a second for each interface; answers beyond that are lost, and credentials \
             or time with them",
            format!(
                "find who sends so many, mostly DNS without a cache: let a local resolver keep answers (systemd-resolved, dnsmasq, \
                 NodeLocal DNSCache), and watch whether `ethtool -S <interface> | grep {COUNTER}` still grows"
            ),
        )
    };
    check.with_evidence(evidence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Verdict;

    /// Judges interfaces by what each of two looks finds.
    fn judged_twice(counted: &[(&str, Counted, Counted)]) -> Check {
        let counters = |which: fn(&(&str, Counted, Counted)) -> Counted| {
            counted.iter().map(|one| (one.0.to_owned(), which(one))).collect::<Counters>()
        };
        let mut looks = vec![counters(|one| one.2.clone()), counters(|one| one.1.clone())];
        check(&look_twice(|| looks.pop().unwrap(), || ()))
    }

    fn judged(counted: &[(&str, Counted)]) -> Check {
        judged_twice(
            &counted.iter().map(|(name, counted)| (*name, counted.clone(), counted.clone())).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn packets_that_are_being_dropped_are_a_warning_with_the_interface() {
        for earlier in [0, 40] {
            let check = judged_twice(&[("eth0", Ok(Some(7)), Ok(Some(7))), ("eth1", Ok(Some(earlier)), Ok(Some(42)))]);
            assert_eq!(check.verdict, Verdict::Warning);
            let grown = 42 - earlier;
            assert!(check.summary.starts_with(&format!("{grown} packets")), "{check:?}");
            assert_eq!(
                check.evidence[1],
                format!(
                    "eth1: linklocal_allowance_exceeded 42 since the interface came up, {grown} in the last second"
                )
            );
        }
    }

    #[test]
    fn packets_that_were_dropped_once_are_evidence_and_no_warning() {
        for later in [42, 0] {
            let check = judged_twice(&[("eth0", Ok(Some(42)), Ok(Some(later)))]);
            assert_eq!(check.verdict, Verdict::Ok, "a counter that starts anew has not grown: {check:?}");
        }
        let check = judged(&[("eth0", Ok(Some(42))), ("eth1", Ok(Some(0)))]);
        assert_eq!(check.verdict, Verdict::Ok);
        assert_eq!(
            check.evidence,
            [
                "eth0: linklocal_allowance_exceeded 42 since the interface came up, none in the last second",
                "eth1: linklocal_allowance_exceeded 0"
            ]
        );
        let came = judged_twice(&[("eth0", Ok(Some(1)), Ok(Some(1))), ("eth1", Ok(None), Ok(Some(42)))]);
        assert_eq!(came.verdict, Verdict::Ok, "what was not counted before has not grown");
    }

    #[test]
    fn a_host_whose_interfaces_count_nothing_is_not_waited_for() {
        let none = || Counters::from([("eth0".to_owned(), Ok(None)), ("eth1".to_owned(), Err("gone".to_owned()))]);
        let dropped = look_twice(none, || panic!("there is nothing to wait for"));
        assert_eq!(dropped.later, none());
    }

    #[cfg(unix)]
    #[test]
    fn nothing_dropped_is_well_and_nothing_counted_is_skipped() {
        assert_eq!(judged(&[("eth0", Ok(Some(0))), ("docker0", Ok(None))]).verdict, Verdict::Ok);
        assert_eq!(judged(&[("eth0", Ok(None))]).verdict, Verdict::Skipped);
        let refused = judged(&[("eth0", counted(Err(io::Error::from_raw_os_error(libc::EPERM))).unwrap())]);
        assert_eq!(refused.verdict, Verdict::Skipped);
        assert_eq!(refused.evidence, ["eth0 could not be asked: permission denied"]);
        assert_eq!(judged(&[]).verdict, Verdict::Skipped);
    }

    #[cfg(unix)]
    #[test]
    fn an_interface_of_another_namespace_is_none_of_this_host_and_every_other_refusal_is_worded() {
        let told = |errno| counted(Err(io::Error::from_raw_os_error(errno)));
        assert_eq!(told(libc::ENODEV), None);
        assert_eq!(told(libc::EOPNOTSUPP), Some(Ok(None)));
        let why = told(libc::ENOTTY).unwrap().unwrap_err();
        assert_eq!(why, "Inappropriate ioctl for device (os error 25)");
    }

    #[cfg(unix)]
    #[test]
    fn the_interfaces_of_this_machine_can_be_asked() {
        let dropped = look(Path::new("/"));
        assert!(!dropped.later.contains_key("lo"));
        assert!(dropped.later.values().all(Result::is_ok), "{dropped:?}");
    }
}
