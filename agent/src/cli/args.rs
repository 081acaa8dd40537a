//! The words of the command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::setting::period::{Period, PeriodError};
use crate::setting::url::WebUrl;
use crate::sys::{HAS_SERVICE, places};

/// Warns before AWS rejects a request because a clock is wrong or a credential has run out.
#[derive(Parser)]
#[command(name = "skewguard", version, max_term_width = 100, after_help = after_help())]
pub struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

fn after_help() -> String {
    format!(
        "\
Without --config, {} is read where it exists; else the built-in defaults are used, which are right for EC2. The answer goes \
to standard output, the log to standard error (RUST_LOG=debug shows more).

Exit codes of check, status and doctor: 0 ok, 1 warning, 2 critical, 3 unknown.
Of wait: 0 good, 1 measured and not good, 3 not known. Of check --format npd: 0 ok or warning, 1 critical, 2 unknown.
Of all commands: 64 wrong usage, 69 no agent answers, or no collector of a drill, 70 the agent cannot start, 75 a part of the \
running agent has ended or hangs, so that it must be started anew, 78 wrong configuration.",
        places().config.display()
    )
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Measure and warn until stopped: the agent itself
    ///
    /// Alerts are written to standard error as one JSON object a line, and to every channel and collector of the
    /// configuration. SIGTERM and SIGINT end it, after what is queued was delivered.
    Run(ConfigFile),
    /// Measure once and say what is wrong
    ///
    /// What is not well is measured up to three times before it is reported. What exists only over time (the forecast,
    /// an undisciplined or unverified clock) is left to `run`.
    Check(Check),
    /// Wait until the clock is right, or the credentials are good
    ///
    /// Good is a clock that sources of time agree on and that is off by less than --within, error bound included; and
    /// credentials that every provider hands out, with more than --remaining of their life left in truth, whatever the
    /// system clock says. The running agent is asked every second; where none answers, this process measures itself. The
    /// limit is one of time that passes: it does not move when somebody sets the clock, and goes on while the host sleeps.
    /// Each change is told on standard error, and what is true at the end on standard output.
    ///
    /// Exit codes: 0 all is good, 1 it was measured and is not good, 3 it is not known. SIGTERM and SIGINT end it with 1.
    Wait(Wait),
    /// Find out why requests to AWS fail on this host, and what mends it
    ///
    /// Looks at the clock and who keeps it, the sources of time, the instance metadata service, the credentials that each
    /// SDK would pick, the SDKs that run, and the agent itself. Run as root, or in an elevated prompt of Windows, it sees the
    /// processes of all users. It changes nothing, and takes half a minute at most.
    Doctor(Doctor),
    /// Ask the running agent what it knows
    Status(Status),
    /// Try out the channels of alerts
    #[command(subcommand)]
    Alert(Alert),
    /// See it work: an AWS in a box on this host's loopback, in less than a minute
    ///
    /// Starts NTP servers, an instance metadata service and a collector on loopback, lets the real agent loose on them,
    /// and makes the clock drift, jump by 400 s and be repaired, and the rotation of credentials stall. Needs no
    /// network, no privilege and no file; the clock of this host is not touched.
    ///
    /// With --fleet it is a fire drill: so many hosts that there are not, each with the real engine, of which some get into
    /// trouble after two minutes: drift, a step, a bad image, a broken availability zone, a stalled rotation, silence, a
    /// channel that refuses, a migration. It says which alerts came when, and whether any was missing or false.
    ///
    /// With --otlp their metrics go into your own backend as they happen, second for second, because rules and pages judge
    /// what is recent; the hosts are five minutes old by then. Headers and TLS are those of the OTEL_EXPORTER_OTLP_*
    /// variables. Every series has skewguard.demo=true, skewguard.demo.run and the account 000000000000, by which it is
    /// muted and deleted; rules page for it as for any host. Log records of alerts are not sent.
    ///
    /// Exit codes: 0 all that was due was told, nothing else, and all was taken; 1 it was not, or it was ended by SIGTERM or
    /// SIGINT; 69 the collector takes nothing.
    Demo(Demo),
    /// Check, show or describe the configuration
    #[command(subcommand)]
    Config(Config),
    /// Register, start and stop the agent as a service of Windows
    ///
    /// The service runs under an account of its own, `NT SERVICE\\skewguard`, which has no rights but to its two folders
    /// below %ProgramData%\\skewguard. All but `run` and `status` need an elevated prompt.
    #[command(subcommand, hide = !HAS_SERVICE)]
    Service(Service),
}

