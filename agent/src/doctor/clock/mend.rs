//! The commands and lines of configuration that mend a clock, as this host understands them: for each distribution and each
//! daemon what to install, what to write where, and what to start.

use super::facts::Facts;
use super::keeper::Keeper;
use super::program::Program;
use super::reference::Reference;
use crate::host::distribution::{Distribution, Place};

/// The line by which chronyd and ntpd follow Amazon Time Sync, as AWS recommends it.
const SERVER: &str = "server 169.254.169.123 prefer iburst minpoll 4 maxpoll 4";
/// The drop-in by which systemd-timesyncd does.
const TIMESYNCD_DROP_IN: &str = "/etc/systemd/timesyncd.conf.d/amazon-time-sync.conf";
const BOTTLEROCKET: &str = "`apiclient set --json '{\"ntp\": {\"time-servers\": [\"169.254.169.123\"]}}'`";
const VYOS: &str =
    "`set service ntp server 169.254.169.123 prefer` and `commit` in the configuration mode, then `save`";
const NIXOS: &str = "`services.chrony.enable = true;` and `networking.timeServers = [ \"169.254.169.123\" ];` in configuration.nix, then \
     `sudo nixos-rebuild switch`";
/// For whatever reads the servers of the system there.
const NIXOS_SERVERS: &str =
    "`networking.timeServers = [ \"169.254.169.123\" ];` in configuration.nix, then `sudo nixos-rebuild switch`";
/// Where nothing is to be installed.
const CONTAINER: &str = "nothing is to be installed in here: a container has the clock of its host, and a time daemon belongs \
    there; let the skewguard of the host look";
const LAMBDA: &str =
    "nothing is to be installed in here: AWS keeps the clock of Lambda; let AWS Support know if it is wrong";

/// How to let somebody keep the clock where nobody does.
pub(super) fn keep(facts: &Facts, keeper: &Keeper) -> String {
    match keeper {
        Keeper::Adrift { program, .. } => {
            let has_time_sync =
                facts.followed.as_ref().is_some_and(|followed| followed.references.iter().any(Reference::is_time_sync));
            if has_time_sync {
                format!(
                    "{}; 169.254.169.123 needs no security group, but a firewall on this host can drop it, and it exists \
                     on EC2 alone",
                    look_after(facts, *program)
                )
            } else {
                follow_time_sync(facts, *program)
            }
        }
        _ => start(facts),
    }
}

/// How to let `program` follow Amazon Time Sync.
pub(super) fn follow_time_sync(facts: &Facts, program: Program) -> String {
    if let Some(told) = of_place(facts) {
        return told.to_owned();
    }
    match (facts.distribution, program) {
        (_, Program::Phc2sys | Program::Ptp4l) => return start(facts),
        (Distribution::Bottlerocket, _) => return BOTTLEROCKET.to_owned(),
        (Distribution::Vyos, Program::Chronyd | Program::Ntpd) => return VYOS.to_owned(),
        (Distribution::NixOs, Program::Chronyd) => return NIXOS.to_owned(),
        (Distribution::NixOs, Program::Ntpd | Program::NtpdRs | Program::OpenNtpd | Program::Timesyncd) => {
            return on_every_node(facts, NIXOS_SERVERS.to_owned());
        }
        _ => {}
    }
    let (line, usual) = written(facts, program);
    let followed = facts.followed.as_ref();
    let file = followed.and_then(|followed| followed.files.first()).map(|path| path.display().to_string());
    let restart = service(facts, program, "restart");
    let told = match (program, followed) {
        (Program::Timesyncd, _) => format!("put {line} into {usual}, then {restart}"),
        (Program::Busybox, _) => busybox(facts),
        (_, Some(followed)) if followed.is_on_command_line => {
            format!("add {line} to its command line, in its unit or wherever it is started, and start it anew")
        }
        (_, Some(followed)) if followed.generated.is_some() => {
            let why = followed.generated.as_deref().unwrap_or_default();
            format!(
                "have whoever writes {} put {line} there and start the daemon anew: {why}, so that it is not to be edited",
                file.as_deref().unwrap_or(usual)
            )
        }
        _ => format!("add {line} to {}, then {restart}", file.as_deref().unwrap_or(usual)),
    };
    on_every_node(facts, told)
}

