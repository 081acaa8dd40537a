//! What variables and the profile say of the metadata service: whether SDKs ask it, where, and through which proxy.

use reqwest::Url;

use super::probe::shown;
use super::proxy::{ProxyEnv, swallows};
use crate::aws::processes::library::Library;
use crate::aws::proxy::Rule;
use crate::aws::sdk::Sdk;
use crate::doctor::report::{Area, Check};

/// Keeps SDKs from asking at all.
pub(super) const DISABLED: &str = "AWS_EC2_METADATA_DISABLED";
/// Keeps SDKs from falling back on IMDSv1.
pub(super) const V1_DISABLED: Setting = Setting("AWS_EC2_METADATA_V1_DISABLED", "ec2_metadata_v1_disabled");
/// How often SDKs try.
pub(super) const ATTEMPTS: Setting = Setting("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts");
/// How many seconds SDKs wait.
pub(super) const TIMEOUT: Setting = Setting("AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout");
const ENDPOINT: Setting = Setting("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
const MODE: Setting = Setting("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode");

const IPV4: &str = "http://169.254.169.254";
const IPV6: &str = "http://[fd00:ec2::254]";

/// A variable, and the key of `~/.aws/config` that means the same where the variable is not set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting(&'static str, &'static str);

impl Setting {
    /// The variable.
    pub(super) const fn variable(self) -> &'static str {
        self.0
    }
}

/// Looks up the value of a name.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What surrounds the process whose requests are judged.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Whose variables they are, such as `this shell` or `process 4242`.
    pub whose: &'a str,
    /// The variables.
    pub env: Lookup<'a>,
    /// The keys of its profile in `~/.aws/config`, where that can be read.
    pub profile: Option<Lookup<'a>>,
    /// The libraries that are in use; empty where they are not known.
    pub libraries: &'a [Library],
    /// Where SDKs find credentials before they would ask the metadata service, such as `the web identity token`. It must be
    /// a place where they are renewed: keys that somebody exported do not tell what services on this host use.
    pub elsewhere: Option<&'a str>,
}

