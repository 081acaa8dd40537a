//! Which device is meant, and what its driver is known for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::refusal::Refusal;
use super::written::Timescale;
use crate::sys::{self, DeviceNumber};
use crate::time::Span;

/// What the names of the clocks of Amazon's network cards begin with; their place on the bus follows.
const ENA: &str = "ena-ptp-";
/// The name that Amazon Linux gives to the device of such a clock.
pub(super) const OF_ENA: &str = "/dev/ptp_ena";
/// What hypervisors other than EC2's call their host's clock (ptp_kvm and hv_util of Linux).
const OF_HYPERVISORS: [&str; 2] = ["KVM virtual PTP", "hyperv"];
/// What the names of the clocks of VMClock begin with.
const VMCLOCK: &str = "vmclock";

/// How far a clock of hardware is assumed to be wrong where nobody tells.
const USUAL_BOUND: Span = Span::from_nanos(100_000);
/// The same of a hypervisor's, whose own clock nobody here knows.
const HYPERVISORS_BOUND: Span = Span::from_nanos(100_000_000);

/// Where the kernel shows its clocks and their devices.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// `/sys/class/ptp`.
    pub(super) class: PathBuf,
    /// `/dev`.
    pub(super) devices: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self { class: "/sys/class/ptp".into(), devices: "/dev".into() }
    }
}

/// Which clock is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Device {
    /// The first of the ENA driver.
    Ena,
    /// The one behind this device.
    At(PathBuf),
}

/// By whom a clock is driven, and so what it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Driver {
    /// Amazon's network card.
    Ena,
    /// A hypervisor, of its own clock.
    Hypervisor,
    /// VMClock.
    VmClock,
    /// Any other.
    Other,
}

/// A clock that the kernel has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its device.
    path: PathBuf,
    /// The number of its device, which no other has.
    number: DeviceNumber,
    /// Its folder in sysfs.
    class: PathBuf,
    /// What its driver calls it.
    pub(super) name: String,
    /// Who drives it.
    pub(super) driver: Driver,
}

impl Driver {
    fn of(name: &str) -> Self {
        match name {
            _ if name.starts_with(ENA) => Self::Ena,
            _ if name.starts_with(VMCLOCK) => Self::VmClock,
            _ if OF_HYPERVISORS.contains(&name) => Self::Hypervisor,
            _ => Self::Other,
        }
    }

    /// On what time scale its clock counts, where one is `written` or not.
    pub(super) const fn timescale(self, written: Option<Timescale>) -> Result<Timescale, Refusal> {
        match (self, written) {
            (Self::VmClock, _) => Err(Refusal::VmClock),
            (Self::Ena, Some(_)) => Err(Refusal::Needless),
            (Self::Ena | Self::Hypervisor, None) => Ok(Timescale::Utc),
            (Self::Hypervisor | Self::Other, Some(written)) => Ok(written),
            (Self::Other, None) => Err(Refusal::UnknownDriver),
        }
    }

    /// How far its clock is assumed to be wrong where nobody tells.
    pub(super) const fn usual_bound(self) -> Span {
        match self {
            Self::Hypervisor => HYPERVISORS_BOUND,
            Self::Ena | Self::VmClock | Self::Other => USUAL_BOUND,
        }
    }
}

impl Device {
    /// Finds the clock among those of the kernel. Nothing is opened.
    pub(super) fn find(&self, places: &Places) -> Result<Found, Refusal> {
        match self {
            Self::Ena => {
                let ena = clocks(places).into_iter().find(|(_, name)| Driver::of(name) == Driver::Ena);
                let (class, name) = ena.ok_or(Refusal::NoEna)?;
                let path = places.devices.join(class.file_name().unwrap_or_default());
                let number = number(&path).map_err(|refusal| match refusal {
                    Refusal::Missing => Refusal::Hidden,
                    other => other,
                })?;
                let driver = Driver::Ena;
                Some(Found { path, number, class, name, driver }).filter(Found::is_its_device).ok_or(Refusal::NotAClock)
            }
            Self::At(path) => {
                let clocks = clocks(places);
                let number = number(path).map_err(|refusal| match refusal {
                    Refusal::Missing if is_among(&clocks, path, places) => Refusal::Hidden,
                    other => other,
                })?;
                let found = clocks.into_iter().map(|(class, name)| {
                    let driver = Driver::of(&name);
                    Found { path: path.clone(), number, class, name, driver }
                });
                found.into_iter().find(Found::is_its_device).ok_or(Refusal::NotAClock)
            }
        }
    }
}

