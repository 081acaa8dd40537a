//! The clocks that hardware or the hypervisor offers: the PTP hardware clock of the network card, and VMClock.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::reference::Configured;
use super::tree;
use crate::doctor::report::{Area, Check};
use crate::host::vmclock::{DEVICE, Page, PageError};
use crate::sys;
use crate::time::{Span, humane};

const NAME: &str = "clock-phc";
const MIGRATION: &str = "clock-migration";

/// The ENA driver's documents have it that errors must remain below this share of all readings. What comes too late is no time
/// either, and counts here as well.
const MOST_FAILURES: f64 = 0.01;
/// Of so few readings no share is told.
const FEW_READINGS: u64 = 100;
/// The driver's counters of readings that gave the time, and of those that did not.
const READ: &str = "phc_cnt";
const FAILED: [&str; 5] = ["phc_exp", "phc_err", "phc_err_dv", "phc_err_ts", "phc_err_eb"];
/// Of those that were not tried, because another reading had just failed.
const SKIPPED: &str = "phc_skp";

/// How often a clock was read since its driver was loaded, by whomever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// All that were tried.
    pub tried: u64,
    /// Those of them that gave no time.
    pub failed: u64,
    /// Those beside them that were not tried.
    pub skipped: u64,
}

impl Readings {
    /// By the counters of an interface; `None` where its driver does not count them.
    fn of(counters: &[(String, u64)]) -> Option<Self> {
        let count = |wanted: &str| counters.iter().find(|(name, _)| name == wanted).map(|(_, count)| *count);
        let read = count(READ)?;
        let failed = FAILED.into_iter().filter_map(count).fold(0, u64::saturating_add);
        Some(Self { tried: read.saturating_add(failed), failed, skipped: count(SKIPPED).unwrap_or(0) })
    }

    /// The share of those that failed.
    #[expect(clippy::cast_precision_loss, reason = "a share is told to a tenth of a per cent")]
    fn failures(self) -> f64 {
        if self.tried == 0 { 0.0 } else { self.failed as f64 / self.tried as f64 }
    }

    fn are_too_bad(self) -> bool {
        self.tried >= FEW_READINGS && self.failures() >= MOST_FAILURES
    }
}

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
    /// How often it was read, where the driver of its network interface counts that.
    pub readings: Option<Readings>,
}

/// What this host offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// PTP hardware clocks.
    pub clocks: Vec<HardwareClock>,
    /// What VMClock says, or why it does not; `None` where the hypervisor offers none.
    pub vmclock: Option<Result<Page, String>>,
}

/// Looks below `root`, and asks the interfaces whose clocks are there.
pub fn look(root: &Path) -> Offered {
    look_asking(root, |interface| sys::interface_statistics(interface).ok())
}

fn look_asking(root: &Path, statistics: impl Fn(&str) -> Option<Vec<(String, u64)>>) -> Offered {
    let class = tree::under(root, "/sys/class/ptp");
    let names = tree::names(&class).unwrap_or_default();
    let clocks = names.into_iter().map(|clock| {
        let bound = tree::line(&class.join(&clock).join("device/phc_error_bound"));
        let interfaces = tree::names(&class.join(&clock).join("device/net")).unwrap_or_default();
        HardwareClock {
            readings: interfaces.iter().find_map(|interface| Readings::of(&statistics(interface)?)),
            name: tree::line(&class.join(&clock).join("clock_name"))
                .unwrap_or_else(|| "a clock without a name".to_owned()),
            error_bound: bound.and_then(|nanos| nanos.parse().ok()).map(Span::from_nanos),
            is_open: sys::is_open_to_all(&tree::under(root, "/dev").join(&clock)).ok(),
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

/// Never more than advice where it is not used: the clock can be right without it. One that often fails is told, because
/// somebody reads it.
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
        let readings = clock.readings.map_or_else(String::new, |Readings { tried, failed, skipped }| {
            format!("; {failed} of {tried} readings failed, and {skipped} were not tried")
        });
        format!("{}: {}{bound}{access}{readings}", clock.device.display(), clock.name)
    });
    let bad = offered.clocks.iter().find_map(|clock| Some((clock, clock.readings.filter(|one| one.are_too_bad())?)));
    let check = match bad {
        None => Check::ok(Area::Clock, NAME, summary),
        Some((clock, readings)) => Check::warning(
            Area::Clock,
            NAME,
            format!(
                "{:.1} % of the readings of the PTP hardware clock {} have failed since its driver was loaded",
                readings.failures() * 100.0,
                clock.name
            ),
            "whoever follows it does without the time for as long; below 1 % it is as exact as it should be",
            "read it less often (the card answers 125 times a second for all together: chrony takes 25 readings a poll, so \
             `dpoll 0` or slower), bring the ENA driver up to date, or follow 169.254.169.123 as well",
        ),
    };
    check.with_evidence(clocks.chain(vmclock(offered)))
}

fn vmclock(offered: &Offered) -> Option<String> {
    offered.vmclock.as_ref().map(|_| format!("{DEVICE}: the hypervisor offers VMClock"))
}

#[cfg(unix)]
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
    fn a_clock_whose_readings_fail_more_often_than_they_should_is_told() {
        let root = plant(&[
            ("/sys/class/ptp/ptp0/clock_name", "ena-ptp-05\n"),
            ("/sys/class/ptp/ptp0/device/net/ens5/mtu", ""),
        ]);
        let judged = |counters: &[(&str, u64)]| {
            let counters: Vec<_> = counters.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
            let asked = |interface: &str| (interface == "ens5").then(|| counters.clone());
            check(&look_asking(root.path(), asked), None)
        };
        let good = judged(&[("tx_bytes", 9), ("phc_cnt", 9_990), ("phc_exp", 4), ("phc_skp", 70), ("phc_err_dv", 6)]);
        assert_eq!(good.verdict, Verdict::Ok, "{good:?}");
        assert!(good.evidence[0].ends_with("; 10 of 10000 readings failed, and 70 were not tried"), "{good:?}");
        for failing in ["phc_exp", "phc_err", "phc_err_dv", "phc_err_ts", "phc_err_eb"] {
            let bad = judged(&[("phc_cnt", 9_800), (failing, 200)]);
            assert_eq!(bad.verdict, Verdict::Warning, "{bad:?}");
            assert!(bad.summary.starts_with("2.0 % of the readings of the PTP hardware clock ena-ptp-05"), "{bad:?}");
        }
        assert_eq!(judged(&[("phc_cnt", 10), ("phc_exp", 5)]).verdict, Verdict::Ok, "too few to tell");
        assert_eq!(judged(&[("phc_cnt", 0)]).verdict, Verdict::Ok);
        let uncounted = judged(&[("tx_bytes", 9)]);
        assert!(!uncounted.evidence[0].contains("readings failed"), "{uncounted:?}");
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
