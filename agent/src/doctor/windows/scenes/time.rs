//! Hosts whose clock is not kept as it should be.

use super::Scene;
use super::host::{Host, POLICY, W32TIME, ZONE, ec2, member, well};
use crate::doctor::windows::around::Around;
use crate::doctor::windows::w32time::status::tests::{ADRIFT, ENGLISH, HYPER_V};
use crate::sys::system::{Start, State};
use crate::time::{Offset, Span};

const KEPT: &str = "clock-w32time";
const SERVERS: &str = "clock-w32time-servers";
const SYNC: &str = "clock-w32time-sync";
const LIMITS: &str = "clock-w32time-limits";
const START: &str = "remedy  sc.exe triggerinfo w32time delete; Set-Service w32time -StartupType Automatic; Start-Service w32time; \
                     w32tm /resync /rediscover\n";
const AMAZON: &str = "remedy  w32tm /config \"/manualpeerlist:169.254.169.123,0x9\" /syncfromflags:manual /update; Restart-Service \
                      w32time; w32tm /resync /rediscover\n";

fn parameters() -> String {
    format!(r"{W32TIME}\Parameters")
}

fn config() -> String {
    format!(r"{W32TIME}\Config")
}

fn client() -> String {
    format!(r"{W32TIME}\TimeProviders\NtpClient")
}

fn servers(host: Host, servers: &str) -> Host {
    host.text(&parameters(), "NtpServer", servers)
}

fn wrong(seconds: f64) -> Around {
    Around { offset: Some(Offset::new(Span::from_seconds(seconds))), is_clock_wrong: true, ..well() }
}

/// Hosts on which nothing may be found.
pub(super) fn in_order() -> Vec<(&'static str, Host, Around)> {
    let stopped = |name| {
        ec2().service("W32Time", Start::Disabled, State::Stopped).service(name, Start::Automatic, State::Running)
    };
    let young = ADRIFT.replace("4242.0402148s", "10.0402148s");
    vec![
        ("ntpd of Meinberg in its place", stopped("NTP"), well()),
        ("a service that was started a moment ago", ec2().says(&young), well()),
        ("a service by its triggers that runs", ec2().service("W32Time", Start::Manual, State::Running), well()),
        ("a service that is about to stop", ec2().service("W32Time", Start::Automatic, State::Between), well()),
        ("the command of AWS's guide writes no flags", servers(ec2(), "169.254.169.123"), well()),
        ("a public server that answers", servers(ec2(), "time.windows.com,0x8"), well()),
        ("w32tm may not be asked", ec2().says("Access is denied. (0x80070005)"), well()),
        ("w32tm says what nobody understands", ec2().says("?"), well()),
        ("the clock of Hyper-V", ec2().says(HYPER_V), Around { is_ec2: false, ..well() }),
        (
            "local time in a zone of its own, not on EC2",
            ec2().without(ZONE, "RealTimeIsUniversal").number(ZONE, "ActiveTimeBias", 300),
            Around { is_ec2: false, ..well() },
        ),
        ("local time that is UTC", ec2().without(ZONE, "RealTimeIsUniversal"), well()),
    ]
}

/// Hosts on which something is wrong.
pub(super) fn scenes() -> Vec<Scene> {
    [services(), settings(), domains(), policies(), limits(), zones()].into_iter().flatten().collect()
}

