//! What is wrong with the instance metadata service. One check tells the cause, and the others refer to it.

use super::cause::{Cause, speaks_version_1_alone};
use super::probe::{Facts, Reach};
use super::role;
use super::settings::{ATTEMPTS, Endpoint, TIMEOUT, V1_DISABLED, enabled};
pub use super::settings::{Lookup, Surroundings};
use crate::aws::processes::library::Library;
use crate::aws::sdk::Sdk;
use crate::credentials::Provider;
use crate::credentials::imds::client::EC2;
use crate::credentials::lease::Unavailable;
use crate::doctor::report::{Area, Check, Verdict};
use crate::time::{Span, humane, humane_offset};

const ENABLED: &str = "imds-enabled";
const ENDPOINT: &str = "imds-endpoint";
const REACHABLE: &str = "imds-reachable";
const HOP_LIMIT: &str = "imds-hop-limit";
const THROTTLING: &str = "imds-throttling";
const SERVER: &str = "imds-server";
/// From here on the clock of the service contradicts that of the system, whose difference is known to a second.
const CLOCKS_DIFFER: Span = Span::from_nanos(2_000_000_000);
/// As often, and for as many seconds, an SDK tries that outlasts a busy minute of the service.
const PATIENT: f64 = 5.0;

/// Judges what was found out of the metadata service, in the order in which people should look at it.
///
/// Nothing is wrong with it for SDKs that find credentials, which somebody renews, before they would ask the service; what
/// is found then is told as skipped.
///
/// A service that has never given anything is a warning at most to the agent, whom nobody has asked. Here somebody has, who
/// has an error in his hands: what keeps requests from being signed is a problem.
pub fn check(facts: &Facts, around: &Surroundings<'_>) -> Vec<Check> {
    let case = Case::new(facts, around);
    let checks = [
        case.enabled(),
        case.endpoint.check(&facts.endpoint, case.cause.is_none_or(Cause::is_of_the_service), around),
        case.proxy(),
        case.reachable(),
        case.version(),
        case.hop_limit(),
        case.throttling(),
        case.role(),
        case.server(),
    ];
    checks.into_iter().map(|check| unless_elsewhere(check, around.elsewhere)).collect()
}

fn unless_elsewhere(check: Check, elsewhere: Option<&str>) -> Check {
    match elsewhere {
        Some(elsewhere) if check.verdict >= Verdict::Warning => {
            let summary = format!("{}; SDKs find credentials before that: {elsewhere}", check.summary);
            Check::skipped(check.area, &check.name, summary).with_evidence(check.evidence)
        }
        _ => check,
    }
}

struct Case<'a> {
    facts: &'a Facts,
    around: &'a Surroundings<'a>,
    endpoint: Endpoint,
    cause: Option<Cause>,
    /// The check that tells the cause.
    told_by: &'static str,
    instance: &'a str,
}

impl<'a> Case<'a> {
    fn new(facts: &'a Facts, around: &'a Surroundings<'a>) -> Self {
        let endpoint = Endpoint::of(around);
        let cause = Cause::of(facts);
        let told_by = match cause {
            Some(Cause::Unreachable | Cause::Silent | Cause::Stranger) if endpoint.is_astray(&facts.endpoint) => {
                ENDPOINT
            }
            None | Some(Cause::Unreachable | Cause::Silent | Cause::Stranger) => REACHABLE,
            Some(Cause::HopLimit) => HOP_LIMIT,
            Some(Cause::Off) => ENABLED,
            Some(Cause::Forwarded) => SERVER,
            Some(Cause::Throttled) => THROTTLING,
        };
        Self { facts, around, endpoint, cause, told_by, instance: facts.instance_id.as_deref().unwrap_or("<id>") }
    }

