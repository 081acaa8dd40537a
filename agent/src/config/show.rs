//! The configuration in effect, in the syntax of the file.

use std::path::Path;

use super::checked::{Alerts, Config};
use super::raw_alerts::Section;
use super::size::Size;
use super::{default, raw, raw_alerts};
use crate::assess::rule::Rule;
use crate::host::vmclock::Choice;
use crate::notify::channel::Channel;
use crate::notify::targets::WrittenChannel;
use crate::setting::headers::Headers;
use crate::setting::named::Named;
use crate::setting::period::Period;
use crate::setting::tls::{Tls, WrittenTls};
use crate::sources::source::Source;
use crate::telemetry::otlp::{Otlp, Sigv4};
use crate::telemetry::settings::Telemetry;

/// Writes the configuration as a file that loads to the same one, every default filled in. Secrets appear as the
/// references that they are, and the user information and the query of a URL as `***`: then the file must be completed
/// before it loads. A folder of what outlives a restart that nobody named is told in a comment, for it may be missing.
pub fn show(config: &Config) -> String {
    let built_in = default::limits();
    let named: Vec<String> =
        built_in.iter().map(|limit| format!("{} {}s", limit.name, limit.window.as_secs())).collect();
    let yaml = serde_yaml::to_string(&raw(config)).expect("all that a configuration is made of can be written");
    let unnamed = config.state_dir.iter().filter(|dir| !dir.is_given);
    let unnamed: String = unnamed.map(|dir| format!("# state_dir where it exists: {}\n", dir.path.display())).collect();
    format!("# built-in limits, which apply as well: {}\n{unnamed}{yaml}", named.join(", "))
}

fn raw(config: &Config) -> raw::Config {
    let built_in = default::limits();
    let own = config.limits.iter().filter(|limit| !built_in.contains(limit));
    raw::Config {
        sources: Some(config.sources.iter().map(Source::written).collect()),
        vmclock: Some(match &config.vmclock {
            Choice::Auto => "auto".to_owned(),
            Choice::Off => "off".to_owned(),
            Choice::Path(path) => shown(path),
        }),
        credentials: Some(config.credentials.written()),
        sdks: Some(if config.sdks_auto { raw::Sdks::Auto } else { raw::Sdks::Names(config.sdks.clone()) }),
        limits: Some(own.map(|own| raw::Limit { name: own.name.clone(), window: Period(own.window) }).collect()),
        alerts: Some(alerts(&config.alerts)),
        channels: Some(config.channels.iter().map(channel).collect()),
        telemetry: Some(telemetry(&config.telemetry)),
        state_dir: config.state_dir.iter().filter(|dir| dir.is_given).map(|dir| shown(&dir.path)).next(),
        queue: Some(raw::Queue { size: Some(Size(config.queue.size)), age: Some(Period(config.queue.age)) }),
        socket: Some(shown(&config.socket)),
    }
}

fn channel(channel: &Channel) -> WrittenChannel {
    let own = WrittenChannel {
        severity: Some(Named(channel.severity)),
        alerts: channel.alerts.as_ref().map(|kinds| kinds.iter().copied().map(Named).collect()),
        timeout: Some(Period(channel.timeout)),
        tls: tls(&channel.tls),
        ..WrittenChannel::named(channel.name.clone())
    };
    own.with(channel.target.clone())
}