/// What the configuration of a program says by which it follows Amazon Time Sync, a line each; nothing for those that have none, or
/// that follow no server.
pub const fn lines(program: Program) -> &'static [&'static str] {
    match program {
        Program::Chronyd | Program::Ntpd => &[SERVER],
        Program::OpenNtpd => &["server 169.254.169.123"],
        Program::NtpdRs => &["[[source]]", "mode = \"server\"", "address = \"169.254.169.123\""],
        Program::Timesyncd => &["[Time]", "NTP=169.254.169.123"],
        Program::Busybox | Program::Phc2sys | Program::Ptp4l => &[],
    }
}

/// What a daemon is to be told, in its own words, and where it usually is.
fn written(facts: &Facts, program: Program) -> (String, &'static str) {
    let is_debian = facts.distribution.is_like_debian();
    let (program, file) = match program {
        Program::OpenNtpd => (program, if is_debian { "/etc/openntpd/ntpd.conf" } else { "/etc/ntpd.conf" }),
        Program::NtpdRs => (program, "/etc/ntpd-rs/ntp.toml"),
        Program::Ntpd => (program, if is_debian { "/etc/ntpsec/ntp.conf" } else { "/etc/ntp.conf" }),
        Program::Timesyncd => (program, TIMESYNCD_DROP_IN),
        Program::Chronyd | Program::Phc2sys | Program::Ptp4l | Program::Busybox => {
            (Program::Chronyd, chrony_conf(facts))
        }
    };
    let quoted = |line: &&str| format!("`{line}`");
    let told = match lines(program) {
        [all @ .., last] if !all.is_empty() => {
            let all: Vec<String> = all.iter().map(quoted).collect();
            format!("{} and {}, a line each,", all.join(", "), quoted(last))
        }
        lines => lines.iter().map(quoted).collect(),
    };
    (told, file)
}

fn busybox(facts: &Facts) -> String {
    match facts.distribution {
        Distribution::Alpine => format!(
            "put `NTPD_OPTS=\"-N -p 169.254.169.123\"` into /etc/conf.d/ntpd, then {}",
            service(facts, Program::Busybox, "restart")
        ),
        _ => "start it with `-p 169.254.169.123`".to_owned(),
    }
}

/// How to see what is wrong with a daemon that runs.
pub(super) fn look_after(facts: &Facts, program: Program) -> String {
    let log = |program| match facts.distribution {
        Distribution::Alpine => "/var/log/messages shows".to_owned(),
        _ => format!("`journalctl -u {}` shows", unit(facts, program)),
    };
    match program {
        Program::Chronyd if facts.distribution == Distribution::Bottlerocket => {
            "`chronyc -n sources -v` in the shell that `sudo sheltie` of the admin container opens shows which of its \
             sources answer"
                .to_owned()
        }
        Program::Chronyd => "`chronyc -n sources -v` and `chronyc ntpdata` show which of its sources answer".to_owned(),
        Program::Timesyncd => {
            "`timedatectl timesync-status` and `journalctl -u systemd-timesyncd` show whether its server answers"
                .to_owned()
        }
        Program::Ntpd => "`ntpq -pn` shows which of its servers answer".to_owned(),
        Program::OpenNtpd => "`ntpctl -s all` shows which of its servers answer".to_owned(),
        Program::NtpdRs => "`ntp-ctl status` shows which of its sources answer".to_owned(),
        Program::Busybox => format!("{} whether its server answers", log(program)),
        Program::Phc2sys | Program::Ptp4l => format!("{} what it does", log(program)),
    }
}

/// How to keep one daemon of several.
pub(super) fn keep_one(facts: &Facts, kept: Program, others: &[Program]) -> String {
    let mut units: Vec<String> = others.iter().map(|other| unit(facts, *other)).collect();
    units.dedup();
    let commands = match facts.distribution {
        Distribution::Alpine => {
            let commands = units.iter().map(|unit| format!("`rc-service {unit} stop` and `rc-update del {unit}`"));
            commands.collect::<Vec<_>>().join(", ")
        }
        // Its image has chronyd alone.
        Distribution::Bottlerocket => "they run in containers: end their pods, or `apiclient set \
             host-containers.<name>.enabled=false` for one that the host runs"
            .to_owned(),
        // The units are in the store, and what is done to them is undone.
        Distribution::NixOs => {
            let lines = units.iter().map(|unit| format!("`systemd.services.{unit}.enable = false;`"));
            let lines = lines.collect::<Vec<_>>().join(" and ");
            format!("{lines} in configuration.nix, then `sudo nixos-rebuild switch`")
        }
        _ => format!("`sudo systemctl disable --now {}`", units.join(" ")),
    };
    let told = format!("keep {} and end the rest: {commands}", kept.name());
    of_place(facts).map_or_else(|| on_every_node(facts, told), str::to_owned)
}