#[derive(Subcommand)]
pub(super) enum Service {
    /// Register it, with automatic start and a restart after a failure, and make its folders
    Install(ConfigFile),
    /// Make the folders of a service that is registered, and set what follows a failure, as an installer does
    Configure,
    /// Stop it and take the registration away; the configuration and the state stay
    Uninstall,
    /// Start it
    Start,
    /// Have it end
    Stop,
    /// Put a configuration at its usual place, where there is none
    #[command(hide = true)]
    Adopt {
        /// The configuration
        file: PathBuf,
        /// Another place than the usual one
        #[arg(long, value_name = "FILE")]
        place: Option<PathBuf>,
    },
    /// Have it read its configuration again; a wrong one changes nothing, and the event log says why
    Reload,
    /// What the service manager says of it: `skewguard status` asks the agent itself
    Status,
    /// What the service manager starts
    Run(ConfigFile),
}

#[derive(Args)]
pub(super) struct Demo {
    /// Play a fleet of so many hosts, 50 to 100000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(50..=100_000))]
    pub(super) fleet: Option<u32>,
    /// Send their metrics to this collector: the base URL, to which /v1/metrics is added
    #[arg(long, value_name = "URL", requires = "fleet", value_parser = collector)]
    pub(super) otlp: Option<WebUrl>,
    /// How long it lasts, 5 to 1440; the last alert is due after 18
    #[arg(long, value_name = "M", requires = "fleet", default_value_t = 20, value_parser = clap::value_parser!(u32).range(5..=1_440))]
    pub(super) minutes: u32,
    /// Send all of it at once, stamped as if it were just over: for dashboards. Rules record and page nothing that is past
    #[arg(long, requires = "otlp")]
    pub(super) past: bool,
}

#[derive(Args)]
pub(super) struct ConfigFile {
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        help = format!("The configuration [default: {} where it exists]", places().config.display())
    )]
    pub(super) path: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    /// How the answer is written
    #[arg(short, long, value_enum, default_value_t = CheckFormat::Text)]
    pub(super) format: CheckFormat,
    /// What is judged
    #[arg(long = "for", value_name = "WHAT", value_enum, default_value_t = Subject::All)]
    pub(super) subject: Subject,
    /// How often each source is asked at least
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8))]
    pub(super) samples: u32,
    /// How long it may take, such as 5s or 500ms; an hour at most
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = patience)]
    pub(super) timeout: Duration,
}

#[derive(Args)]
pub(super) struct Wait {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    /// What is waited for
    #[arg(long = "for", value_name = "WHAT", value_enum, default_value_t = Subject::Clock)]
    pub(super) subject: Subject,
    /// How long to wait, an hour at most; 0 for ever
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = limit)]
    pub(super) timeout: Duration,
    /// By how much the clock may be off, error bound included
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = patience)]
    pub(super) within: Duration,
    /// How much of the life of a credential must be left at least; a year at most
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = life)]
    pub(super) remaining: Duration,
    /// Take it for good that nobody hands out a credential
    #[arg(long)]
    pub(super) allow_no_role: bool,
    /// Write nothing; the exit code tells
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// How the answer is written
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

#[derive(Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    /// How the answer is written
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    /// Look at what this process sees: its environment and its command line
    #[arg(long, value_name = "PID")]
    pub(super) pid: Option<u32>,
    /// Look at this profile of the shared AWS files
    #[arg(long, value_name = "NAME")]
    pub(super) profile: Option<String>,
    /// Say what the errors in a text mean on this host: a message, or the end of a log; - reads standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) explain: Option<OsString>,
    /// Explain the text alone: ask nothing and read nothing of this host, not even a configuration; the exit code is 3
    #[arg(long, requires = "explain", conflicts_with_all = ["pid", "profile", "path"])]
    pub(super) no_host: bool,
}

