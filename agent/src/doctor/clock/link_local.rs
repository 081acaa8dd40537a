//! Packets that the link to Amazon's services has dropped: DNS, IMDS and NTP share 1024 packets a second.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::tree;
use crate::doctor::report::{Area, Check};
use crate::sys;

const NAME: &str = "sources-dropped";
/// The counter of the ENA driver.
const COUNTER: &str = "linklocal_allowance_exceeded";

/// What each interface but loopback has dropped since it came up; `None` where its driver does not count it.
pub type Dropped = BTreeMap<String, Result<Option<u64>, io::ErrorKind>>;

/// Asks the interfaces below `root`.
pub fn look(root: &Path) -> Dropped {
    let names = tree::names(&tree::under(root, "/sys/class/net")).unwrap_or_default();
    let interfaces = names.into_iter().filter(|name| name != "lo");
    interfaces
        .map(|name| {
            let counted = match sys::interface_statistics(&name) {
                Ok(counters) => {
                    Ok(counters.into_iter().find(|(counter, _)| counter == COUNTER).map(|(_, count)| count))
                }
                Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(None),
                Err(error) => Err(error.kind()),
            };
            (name, counted)
        })
        .collect()
}

/// Whether packets to the link-local services were dropped.
pub(super) fn check(dropped: &Dropped) -> Check {
    let evidence = dropped.iter().filter_map(|(name, counted)| match counted {
        Ok(Some(count)) => Some(format!("{name}: {COUNTER} {count}")),
        Ok(None) => None,
        Err(why) => Some(format!("{name} could not be asked: {why}")),
    });
    let counts: Vec<u64> = dropped.values().filter_map(|counted| counted.ok().flatten()).collect();
    let total = counts.iter().fold(0, |total: u64, count| total.saturating_add(*count));
    let check = if counts.is_empty() {
        let why = "no interface counts them: the ENA driver of EC2 does, from version 2.2.10 on";
        Check::skipped(Area::Sources, NAME, why)
    } else if total == 0 {
        Check::ok(Area::Sources, NAME, "no packet to a link-local service was dropped")
    } else {
        Check::warning(
            Area::Sources,
            NAME,
            format!("{total} packets to or from link-local services were dropped since the interface came up"),
            "DNS, IMDS and NTP share 1024 packets a second for each interface; answers beyond that are lost, and credentials \
             or time with them",
            format!(
                "find who sends so many, mostly DNS without a cache: `sudo dnf install nscd` or a local resolver, and watch \
                 whether `ethtool -S <interface> | grep {COUNTER}` still grows"
            ),
        )
    };
    check.with_evidence(evidence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Verdict;

    fn judged(counted: &[(&str, Result<Option<u64>, io::ErrorKind>)]) -> Check {
        check(&counted.iter().map(|(name, counted)| ((*name).to_owned(), *counted)).collect())
    }

    #[test]
    fn dropped_packets_are_a_warning_with_the_interface() {
        let check = judged(&[("eth0", Ok(Some(0))), ("eth1", Ok(Some(42)))]);
        assert_eq!(check.verdict, Verdict::Warning);
        assert!(check.summary.starts_with("42 packets"), "{check:?}");
        assert_eq!(check.evidence[1], "eth1: linklocal_allowance_exceeded 42");
    }

    #[test]
    fn nothing_dropped_is_well_and_nothing_counted_is_skipped() {
        assert_eq!(judged(&[("eth0", Ok(Some(0))), ("docker0", Ok(None))]).verdict, Verdict::Ok);
        assert_eq!(judged(&[("eth0", Ok(None))]).verdict, Verdict::Skipped);
        let refused = judged(&[("eth0", Err(io::ErrorKind::PermissionDenied))]);
        assert_eq!((refused.verdict, refused.evidence.len()), (Verdict::Skipped, 1));
        assert_eq!(judged(&[]).verdict, Verdict::Skipped);
    }

    #[test]
    fn the_interfaces_of_this_machine_can_be_asked() {
        let dropped = look(Path::new("/"));
        assert!(!dropped.contains_key("lo"));
        assert!(dropped.values().all(Result::is_ok), "{dropped:?}");
    }
}