    /// Why there is no metadata service to judge; `None` where there is one, or should be.
    fn absence(&self) -> Option<&'static str> {
        // Other clouds have a service of their own at this address, which refuses what it does not know.
        let server = self.facts.answerer.as_ref().and_then(|answerer| answerer.server.as_deref());
        let is_elsewhere =
            self.facts.is_ec2 == Some(false) && server != Some(EC2) && self.endpoint.named_by().is_none();
        if self.cause.is_none_or(|cause| cause.is_of_the_service() && !is_elsewhere) {
            return None;
        }
        match self.facts.is_ec2 {
            Some(false) => Some("this is no EC2 instance"),
            None if self.around.is_disabled() => Some("nothing speaks for an EC2 instance"),
            Some(true) | None => None,
        }
    }

    fn see(&self, name: &str) -> Check {
        let why = self
            .absence()
            .map_or_else(|| format!("the metadata service hands nothing out: see {}", self.told_by), str::to_owned);
        Check::skipped(Area::Imds, name, why)
    }

    fn modify(&self, options: &str) -> String {
        format!("aws ec2 modify-instance-metadata-options --instance-id {} {options}", self.instance)
    }

    fn statuses(&self) -> Vec<String> {
        let open = self.facts.open.as_ref().map(|open| format!("GET without a token: {}", said(open)));
        let token = self.facts.token.as_ref().map(|token| format!("PUT for a token: {}", said(token)));
        open.into_iter().chain(token).collect()
    }

    fn enabled(&self) -> Check {
        if self.cause != Some(Cause::Off) || self.absence().is_some() {
            return enabled(self.around, self.absence().is_none());
        }
        let effect = "No SDK on this instance gets the credentials of its role.";
        let remedy = self.modify("--http-endpoint enabled");
        Check::problem(Area::Imds, ENABLED, "the metadata service of this instance is turned off", effect, remedy)
            .with_evidence(self.statuses())
    }

    fn proxy(&self) -> Check {
        match self.absence() {
            Some(_) => self.see("imds-proxy"),
            None => self.endpoint.proxy_check(self.around),
        }
    }

    fn reachable(&self) -> Check {
        let endpoint = &self.facts.endpoint;
        let (summary, remedy) = match self.cause {
            Some(Cause::Unreachable) => (format!("{} {endpoint}", unreachable(self.facts.reach)), self.way()),
            Some(Cause::Silent) => (format!("{endpoint} accepts connections and answers no request"), self.voice()),
            Some(Cause::Stranger) => {
                let reason = self.facts.token.as_ref().and_then(|token| token.as_ref().err());
                let text = reason.map_or_else(String::new, ToString::to_string);
                let remedy = reason.map_or("", |reason| reason.remedy(Provider::Imds)).replace("<id>", self.instance);
                (format!("what answers at {endpoint} is not the metadata service of EC2: {text}"), remedy)
            }
            _ if self.absence().is_some() => return self.see(REACHABLE),
            None | Some(Cause::HopLimit | Cause::Off | Cause::Forwarded | Cause::Throttled) => {
                let slowest = self.facts.requests.iter().filter(|request| request.outcome != "timeout");
                let slowest = slowest.map(|request| request.duration).max().unwrap_or_default();
                let slowest = humane(Span::from_duration(slowest));
                return Check::ok(Area::Imds, REACHABLE, format!("{endpoint} answers, at the slowest in {slowest}"));
            }
        };
        if self.told_by == ENDPOINT {
            return self.see(REACHABLE);
        }
        let effect = "SDKs find no credentials of the instance role, and each waits for its timeout first.";
        let check = match (self.absence(), self.facts.is_ec2) {
            (Some(absence), _) => Check::skipped(Area::Imds, REACHABLE, format!("{absence}: {summary}")),
            (None, Some(_)) => Check::problem(Area::Imds, REACHABLE, summary, effect, remedy),
            (None, None) => {
                let summary = format!("{summary}; nothing tells whether this is an EC2 instance");
                Check::warning(Area::Imds, REACHABLE, summary, effect, remedy)
            }
        };
        check.with_evidence(self.statuses()).with_evidence(&self.facts.container)
    }

    /// What to do where no connection comes about.
    fn way(&self) -> String {
        let host = self.facts.endpoint.trim_start_matches("http://").trim_matches(['[', ']']);
        match self.facts.reach {
            Reach::Unresolved | Reach::NoEndpoint => "correct credentials.imds.endpoint of skewguard".to_owned(),
            Reach::NoRoute if host.contains("fd00:ec2") => self.modify("--http-protocol-ipv6 enabled"),
            Reach::NoRoute => {
                format!("ip route get {host} shows the route; the default route must lead out of the instance")
            }
            Reach::Refused | Reach::Forbidden => format!(
                "look for the firewall rule that rejects {host} and remove it: iptables-save | grep {host}; nft list \
                 ruleset"
            ),
            Reach::Connected | Reach::Silent | Reach::Failed => format!(
                "look for what drops packets to {host}: iptables-save | grep {host}; nft list ruleset; kubectl get \
                 networkpolicy -A; then ethtool -S <interface> | grep linklocal_allowance_exceeded"
            ),
        }
    }

    /// What to do where connections come about and no answers.
    fn voice(&self) -> String {
        if self.facts.container.is_empty() {
            return self.way();
        }
        let hops = self.modify("--http-put-response-hop-limit 2 --http-endpoint enabled");
        format!("{hops}; if it is still silent, {}", self.way())
    }

    fn version(&self) -> Check {
        const NAME: &str = "imds-version";
        if self.cause.is_some() {
            return self.see(NAME);
        }
        if speaks_version_1_alone(self.facts) {
            return self.version_1();
        }
        match &self.facts.open {
            Some(Ok(())) => Check::ok(Area::Imds, NAME, "version 2 works, and version 1 is possible").with_evidence([
                format!("to demand version 2: {}", self.modify("--http-tokens required")),
                self.around.told(V1_DISABLED, "SDKs may fall back on version 1"),
            ]),
            Some(Err(Unavailable::Http(401))) => Check::ok(Area::Imds, NAME, "version 2 works, and it is required"),
            open => {
                let open = open.as_ref().map_or_else(|| "nothing".to_owned(), said);
                Check::ok(Area::Imds, NAME, format!("version 2 works; the answer without a token is {open}"))
            }
        }
    }

    /// What imitates the service, and knows no tokens.
    fn version_1(&self) -> Check {
        const NAME: &str = "imds-version";
        let without: Vec<&str> = [Library::Sdk(Sdk::Rust)]
            .into_iter()
            .filter(|one| self.around.libraries.contains(one))
            .map(Library::name)
            .collect();
        let is_forbidden =
            self.around.setting(V1_DISABLED).is_some_and(|(_, value)| value.trim().eq_ignore_ascii_case("true"));
        let told = self.around.told(V1_DISABLED, "SDKs fall back on version 1");
        let summary = "what answers speaks version 1 alone, on which SDKs fall back, but for that of Rust";
        let effect = "They ask for a token, get none, and find no credentials of the instance role.";
        let remedy = "let what answers in the place of EC2 speak version 2, or take it away: iptables-save -t nat | grep \
                      169.254.169.254";
        let check = if is_forbidden {
            let summary =
                format!("what answers speaks version 1 alone, and {} forbids SDKs to use it", V1_DISABLED.variable());
            Check::problem(Area::Imds, NAME, summary, effect, remedy)
        } else if !without.is_empty() {
            let summary = format!("what answers speaks version 1 alone, which {} does not", without.join(", "));
            Check::problem(Area::Imds, NAME, summary, effect, remedy)
        } else {
            Check::ok(Area::Imds, NAME, summary)
        };
        check.with_evidence(self.statuses()).with_evidence([told])
    }

    fn hop_limit(&self) -> Check {
        match self.cause {
            _ if self.absence().is_some() => self.see(HOP_LIMIT),
            None if speaks_version_1_alone(self.facts) => {
                Check::ok(Area::Imds, HOP_LIMIT, "no answer brings a token, so that no hop limit keeps it away")
            }
            None => Check::ok(Area::Imds, HOP_LIMIT, "the answer with the token arrives here")
                .with_evidence(&self.facts.container),
            Some(Cause::HopLimit) => {
                let place = if self.facts.container.is_empty() { "here" } else { "in this container" };
                let summary = format!(
                    "the answer with the token does not arrive {place}, and others do: the hop limit is too low"
                );
                let effect = "SDKs wait for a token until they time out, and find no credentials.";
                let remedy = self.modify("--http-put-response-hop-limit 2 --http-endpoint enabled");
                let tries = self.facts.requests.iter().filter(|request| request.outcome == "timeout").count();
                let patience = humane(Span::from_duration(self.facts.patience));
                let fallback = matches!(self.facts.open, Some(Ok(())))
                    .then(|| self.around.told(V1_DISABLED, "some SDKs fall back on version 1 after their timeout"));
                Check::problem(Area::Imds, HOP_LIMIT, summary, effect, remedy)
                    .with_evidence(self.statuses())
                    .with_evidence([format!("no answer within {patience}, {tries} times")])
                    .with_evidence(&self.facts.container)
                    .with_evidence(fallback)
            }
            Some(_) => self.see(HOP_LIMIT),
        }
    }

    fn throttling(&self) -> Check {
        if self.absence().is_some() {
            return self.see(THROTTLING);
        }
        let requests = &self.facts.requests;
        let is_throttled = |outcome: &str| outcome == "http-429" || outcome.starts_with("http-5");
        let throttled: Vec<_> = requests.iter().filter(|request| is_throttled(&request.outcome)).collect();
        let (count, all) = (throttled.len(), requests.len());
        let Some(first) = throttled.first() else {
            return match self.cause {
                Some(cause) if !cause.is_of_the_service() => self.see(THROTTLING),
                _ => Check::ok(Area::Imds, THROTTLING, format!("none of {all} requests was throttled")),
            };
        };
        let status = first.outcome.replace('-', " ");
        let summary = format!("{count} of {all} requests to the metadata service were throttled ({status})");
        let remedy = format!(
            "export {}=5 {}=5; let applications share one client, which keeps its credentials, and find the process \
             that asks too often: ss -tnp dst {}",
            ATTEMPTS.variable(),
            TIMEOUT.variable(),
            self.facts.endpoint.trim_start_matches("http://")
        );
        let is_patient = [ATTEMPTS, TIMEOUT].into_iter().all(|setting| {
            self.around
                .setting(setting)
                .and_then(|(_, value)| value.parse::<f64>().ok())
                .is_some_and(|value| value >= PATIENT)
        });
        let check = if is_patient && count < all {
            let effect = "SDKs try often enough to get through, and are slow while they do.";
            Check::warning(Area::Imds, THROTTLING, summary, effect, remedy)
        } else {
            let effect = "An SDK that tries once takes the first refusal for an instance without credentials.";
            Check::problem(Area::Imds, THROTTLING, summary, effect, remedy)
        };
        check.with_evidence([
            self.around.told(ATTEMPTS, "SDKs try once"),
            self.around.told(TIMEOUT, "SDKs wait for one second"),
        ])
    }

    fn role(&self) -> Check {
        const NAME: &str = "imds-role";
        if self.cause.is_some() { self.see(NAME) } else { role::check(self.facts, self.instance) }
    }

    fn server(&self) -> Check {
        if self.absence().is_some() {
            return self.see(SERVER);
        }
        if self.cause == Some(Cause::Forwarded) {
            let effect = "No SDK gets a token, and with it no credentials.";
            let remedy = "find the proxy between this host and the metadata service, and let it pass requests without \
                          X-Forwarded-For, or take it away: iptables-save -t nat | grep 169.254.169.254";
            let summary = "the token is forbidden while other requests are answered, as if a proxy forwarded them";
            return Check::problem(Area::Imds, SERVER, summary, effect, remedy).with_evidence(self.statuses());
        }
        let answerer = match &self.facts.answerer {
            Some(answerer) if self.cause.is_none_or(Cause::is_of_the_service) => answerer,
            _ => return self.see(SERVER),
        };
        let server = answerer.server.as_deref();
        let named = server.map_or_else(|| "nobody".to_owned(), |server| format!("Server: {server}"));
        let check = match server {
            Some(EC2) if !answerer.is_relayed => Check::ok(Area::Imds, SERVER, format!("{EC2} answers")),
            None if !answerer.is_relayed => {
                Check::skipped(Area::Imds, SERVER, "the one who answers does not name itself")
            }
            _ if self.endpoint.named_by().is_some() => Check::ok(
                Area::Imds,
                SERVER,
                format!("what answers at {} is as configured: {named}", self.facts.endpoint),
            ),
            _ => {
                let via = if answerer.is_relayed { " and Via" } else { "" };
                let summary = format!("something else answers in the place of {EC2} ({named}{via})");
                let effect = "Credentials come through a program that may delay, mix up or withhold them.";
                let remedy = "find it: iptables-save -t nat | grep 169.254.169.254; ss -ltnp";
                Check::warning(Area::Imds, SERVER, summary, effect, remedy)
            }
        };
        let clock = self.facts.offset.filter(|offset| offset.span().abs() >= CLOCKS_DIFFER);
        check.with_evidence(
            clock.map(|offset| format!("by its Date header the system clock is {}", humane_offset(offset))),
        )
    }
}

const fn unreachable(reach: Reach) -> &'static str {
    match reach {
        Reach::Refused => "nobody accepts connections at",
        Reach::NoRoute => "there is no route to",
        Reach::Forbidden => "this host's own firewall forbids connections to",
        Reach::Silent => "there is no answer from",
        Reach::Unresolved => "there is no address for the name of",
        Reach::NoEndpoint => "nobody can be asked at",
        Reach::Connected | Reach::Failed => "no connection comes about with",
    }
}

/// What came of one request, for people.
fn said(result: &Result<(), Unavailable>) -> String {
    match result {
        Ok(()) => "http 200".to_owned(),
        Err(Unavailable::Forbidden) => "http 403".to_owned(),
        Err(Unavailable::Http(status) | Unavailable::Throttled(status) | Unavailable::Redirect(status)) => {
            format!("http {status}")
        }
        Err(reason) => reason.to_string(),
    }
}