/// How to set a clock that is wrong and to keep it.
pub(super) fn set(facts: &Facts, keeper: &Keeper, does_chronyd_know: Option<bool>) -> String {
    let makestep = makestep(facts);
    if facts.place == Place::Lambda {
        return LAMBDA.to_owned();
    }
    let step = |program: Program| match program {
        Program::Chronyd => makestep.clone(),
        other => format!("{}, which sets the clock when it starts", service(facts, other, "restart")),
    };
    match keeper {
        Keeper::Nobody if facts.place == Place::Container => CONTAINER.to_owned(),
        Keeper::Nobody if starts_chronyd(facts) => {
            format!("set the clock and keep it: {}, and {makestep}", start(facts))
        }
        Keeper::Nobody => format!("set the clock and keep it: {}", start(facts)),
        Keeper::Adrift { program: Program::Chronyd, .. } => {
            format!("set the clock and keep it: {}, and {makestep}", keep(facts, keeper))
        }
        Keeper::Adrift { .. } => format!("set the clock and keep it: {}", keep(facts, keeper)),
        Keeper::Kept(Program::Chronyd) if does_chronyd_know == Some(false) => format!(
            "find out who is right: {}, `skewguard check` shows those of skewguard; take the wrong ones out, then {makestep}",
            look_after(facts, Program::Chronyd)
        ),
        Keeper::Kept(program) | Keeper::Starting(program, _) => format!("set the clock: {}", step(*program)),
        Keeper::Outside | Keeper::Unknown(_) => {
            "set the clock and keep it, on the host itself where this is a container: `sudo chronyc makestep`, or \
             `sudo systemctl restart systemd-timesyncd` where that keeps it"
                .to_owned()
        }
    }
}

/// How to keep the clock of the hardware in UTC.
pub(super) fn hardware_in_utc(facts: &Facts) -> &'static str {
    match facts.distribution {
        Distribution::Alpine => "`hwclock --systohc --utc`, with `clock=\"UTC\"` in /etc/conf.d/hwclock",
        _ => "`sudo timedatectl set-local-rtc 0`",
    }
}

/// How to follow servers that tell leap seconds alike.
pub(super) fn follow_one_kind(program: Program) -> String {
    let kinds = "follow servers of one kind: 169.254.169.123, fd00:ec2::123 and time.aws.com smear, pools do not";
    if program.prefers() { format!("{kinds}; or mark one kind with `prefer`") } else { kinds.to_owned() }
}

/// How to start a daemon where none runs: chronyd, which Amazon's and most other images have, or what the image has instead.
fn start(facts: &Facts) -> String {
    if let Some(told) = of_place(facts) {
        return told.to_owned();
    }
    let file = chrony_conf(facts);
    let told = match facts.distribution {
        Distribution::Bottlerocket => BOTTLEROCKET.to_owned(),
        Distribution::Vyos => VYOS.to_owned(),
        Distribution::NixOs => NIXOS.to_owned(),
        Distribution::Flatcar if !facts.has_chrony => {
            let (lines, file) = written(facts, Program::Timesyncd);
            format!("put {lines} into {file}, then `sudo systemctl enable --now systemd-timesyncd`")
        }
        Distribution::Alpine => {
            let installed = if facts.has_chrony { "" } else { "`apk add chrony`, then " };
            format!("{installed}`{SERVER}` in {file}, `rc-update add chronyd` and `rc-service chronyd restart`")
        }
        _ if facts.has_chrony => {
            format!("`sudo systemctl enable --now {}` with `{SERVER}` in {file}", unit(facts, Program::Chronyd))
        }
        distribution => {
            // What is installed into a snapshot is there once that is booted.
            let boot = if distribution == Distribution::SuseMicro { " and `sudo reboot`" } else { "" };
            let install = distribution.install("chrony").map(|command| format!("`{command}`{boot}"));
            // The package of Debian starts it by itself.
            let begin = if distribution.is_like_debian() { "restart" } else { "enable --now" };
            match (install, distribution) {
                (None, Distribution::CoreOs) => {
                    format!("`{SERVER}` in {file} and `sudo systemctl enable --now chronyd`, which is in the image")
                }
                (install, _) => format!(
                    "{}, then `{SERVER}` in {file} and `sudo systemctl {begin} {}`",
                    install.unwrap_or_else(|| "install chrony as this distribution installs packages".to_owned()),
                    unit(facts, Program::Chronyd)
                ),
            }
        }
    };
    on_every_node(facts, told)
}

