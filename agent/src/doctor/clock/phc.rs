//! The clocks that hardware or the hypervisor offers: the PTP hardware clock of the network card, and VMClock.

use std::path::{Path, PathBuf};

use super::reference::Configured;
use super::tree;
use crate::doctor::report::{Area, Check};
use crate::time::{Span, humane};

const NAME: &str = "clock-phc";

/// A PTP hardware clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HardwareClock {
    /// `/dev/ptpN`.
    pub device: PathBuf,
    /// What its driver calls it, such as `ena-ptp-05`.
    pub name: String,
    /// How far it can be wrong by its own account, where it gives one.
    pub error_bound: Option<Span>,
}

/// What this host offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// PTP hardware clocks.
    pub clocks: Vec<HardwareClock>,
    /// Whether the hypervisor offers VMClock.
    pub has_vmclock: bool,
}

/// Looks below `root`.
pub fn look(root: &Path) -> Offered {
    let class = tree::under(root, "/sys/class/ptp");
    let names = tree::names(&class).unwrap_or_default();
    let clocks = names.into_iter().map(|clock| {
        let bound = tree::line(&class.join(&clock).join("device/phc_error_bound"));
        HardwareClock {
            name: tree::line(&class.join(&clock).join("clock_name"))
                .unwrap_or_else(|| "a clock without a name".to_owned()),
            error_bound: bound.and_then(|nanos| nanos.parse().ok()).map(Span::from_nanos),
            device: Path::new("/dev").join(clock),
        }
    });
    Offered { clocks: clocks.collect(), has_vmclock: tree::under(root, "/dev/vmclock0").exists() }
}

/// Never more than advice: the clock can be right without it.
pub(super) fn check(offered: &Offered, followed: Option<&Configured>) -> Check {
    let Some(clock) = offered.clocks.first() else {
        let why = "there is no PTP hardware clock; on EC2 it comes with some instance types and has to be enabled in the driver";
        return Check::skipped(Area::Clock, NAME, why).with_evidence(vmclock(offered));
    };
    let is_used =
        followed.is_some_and(|followed| followed.references.iter().any(super::reference::Reference::is_hardware_clock));
    let summary = match is_used {
        true => format!("the time daemon follows a PTP hardware clock ({})", clock.name),
        false => format!(
            "there is a PTP hardware clock ({}) that the time daemon does not follow; NTP is good enough for AWS",
            clock.name
        ),
    };
    let clocks = offered.clocks.iter().map(|clock| {
        let bound = clock.error_bound.map_or_else(String::new, |bound| format!(", error bound {}", humane(bound)));
        format!("{}: {}{bound}", clock.device.display(), clock.name)
    });
    Check::ok(Area::Clock, NAME, summary).with_evidence(clocks.chain(vmclock(offered)))
}

fn vmclock(offered: &Offered) -> Option<String> {
    offered.has_vmclock.then(|| "/dev/vmclock0: the hypervisor offers VMClock".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::clock::reference::Reference;
    use crate::doctor::clock::tree::plant;
    use crate::doctor::report::Verdict;

    #[test]
    fn the_clock_of_the_ena_driver_is_found_with_its_bound() {
        let root = plant(&[
            ("/sys/class/ptp/ptp0/clock_name", "ena-ptp-05\n"),
            ("/sys/class/ptp/ptp0/device/phc_error_bound", "14000\n"),
            ("/dev/vmclock0", ""),
        ]);
        let offered = look(root.path());
        let unused = check(&offered, Some(&Configured::default()));
        assert_eq!(unused.verdict, Verdict::Ok);
        assert_eq!(unused.evidence[0], "/dev/ptp0: ena-ptp-05, error bound 14.0 µs");
        assert_eq!(unused.evidence.len(), 2);
        assert!(unused.summary.contains("does not follow"), "{unused:?}");
        let clock = Reference { is_clock: true, ..Reference::server("PHC /dev/ptp0") };
        let used = check(&offered, Some(&Configured { references: vec![clock], ..Configured::default() }));
        assert!(used.summary.starts_with("the time daemon follows"), "{used:?}");
    }

    #[test]
    fn a_host_without_one_has_nothing_to_look_at() {
        let offered = look(plant(&[]).path());
        assert_eq!(check(&offered, None).verdict, Verdict::Skipped);
    }
}
