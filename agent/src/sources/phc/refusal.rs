//! Why a PTP hardware clock gave no sample, and what mends it.

use std::io;

use crate::clock::sample::Failure;
use crate::sources::refusal;

/// Why a clock gave no sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// `auto` finds none.
    #[error("there is no PTP hardware clock of the ENA driver")]
    NoEna,
    /// Nothing is at the path.
    #[error("there is no such device")]
    Missing,
    /// The kernel has the clock, and this process sees no device for it.
    #[error("the kernel has the clock, but its device is hidden from this process")]
    Hidden,
    /// The sandbox forbids devices.
    #[error("a sandbox forbids this process to open the device")]
    Sandboxed,
    /// The mode of the device forbids it.
    #[error("permission denied: this user may not read the device")]
    Forbidden,
    /// Something else is at the path.
    #[error("it is no PTP hardware clock")]
    NotAClock,
    /// VMClock is behind it.
    #[error(
        "it is a clock of VMClock, which tells TAI since Linux 7.0 and UTC before, and to which QEMU and EC2 give no time: \
         it is of no use as a source"
    )]
    VmClock,
    /// Nobody knows what its driver tells.
    #[error("its driver is none whose time scale is known, and no `timescale` is written")]
    UnknownDriver,
    /// What is written is about another clock.
    #[error("it is the clock of the ENA driver, which tells UTC, and a `timescale` is written")]
    Needless,
    /// The hardware is not ready, three times.
    #[error("the device is busy: its card did not answer in time, or others read it too often")]
    Busy,
    /// The driver has gone while it was read.
    #[error("the device has gone")]
    Gone,
    /// The kernel gives another reason.
    #[error("the device cannot be read")]
    Unreadable,
    /// A time before this program was built.
    #[error("nobody has set the clock: it tells a time before this program was built")]
    BeforeBuild,
}

impl Refusal {
    /// Every refusal, to find one again by its words.
    pub(super) const ALL: [Self; 13] = [
        Self::NoEna,
        Self::Missing,
        Self::Hidden,
        Self::Sandboxed,
        Self::Forbidden,
        Self::NotAClock,
        Self::VmClock,
        Self::UnknownDriver,
        Self::Needless,
        Self::Busy,
        Self::Gone,
        Self::Unreadable,
        Self::BeforeBuild,
    ];

    /// Why a device was not opened.
    pub(super) fn to_open(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EACCES) => Self::Forbidden,
            // The kernel's filter of devices says so, and nothing else does where the mode allows it.
            Some(libc::EPERM) => Self::Sandboxed,
            Some(libc::ENOENT) => Self::Missing,
            _ => Self::to_read(error),
        }
    }

    /// Why an open device was not read.
    pub(super) fn to_read(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EBUSY | libc::EAGAIN) => Self::Busy,
            Some(libc::ENODEV | libc::EBADF | libc::ENXIO) => Self::Gone,
            _ => Self::Unreadable,
        }
    }

    /// The `outcome` in metrics.
    const fn outcome(self) -> &'static str {
        match self {
            Self::NoEna | Self::Missing | Self::Gone => "no-device",
            Self::Hidden | Self::Sandboxed | Self::Forbidden => "forbidden",
            Self::NotAClock => "no-clock",
            Self::VmClock | Self::UnknownDriver | Self::Needless => "wrong-timescale",
            Self::Busy => "busy",
            Self::Unreadable => "unreadable",
            Self::BeforeBuild => "unsynchronized",
        }
    }

    /// What mends it, on a host that is an EC2 instance or not.
    pub(super) const fn remedy(self, is_ec2: bool) -> &'static str {
        match self {
            Self::NoEna if !is_ec2 => {
                "the ENA exists on EC2 alone: take it out of `sources`, or name the device of another clock"
            }
            Self::NoEna => {
                "on an instance type that has one, `phc: auto` finds it once the driver offers it: `options ena phc_enable=1` \
                 in /etc/modprobe.d for Amazon's driver, `devlink dev param set` with enable_phc for the kernel's own"
            }
            Self::Missing | Self::Gone => {
                "`ls -l /dev/ptp*` and `cat /sys/class/ptp/*/clock_name` show which there are"
            }
            Self::Hidden | Self::Sandboxed => {
                "the service hides all devices: copy devices.conf from /usr/share/doc/skewguard/examples/systemd to \
                 /etc/systemd/system/skewguard.service.d, then `systemctl daemon-reload && systemctl restart skewguard`"
            }
            Self::Forbidden => {
                "the kernel gives the device to root alone: copy 70-skewguard.rules from \
                 /usr/share/doc/skewguard/examples/udev to /etc/udev/rules.d, then `udevadm control --reload && udevadm trigger \
                 --subsystem-match=ptp`"
            }
            Self::NotAClock => "name a device of `ls /dev/ptp*`",
            Self::VmClock => "take it out of `sources`",
            Self::UnknownDriver => "write its `timescale`, utc or tai: whoever sets that clock knows which",
            Self::Needless => "remove `timescale`",
            Self::Busy => {
                "see who else reads it: `sudo fuser -v /dev/ptp*`; a time daemon may ask for it 25 times in a poll"
            }
            Self::Unreadable => "`journalctl --dmesg` may tell what is wrong with its driver",
            Self::BeforeBuild => "let whoever owns that clock set it, such as ptp4l, or take it out of `sources`",
        }
    }
}

impl From<Refusal> for refusal::Refusal {
    fn from(refusal: Refusal) -> Self {
        Self {
            outcome: refusal.outcome(),
            text: refusal.to_string().into(),
            failure: match refusal {
                Refusal::BeforeBuild => Failure::Unsynchronized,
                _ => Failure::Unanswered,
            },
            is_too_often: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_refusal_is_found_again_by_its_text_and_has_its_own_remedy() {
        let texts: BTreeSet<String> = Refusal::ALL.iter().map(Refusal::to_string).collect();
        assert_eq!(texts.len(), Refusal::ALL.len());
        assert!(Refusal::Forbidden.remedy(true).contains("70-skewguard.rules"));
        assert!(Refusal::Sandboxed.remedy(true).contains("devices.conf"));
        assert_ne!(Refusal::NoEna.remedy(true), Refusal::NoEna.remedy(false));
    }

    #[test]
    fn what_the_system_says_is_told_apart() {
        let of = |errno| io::Error::from_raw_os_error(errno);
        assert_eq!(Refusal::to_open(&of(libc::EACCES)), Refusal::Forbidden);
        assert_eq!(Refusal::to_open(&of(libc::EPERM)), Refusal::Sandboxed);
        assert_eq!(Refusal::to_open(&of(libc::ENXIO)), Refusal::Gone);
        assert_eq!(Refusal::to_read(&of(libc::EBUSY)), Refusal::Busy);
        assert_eq!(Refusal::to_read(&of(libc::ENODEV)), Refusal::Gone);
        assert_eq!(Refusal::to_read(&of(libc::EINVAL)), Refusal::Unreadable);
    }
}