/// Whether [`start`] starts chronyd, by which the clock is set at once.
const fn starts_chronyd(facts: &Facts) -> bool {
    !matches!(facts.distribution, Distribution::Bottlerocket | Distribution::Flatcar) || facts.has_chrony
}

/// What holds of a place in which no daemon is to be.
const fn of_place(facts: &Facts) -> Option<&'static str> {
    match facts.place {
        Place::Container => Some(CONTAINER),
        Place::Lambda => Some(LAMBDA),
        Place::Host | Place::Node => None,
    }
}

/// What is mended on a node by hand is lost with it.
fn on_every_node(facts: &Facts, told: String) -> String {
    match facts.place {
        Place::Node => {
            format!("{told}; and the same in the image or the user data of the node group, for the next node")
        }
        Place::Host | Place::Container | Place::Lambda => told,
    }
}

fn makestep(facts: &Facts) -> String {
    match facts.distribution {
        Distribution::Alpine => "`chronyc makestep`",
        Distribution::Bottlerocket => {
            "`chronyc makestep` in the shell that `sudo sheltie` of the admin container opens"
        }
        _ => "`sudo chronyc makestep`",
    }
    .to_owned()
}

fn chrony_conf(facts: &Facts) -> &'static str {
    match facts.distribution {
        Distribution::Alpine => "/etc/chrony/chrony.conf",
        distribution if distribution.is_like_debian() => "/etc/chrony/chrony.conf",
        _ => "/etc/chrony.conf",
    }
}

/// The command that does something to the service of a program.
fn service(facts: &Facts, program: Program, action: &str) -> String {
    let unit = unit(facts, program);
    match facts.distribution {
        Distribution::Alpine => format!("`rc-service {unit} {action}`"),
        Distribution::Bottlerocket => "`apiclient reboot`".to_owned(),
        _ => format!("`sudo systemctl {action} {unit}`"),
    }
}

