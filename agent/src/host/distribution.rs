//! Which distribution this host is, and what kind of place, by which a remedy is one that it understands.

use std::path::Path;

use super::small_file::read;

/// A distribution, as far as it has packages, units and files of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Amazon Linux 2, and others whose packages `yum` installs.
    Yum,
    /// Amazon Linux 2023, RHEL and its relatives from version 8 on, Fedora.
    Dnf,
    /// Debian.
    Debian,
    /// Ubuntu.
    Ubuntu,
    /// SLES and openSUSE.
    Suse,
    /// SLE Micro and openSUSE MicroOS, whose root is read-only and changes with a snapshot that is booted.
    SuseMicro,
    /// Alpine, whose services are those of OpenRC.
    Alpine,
    /// Flatcar, which installs nothing and has systemd-timesyncd.
    Flatcar,
    /// Fedora CoreOS and that of RHEL, which have chronyd.
    CoreOs,
    /// Bottlerocket, which is told everything through its API.
    Bottlerocket,
    /// VyOS, which writes all files from a configuration of its own.
    Vyos,
    /// NixOS, likewise.
    NixOs,
    /// Photon.
    Photon,
    /// Arch.
    Arch,
    /// None of these.
    Unknown,
}

/// Variables that container runtimes set.
const IN_CONTAINERS: [&str; 3] = ["container", "KUBERNETES_SERVICE_HOST", "ECS_CONTAINER_METADATA_URI_V4"];

/// What kind of place a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A machine of its own.
    Host,
    /// A node of Kubernetes, which is made anew from an image and its user data.
    Node,
    /// A container.
    Container,
    /// AWS Lambda.
    Lambda,
}

impl Distribution {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Yum,
        Self::Dnf,
        Self::Debian,
        Self::Ubuntu,
        Self::Suse,
        Self::SuseMicro,
        Self::Alpine,
        Self::Flatcar,
        Self::CoreOs,
        Self::Bottlerocket,
        Self::Vyos,
        Self::NixOs,
        Self::Photon,
        Self::Arch,
        Self::Unknown,
    ];

    /// The one below `root`, by its `os-release`.
    pub fn of(root: &Path) -> Self {
        let text = ["etc/os-release", "usr/lib/os-release"].iter().find_map(|file| read(root, file));
        Self::named(&text.unwrap_or_default())
    }

    fn named(text: &str) -> Self {
        let value = |key: &str| {
            let mut values = text.lines().rev().filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
            values.next().unwrap_or_default().trim_matches(['"', '\'', ' ']).to_ascii_lowercase()
        };
        let version: u32 =
            value("VERSION_ID").split('.').next().and_then(|major| major.parse().ok()).unwrap_or(u32::MAX);
        let (own, variant) = (value("ID"), value("VARIANT_ID"));
        let alike = value("ID_LIKE");
        let ids = std::iter::once(own.as_str()).chain(alike.split_whitespace());
        let found = ids.into_iter().find_map(|id| {
            Some(match id {
                "fedora" if variant == "coreos" => Self::CoreOs,
                "rhcos" | "scos" => Self::CoreOs,
                "amzn" if version < 2022 => Self::Yum,
                "rhel" | "centos" | "ol" if id == own && version < 8 => Self::Yum,
                "amzn" | "rhel" | "centos" | "ol" | "rocky" | "almalinux" | "fedora" => Self::Dnf,
                "ubuntu" => Self::Ubuntu,
                "vyos" => Self::Vyos,
                "debian" => Self::Debian,
                "sle-micro" | "sl-micro" | "suse-microos" | "opensuse-microos" | "opensuse-leap-micro" => {
                    Self::SuseMicro
                }
                "sles" | "suse" | "opensuse" | "opensuse-leap" | "opensuse-tumbleweed" => Self::Suse,
                "alpine" => Self::Alpine,
                "flatcar" | "coreos" => Self::Flatcar,
                "bottlerocket" => Self::Bottlerocket,
                "nixos" => Self::NixOs,
                "photon" => Self::Photon,
                "arch" => Self::Arch,
                _ => return None,
            })
        });
        found.unwrap_or(Self::Unknown)
    }

    /// The command that installs a package; `None` where nothing is installed so, or nobody knows how.
    pub fn install(self, package: &str) -> Option<String> {
        let manager = match self {
            Self::Yum => "sudo yum install",
            Self::Dnf => "sudo dnf install",
            Self::Debian | Self::Ubuntu => "sudo apt-get install",
            Self::Suse => "sudo zypper install",
            Self::SuseMicro => "sudo transactional-update pkg install",
            Self::Alpine => "apk add",
            Self::Photon => "sudo tdnf install",
            Self::Arch => "sudo pacman -S",
            Self::Flatcar | Self::CoreOs | Self::Bottlerocket | Self::Vyos | Self::NixOs | Self::Unknown => {
                return None;
            }
        };
        Some(format!("{manager} {package}"))
    }

    /// Whether its units and files are called as in Debian.
    pub const fn is_like_debian(self) -> bool {
        matches!(self, Self::Debian | Self::Ubuntu | Self::Vyos)
    }
}

