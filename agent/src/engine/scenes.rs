//! Scenes of what expires on one host, played through the whole engine in invented time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{Engine, Event, Image};
use crate::alert::machine::{Change, Transition};
use crate::assess::finding::{Kind, Severity};
use crate::clock::sample::{Sample, Timestamps};
use crate::config::checked::Config;
use crate::config::load::parse;
use crate::credentials::Provider;
use crate::credentials::lease::{Lease, Unavailable};
use crate::credentials::round::{self, Round};
use crate::credentials::timestamp::Timestamp;
use crate::sources::poller::Polled;
use crate::time::{Anchor, BootTime, Reading, Span, SystemTime, TrueTime};

const DAY: f64 = 86_400.0;
/// 2026-11-01, the true time at which every scene begins.
const BEGIN: f64 = 1_793_491_200.0;
/// One trusted source and the homes of two users.
const CONFIGURATION: &str = "
sources: [{ name: time, ntp: 169.254.169.123, trusted: true }]
credentials: { homes: [/home/alice, /home/bob], web_identity: { token_file: /token } }
alerts: { boot_grace: 0s, credential-refresh-margin: { for: 0s } }
";

/// A host, its clocks and what is told of it.
struct Scene {
    engine: Engine,
    config: Arc<Config>,
    /// Seconds since it was booted, which was at [`BEGIN`].
    at: f64,
    /// True minus system time.
    offset: f64,
    told: Vec<Transition>,
}

impl Scene {
    /// A host whose clock is behind by so many seconds.
    fn slow_by(offset: f64) -> Self {
        let config = Arc::new(parse(CONFIGURATION, Path::new("scene.yaml"), &|_| None).unwrap());
        let reading = Reading { boot: BootTime::ZERO, system: SystemTime::from_seconds(BEGIN - offset) };
        Self { engine: Engine::new(Arc::clone(&config), reading), config, at: 0.0, offset, told: Vec::new() }
    }

    fn reading(&self) -> Reading {
        let system = SystemTime::from_seconds(BEGIN + self.at - self.offset);
        Reading { boot: BootTime::from_seconds(self.at), system }
    }

    fn handle(&mut self, event: Event) {
        let reaction = self.engine.handle(event, self.reading());
        self.told.extend(reaction.transitions);
    }

    /// The source says what time it is, off by so many seconds.
    fn hear(&mut self, lie: f64) {
        let sample = Sample {
            at: self.reading().boot,
            anchor: Anchor::from_seconds(BEGIN + lie),
            delay: Span::from_seconds(1e-3),
            root_delay: Span::from_seconds(1e-3),
            root_dispersion: Span::from_seconds(1e-3),
            precision: Span::from_nanos(1_000),
            stratum: Some(1),
            timestamps: Timestamps::Kernel,
        };
        self.handle(Event::Source(Polled { source: 0, address: None, result: Ok(sample) }));
    }

    /// So many seconds pass, in which the source is heard every sixteen.
    fn pass(&mut self, seconds: f64) {
        let end = self.at + seconds;
        while self.at < end {
            self.at = end.min(self.at + 16.0);
            self.hear(0.0);
        }
    }

    fn read_all(&mut self, provider: Provider, readings: Vec<round::Reading>) {
        let round = Round::of(readings);
        self.handle(Event::Credential(round::Polled { provider, round }));
    }

    fn read(&mut self, provider: Provider, result: Result<Lease, Unavailable>) {
        self.read_all(provider, vec![round::Reading { slot: String::new(), result }]);
    }

    /// The agent ends and another begins, in the same boot of the host or another.
    fn begin_again(&mut self, same_boot: bool) {
        let text = serde_json::to_string(&self.engine.image()).unwrap();
        let image: Image = serde_json::from_str(&text).unwrap();
        self.engine = Engine::restore(Arc::clone(&self.config), image, self.reading(), same_boot);
    }

    fn states(&self) -> BTreeMap<String, String> {
        let credentials = self.engine.snapshot(self.reading()).credentials.into_iter();
        credentials.map(|one| (format!("{} {}", one.provider, one.identity), one.state)).collect()
    }

    fn findings(&self) -> Vec<(Kind, Severity)> {
        let findings = self.engine.snapshot(self.reading()).findings.into_iter();
        let of_credentials = findings.filter(|one| one.alert.name().starts_with("credential"));
        of_credentials.map(|one| (one.alert, one.severity)).collect()
    }

    /// How bad what fires of credentials is.
    fn firing(&self) -> Vec<(Kind, Severity)> {
        let mut firing = BTreeMap::new();
        for one in self.told.iter().filter(|one| one.kind.name().starts_with("credential")) {
            match one.change {
                Change::Resolved => firing.remove(&(one.kind, one.subject.clone())),
                Change::Firing | Change::Repeated => firing.insert((one.kind, one.subject.clone()), one.severity),
            };
        }
        firing.into_iter().map(|((kind, _), severity)| (kind, severity)).collect()
    }
}

