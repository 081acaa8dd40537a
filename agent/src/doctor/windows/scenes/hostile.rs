//! Hosts on which somebody writes what he likes wherever he may.

use proptest::prelude::*;

use super::host::{INTERNET, MACHINE, POLICY, W32TIME, ZONE, ec2, facts, found, judged, well};
use crate::doctor::report::Verdict;
use crate::doctor::windows::around::Around;
use crate::doctor::windows::checks::check;
use crate::sys::system::Value;
use crate::time::{Offset, Span};

const ESCAPES: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\r\n\u{202e}evil";

#[test]
fn what_others_write_does_not_steer_the_terminal() {
    let mut host = ec2()
        .text(&format!(r"{W32TIME}\Parameters"), "Type", ESCAPES)
        .text(&format!(r"{POLICY}\Parameters"), "NtpServer", ESCAPES)
        .text(ZONE, "TimeZoneKeyName", ESCAPES)
        .number(INTERNET, "ProxyEnable", 1)
        .text(INTERNET, "ProxyServer", ESCAPES)
        .text(INTERNET, "ProxyOverride", ESCAPES)
        .text(MACHINE, "HTTP_PROXY", ESCAPES)
        .text(MACHINE, "NO_PROXY", ESCAPES)
        .file(r"C:\Users\Administrator\.aws\credentials", &format!("[{}]\n", ESCAPES.replace(['\r', '\n', ']'], "")));
    host.interfaces[0].name = ESCAPES.to_owned();
    host.domain = Some(ESCAPES.to_owned());
    for offset in [None, Some(Offset::new(Span::from_seconds(f64::MAX)))] {
        let around = Around { offset, is_clock_wrong: offset.is_some(), ..well() };
        judged(&host, &around);
    }
}

#[test]
fn a_name_that_would_be_a_command_is_not_put_into_one() {
    let name = "x'; Remove-Item C:\\\\ -Recurse; '";
    let host = ec2()
        .file(
            r"C:\Users\Administrator\AppData\Local\AWSToolkit\RegisteredAccounts.json",
            &format!(r#"{{"a": {{"DisplayName": "{name}"}}}}"#),
        )
        .file(r"C:\Users\Administrator\.aws\credentials", &format!("[{}]\n", name.replace(r"\\", r"\")));
    let checks = judged(&host, &well());
    assert_eq!(found(&checks), [("credentials-stores", Verdict::Warning)]);
    let remedy = checks.iter().find_map(|check| check.remedy.as_deref());
    assert_eq!(remedy, Some("Remove-AWSCredentialProfile -ProfileName <name>"));
}

/// A value that may be shown, because nothing in it is a secret.
#[derive(Clone, Debug)]
enum Written {
    Text(String),
    Number(u64),
    List(Vec<String>),
    Bytes(Vec<u8>),
}

impl From<Written> for Value {
    fn from(written: Written) -> Self {
        match written {
            Written::Text(text) => Self::Text(text),
            Written::Number(number) => Self::Number(number),
            Written::List(lines) => Self::List(lines),
            Written::Bytes(bytes) => Self::Bytes(bytes),
        }
    }
}

fn any_value() -> impl Strategy<Value = Written> {
    prop_oneof![
        any::<String>().prop_map(Written::Text),
        "NTP|NT5DS|NoSync|AllSync|([a-z0-9.]{1,9},0x[0-9a-f]{1,2} ){1,3}".prop_map(Written::Text),
        any::<u64>().prop_map(Written::Number),
        any::<u32>().prop_map(|number| Written::Number(u64::from(number))),
        prop::collection::vec(any::<String>(), 0..3).prop_map(Written::List),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Written::Bytes),
    ]
}

fn any_place() -> impl Strategy<Value = (String, &'static str)> {
    let w32time = |key: &str| format!(r"{W32TIME}\{key}");
    let policy = |key: &str| format!(r"{POLICY}\{key}");
    prop::sample::select(vec![
        (w32time("Parameters"), "Type"),
        (w32time("Parameters"), "NtpServer"),
        (policy("Parameters"), "NtpServer"),
        (policy("Parameters"), "Type"),
        (w32time(r"TimeProviders\NtpClient"), "Enabled"),
        (w32time(r"TimeProviders\NtpClient"), "SpecialPollInterval"),
        (w32time("Config"), "MaxPosPhaseCorrection"),
        (policy("Config"), "MaxNegPhaseCorrection"),
        (ZONE.to_owned(), "ActiveTimeBias"),
        (ZONE.to_owned(), "RealTimeIsUniversal"),
        (INTERNET.to_owned(), "ProxyEnable"),
        (INTERNET.to_owned(), "ProxyServer"),
        (INTERNET.to_owned(), "ProxyOverride"),
        (MACHINE.to_owned(), "HTTP_PROXY"),
        (MACHINE.to_owned(), "NO_PROXY"),
        (MACHINE.to_owned(), "AWS_SESSION_TOKEN"),
        (r"SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings\Connections".to_owned(), "WinHttpSettings"),
    ])
}

proptest! {
    #[test]
    fn no_registry_makes_the_doctor_panic_or_print_what_steers_a_terminal(
        values in prop::collection::vec((any_place(), any_value()), 0..8),
        status in any::<String>(),
        domain in any::<Option<String>>(),
        offset in any::<Option<f64>>(),
        is_ec2 in any::<bool>(),
    ) {
        let mut host = values.into_iter().fold(ec2().says(&status), |host, ((key, name), value)| host.with(&key, name, value.into()));
        host.domain = domain;
        let offset = offset.map(|seconds| Offset::new(Span::from_seconds(seconds)));
        let checks = check(&facts(&host), &Around { is_ec2, offset, is_clock_wrong: offset.is_some(), is_imds_reached: None });
        for check in checks {
            let lines = [&check.summary].into_iter().chain(&check.evidence).chain(&check.effect).chain(&check.remedy);
            for line in lines {
                prop_assert!(!line.contains(char::is_control), "{:?}", line);
                prop_assert!(line.chars().count() < 2_000, "{:?}", line);
            }
        }
    }
}

#[test]
fn a_locked_windows_says_what_it_did_not_tell() {
    let checks = judged(&ec2().locked(), &well());
    let unread = checks.iter().find(|check| check.name == "windows-read").unwrap();
    assert_eq!(unread.verdict, Verdict::Skipped);
    assert!(unread.evidence.len() <= 16 && !unread.evidence.is_empty(), "{:?}", unread.evidence);
}
