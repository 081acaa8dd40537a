//! The configuration in effect, in the syntax of the file.

use super::checked::{Alerts, Config, Otlp, Rule, SecretRef, Target};
use super::period::Period;
use super::{default, raw};

/// What stands in the place of what is not shown.
const MASK: &str = "***";

/// Writes the configuration as a file that loads to the same one, every default filled in. Secrets appear as the
/// references that they are, and the user information and the query of a URL as `***`: then the file must be completed
/// before it loads.
pub fn show(config: &Config) -> String {
    let built_in = default::limits();
    let named: Vec<String> =
        built_in.iter().map(|limit| format!("{} {}s", limit.name, limit.window.as_secs())).collect();
    let yaml = serde_yaml::to_string(&raw(config)).expect("all that a configuration is made of can be written");
    format!("# built-in limits, which apply as well: {}\n{yaml}", named.join(", "))
}

/// A part of a path that is as long as this may be a token: chat services put theirs there.
const TOKEN_LENGTH: usize = 16;

/// The URL without what may be secret in it: user information, long parts of the path, the values of the query, and the
/// fragment.
pub fn masked(url: &str) -> String {
    let (rest, fragment) = url.split_once('#').map_or((url, None), |(rest, fragment)| (rest, Some(fragment)));
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (scheme, rest) = rest.split_once("://").unwrap_or(("", rest));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let parts = path.split('/').map(|part| if part.len() >= TOKEN_LENGTH { MASK } else { part });
    let path = &parts.collect::<Vec<_>>().join("/");
    let mut shown = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    match authority.rsplit_once('@') {
        Some((_, host)) => shown.extend([MASK, "@", host, path]),
        None => shown.extend([authority, path]),
    }
    if let Some(query) = query {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) => format!("{name}={MASK}"),
            None => MASK.to_owned(),
        });
        shown = shown + "?" + &pairs.collect::<Vec<_>>().join("&");
    }
    if fragment.is_some() { shown + "#" + MASK } else { shown }
}

fn raw(config: &Config) -> raw::Config {
    let built_in = default::limits();
    let own = config.limits.iter().filter(|limit| !built_in.contains(limit));
    let imds = match &config.imds {
        None => raw::Imds { enabled: Some(false), ..raw::Imds::default() },
        Some(imds) => raw::Imds {
            enabled: Some(true),
            endpoint: Some(imds.endpoint.clone()),
            timeout: Some(Period(imds.timeout)),
            attempts: Some(imds.attempts.into()),
            poll: Some(Period(imds.poll)),
        },
    };
    raw::Config {
        sources: Some(
            config
                .sources
                .iter()
                .map(|source| raw::Source {
                    name: source.name.clone(),
                    ntp: source.server.to_string(),
                    trusted: Some(source.trusted),
                    leap_smear: Some(source.leap_smear),
                    poll: Some(Period(source.poll)),
                })
                .collect(),
        ),
        credentials: Some(raw::Credentials { imds: Some(imds) }),
        sdks: Some(raw::Sdks::Names(config.sdks.clone())),
        limits: Some(own.map(|own| raw::Limit { name: own.name.clone(), window: Period(own.window) }).collect()),
        alerts: Some(alerts(&config.alerts)),
        channels: Some(
            config
                .channels
                .iter()
                .filter_map(|channel| match &channel.target {
                    Target::Webhook(webhook) => Some(raw::Channel {
                        name: channel.name.clone(),
                        webhook: raw::Webhook {
                            url: masked(&webhook.url),
                            headers: headers(&webhook.headers),
                            secret: webhook.secret.clone().map(raw::Secret),
                            timeout: Some(Period(channel.timeout)),
                        },
                    }),
                    _ => None,
                })
                .collect(),
        ),
        telemetry: Some(raw::Telemetry { otlp: Some(otlp(config.otlp.as_ref())) }),
        socket: Some(config.socket.display().to_string()),
    }
}

fn otlp(otlp: Option<&Otlp>) -> raw::Otlp {
    match otlp {
        None => raw::Otlp { enabled: Some(false), ..raw::Otlp::default() },
        Some(otlp) => raw::Otlp {
            enabled: Some(true),
            endpoint: otlp.endpoint.as_deref().map(masked),
            headers: headers(&otlp.headers),
            interval: Some(Period(otlp.interval)),
            timeout: Some(Period(otlp.timeout)),
        },
    }
}