/// A lease that ends so many true seconds after the beginning.
fn until(identity: &str, seconds: f64) -> Lease {
    let expiration = Some(Timestamp::Server(TrueTime::from_seconds(BEGIN + seconds)));
    Lease { identity: identity.to_owned(), code: None, kind: None, last_updated: None, expiration }
}

#[cfg(unix)]
#[test]
fn a_profile_that_is_read_before_the_time_is_known_is_judged_once_it_is() {
    // By the wrong clock it ended a month ago, and it is in use.
    let mut fast = Scene::slow_by(-30.0 * DAY);
    fast.read(Provider::SharedFile, Ok(until("night", 600.0)));
    fast.pass(64.0);
    assert_eq!(fast.findings(), [(Kind::CredentialExpiring, Severity::Warning)]);
    // By the wrong clock it has a month to go, and nobody has used it for ten days.
    let mut slow = Scene::slow_by(40.0 * DAY);
    slow.read(Provider::SharedFile, Ok(until("old", -10.0 * DAY)));
    slow.pass(64.0);
    assert_eq!(slow.findings(), []);
}

#[cfg(unix)]
#[test]
fn who_is_in_use_is_judged_anew_when_the_time_turns_out_to_be_another_one() {
    let mut scene = Scene::slow_by(0.0);
    // The first to be heard is wrong by a month.
    for _ in 0..4 {
        scene.at += 16.0;
        scene.hear(-30.0 * DAY);
    }
    scene.read(Provider::SharedFile, Ok(until("old", -10.0 * DAY)));
    assert_eq!(scene.findings(), []);
    scene.at += 3.0 * DAY;
    for lie in [-9.5 * DAY, 0.0] {
        for _ in 0..16 {
            scene.at += 16.0;
            scene.hear(lie);
        }
        // It ended so many days before it was seen, as far as this tells.
        let expected: &[_] = if lie < 0.0 { &[(Kind::CredentialExpiring, Severity::Critical)] } else { &[] };
        assert_eq!(scene.findings(), expected, "{lie}");
    }
}

#[cfg(unix)]
#[test]
fn what_another_process_saw_before_the_time_was_known_is_judged_by_when_it_was_seen() {
    let mut scene = Scene::slow_by(-30.0 * DAY);
    scene.read(Provider::SharedFile, Ok(until("night", 600.0)));
    scene.begin_again(true);
    scene.at += 2.0 * DAY;
    scene.read(Provider::SharedFile, Ok(until("night", 600.0)));
    scene.pass(64.0);
    assert_eq!(scene.findings(), [(Kind::CredentialExpiring, Severity::Critical)], "it ended while it was watched");
}

#[cfg(unix)]
#[test]
fn without_the_time_nobody_says_that_a_credential_is_valid() {
    let mut scene = Scene::slow_by(0.0);
    scene.read(Provider::SharedFile, Ok(until("night", -21.0 * DAY)));
    scene.read(Provider::Imds, Ok(until("web", 3_600.0)));
    let state = |name: &str, state: &str| (name.to_owned(), state.to_owned());
    let unverified = [state("imds web", "unverified"), state("shared-file night", "unverified")];
    assert_eq!(scene.states(), BTreeMap::from(unverified));
    scene.pass(64.0);
    let verified = [state("imds web", "valid"), state("shared-file night", "expired")];
    assert_eq!(scene.states(), BTreeMap::from(verified));
}

#[cfg(unix)]
#[test]
fn a_lag_around_the_second_from_which_it_is_judged_does_not_make_an_alert_flap() {
    let mut scene = Scene::slow_by(0.0);
    let config = CONFIGURATION.to_owned() + "sdks: [java-v2-2025]\n";
    scene.engine.reload(Arc::new(parse(&config, Path::new("scene.yaml"), &|_| None).unwrap()), scene.reading());
    scene.pass(64.0);
    scene.read(Provider::Imds, Ok(until("web", DAY)));
    let mut told = Vec::new();
    for lag in [0.99, 1.01, 0.99, 1.01, 0.9, 1.02, 0.95, 1.01, 0.7, 0.9] {
        scene.offset = lag;
        scene.pass(16.0);
        let margin = scene.told.drain(..).filter(|one| one.kind == Kind::CredentialRefreshMargin);
        told.extend(margin.map(|one| (lag, one.change, one.severity)));
    }
    let expected = [(1.01, Change::Firing, Severity::Critical), (0.7, Change::Resolved, Severity::Critical)];
    assert_eq!(told, expected);
}

