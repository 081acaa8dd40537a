//! The programs that keep clocks, and by what they are known.

use std::path::Path;

use super::command_line::CommandLine;

/// A program that keeps clocks, the one to keep where there are several first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// chronyd.
    Chronyd,
    /// ntpd-rs.
    NtpdRs,
    /// ntpd of ntpsec, or of the NTP reference implementation.
    Ntpd,
    /// OpenNTPD.
    OpenNtpd,
    /// ntpd of busybox.
    Busybox,
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
            Self::Busybox => "ntpd of busybox",
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
            Self::Ntpd | Self::Busybox => "ntpd",
            Self::OpenNtpd => "openntpd",
            Self::Phc2sys => "phc2sys",
            Self::Ptp4l => "ptp4l",
            Self::Timesyncd => "systemd-timesyncd",
        }
    }

    /// Whether its configuration knows `prefer`.
    pub const fn prefers(self) -> bool {
        matches!(self, Self::Chronyd | Self::Ntpd)
    }

    /// By the name that the kernel has, which is 15 characters long at most, the command line, and the name of the file that
    /// it runs. `has_engines` is whether others run the same file, and say by their titles that it is OpenNTPD.
    pub(super) fn of(comm: &str, arguments: &[String], file: Option<&str>, has_engines: bool) -> Option<Self> {
        Some(match comm {
            "chronyd" => Self::Chronyd,
            "ntp-daemon" => Self::NtpdRs,
            "ntpd" => ntpd(arguments, file, has_engines),
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
            Self::Ntpd => &["ntpd"],
            Self::Busybox => &["busybox", "ntpd"],
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
            Self::Ntpd | Self::Busybox => &["ntp", "_ntp", "ntpd", "ntpsec"],
            Self::OpenNtpd => &["_ntp", "_openntpd", "ntp", "ntpd", "openntpd"],
            Self::Phc2sys | Self::Ptp4l => &[],
            Self::Timesyncd => &["systemd-timesync"],
        }
    }

    /// The options of its command line that take a value.
    pub(super) const fn options_with_value(self) -> &'static str {
        match self {
            Self::Chronyd => "fFlLPtu",
            Self::NtpdRs => "cl",
            Self::Ntpd => OF_NTPD,
            Self::Busybox => "IkpS",
            Self::OpenNtpd => "fp",
            Self::Phc2sys => "cCdDEfiILlMmNnOPRSstuzZ",
            Self::Ptp4l => "fiplt",
            Self::Timesyncd => "",
        }
    }
}

/// The options of ntpd that take a value.
const OF_NTPD: &str = "cDfiIjklpPrstuUvVw";

/// Which of those that are called `ntpd`.
fn ntpd(arguments: &[String], file: Option<&str>, has_engines: bool) -> Program {
    let line = CommandLine::read(arguments, OF_NTPD, &[]);
    // OpenNTPD writes what each of its processes does into their command lines, but for the first of them, whose option names
    // its configuration: that of the others is called otherwise.
    let is_open_conf = |path: &str| Path::new(path).file_name().is_some_and(|name| name == "ntpd.conf");
    // The server of busybox is the file of its number to all others.
    let is_server = |text: &str| !text.contains('/') && !text.ends_with(".pid");
    if is_engine(arguments) || has_engines || file == Some("openntpd") || line.values("f").any(is_open_conf) {
        Program::OpenNtpd
    } else if file == Some("busybox") || line.values("p").any(is_server) {
        Program::Busybox
    } else {
        Program::Ntpd
    }
}

/// Whether a command line is the title of a part of OpenNTPD.
pub(super) fn is_engine(arguments: &[String]) -> bool {
    arguments.first().is_some_and(|title| title.starts_with("ntpd: "))
}