fn headers(headers: &[(String, SecretRef)]) -> Option<raw::Headers> {
    let named = headers.iter().map(|(name, secret)| (name.clone(), raw::Secret(secret.clone())));
    (!headers.is_empty()).then(|| raw::Headers(named.collect()))
}

fn alerts(alerts: &Alerts) -> raw::Alerts {
    raw::Alerts {
        boot_grace: Some(Period(alerts.boot_grace)),
        repeat: Some(Period(alerts.repeat)),
        clock_skew: levels(&alerts.clock_skew),
        clock_skew_forecast: levels(&alerts.clock_skew_forecast),
        clock_undisciplined: warning(&alerts.clock_undisciplined),
        clock_stepped: warning(&alerts.clock_stepped),
        clock_unverified: state(&alerts.clock_unverified),
        source_falseticker: state(&alerts.source_falseticker),
        source_unreachable: state(&alerts.source_unreachable),
        credential_refresh_margin: levels(&alerts.credential_refresh_margin),
        credential_expiring: levels(&alerts.credential_expiring),
        credential_unavailable: critical(&alerts.credential_unavailable),
    }
}

fn levels(rule: &Rule) -> Option<raw::Levels> {
    Some(raw::Levels {
        enabled: Some(rule.enabled),
        warning: rule.warning.map(Period),
        critical: rule.critical.map(Period),
        hold: Some(Period(rule.hold)),
    })
}

fn warning(rule: &Rule) -> Option<raw::Warning> {
    let hold = Some(Period(rule.hold));
    Some(raw::Warning { enabled: Some(rule.enabled), warning: rule.warning.map(Period), hold })
}

fn critical(rule: &Rule) -> Option<raw::Critical> {
    let hold = Some(Period(rule.hold));
    Some(raw::Critical { enabled: Some(rule.enabled), critical: rule.critical.map(Period), hold })
}

fn state(rule: &Rule) -> Option<raw::State> {
    Some(raw::State { enabled: Some(rule.enabled), hold: Some(Period(rule.hold)) })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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
credentials: { imds: { endpoint: "http://[::1]:1338", timeout: 250ms, attempts: 10, poll: 1h } }
sdks: [rust, go-v2-2025]
limits: [{ name: kerberos, window: 5m }, { name: "true", window: 24h }]
alerts:
  boot_grace: 0s
  clock-skew: { enabled: false, warning: 1ms, critical: 1ms, for: 24h }
  credential-expiring: { warning: 0s, critical: 0s }
  source-unreachable: { for: 1m }
channels:
  - name: "0"
    webhook: { url: "https://ops.example:8443/a", headers: { Authorization: "file:/etc/a: b", X-A: env:A }, secret: env:B }
telemetry: { otlp: { endpoint: "https://otlp.example", headers: { X-B: env:C }, interval: 1h, timeout: 50ms } }
socket: "/run/a b#c.sock"
"#;

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
            assert_eq!(format!("{:?}", again.sources), format!("{:?}", config.sources));
            assert_eq!(format!("{:?}", again.imds), format!("{:?}", config.imds));
            assert_eq!(format!("{:?}", again.alerts), format!("{:?}", config.alerts));
            assert_eq!((&again.sdks, &again.limits, &again.socket), (&config.sdks, &config.limits, &config.socket));
            for (again, config) in again.channels.iter().zip(&config.channels) {
                assert!(again == config);
            }
            let parts = |config: &Config| {
                config.otlp.as_ref().map(|o| (o.endpoint.clone(), o.headers.clone(), o.interval, o.timeout))
            };
            assert_eq!(parts(&again), parts(&config));
        }
    }

    #[test]
    fn what_may_be_secret_in_a_url_is_masked() {
        for (url, shown) in [
            ("https://ops.example/hook", "https://ops.example/hook"),
            ("https://u:hunter2@ops.example", "https://***@ops.example"),
            ("https://u:hunt@er2@ops.example/a@b", "https://***@ops.example/a@b"),
            ("http://[::1]:80/a?token=hunter2&x=1&hunter2", "http://[::1]:80/a?token=***&x=***&***"),
            ("http://a?b=http://c@d/", "http://a?b=***"),
            ("http://a/#hunter2", "http://a/#***"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let text = "channels: [{ name: a, webhook: { url: 'https://u:hunter2@h/?k=hunter2', secret: env:HOOK } }]\n\
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