impl Place {
    /// The place below `root`; `is_container` is whether something speaks for a container.
    pub fn of(root: &Path, env: &dyn Fn(&str) -> Option<String>, is_container: bool) -> Self {
        let is_set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
        let is_marked = IN_CONTAINERS.iter().any(|name| is_set(name));
        if is_set("AWS_LAMBDA_FUNCTION_NAME") || is_set("LAMBDA_TASK_ROOT") {
            Self::Lambda
        } else if is_container || is_marked {
            Self::Container
        } else if root.join("var/lib/kubelet").is_dir() {
            Self::Node
        } else {
            Self::Host
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::small_file::tests::host;

    #[test]
    fn a_distribution_is_known_by_its_name_or_by_whom_it_is_like() {
        for (text, expected) in [
            ("ID=\"amzn\"\nID_LIKE=\"centos rhel fedora\"\nVERSION_ID=\"2\"\n", Distribution::Yum),
            ("ID=\"amzn\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"2023\"\n", Distribution::Dnf),
            ("ID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"7\"\n", Distribution::Yum),
            ("ID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"9.4\"\n", Distribution::Dnf),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\n", Distribution::Dnf),
            ("ID=fedora\nVARIANT_ID=coreos\n", Distribution::CoreOs),
            ("ID=\"rhcos\"\nID_LIKE=\"rhel fedora\"\n", Distribution::CoreOs),
            ("ID=ubuntu\nID_LIKE=debian\n", Distribution::Ubuntu),
            ("ID=linuxmint\nID_LIKE='ubuntu debian'\n", Distribution::Ubuntu),
            ("ID=debian\n", Distribution::Debian),
            ("ID=raspbian\nID_LIKE=debian\n", Distribution::Debian),
            ("ID=vyos\nID_LIKE=debian\n", Distribution::Vyos),
            ("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", Distribution::Suse),
            ("ID=\"sles\"\nID_LIKE=\"suse\"\n", Distribution::Suse),
            ("ID=\"sle-micro\"\nID_LIKE=\"suse\"\nVERSION_ID=\"5.5\"\n", Distribution::SuseMicro),
            ("ID=\"sl-micro\"\nID_LIKE=\"suse\"\nVERSION_ID=\"6.1\"\n", Distribution::SuseMicro),
            ("ID=\"opensuse-microos\"\nID_LIKE=\"suse opensuse opensuse-tumbleweed\"\n", Distribution::SuseMicro),
            ("ID=alpine\n", Distribution::Alpine),
            ("ID=flatcar\nID_LIKE=coreos\n", Distribution::Flatcar),
            ("ID=bottlerocket\n", Distribution::Bottlerocket),
            ("ID=gentoo\n", Distribution::Unknown),
            ("", Distribution::Unknown),
        ] {
            assert_eq!(Distribution::named(text), expected, "{text}");
        }
        let root = host(&[("usr/lib/os-release", "ID=alpine\n")]);
        assert_eq!(Distribution::of(root.path()), Distribution::Alpine);
    }

    #[test]
    fn a_place_is_known_by_its_variables_and_its_files() {
        let root = host(&[("var/lib/kubelet/config.yaml", "")]);
        let none = |_: &str| None;
        let lambda = |name: &str| (name == "AWS_LAMBDA_FUNCTION_NAME").then(|| "f".to_owned());
        assert_eq!(Place::of(root.path(), &none, false), Place::Node);
        assert_eq!(Place::of(root.path(), &none, true), Place::Container);
        let pod = |name: &str| (name == "KUBERNETES_SERVICE_HOST").then(|| "10.0.0.1".to_owned());
        assert_eq!(Place::of(root.path(), &pod, false), Place::Container);
        assert_eq!(Place::of(root.path(), &lambda, true), Place::Lambda);
        assert_eq!(Place::of(host(&[]).path(), &none, false), Place::Host);
    }
}