/// The unit of a program, which Debian calls otherwise, and which of ntpd is that of the package whose file it reads.
fn unit(facts: &Facts, program: Program) -> String {
    let is_debian = facts.distribution.is_like_debian();
    let reads = |name: &str| {
        let files = facts.followed.as_ref().map(|followed| followed.files.as_slice()).unwrap_or_default();
        files.first().is_some_and(|file| file.to_string_lossy().contains(name))
    };
    match program {
        Program::Chronyd if is_debian => "chrony",
        Program::Ntpd if is_debian && reads("/ntp.conf") && !reads("ntpsec") => "ntp",
        Program::Ntpd if is_debian => "ntpsec",
        other => other.unit(),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::clock::reference::Configured;
    use crate::doctor::clock::scenes::host::facts;

    const PROGRAMS: [Program; 8] = [
        Program::Chronyd,
        Program::NtpdRs,
        Program::Ntpd,
        Program::OpenNtpd,
        Program::Busybox,
        Program::Phc2sys,
        Program::Ptp4l,
        Program::Timesyncd,
    ];
    const PLACES: [Place; 4] = [Place::Host, Place::Node, Place::Container, Place::Lambda];

    /// All that can be said on a host of a distribution with a daemon.
    fn all(facts: &Facts, program: Program) -> Vec<String> {
        let adrift = Keeper::Adrift { program, why: String::new() };
        vec![
            keep(facts, &Keeper::Nobody),
            keep(facts, &adrift),
            follow_time_sync(facts, program),
            keep_one(facts, program, &[Program::Timesyncd, Program::Ntpd]),
            set(facts, &Keeper::Nobody, None),
            set(facts, &adrift, None),
            set(facts, &Keeper::Kept(program), Some(false)),
            set(facts, &Keeper::Kept(program), None),
        ]
    }

    #[test]
    fn every_cell_of_distributions_daemons_and_actions_fits_its_host() {
        const MANAGERS: [&str; 9] = [
            "yum ",
            "dnf ",
            "tdnf ",
            "apt-get",
            "zypper",
            "apk add",
            "pacman",
            "nixos-rebuild",
            "transactional-update",
        ];
        let usual = facts(&[], None);
        for distribution in Distribution::ALL {
            for (place, has_chrony) in PLACES.into_iter().flat_map(|place| [(place, true), (place, false)]) {
                for program in PROGRAMS {
                    let facts = Facts { has_chrony, distribution, place, ..usual.clone() };
                    for told in all(&facts, program) {
                        let at = format!("{distribution:?} {place:?} {program:?}: {told}");
                        let own = match distribution {
                            Distribution::NixOs => Some("nixos-rebuild".to_owned()),
                            other => other.install("").map(|command| command.replace("sudo ", "")),
                        };
                        let foreign =
                            MANAGERS.iter().filter(|name| own.as_ref().is_none_or(|own| !own.contains(name.trim())));
                        for name in foreign {
                            assert!(!told.replace("tdnf", "photon").contains(name), "{at}");
                        }
                        let has = |words: &str| told.contains(words);
                        if matches!(place, Place::Container | Place::Lambda) {
                            assert!(!MANAGERS.iter().any(|name| has(name)) && !has("enable --now"), "{at}");
                        }
                        match distribution {
                            Distribution::Alpine => {
                                assert!(!has("systemctl") && !has("sudo") || has("timesyncd"), "{at}");
                            }
                            Distribution::Bottlerocket => {
                                assert!((!has("/etc/") || has("timesyncd")) && !has("disable --now"), "{at}");
                            }
                            Distribution::NixOs => assert!(!has("able --now") && !has("/etc/"), "{at}"),
                            Distribution::SuseMicro => {
                                assert_eq!(has("transactional-update"), has("sudo reboot"), "{at}");
                            }
                            _ => assert!(!has("rc-service") && !has("apiclient"), "{at}"),
                        }
                        assert_eq!(told.matches('`').count() % 2, 0, "{at}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_daemon_is_told_in_its_own_words() {
        let usual = facts(&[], None);
        for distribution in Distribution::ALL {
            let facts = Facts { distribution, ..usual.clone() };
            for program in PROGRAMS {
                let told = follow_time_sync(&facts, program);
                let is_of_chronyd = matches!(program, Program::Phc2sys | Program::Ptp4l);
                let knows_prefer = program.prefers() || is_of_chronyd;
                assert!(knows_prefer || !told.contains("prefer"), "{distribution:?} {program:?}: {told}");
                assert!(told.contains("169.254.169.123"), "{distribution:?} {program:?}: {told}");
            }
        }
    }

    #[test]
    fn what_is_written_by_a_program_or_stands_on_a_command_line_is_not_edited() {
        let usual = facts(&[], None);
        let of = |followed: Configured| {
            let facts = Facts { distribution: Distribution::Debian, followed: Some(followed), ..usual.clone() };
            follow_time_sync(&facts, Program::Chronyd)
        };
        let file = || vec!["/run/chrony/chrony.conf".into()];
        let generated = of(Configured { files: file(), generated: Some("it is".to_owned()), ..Configured::default() });
        assert!(generated.contains("have whoever writes /run/chrony/chrony.conf"), "{generated}");
        let on_line = of(Configured { is_on_command_line: true, ..Configured::default() });
        assert!(on_line.contains("to its command line"), "{on_line}");
    }

    #[test]
    fn the_unit_of_ntpd_is_that_of_the_package_whose_file_it_reads() {
        let usual = facts(&[], None);
        for (distribution, file, expected) in [
            (Distribution::Debian, Some("/etc/ntpsec/ntp.conf"), "ntpsec"),
            (Distribution::Ubuntu, Some("/etc/ntp.conf"), "ntp"),
            (Distribution::Debian, None, "ntpsec"),
            (Distribution::Dnf, Some("/etc/ntp.conf"), "ntpd"),
        ] {
            let followed = Configured { files: file.into_iter().map(Into::into).collect(), ..Configured::default() };
            let facts = Facts { distribution, followed: Some(followed), ..usual.clone() };
            assert_eq!(unit(&facts, Program::Ntpd), expected);
        }
    }
}
