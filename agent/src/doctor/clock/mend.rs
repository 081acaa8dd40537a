//! The commands and lines of configuration that mend a clock.

use super::facts::Facts;
use super::keeper::Keeper;
use super::program::Program;

/// The line by which chronyd and ntpd follow Amazon Time Sync, as AWS recommends it.
const SERVER: &str = "server 169.254.169.123 prefer iburst minpoll 4 maxpoll 4";

/// How to let somebody keep the clock where nobody does.
pub(super) fn keep(facts: &Facts, keeper: &Keeper) -> String {
    match keeper {
        Keeper::Adrift { program, .. } => {
            let has_time_sync = facts
                .followed
                .as_ref()
                .is_some_and(|followed| followed.references.iter().any(super::reference::Reference::is_time_sync));
            if has_time_sync {
                format!(
                    "{}; 169.254.169.123 needs no security group, but a firewall on this host can drop it, and it exists \
                     on EC2 alone",
                    look_after(*program)
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
    let file = |usual: &str| {
        let read = facts.followed.as_ref().and_then(|followed| followed.files.first());
        read.map_or_else(|| usual.to_owned(), |path| path.display().to_string())
    };
    let restart = format!("`sudo systemctl restart {}`", unit(facts, program));
    match program {
        Program::Chronyd => format!("add `{SERVER}` to {}, then {restart}", file(chrony_conf(facts))),
        Program::Ntpd => format!("add `{SERVER}` to {}, then {restart}", file("/etc/ntp.conf")),
        Program::OpenNtpd => {
            format!("add `server 169.254.169.123` to {}, then {restart}", file("/etc/openntpd/ntpd.conf"))
        }
        Program::NtpdRs => format!(
            "add `[[source]]`, `mode = \"server\"` and `address = \"169.254.169.123\"` to {}, then {restart}",
            file("/etc/ntpd-rs/ntp.toml")
        ),
        Program::Timesyncd => format!(
            "put `[Time]` and `NTP=169.254.169.123` into /etc/systemd/timesyncd.conf.d/amazon-time-sync.conf, then {restart}"
        ),
        Program::Phc2sys | Program::Ptp4l => start(facts),
    }
}

/// How to see what is wrong with a daemon that runs.
pub(super) fn look_after(program: Program) -> String {
    match program {
        Program::Chronyd => "`chronyc -n sources -v` and `chronyc ntpdata` show which of its sources answer".to_owned(),
        Program::Timesyncd => {
            "`timedatectl timesync-status` and `journalctl -u systemd-timesyncd` show whether its server answers"
                .to_owned()
        }
        Program::Ntpd => "`ntpq -pn` shows which of its servers answer".to_owned(),
        Program::OpenNtpd => "`ntpctl -s all` shows which of its servers answer".to_owned(),
        Program::NtpdRs => "`ntp-ctl status` shows which of its sources answer".to_owned(),
        Program::Phc2sys | Program::Ptp4l => format!("`journalctl -u {}` shows what it does", program.unit()),
    }
}

/// How to keep one daemon of several.
pub(super) fn keep_one(facts: &Facts, kept: Program, others: &[Program]) -> String {
    let units: Vec<String> = others.iter().map(|other| unit(facts, *other)).collect();
    format!("keep {} and end the rest: `sudo systemctl disable --now {}`", kept.name(), units.join(" "))
}

/// How to set a clock that is wrong and to keep it.
pub(super) fn set(facts: &Facts, keeper: &Keeper, does_chronyd_know: Option<bool>) -> String {
    let step = |program: Program| match program {
        Program::Chronyd => "`sudo chronyc makestep`".to_owned(),
        other => format!("`sudo systemctl restart {}`, which sets the clock when it starts", unit(facts, other)),
    };
    match keeper {
        Keeper::Nobody => format!("set the clock and keep it: {}, and `sudo chronyc makestep`", start(facts)),
        Keeper::Adrift { program: Program::Chronyd, .. } => {
            format!("set the clock and keep it: {}, and `sudo chronyc makestep`", keep(facts, keeper))
        }
        Keeper::Adrift { .. } => format!("set the clock and keep it: {}", keep(facts, keeper)),
        Keeper::Kept(Program::Chronyd) if does_chronyd_know == Some(false) => format!(
            "find out who is right: {}, `skewguard check` shows those of skewguard; take the wrong ones out, then \
             `sudo chronyc makestep`",
            look_after(Program::Chronyd)
        ),
        Keeper::Kept(program) | Keeper::Starting(program, _) => format!("set the clock: {}", step(*program)),
        Keeper::Outside | Keeper::Unknown(_) => {
            "set the clock and keep it, on the host itself where this is a container: `sudo chronyc makestep`, or \
             `sudo systemctl restart systemd-timesyncd` where that keeps it"
                .to_owned()
        }
    }
}

/// How to start chronyd, which Amazon's and most other images have.
fn start(facts: &Facts) -> String {
    let unit = unit(facts, Program::Chronyd);
    let file = chrony_conf(facts);
    match (facts.has_chrony, facts.is_debian) {
        (true, _) => format!("`sudo systemctl enable --now {unit}` with `{SERVER}` in {file}"),
        (false, true) => {
            format!("`sudo apt-get install chrony`, then `{SERVER}` in {file} and `sudo systemctl restart {unit}`")
        }
        (false, false) => {
            format!("`sudo dnf install chrony`, then `{SERVER}` in {file} and `sudo systemctl enable --now {unit}`")
        }
    }
}

fn chrony_conf(facts: &Facts) -> &'static str {
    if facts.is_debian { "/etc/chrony/chrony.conf" } else { "/etc/chrony.conf" }
}

/// The unit of a program, which Debian calls otherwise.
fn unit(facts: &Facts, program: Program) -> String {
    match program {
        Program::Chronyd if facts.is_debian => "chrony",
        Program::Ntpd if facts.is_debian => "ntpsec",
        other => other.unit(),
    }
    .to_owned()
}
