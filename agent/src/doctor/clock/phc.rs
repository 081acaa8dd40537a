//! The clocks that hardware or the hypervisor offers: the PTP hardware clock of the network card, and VMClock.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::reference::Configured;
use super::tree;
use crate::doctor::report::{Area, Check};
use crate::host::vmclock::{DEVICE, Page, PageError};
use crate::time::{Span, humane};

const NAME: &str = "clock-phc";
const MIGRATION: &str = "clock-migration";

/// A PTP hardware clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HardwareClock {
    /// `/dev/ptpN`.
    pub device: PathBuf,
    /// What its driver calls it, such as `ena-ptp-05`.
    pub name: String,
    /// How far it can be wrong by its own account, where it gives one.
    pub error_bound: Option<Span>,
    /// Whether every user may read its device; `None` where there is no device to be seen.
    pub is_open: Option<bool>,
}

/// What this host offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// PTP hardware clocks.
    pub clocks: Vec<HardwareClock>,
    /// What VMClock says, or why it does not; `None` where the hypervisor offers none.
    pub vmclock: Option<Result<Page, String>>,
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
            is_open: tree::under(root, "/dev").join(&clock).metadata().ok().map(|device| device.mode() & 0o004 != 0),
            device: Path::new("/dev").join(clock),
        }
    });
    Offered { clocks: clocks.collect(), vmclock: look_at_vmclock(&tree::under(root, DEVICE)) }
}

fn look_at_vmclock(device: &Path) -> Option<Result<Page, String>> {
    match Page::read(device) {
        Err(PageError::Unreadable(error)) if error.kind() == ErrorKind::NotFound => None,
        Err(PageError::Unreadable(error)) if error.kind() == ErrorKind::PermissionDenied => {
            Some(Err(format!("{error}, for which 70-skewguard.rules is among the examples")))
        }
        read => Some(read.map_err(|error| error.to_string())),
    }
}

/// Whether the hypervisor has announced that it will disrupt the clocks of this machine.
pub(super) fn check_migration(offered: &Offered) -> Check {
    match &offered.vmclock {
        None => Check::skipped(
            Area::Clock,
            MIGRATION,
            "the hypervisor tells of no migration (there is no VMClock): one is noticed when a source is asked the next time",
        ),
        Some(Err(why)) => {
            Check::skipped(Area::Clock, MIGRATION, format!("{DEVICE} tells of migrations, and cannot be read: {why}"))
        }
        Some(Ok(Page { expected: None, .. })) => {
            Check::ok(Area::Clock, MIGRATION, "no migration of this machine is announced")
        }
        Some(Ok(Page { expected: Some(expected), .. })) => Check::warning(
            Area::Clock,
            MIGRATION,
            format!(
                "a migration of this machine is announced for the next {}",
                humane(Span::from_seconds(expected.seconds()))
            ),
            "its clocks may jump then, and requests are refused until the time daemon has mended them",
            "have a time daemon that asks Amazon Time Sync often (`minpoll 4 maxpoll 4` in chrony), or stop and start the instance at a \
             better time",
        ),
    }
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
        let bound = clock.error_bound.map_or_else(
            || ", whose driver tells no error bound".to_owned(),
            |bound| format!(", error bound {}", humane(bound)),
        );
        let access = match clock.is_open {
            Some(true) => "",
            Some(false) => "; a source `phc` could not read it, for which 70-skewguard.rules is among the examples",
            None => "; its device is not to be seen here",
        };
        format!("{}: {}{bound}{access}", clock.device.display(), clock.name)
    });
    Check::ok(Area::Clock, NAME, summary).with_evidence(clocks.chain(vmclock(offered)))
}

fn vmclock(offered: &Offered) -> Option<String> {
    offered.vmclock.as_ref().map(|_| format!("{DEVICE}: the hypervisor offers VMClock"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::doctor::clock::reference::Reference;
    use crate::doctor::clock::tree::plant;
    use crate::doctor::report::Verdict;

    #[test]
    fn the_clock_of_the_ena_driver_is_found_with_its_bound() {
        let root = plant(&[
            ("/sys/class/ptp/ptp0/clock_name", "ena-ptp-05\n"),
            ("/sys/class/ptp/ptp0/device/phc_error_bound", "14000\n"),
            ("/dev/ptp0", ""),
            ("/dev/vmclock0", ""),
        ]);
        fs::set_permissions(root.path().join("dev/ptp0"), fs::Permissions::from_mode(0o644)).unwrap();
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
    fn an_announced_migration_is_told_and_a_device_that_is_none_is_not_believed() {
        let judged = |page: &[u8]| {
            let root = plant(&[("/dev/vmclock0", "")]);
            fs::write(root.path().join("dev/vmclock0"), page).unwrap();
            check_migration(&look(root.path()))
        };
        let mut page = [0; 112];
        page[..4].copy_from_slice(b"VCLK");
        assert_eq!(judged(&page).verdict, Verdict::Ok);
        page[0x18] = 1 << 2;
        let announced = judged(&page);
        assert_eq!(announced.verdict, Verdict::Warning);
        assert!(announced.summary.contains("announced for the next 1.0 h"), "{announced:?}");
        page[0] = 0;
        assert_eq!(judged(&page).verdict, Verdict::Skipped);
        assert_eq!(check_migration(&look(plant(&[]).path())).verdict, Verdict::Skipped);
    }

    #[test]
    fn what_keeps_a_source_from_reading_it_is_told() {
        let root = plant(&[("/sys/class/ptp/ptp0/clock_name", "ena-ptp-05\n"), ("/dev/ptp0", "")]);
        let device = root.path().join("dev/ptp0");
        fs::set_permissions(&device, fs::Permissions::from_mode(0o600)).unwrap();
        let told = |root: &Path| check(&look(root), None).evidence[0].clone();
        assert!(told(root.path()).contains("tells no error bound; a source `phc` could not read it"));
        fs::remove_file(device).unwrap();
        assert!(told(root.path()).ends_with("its device is not to be seen here"));
    }

    #[test]
    fn a_host_without_one_has_nothing_to_look_at() {
        let offered = look(plant(&[]).path());
        assert_eq!(check(&offered, None).verdict, Verdict::Skipped);
    }
}