#[derive(Args)]
pub(super) struct Status {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    /// The agent's socket [default: `socket` of the configuration]
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// Exit with 0 whenever the agent answers, whatever it says: for probes that end what fails them
    #[arg(long)]
    pub(super) alive: bool,
    /// How the answer is written
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    /// One line: the worst finding, or how the clock and the credentials are
    #[arg(long, conflicts_with = "format")]
    pub(super) brief: bool,
    /// Look once a second, with the offset of the last hour as a plot, until `q` is pressed
    #[arg(long, conflicts_with_all = ["format", "brief", "alive", "wait"])]
    pub(super) watch: bool,
    /// How long an agent that was just started may take to know that, such as 5s; an hour at most
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = patience)]
    pub(super) wait: Duration,
}

#[derive(Subcommand)]
pub(super) enum Alert {
    /// Send a test to one channel or to all, and say what came back
    ///
    /// The test says that it is one. It is sent as an alert that fires and then as one that is resolved, so that nothing
    /// stays open. True time is measured first, so that signatures are right even where the clock of this host is not.
    ///
    /// Exit codes: 0 every channel took it, 1 at least one did not, 64 there is no such channel.
    Test(AlertTest),
}

#[derive(Args)]
pub(super) struct AlertTest {
    /// The channel [default: all]
    #[arg(value_name = "CHANNEL")]
    pub(super) channel: Option<String>,
    #[command(flatten)]
    pub(super) config: ConfigFile,
}

#[derive(Subcommand)]
pub(super) enum Config {
    /// Check a file and say where it is wrong
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        path: PathBuf,
    },
    /// Print the effective configuration, every default filled in and secrets masked
    Show(ConfigFile),
    /// Print the JSON schema of the file
    Schema,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs; stable
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CheckFormat {
    /// For people
    Text,
    /// For programs; stable
    Json,
    /// For node-problem-detector: one line of 80 bytes at most, and exit code 0 ok or warning, 1 critical, 2 unknown. The
    /// running agent is asked first, and it takes 4s at most
    Npd,
}

/// What of a host is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Subject {
    /// The clock and who tells the time
    Clock,
    /// What expires
    Credentials,
    /// Both
    All,
}

/// A look takes seconds; whoever waits for longer than an hour has mistaken the unit.
const LONGEST: Duration = Duration::from_secs(3_600);

/// The life of a certificate.
const LONGEST_LIFE: Duration = Duration::from_secs(365 * 86_400);

fn patience(text: &str) -> Result<Duration, String> {
    at_most(LONGEST, text)
}

fn collector(text: &str) -> Result<WebUrl, String> {
    WebUrl::parse(text).map_err(|error| error.to_string())
}

fn life(text: &str) -> Result<Duration, String> {
    at_most(LONGEST_LIFE, text)
}

/// No unit is needed for no limit.
fn limit(text: &str) -> Result<Duration, String> {
    if text.trim() == "0" { Ok(Duration::ZERO) } else { patience(text) }
}

fn at_most(longest: Duration, text: &str) -> Result<Duration, String> {
    let Period(time) = text.parse().map_err(|error: PeriodError| error.to_string())?;
    if time > longest {
        return Err(format!("{} is too long: allowed is 0s to {}", text.trim(), Period(longest)));
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timeout(text: &str) -> Result<Duration, String> {
        match Arguments::try_parse_from(["skewguard", "check", &format!("--timeout={text}")]) {
            Ok(Arguments { command: Command::Check(check) }) => Ok(check.timeout),
            Ok(_) => Err("another command".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_look_may_take_an_hour_at_most() {
        assert_eq!(timeout("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(timeout("60m"), Ok(LONGEST));
        for text in ["61m", "300000000000y"] {
            assert!(timeout(text).unwrap_err().contains("too long: allowed is 0s to 1h"), "{text}");
        }
        assert!(timeout("10").unwrap_err().contains("10 has no unit: write 10s"));
    }

    proptest! {
        #[test]
        fn no_timeout_that_can_be_written_reaches_beyond_what_a_deadline_can(
            text in "[0-9]{1,25}(\\.[0-9]{1,12})?(ns|us|ms|s|m|h|d|w|M|y)( [0-9]{1,20}[smhy])?|.*"
        ) {
            if let Ok(time) = timeout(&text) {
                prop_assert!(tokio::time::Instant::now().checked_add(time).is_some());
            }
        }
    }
}