impl Found {
    /// Opens the device, and makes sure that it is still the same.
    pub(super) fn open(&self) -> Result<fs::File, Refusal> {
        let opened = sys::open_device(&self.path).map_err(|error| Refusal::to_open(&error))?;
        let same = opened.filter(|opened| opened.number == Some(self.number));
        same.map(|opened| opened.file).ok_or(Refusal::NotAClock)
    }

    /// How far the time can be wrong that was read last, by its driver's own account; `None` where it gives none.
    pub(super) fn told_bound(&self) -> io::Result<Option<Span>> {
        match fs::read_to_string(self.class.join("device/phc_error_bound")) {
            // All bits are set where the card had no time to tell.
            Ok(text) => match text.trim().parse() {
                Ok(u32::MAX) | Err(_) => Err(io::Error::from_raw_os_error(libc::EBUSY)),
                Ok(nanos) => Ok(Some(Span::from_nanos(nanos.into()))),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the device has the number that the kernel has given to the clock.
    fn is_its_device(&self) -> bool {
        line(&self.class.join("dev")).is_some_and(|number| number == self.number.text())
    }
}

/// All clocks of the kernel and their names, in the order of their numbers.
fn clocks(places: &Places) -> Vec<(PathBuf, String)> {
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix("ptp")?.parse::<u32>().ok();
    let entries = fs::read_dir(&places.class).into_iter().flatten().flatten();
    let mut clocks: Vec<_> = entries
        .filter_map(|entry| {
            let class = entry.path();
            Some((number(&class)?, line(&class.join("clock_name"))?, class))
        })
        .collect();
    clocks.sort_unstable();
    clocks.into_iter().map(|(_, name, class)| (class, name)).collect()
}

/// Whether one of these clocks has its device at this path, wherever devices are shown; that of the ENA has another as well.
fn is_among(clocks: &[(PathBuf, String)], path: &Path, places: &Places) -> bool {
    clocks.iter().any(|(class, name)| {
        let device = places.devices.join(class.file_name().unwrap_or_default());
        path == device || (path == Path::new(OF_ENA) && Driver::of(name) == Driver::Ena)
    })
}

/// The number of the device at a path. It is looked at and not opened: whatever is not a clock does not notice.
fn number(path: &Path) -> Result<DeviceNumber, Refusal> {
    let number = sys::device_number(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotADirectory => Refusal::Missing,
        _ => Refusal::to_open(&error),
    })?;
    number.ok_or(Refusal::NotAClock)
}

/// The first line of a file of sysfs.
fn line(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.lines().next()?.to_owned())
}

#[cfg(unix)]
#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use tempfile::TempDir;

    use super::*;

    /// A host whose clocks have these names and devices, each a link to a device that every host has.
    pub(in super::super) fn host(clocks: &[(&str, &str, &str)]) -> (TempDir, Places) {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { class: folder.path().join("class"), devices: folder.path().join("dev") };
        fs::create_dir_all(&places.devices).unwrap();
        for (clock, name, device) in clocks {
            let class = places.class.join(clock);
            fs::create_dir_all(class.join("device")).unwrap();
            fs::write(class.join("clock_name"), format!("{name}\n")).unwrap();
            let number = fs::metadata(device).unwrap().rdev();
            fs::write(class.join("dev"), format!("{}:{}\n", libc::major(number), libc::minor(number))).unwrap();
            symlink(device, places.devices.join(clock)).unwrap();
        }
        (folder, places)
    }

    fn at(places: &Places, name: &str) -> Result<Found, Refusal> {
        Device::At(places.devices.join(name)).find(places)
    }

    #[test]
    fn auto_is_the_first_clock_of_the_ena_driver() {
        let (_folder, places) = host(&[
            ("ptp10", "ena-ptp-06", "/dev/zero"),
            ("ptp2", "ena-ptp-05", "/dev/null"),
            ("ptp0", "KVM virtual PTP", "/dev/full"),
        ]);
        let found = Device::Ena.find(&places).unwrap();
        assert_eq!((found.name.as_str(), found.driver), ("ena-ptp-05", Driver::Ena));
        assert!(found.open().is_ok());
        // The index may be another's by now, and a device that the sandbox hides is not missing.
        fs::write(places.class.join("ptp2/dev"), "1:9\n").unwrap();
        assert_eq!(Device::Ena.find(&places), Err(Refusal::NotAClock));
        fs::remove_file(places.devices.join("ptp2")).unwrap();
        assert_eq!(Device::Ena.find(&places), Err(Refusal::Hidden));
        let (_folder, none) = host(&[("ptp0", "igb", "/dev/null")]);
        assert_eq!(Device::Ena.find(&none), Err(Refusal::NoEna));
        assert_eq!(Device::Ena.find(&Places { class: "/nowhere".into(), ..none }), Err(Refusal::NoEna));
    }