impl Surroundings<'_> {
    /// What a setting says, and by which name; an empty text says nothing.
    pub(super) fn setting(&self, setting: Setting) -> Option<(&'static str, String)> {
        let Setting(variable, key) = setting;
        let by_variable = (self.env)(variable).filter(|value| !value.is_empty()).map(|value| (variable, value));
        let by_key = || Some((key, self.profile?(key).filter(|value| !value.is_empty())?));
        by_variable.or_else(by_key)
    }

    /// The setting as `NAME=value`, or its default.
    pub(super) fn told(&self, setting: Setting, default: &str) -> String {
        self.setting(setting).map_or_else(
            || format!("{} is not set: {default}", setting.variable()),
            |(name, value)| format!("{name}={}", printable(&value)),
        )
    }

    /// Whether a variable keeps SDKs from asking. They take nothing but `true` for yes, in any case.
    pub(super) fn is_disabled(&self) -> bool {
        (self.env)(DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// Where SDKs ask.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// The text that names it; where it is no URL of a host, SDKs fail.
    text: String,
    url: Option<Url>,
    /// The variable or key that names it; `None` where it is the usual one.
    by: Option<&'static str>,
    /// Another setting, which this one overrides.
    overrides: Option<&'static str>,
}

impl Endpoint {
    /// What SDKs make of the settings: an endpoint wins over its mode.
    pub(super) fn of(around: &Surroundings<'_>) -> Self {
        let mode = around.setting(MODE);
        let (text, by, overrides) = match (around.setting(ENDPOINT), mode) {
            (Some((by, text)), mode) => (text, Some(by), mode.map(|(by, _)| by)),
            (None, Some((by, mode))) if mode.eq_ignore_ascii_case("ipv6") => (IPV6.to_owned(), Some(by), None),
            (None, Some((by, mode))) if !mode.eq_ignore_ascii_case("ipv4") => (mode, Some(by), None),
            (None, _) => (IPV4.to_owned(), None, None),
        };
        let url = Url::parse(&text).ok().filter(Url::has_host);
        Self { text, url, by, overrides }
    }

    /// The endpoint for people, without what may be a password.
    fn shown(&self) -> String {
        self.url.as_ref().map_or_else(|| printable(&self.text), shown)
    }

    /// Whether it is one of the two addresses that the service has on every instance.
    pub(super) fn is_usual(&self) -> bool {
        [IPV4, IPV6].contains(&self.shown().as_str())
    }

    /// The setting that names an endpoint other than the usual ones.
    pub(super) fn named_by(&self) -> Option<&'static str> {
        self.by.filter(|_| !self.is_usual())
    }

    /// Whether a setting has led SDKs away to `asked`, which is whom the doctor asked.
    pub(super) fn is_astray(&self, asked: &str) -> bool {
        self.named_by().is_some() && self.shown() == asked
    }

    /// How to go back to the usual endpoint.
    fn undo(&self) -> String {
        match self.by {
            Some(key) if key.starts_with("AWS_") => format!("unset {key}"),
            Some(key) => format!("remove {key} from ~/.aws/config"),
            None => String::new(),
        }
    }

    /// The check of where SDKs ask; `asked` is whom the doctor asked, and `answers` whether that one is the service.
    pub(super) fn check(&self, asked: &str, answers: bool, around: &Surroundings<'_>) -> Check {
        const NAME: &str = "imds-endpoint";
        let (endpoint, whose) = (self.shown(), around.whose);
        let evidence = self.by.map(|by| format!("{by} names {endpoint}"));
        let overridden = self.overrides.map(|by| format!("{by} is set as well, and counts for nothing"));
        let evidence = evidence.into_iter().chain(overridden);
        let by = self.by.unwrap_or_default();
        let failing = "SDKs ask there and nowhere else, and find no credentials.";
        let check = if self.url.is_none() {
            let summary = format!("{by} of {whose} says {endpoint}, which is no endpoint");
            Check::problem(Area::Imds, NAME, summary, failing, self.undo())
        } else if endpoint != asked {
            let summary = format!("SDKs ask {endpoint}, and skewguard asks {asked}");
            let effect = "What is said here of the metadata service holds for another one than SDKs ask.";
            let remedy = format!("set credentials.imds.endpoint of skewguard to {endpoint}, or remove what differs");
            Check::warning(Area::Imds, NAME, summary, effect, remedy)
        } else if self.is_usual() {
            Check::ok(Area::Imds, NAME, format!("SDKs ask {endpoint}"))
        } else if answers {
            Check::ok(Area::Imds, NAME, format!("{by} sends SDKs to {endpoint}, which answers"))
        } else {
            let summary = format!("{by} of {whose} sends SDKs to {endpoint}, where no metadata service answers");
            Check::problem(Area::Imds, NAME, summary, failing, self.undo())
        };
        check.with_evidence(evidence)
    }

    /// The check of proxies between SDKs and this endpoint.
    pub(super) fn proxy_check(&self, around: &Surroundings<'_>) -> Check {
        const NAME: &str = "imds-proxy";
        let env = ProxyEnv::new(around.env);
        let told = env.told();
        let Some(url) = self.url.as_ref().filter(|url| url.scheme() == "http") else {
            return Check::skipped(Area::Imds, NAME, "the endpoint is not asked by plain HTTP");
        };
        if told.is_empty() {
            return Check::ok(Area::Imds, NAME, format!("no proxy is set in {}", around.whose));
        }
        let through = |library: &Library| swallows(library.proxy(), &env, url);
        // One that is not known to be in use is no reason to alarm anybody where its users are few.
        let usual: Vec<Library> = Sdk::usual().into_iter().map(Library::Sdk).collect();
        let judged = if around.libraries.is_empty() { &usual } else { around.libraries };
        let swallowed: Vec<Library> = judged.iter().copied().filter(through).collect();
        let current = || Sdk::current().map(Library::Sdk);
        let evidence = told.into_iter().chain([
            format!("through the proxy: {}", names(current().filter(through))),
            format!("directly: {}", names(current().filter(|library| !through(library)))),
            format!("curl asks {}", if swallows(Rule::Curl, &env, url) { "through the proxy" } else { "directly" }),
        ]);
        let check = if swallowed.is_empty() {
            Check::ok(Area::Imds, NAME, format!("the proxy of {} is not asked for the metadata service", around.whose))
        } else {
            let summary = format!(
                "the proxy variables of {} send the requests of {} for {} through a proxy",
                around.whose,
                names(swallowed.into_iter()),
                shown(url)
            );
            let effect = "The proxy cannot reach the metadata service of this instance: those SDKs find no credentials \
                          or those of the proxy's own host.";
            Check::problem(Area::Imds, NAME, summary, effect, env.remedy(url))
        };
        check.with_evidence(evidence)
    }
}

fn names(libraries: impl Iterator<Item = Library>) -> String {
    let names: Vec<_> = libraries
        .map(|library| match library {
            Library::Sdk(Sdk::Rust) => "rust (from behavior version 2025-08-07)",
            library => library.name(),
        })
        .collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The check of what keeps SDKs from asking at all. `is_needed` is whether there is an instance to ask.
pub(super) fn enabled(around: &Surroundings<'_>, is_needed: bool) -> Check {
    const NAME: &str = "imds-enabled";
    let value = (around.env)(DISABLED).filter(|value| !value.is_empty());
    let evidence: Vec<_> = value.iter().map(|value| format!("{DISABLED}={}", printable(value))).collect();
    let check = if !around.is_disabled() {
        Check::ok(Area::Imds, NAME, format!("no variable of {} keeps SDKs from the metadata service", around.whose))
    } else if is_needed {
        let summary = format!("{DISABLED} of {} keeps SDKs from asking the metadata service", around.whose);
        let effect = "SDKs find no credentials of the instance role, whatever else is right.";
        Check::problem(Area::Imds, NAME, summary, effect, format!("unset {DISABLED}"))
    } else {
        Check::ok(Area::Imds, NAME, format!("{DISABLED} spares SDKs a service that is not there"))
    };
    check.with_evidence(evidence)
}

/// A text without what could steer a terminal, 128 characters at most.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(128).collect()
}