fn services() -> Vec<Scene> {
    let service = |start, state| ec2().service("W32Time", start, state);
    vec![
        Scene::new(
            "in a workgroup the service waits for a trigger",
            service(Start::Manual, State::Stopped),
            &[KEPT],
            &[
                "warning  clock-w32time: nobody keeps this clock: the Windows Time service waits for a trigger and is stopped\n",
                "seen    service W32Time: start is manual, stopped\n",
                "seen    the machine is in no domain: the triggers of the service do not start it there, and stop it after a boot \
                 even where its start is automatic\n",
                START,
                "skipped  clock-w32time-sync: the Windows Time service cannot be asked: see clock-w32time\n",
                "skipped  clock-w32time-servers: the Windows Time service asks nobody: see clock-w32time\n",
                "skipped  clock-w32time-limits: the Windows Time service corrects nothing: see clock-w32time\n",
            ],
        ),
        Scene::new("disabled", service(Start::Disabled, State::Stopped), &[KEPT], &["service is disabled\n", START]),
        Scene::new("stopped", service(Start::Automatic, State::Stopped), &[KEPT], &["service is stopped\n", START]),
        Scene::new(
            "a member whose service is disabled keeps its triggers",
            member().service("W32Time", Start::Disabled, State::Stopped),
            &[KEPT],
            &["remedy  Set-Service w32time -StartupType Automatic; Start-Service w32time; w32tm /resync /rediscover\n"],
        ),
        Scene::new(
            "a service without triggers runs by hand",
            service(Start::Manual, State::Running).without_triggers(),
            &[KEPT],
            &["nothing starts it after the next boot\n", "remedy  Set-Service w32time -StartupType Automatic\n"],
        ),
        Scene::new(
            "unregistered",
            {
                let mut host = ec2();
                host.services.remove("W32Time");
                host
            },
            &[KEPT],
            &[
                "there is no Windows Time service\n",
                "remedy  w32tm /register; sc.exe triggerinfo w32time delete; Set-Service w32time",
            ],
        ),
        Scene::new(
            "it runs, and is disabled",
            service(Start::Disabled, State::Running),
            &[KEPT],
            &[
                "nothing starts it after the next boot\n",
                "remedy  sc.exe triggerinfo w32time delete; Set-Service w32time -StartupType Automatic\n",
            ],
        ),
    ]
}

fn settings() -> Vec<Scene> {
    let adrift = |list| servers(ec2(), list).says(ADRIFT);
    vec![
        Scene::new(
            "told to follow nobody",
            ec2().text(&parameters(), "Type", "NoSync").says(ADRIFT),
            &[KEPT],
            &["told to follow nobody (Type is NoSync)\n", AMAZON],
        ),
        Scene::new(
            "told not to be a client",
            ec2().number(&client(), "Enabled", 0).says(ADRIFT),
            &[KEPT],
            &[
                "is no client (NtpClient is disabled)\n",
                r"remedy  reg add HKLM\SYSTEM\CurrentControlSet\Services\W32Time\TimeProviders\NtpClient /v Enabled /t REG_DWORD /d 1 /f; Restart-Service w32time",
            ],
        ),
        Scene::new("a list without servers", adrift(" "), &[KEPT], &["list of servers", AMAZON]),
        Scene::new(
            "a public server from a subnet without a way to it",
            adrift("time.windows.com,0x9"),
            &[SERVERS],
            &[
                "clock-w32time-servers: Windows Time asks servers in the internet",
                "seen    NtpServer: time.windows.com,0x9\n",
                "clock-w32time-sync: the Windows Time service runs and follows nobody: nobody answers it: see clock-w32time-servers\n",
                "w32tm: leap indicator 3, stratum 0, last error 1, source Local CMOS Clock\n",
                AMAZON,
            ],
        ),
        Scene::new(
            "Amazon Time Sync does not answer",
            adrift("169.254.169.123,0x9"),
            &[SYNC],
            &["`w32tm /stripchart /computer:169.254.169.123 /samples:3 /dataonly`"],
        ),
        Scene::new(
            "asked as a peer",
            servers(ec2(), "169.254.169.123,0x4"),
            &[SERVERS],
            &["asks as a peer (flag 0x4) and not as a client (flag 0x8)\n", AMAZON],
        ),
        Scene::new(
            "asked once a week",
            ec2().number(&client(), "SpecialPollInterval", 604_800),
            &[SERVERS],
            &["Windows Time asks once in 7.0 days\n", "/v SpecialPollInterval /t REG_DWORD /d 900 /f; Restart-Service"],
        ),
        Scene::new(
            "silent for two days",
            ec2().says(&ENGLISH.replace("279.8688108s", "172800.0000000s")),
            &[SYNC],
            &["has heard 169.254.169.123,0x9 for 2.0 days no more\n"],
        ),
        Scene::new(
            "the clock of Hyper-V is in the way",
            ec2().says(HYPER_V),
            &["clock-hypervisor"],
            &[
                "follows the clock of Hyper-V and not the servers that it is told\n",
                r"TimeProviders\VMICTimeProvider /v Enabled /t REG_DWORD /d 0 /f; Restart-Service w32time",
            ],
        )
        .around(Around { is_ec2: false, ..wrong(400.0) }),
    ]
}

