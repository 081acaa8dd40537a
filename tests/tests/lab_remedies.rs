//! What the doctor tells people to write: the daemons themselves read it, take it, and refuse what the doctor must not say.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use skewguard::doctor::clock::mend::lines;
use skewguard::doctor::clock::program::Program;
use tests::net::{Net, Side, TIME_SYNC};
use tests::ntp::{self, NtpServer, ahead_by};
use tests::process::{Server, lab_dir, private_dir};
use tests::wait::wait_until;

const PATIENCE: Duration = Duration::from_secs(30);

/// What the doctor tells of a daemon, as a file of its configuration, with `more` at its end.
fn written(folder: &Path, program: Program, more: &str) -> PathBuf {
    let file = folder.join("configuration");
    assert!(!lines(program).is_empty());
    fs::write(&file, format!("{}{more}\n", lines(program).join("\n"))).unwrap();
    file
}

fn output(net: &Net, program: impl AsRef<Path>, arguments: &[&str], file: &Path) -> Output {
    let mut command = net.command(Side::Agent, program.as_ref()).unwrap();
    command.args(arguments).arg(file).output().unwrap()
}

#[test]
fn chronyd_prints_what_it_is_told_and_refuses_a_word_that_it_does_not_know() {
    let (net, dir) = (Net::new().unwrap(), private_dir().unwrap());
    let read = |more: &str| output(&net, "chronyd", &["-p", "-f"], &written(dir.path(), Program::Chronyd, more));
    let taken = read("");
    let printed = String::from_utf8_lossy(&taken.stdout).trim().to_owned();
    assert!(taken.status.success() && printed == lines(Program::Chronyd).join("\n"), "{taken:?}");
    assert!(!read(" preferred").status.success());
}

#[test]
fn openntpd_takes_what_it_is_told_and_no_word_of_the_others() {
    let (net, dir) = (Net::new().unwrap(), private_dir().unwrap());
    let ntpd = lab_dir().unwrap().join("openntpd/root/usr/sbin/ntpd");
    let read = |more: &str| output(&net, &ntpd, &["-n", "-f"], &written(dir.path(), Program::OpenNtpd, more));
    let taken = read("");
    assert!(taken.status.success(), "{taken:?}");
    for other in [" prefer", " iburst", " minpoll 4"] {
        assert!(!read(other).status.success(), "{other}");
    }
}

#[test]
fn ntpd_asks_whom_it_is_told_to_ask_and_complains_of_nothing() {
    let net = Net::new().unwrap();
    let server = NtpServer::start(&net, Side::Aws, SocketAddr::new(TIME_SYNC, ntp::PORT), ahead_by(0.0)).unwrap();
    let complains = |more: &str| {
        let dir = private_dir().unwrap();
        let file = written(dir.path(), Program::Ntpd, more);
        let before = server.requests();
        let mut command = net.command(Side::Agent, "ntpd").unwrap();
        let mut ntpd = Server::start(command.args(["-n", "-c"]).arg(file), &dir.path().join("log")).unwrap();
        let asks = || ntpd.still_runs().is_err() || ntpd.log().contains("syntax error") || server.requests() > before;
        wait_until("a question or a complaint", PATIENCE, asks).unwrap();
        let log = ntpd.log();
        (log.contains("syntax error"), server.requests() > before, log)
    };
    let (is_wrong, does_ask, log) = complains("");
    assert!(!is_wrong && does_ask, "{log}");
    let (is_wrong, _, log) = complains(" preferred");
    assert!(is_wrong, "{log}");
}