    #[test]
    fn a_path_is_followed_to_the_clock_whose_device_it_is() {
        let (_folder, places) = host(&[("ptp0", "vmclock0", "/dev/zero"), ("ptp1", "ena-ptp-05", "/dev/null")]);
        symlink("ptp1", places.devices.join("ptp_ena")).unwrap();
        assert_eq!(at(&places, "ptp_ena").unwrap().name, "ena-ptp-05");
        assert_eq!(at(&places, "ptp0").unwrap().driver, Driver::VmClock);
        assert_eq!(at(&places, "ptp7"), Err(Refusal::Missing));
        // The sandbox of the service shows no device.
        fs::remove_file(places.devices.join("ptp0")).unwrap();
        assert_eq!(at(&places, "ptp0"), Err(Refusal::Hidden));
        if !Path::new(OF_ENA).exists() {
            assert_eq!(Device::At(OF_ENA.into()).find(&places), Err(Refusal::Hidden));
        }
        fs::write(places.devices.join("file"), "").unwrap();
        assert_eq!(at(&places, "file"), Err(Refusal::NotAClock));
        assert_eq!(at(&places, "file/ptp0"), Err(Refusal::Missing));
        symlink("/dev/full", places.devices.join("full")).unwrap();
        assert_eq!(at(&places, "full"), Err(Refusal::NotAClock), "a device, and none of a clock");
    }

    #[test]
    fn what_is_put_in_the_place_of_a_device_is_not_believed() {
        let (_folder, places) = host(&[("ptp0", "ena-ptp-05", "/dev/null")]);
        let found = at(&places, "ptp0").unwrap();
        fs::remove_file(places.devices.join("ptp0")).unwrap();
        symlink("/dev/zero", places.devices.join("ptp0")).unwrap();
        assert_eq!(found.open().unwrap_err(), Refusal::NotAClock);
    }

    #[test]
    fn a_time_scale_is_known_or_written_and_never_believed_of_vmclock() {
        let of = |name: &str, written| Driver::of(name).timescale(written);
        assert_eq!(of("ena-ptp-05", None), Ok(Timescale::Utc));
        assert_eq!(of("ena-ptp-05", Some(Timescale::Utc)), Err(Refusal::Needless));
        assert_eq!(of("KVM virtual PTP", None), Ok(Timescale::Utc));
        assert_eq!(of("hyperv", Some(Timescale::Tai)), Ok(Timescale::Tai));
        assert_eq!(of("0000:00:04.0", None), Err(Refusal::UnknownDriver));
        assert_eq!(of("0000:00:04.0", Some(Timescale::Tai)), Ok(Timescale::Tai));
        for written in [None, Some(Timescale::Utc), Some(Timescale::Tai)] {
            assert_eq!(of("vmclock0", written), Err(Refusal::VmClock));
        }
    }

    #[test]
    fn the_error_bound_is_the_drivers_own_where_it_tells_one() {
        let (_folder, places) = host(&[("ptp0", "ena-ptp-05", "/dev/null")]);
        let (found, bound) = (at(&places, "ptp0").unwrap(), places.class.join("ptp0/device/phc_error_bound"));
        assert_eq!(found.told_bound().unwrap(), None);
        fs::write(&bound, "14000\n").unwrap();
        assert_eq!(found.told_bound().unwrap(), Some(Span::from_nanos(14_000)));
        for nonsense in ["4294967295\n", "", "-1", "soon"] {
            fs::write(&bound, nonsense).unwrap();
            assert_eq!(found.told_bound().unwrap_err().raw_os_error(), Some(libc::EBUSY), "{nonsense}");
        }
        fs::remove_file(&bound).unwrap();
        fs::create_dir(&bound).unwrap();
        assert!(found.told_bound().is_err(), "what cannot be read is not missing");
    }
}