fn domains() -> Vec<Scene> {
    vec![
        Scene::new(
            "it looks for a domain in a workgroup",
            ec2().text(&parameters(), "Type", "NT5DS").says(ADRIFT),
            &[KEPT],
            &["looks for a domain, of which this machine is no member\n", AMAZON],
        ),
        Scene::new(
            "a member that finds no controller",
            member().says(ADRIFT),
            &[SYNC],
            &["remedy  w32tm /resync /rediscover; where that finds nobody, `nltest /dsgetdc: /timeserv /force`"],
        ),
        Scene::new(
            "a domain whose time is wrong",
            member(),
            &[SYNC],
            &[
                "follows its domain (dc1.corp.example), whose time is wrong as well\n",
                "remedy  `netdom query fsmo` names the PDC emulator; on it `w32tm /config",
                "/reliable:yes /update; Restart-Service w32time; w32tm /resync /rediscover`, and then here `w32tm /resync",
            ],
        )
        .around(wrong(400.0)),
        Scene::new(
            "a controller that follows itself",
            member()
                .text(r"SYSTEM\CurrentControlSet\Control\ProductOptions", "ProductType", "LanmanNT")
                .says(&ENGLISH.replace("0xA9FEA97B (source IP:  169.254.169.123)", "0x4C4F434C (source name:  \"LOCL\")")),
            &[SYNC],
            &["runs and follows nobody", "remedy  `netdom query fsmo` names the PDC emulator"],
        ),
        Scene::new(
            "a member that follows nobody goes back to its domain",
            member().text(&parameters(), "Type", "NoSync"),
            &[KEPT],
            &["remedy  w32tm /config /syncfromflags:domhier /update; Restart-Service w32time; w32tm /resync /rediscover\n"],
        ),
    ]
    .into_iter()
    // A clock that runs by itself for that long is not within five minutes of being started.
    .map(|mut scene| {
        scene.host.status = scene.host.status.replace("279.8688108s", "4279.8688108s");
        scene
    })
    .collect()
}

fn policies() -> Vec<Scene> {
    let policy = |key: &str| format!(r"{POLICY}\{key}");
    vec![
        Scene::new(
            "a policy names a server that does not answer",
            ec2().text(&policy("Parameters"), "NtpServer", "time.windows.com,0x9").says(ADRIFT),
            &[SERVERS],
            &[
                "seen    policy: NtpServer is time.windows.com,0x9, not 169.254.169.123,0x9\n",
                "remedy  `gpresult /r /scope computer` names the policies of this machine; in the one that has Computer \
                 Configuration\\Administrative Templates\\System\\Windows Time Service\\Time Providers\\Configure Windows NTP \
                 Client: NtpServer is 169.254.169.123,0x9; then `gpupdate /force; w32tm /resync /rediscover`\n",
                "ok       clock-w32time-policy: a policy is in the place of local settings of the Windows Time service (Type is \
                 NTP)\n",
                "what `w32tm /config` writes counts for nothing where a policy says the same",
            ],
        ),
        Scene::new(
            "a policy has the service follow nobody",
            ec2().text(&policy("Parameters"), "Type", "NoSync"),
            &[KEPT],
            &[
                "seen    policy: Type is NoSync, not NTP\n",
                "Client: Type is NTP and NtpServer is 169.254.169.123,0x9; then",
            ],
        ),
        Scene::new(
            "a policy disables the client",
            ec2().number(&policy(r"TimeProviders\NtpClient"), "Enabled", 0),
            &[KEPT],
            &[r"Time Providers\Enable Windows NTP Client: Enabled; then `gpupdate /force"],
        ),
        Scene::new(
            "a policy has it asked once a week",
            ec2().number(&policy(r"TimeProviders\NtpClient"), "SpecialPollInterval", 604_800),
            &[SERVERS],
            &["Client: SpecialPollInterval is 900; then"],
        ),
        Scene::new(
            "a policy lets nothing be corrected",
            ec2().number(&policy("Config"), "MaxPosPhaseCorrection", 0),
            &[LIMITS],
            &[
                "corrects no clock that is off by more than 0 s\n",
                "Global Configuration Settings: MaxPosPhaseCorrection and MaxNegPhaseCorrection are 4294967295; then",
            ],
        ),
    ]
}