fn tls(tls: &Tls) -> Option<WrittenTls> {
    let (cert, key) = tls.identity.as_ref().map(|(cert, key)| (shown(cert), shown(key))).unzip();
    (*tls != Tls::default()).then(|| WrittenTls { ca: tls.ca.as_deref().map(shown), cert, key })
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn telemetry(telemetry: &Telemetry) -> raw::Telemetry {
    raw::Telemetry {
        detail: Some(Named(telemetry.detail)),
        otlp: Some(otlp(telemetry.otlp.as_ref())),
        prometheus: telemetry.listen.map(|listen| raw::Prometheus { listen: Some(listen.to_string()) }),
        textfile: telemetry.textfile.as_deref().map(shown),
    }
}

fn otlp(otlp: Option<&Otlp>) -> raw::Otlp {
    match otlp {
        None => raw::Otlp { enabled: Some(false), ..raw::Otlp::default() },
        Some(otlp) => raw::Otlp {
            enabled: Some(true),
            endpoint: otlp.endpoint.clone(),
            headers: (!otlp.headers.is_empty()).then(|| Headers(otlp.headers.clone())),
            interval: Some(Period(otlp.interval)),
            timeout: Some(Period(otlp.timeout)),
            tls: tls(&otlp.tls),
            sigv4: otlp.sigv4.as_ref().map(sigv4),
        },
    }
}

fn sigv4(sigv4: &Sigv4) -> raw::Sigv4 {
    let (log_group, log_stream) = sigv4.log.clone().unzip();
    raw::Sigv4 { region: sigv4.region.clone(), service: sigv4.service.clone(), log_group, log_stream }
}

fn alerts(alerts: &Alerts) -> raw_alerts::Alerts {
    let section = |rule: &Rule| Section {
        enabled: Some(rule.enabled),
        warning: rule.warning,
        critical: rule.critical,
        hold: Some(Period(rule.hold)),
    };
    raw_alerts::Alerts {
        boot_grace: Some(Period(alerts.boot_grace)),
        repeat: Some(Period(alerts.repeat)),
        runbooks: Some(alerts.runbooks.written().to_owned()),
        sections: alerts.rules.iter().map(|(row, rule)| (row.kind, section(rule))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::load::{load, parse};
    use super::*;

    fn loaded(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Config {
        parse(text, Path::new("skewguard.yaml"), env).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    const FULL: &str = r#"
sources:
  - { name: a, ntp: "[fd00:ec2::123]:1123", trusted: true, leap_smear: true, poll: 1s 500ms }
  - { name: b, ntp: ntp.corp:123, poll: 1024s }
credentials:
  imds: { endpoint: "http://[::1]:1338", timeout: 250ms, attempts: 10, poll: 1h }
  web_identity: { token_file: "/var/run/a: b" }
  homes: [/home/a, "/home/b #"]
  shared_file: /etc/credentials
  files:
    - { name: a, json: { path: /a, pointer: "/b~1c/0", basis: local }, warning: 1h, critical: 0s }
    - { name: b, certificate: { path: /b.pem } }
  poll: 10s
sdks: [rust, go-v2-2025]
limits: [{ name: kerberos, window: 5m }, { name: "true", window: 24h }]
alerts:
  boot_grace: 0s
  runbooks: https://wiki.example/a
  clock-skew: { enabled: false, warning: 1ms, critical: 1ms, for: 24h }
  credential-expiring: { warning: 0s, critical: 0s }
  source-unreachable: { for: 1m }
channels:
  - name: "0"
    severity: critical
    alerts: [clock-stepped, clock-skew]
    webhook:
      url: "https://ops.example:8443/a"
      headers: { Authorization: "file:/etc/a: b", X-A: env:A }
      secret: env:B
    timeout: 1s
    tls: { ca: "/etc/a: b.pem", cert: /etc/cert.pem, key: "/etc/key #.pem" }
  - name: "null"
    alertmanager:
      url: https://am.example/prefix/
      headers: { X-C: env:C }
      repost: 10s
    timeout: 2s
    tls: { ca: /a }
  - name: c
    pagerduty: { routing_key: env:D, url: https://events.eu.pagerduty.com/v2/enqueue }
    timeout: 3s
    tls: { cert: /a, key: /a }
  - { name: d, slack: { url: "file:/e" }, timeout: 4s, tls: { ca: /a, cert: /b, key: /c } }
  - name: e
    sns: { topic: "arn:aws:sns:eu-west-1:123456789012:a.fifo", endpoint: "http://127.0.0.1:4566/" }
    timeout: 5s
    tls: {}
  - name: f
    sns: { topic: "arn:aws-cn:sns:cn-north-1:123456789012:a" }
    tls: { ca: /a }
  - name: g
    eventbridge:
      bus: "arn:aws:events:eu-west-1:123456789012:event-bus/default"
      endpoint: https://vpce-1.events.eu-west-1.vpce.amazonaws.com
    timeout: 6s
    tls: { ca: /a }
telemetry: { otlp: { endpoint: "https://otlp.example", headers: { X-B: env:C }, interval: 1h, timeout: 50ms, tls: { ca: /a, cert: /b, key: /c }, sigv4: { region: eu-west-1, service: aps, log_group: /a/b, log_stream: "c #" } }, detail: full, prometheus: { listen: "[::]:9464" }, textfile: "/var/lib/a: b.prom" }
state_dir: "/var/lib/a: b"
queue: { size: 1023KiB, age: 90m }
socket: "/run/a b#c.sock"
"#;

    #[cfg(unix)]
    #[test]
    fn what_is_shown_loads_to_the_same_configuration() {
        let hostile =
            |name: &str| (name == "AWS_EC2_METADATA_DISABLED" || name == "OTEL_SDK_DISABLED").then(|| "true".into());
        let default = load(None, &|_| None).unwrap_or_else(|error| panic!("{error}"));
        for config in [default, loaded(FULL, &|_| None), loaded("credentials: { imds: { enabled: false } }", &|_| None)]
        {
            let shown = show(&config);
            let again = loaded(&shown, &hostile);
            assert_eq!(show(&again), shown);
            // Some of what is shown could be wrong in the same way twice.
            assert!(again == config, "{shown}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_nobody_named_is_told_and_stays_so() {
        let shown = show(&loaded("{}", &|_| None));
        assert!(shown.contains("\n# state_dir where it exists: /var/lib/skewguard\n"), "{shown}");
        let systemd = |name: &str| (name == "STATE_DIRECTORY").then(|| "/var/lib/a:/b".to_owned());
        let shown = show(&loaded("{}", &systemd));
        assert!(shown.contains("\nstate_dir: /var/lib/a\n") && !shown.contains("where it exists"), "{shown}");
    }

    #[test]
    fn no_secret_is_shown() {
        let text = "channels:\n\
                    - { name: a, webhook: { url: 'https://u:hunter2@h/?k=hunter2', secret: env:HOOK } }\n\
                    - { name: b, alertmanager: { url: 'https://u:hunter2@h' } }\n\
                    - { name: c, pagerduty: { url: 'https://u:hunter2@h/', routing_key: env:KEY } }\n\
                    telemetry: { otlp: { endpoint: 'https://hunter2@h' } }";
        let shown = show(&loaded(text, &|_| None));
        assert!(!shown.contains("hunter2") && shown.contains("secret: env:HOOK"), "{shown}");
        assert!(shown.contains("url: https://***@h/?k=***"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_accepted_source_survives(name in "[a-zA-Z0-9._-]{1,64}", ntp in "[a-f0-9.:]{1,12}", poll in 16..1024_u64) {
            let text = format!("sources: [{{ name: '{name}', ntp: '{ntp}', poll: {poll}s }}]");
            if let Ok(config) = parse(&text, Path::new("a"), &|_| None) {
                let again = loaded(&show(&config), &|_| None);
                prop_assert_eq!(format!("{:?}", again.sources), format!("{:?}", config.sources));
            }
        }
    }
}