#[cfg(unix)]
#[test]
fn a_lead_around_a_lifetime_does_not_make_an_alert_flap() {
    let mut scene = Scene::slow_by(0.0);
    scene.pass(64.0);
    let issued = Some(Timestamp::Server(TrueTime::from_seconds(BEGIN + 60.0)));
    scene.read(Provider::Imds, Ok(Lease { last_updated: issued, ..until("web", 60.0 + 21_600.0) }));
    let mut told = Vec::new();
    for lead in [20_990.0, 21_010.0, 20_990.0, 21_010.0, 21_590.0, 21_610.0, 21_590.0, 21_610.0, 20_800.0] {
        scene.offset = -lead;
        scene.pass(16.0);
        let margin = scene.told.drain(..).filter(|one| one.kind == Kind::CredentialRefreshMargin);
        told.extend(margin.map(|one| (lead, one.change, one.severity)));
    }
    let expected = [
        (21_010.0, Change::Firing, Severity::Warning),
        (21_610.0, Change::Firing, Severity::Critical),
        (20_800.0, Change::Resolved, Severity::Critical),
    ];
    assert_eq!(told, expected);
}

#[cfg(unix)]
#[test]
fn a_metadata_service_that_never_answered_is_at_most_a_warning() {
    let mut scene = Scene::slow_by(0.0);
    for reason in [Unavailable::Refused, Unavailable::Timeout, Unavailable::Forbidden] {
        for _ in 0..40 {
            scene.pass(16.0);
            scene.read(Provider::Imds, Err(reason.clone()));
        }
        assert_eq!(scene.firing(), [(Kind::CredentialUnavailable, Severity::Warning)], "{reason}");
        scene.begin_again(reason == Unavailable::Refused);
    }
}

#[cfg(unix)]
#[test]
fn a_role_that_was_lost_is_critical_after_five_minutes_and_another_boot_does_not_forget_it() {
    let mut scene = Scene::slow_by(0.0);
    scene.pass(64.0);
    scene.read(Provider::Imds, Ok(until("web", 10.0 * DAY)));
    for (ended, same_boot) in [(false, true), (true, true), (true, false)] {
        if ended {
            scene.begin_again(same_boot);
        }
        for _ in 0..40 {
            scene.pass(16.0);
            scene.read(Provider::Imds, Err(Unavailable::Timeout));
        }
        assert_eq!(scene.firing(), [(Kind::CredentialUnavailable, Severity::Critical)], "{same_boot}");
    }
    // One that was there before the boot is missed as well, unless somebody has taken it away.
    for (reason, expected) in [
        (Unavailable::Timeout, vec![(Kind::CredentialUnavailable, Severity::Critical)]),
        (Unavailable::NoRole, Vec::new()),
    ] {
        scene.read(Provider::Imds, Ok(until("web", 10.0 * DAY)));
        assert_eq!(scene.firing(), []);
        scene.begin_again(false);
        for _ in 0..40 {
            scene.pass(16.0);
            scene.read(Provider::Imds, Err(reason.clone()));
        }
        assert_eq!(scene.firing(), expected, "{reason}");
    }
}

#[cfg(unix)]
#[test]
fn a_metadata_service_that_never_answered_is_not_missed_where_another_provider_serves_the_host() {
    let mut scene = Scene::slow_by(0.0);
    for _ in 0..40 {
        scene.pass(16.0);
        scene.read(Provider::Imds, Err(Unavailable::Timeout));
    }
    assert_eq!(scene.firing(), [(Kind::CredentialUnavailable, Severity::Warning)]);
    scene.read(Provider::WebIdentity, Ok(until("pod", DAY)));
    assert_eq!((scene.firing(), scene.findings()), (Vec::new(), Vec::new()));
    assert_eq!(scene.states()["imds "], "absent");
}

#[cfg(unix)]
#[test]
fn a_metadata_service_that_never_answered_is_not_missed_where_the_firmware_says_that_there_is_none() {
    for (is_ec2, expected) in [
        (None, vec![(Kind::CredentialUnavailable, Severity::Warning)]),
        (Some(true), vec![(Kind::CredentialUnavailable, Severity::Warning)]),
        (Some(false), Vec::new()),
    ] {
        let mut scene = Scene::slow_by(0.0);
        scene.engine.stand_on(is_ec2);
        for _ in 0..40 {
            scene.pass(16.0);
            scene.read(Provider::Imds, Err(Unavailable::Refused));
        }
        assert_eq!(scene.firing(), expected, "{is_ec2:?}");
        // One that answers elsewhere is missed as any other.
        scene.read(Provider::Imds, Ok(until("web", DAY)));
        for _ in 0..40 {
            scene.pass(16.0);
            scene.read(Provider::Imds, Err(Unavailable::Refused));
        }
        assert_eq!(scene.firing(), [(Kind::CredentialUnavailable, Severity::Critical)], "{is_ec2:?}");
    }
}
