//! The programs that keep clocks, and by what they are known.

/// A program that keeps clocks, the one to keep where there are several first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// chronyd.
    Chronyd,
    /// ntpd-rs.
    NtpdRs,
    /// ntpd of ntpsec, of the NTP reference implementation, or of busybox.
    Ntpd,
    /// OpenNTPD.
    OpenNtpd,
    /// phc2sys of linuxptp.
    Phc2sys,
    /// ptp4l of linuxptp, which keeps the system clock only where network cards cannot stamp packets.
    Ptp4l,
    /// systemd-timesyncd.
    Timesyncd,
}

impl Program {
    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chronyd => "chronyd",
            Self::NtpdRs => "ntpd-rs",
            Self::Ntpd => "ntpd",
            Self::OpenNtpd => "OpenNTPD",
            Self::Phc2sys => "phc2sys",
            Self::Ptp4l => "ptp4l",
            Self::Timesyncd => "systemd-timesyncd",
        }
    }

    /// Its unit in systemd, as most distributions call it.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Chronyd => "chronyd",
            Self::NtpdRs => "ntpd-rs",
            Self::Ntpd => "ntpd",
            Self::OpenNtpd => "openntpd",
            Self::Phc2sys => "phc2sys",
            Self::Ptp4l => "ptp4l",
            Self::Timesyncd => "systemd-timesyncd",
        }
    }

    /// By the name that the kernel has, which is 15 characters long at most, and the command line.
    pub(super) fn of(comm: &str, arguments: &[String]) -> Option<Self> {
        Some(match comm {
            "chronyd" => Self::Chronyd,
            "ntp-daemon" => Self::NtpdRs,
            // OpenNTPD writes what each of its processes does into their command lines.
            "ntpd" if arguments.first().is_some_and(|title| title.starts_with("ntpd: ")) => Self::OpenNtpd,
            "ntpd" => Self::Ntpd,
            "openntpd" => Self::OpenNtpd,
            "phc2sys" => Self::Phc2sys,
            "ptp4l" => Self::Ptp4l,
            "systemd-timesyn" => Self::Timesyncd,
            _ => return None,
        })
    }

    /// The names of the file that it is.
    pub(super) const fn files(self) -> &'static [&'static str] {
        match self {
            Self::Chronyd => &["chronyd"],
            Self::NtpdRs => &["ntp-daemon"],
            Self::Ntpd => &["ntpd", "busybox"],
            Self::OpenNtpd => &["ntpd", "openntpd"],
            Self::Phc2sys => &["phc2sys"],
            Self::Ptp4l => &["ptp4l"],
            Self::Timesyncd => &["systemd-timesyncd"],
        }
    }

    /// The users as which it runs in the packages of distributions, beside root.
    pub(super) const fn users(self) -> &'static [&'static str] {
        match self {
            Self::Chronyd => &["chrony", "_chrony"],
            Self::NtpdRs => &["ntpd-rs", "_ntpd-rs"],
            Self::Ntpd => &["ntp", "_ntp", "ntpd", "ntpsec"],
            Self::OpenNtpd => &["_ntp", "_openntpd", "ntp", "ntpd", "openntpd"],
            Self::Phc2sys | Self::Ptp4l => &[],
            Self::Timesyncd => &["systemd-timesync"],
        }
    }

    /// The options of its command line that take a value.
    pub(super) const fn options_with_value(self) -> &'static str {
        match self {
            Self::Chronyd => "fFlLPtuU",
            Self::NtpdRs => "cl",
            Self::Ntpd => "cfiIjklpPrstuvV",
            Self::OpenNtpd => "fp",
            Self::Phc2sys => "cCdDEfiILlMmNnOPRSstuzZ",
            Self::Ptp4l => "fiplt",
            Self::Timesyncd => "",
        }
    }
}