fn limits() -> Vec<Scene> {
    vec![
        Scene::new(
            "a clock that is too slow for the service",
            ec2(),
            &[LIMITS],
            &[
                "refuses to correct a clock that is 16.7 h slow\n",
                "seen    MaxPosPhaseCorrection is 54000 s (15.0 h)\n",
                "MaxNegPhaseCorrection /t REG_DWORD /d 0xFFFFFFFF /f; reg add \
                 HKLM\\SYSTEM\\CurrentControlSet\\Services\\W32Time\\Config /v MaxPosPhaseCorrection /t REG_DWORD /d 0xFFFFFFFF \
                 /f; Restart-Service w32time; w32tm /resync /rediscover\n",
            ],
        )
        .around(wrong(60_000.0)),
        Scene::new(
            "a clock that is too fast for the service",
            ec2().number(&config(), "MaxNegPhaseCorrection", 3_600),
            &[LIMITS],
            &["refuses to correct a clock that is 2.0 h fast\n", "/v MaxNegPhaseCorrection"],
        )
        .around(wrong(-7_200.0)),
        Scene::new(
            "a clock that TLS has set a day off",
            ec2()
                .number(&config(), "UtilizeSslTimeData", 1)
                .number(&config(), "MaxPosPhaseCorrection", u64::from(u32::MAX)),
            &["clock-w32time-seeding"],
            &[
                "may have set this clock by times from TLS (Secure Time Seeding: UtilizeSslTimeData is 1)\n",
                "/v UtilizeSslTimeData /t REG_DWORD /d 0 /f; Restart-Service w32time; w32tm /resync /rediscover\n",
            ],
        )
        .around(wrong(86_400.0)),
        Scene::new(
            "the service itself says that the correction was too big",
            ec2().says(&ADRIFT.replace("Error: 1 (The", "Error: 3 (The")),
            &[SYNC],
            &["follows nobody: the correction was too big for it\n", "/v MaxPosPhaseCorrection"],
        ),
        Scene::new(
            "a limit that a pause of the machine passes",
            ec2().number(&config(), "MaxPosPhaseCorrection", 300),
            &[LIMITS],
            &["corrects no clock that is off by more than 300 s\n"],
        ),
    ]
}

fn zones() -> Vec<Scene> {
    let zone = |name, bias| {
        ec2().number(ZONE, "RealTimeIsUniversal", 0).text(ZONE, "TimeZoneKeyName", name).number(
            ZONE,
            "ActiveTimeBias",
            bias,
        )
    };
    vec![
        Scene::new(
            "local time west of Greenwich",
            zone("Eastern Standard Time", 300),
            &["clock-rtc"],
            &[
                "clock-rtc: the hardware clock is taken to be in local time (RealTimeIsUniversal is not 1)\n",
                "seen    time zone: Eastern Standard Time\n",
                "effect  after a boot the clock is 5 h 00 min fast until",
                "remedy  reg add HKLM\\SYSTEM\\CurrentControlSet\\Control\\TimeZoneInformation /v RealTimeIsUniversal /t \
                 REG_DWORD /d 1 /f\n",
            ],
        ),
        Scene::new(
            "local time east of Greenwich",
            zone("India Standard Time", 0xffff_feb6),
            &["clock-rtc"],
            &["effect  after a boot the clock is 5 h 30 min slow until"],
        ),
    ]
}
