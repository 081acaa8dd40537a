//! The checks on the sources of time: those of skewguard, and those of the daemon that keeps the clock.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use super::discipline;
use super::keeper::Keeper;
use super::link_local::{self, Dropped};
use super::program::Program;
use super::reference::{Configured, Leap, Reference};
use super::{facts as clock, mend};
use crate::assess::source_findings::OF_TIMESCALE;
use crate::clock::estimate::ClockState;
use crate::clock::leap;
use crate::clock::source::Verdict;
use crate::config::checked::Config;
use crate::doctor::report::{Area, Check};
use crate::reason::reason;
use crate::snapshot::{Snapshot, Source};
use crate::sources::kind::SourceKind;
use crate::time::{Offset, Span, humane, humane_offset};

const DAEMON: &str = "sources-daemon";
const SMEAR: &str = "sources-smear";

/// What this host shows of the ways to its sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Why there is no way to a source that was not reached, by the name of the source.
    pub routes: BTreeMap<String, String>,
    /// What the interfaces have dropped.
    pub dropped: Dropped,
}

/// Looks at the host below `root`, which is `/` but in tests, and for a way to each source that `snapshot` says was not
/// reached. Sends nothing.
pub async fn gather(root: &Path, snapshot: &Snapshot) -> Facts {
    let root = root.to_owned();
    let unreached = snapshot.sources.iter().filter(|source| source.refusal.is_some());
    let unreached: Vec<(String, SocketAddr)> =
        unreached.filter_map(|source| Some((source.name.clone(), address(&source.address)?))).collect();
    let look = move || Facts {
        routes: unreached.into_iter().filter_map(|(name, address)| Some((name, no_route(address)?))).collect(),
        dropped: link_local::look(&root),
    };
    tokio::task::spawn_blocking(look).await.expect("looking at interfaces neither panics nor is cancelled")
}

/// Judges the sources by what `check` has measured in this run, and by what the daemon is told to follow. None of these
/// checks is a problem: requests do not fail because of a source.
pub fn check(facts: &Facts, clock: &clock::Facts, snapshot: &Snapshot, config: &Config, is_ec2: bool) -> Vec<Check> {
    let keeper = discipline::keeper(clock, snapshot.clock.kernel.as_ref(), clock::now(snapshot));
    let sources = snapshot.sources.iter().zip(&config.sources);
    let mut checks: Vec<Check> =
        sources.map(|(source, own)| check_source(facts, source, &*own.kind, snapshot, is_ec2)).collect();
    checks.push(check_daemon(clock, &keeper, is_ec2));
    checks.push(check_smear(clock));
    checks.push(link_local::check(&facts.dropped));
    checks
}

/// Why the host has no way to `address`; `None` where it has one. Connecting a UDP socket sends nothing.
fn no_route(address: SocketAddr) -> Option<String> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(address)).err().map(|error| reason(&error))
}

/// The address of a source as the snapshot has it; `None` for a name.
fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok().or_else(|| Some(SocketAddr::new(text.parse().ok()?, 123)))
}

/// Whether one of skewguard's own sources tells the time, or why not.
fn check_source(facts: &Facts, source: &Source, kind: &dyn SourceKind, snapshot: &Snapshot, is_ec2: bool) -> Check {
    let name = format!("source-{}", source.name);
    let who = format!("{} ({})", source.name, source.server);
    let is_alone = snapshot.sources.len() == 1;
    let verdict = Verdict::ALL.into_iter().find(|verdict| verdict.name() == source.verdict);
    let check = match (verdict, &source.refusal) {
        (Some(Verdict::Falseticker), _) => {
            let effect = "whoever follows it gets a wrong time; skewguard does not";
            let summary = format!("{who} contradicts the majority of the sources");
            let apart = source.offset_seconds.zip(snapshot.clock.offset_seconds).map(|(own, agreed)| own - agreed);
            match apart.and_then(|apart| leap::taken_for_utc(Span::from_seconds(apart))) {
                Some(words) => {
                    Check::warning(Area::Sources, &name, format!("{summary}: {words}"), effect, OF_TIMESCALE)
                }
                None => {
                    let remedy = "take it out of the configuration of the time daemon, or mend its server";
                    Check::warning(Area::Sources, &name, summary, effect, remedy)
                }
            }
        }
        (Some(Verdict::Undecided), _) if snapshot.clock.state == ClockState::Disagreement.name() => Check::warning(
            Area::Sources,
            &name,
            format!("{who} contradicts another source, and there is no majority"),
            "nobody can say what time it is",
            "name three sources or more, or mark the one that AWS runs as `trusted: true`",
        ),
        (Some(Verdict::Unreachable | Verdict::Unsynchronized | Verdict::Denied), _)
        | (Some(Verdict::WarmingUp), Some(_)) => {
            let effect = match is_alone {
                true => "nothing vouches for the time: a wrong clock stays unnoticed until AWS rejects requests",
                false => "there is one witness less for true time",
            };
            let (why, remedy) = unreached(facts, source, kind, is_ec2);
            Check::warning(Area::Sources, &name, format!("{who} gives no time: {why}"), effect, remedy)
        }
        (Some(Verdict::Truechimer | Verdict::Undecided), _) => {
            Check::ok(Area::Sources, &name, format!("{who} tells the time"))
        }
        (Some(Verdict::WarmingUp) | None, _) => {
            Check::skipped(Area::Sources, &name, format!("{who} was not asked in time"))
        }
    };
    check.with_evidence(evidence(source))
}

fn evidence(source: &Source) -> Vec<String> {
    let offset = source
        .offset_seconds
        .map(|offset| format!("by its time the clock is {}", humane_offset(Offset::new(Span::from_seconds(offset)))));
    let delay = source.delay_seconds.map(|delay| format!("round trip {}", humane(Span::from_seconds(delay))));
    let stratum = source.stratum.map(|stratum| format!("stratum {stratum}"));
    let answered: Vec<String> = [offset, delay, stratum].into_iter().flatten().collect();
    let answered = (!answered.is_empty()).then(|| answered.join(", "));
    let refusal = source.refusal.as_ref().map(|refusal| format!("last poll of {}: {refusal}", source.address));
    [answered, refusal].into_iter().flatten().collect()
}

/// Why a source gives no time, and what mends it.
fn unreached(facts: &Facts, source: &Source, kind: &dyn SourceKind, is_ec2: bool) -> (String, String) {
    if let Some(kind) = facts.routes.get(&source.name) {
        let host = address(&source.address).map_or_else(|| source.server.clone(), |address| address.ip().to_string());
        return (
            format!("there is no way to it ({kind})"),
            format!(
                "`ip route get {host}` names what is missing: a route, an address of that family, or the interface itself"
            ),
        );
    }
    let told = source.refusal.as_deref().unwrap_or("no reply in time");
    (told.to_owned(), kind.remedy(told, is_ec2))
}

/// Whether the daemon follows Amazon's time, where there is any.
fn check_daemon(clock: &clock::Facts, keeper: &Keeper, is_ec2: bool) -> Check {
    let (Some(followed), Some(daemon)) = (&clock.followed, clock.seen.keeper()) else {
        return Check::skipped(Area::Sources, DAEMON, "no time daemon can be seen whose sources could be judged");
    };
    let names = if followed.references.is_empty() { "nobody by name".to_owned() } else { followed.names() };
    let evidence = [format!("{} follows {names}", daemon.program.name())].into_iter();
    let evidence = evidence.chain(followed.unread.iter().map(|unread| format!("not read: {unread}")));
    let by_tracking = clock.tracking.as_ref().and_then(|tracking| tracking.as_ref().ok()?.address);
    let follows_amazon = followed.references.iter().any(Reference::is_amazon)
        || by_tracking.is_some_and(|address| Reference::server(&address.to_string()).is_time_sync());
    let check = if follows_amazon {
        Check::ok(Area::Sources, DAEMON, format!("{} is told to follow Amazon's time", daemon.program.name()))
    } else if !is_ec2 {
        Check::skipped(Area::Sources, DAEMON, "Amazon Time Sync exists on EC2 alone")
    } else if keeper.is_missing() {
        Check::skipped(Area::Sources, DAEMON, format!("{}: see clock-discipline", keeper.describe()))
    } else if !followed.is_complete() {
        Check::skipped(Area::Sources, DAEMON, "not all of the daemon's configuration could be read")
    } else {
        Check::warning(
            Area::Sources,
            DAEMON,
            format!("{} does not follow Amazon Time Sync (169.254.169.123)", daemon.program.name()),
            "the clock depends on servers outside of the VPC, which a security group or a missing route can cut off, and AWS \
             judges by its own time",
            mend::follow_time_sync(clock, daemon.program),
        )
    };
    check.with_evidence(evidence)
}

/// Whether the daemon follows servers that smear leap seconds beside others that do not, and prefers neither.
fn check_smear(clock: &clock::Facts) -> Check {
    let Some(Configured { references, .. }) = &clock.followed else {
        return Check::skipped(Area::Sources, SMEAR, "no time daemon can be seen whose sources could be judged");
    };
    let program = clock.seen.keeper().map(|daemon| daemon.program);
    // AWS itself sets up its hardware clock beside its servers, and says which of them to prefer.
    let is_amazons = |reference: &&Reference| reference.is_amazon() && reference.leap() == Some(Leap::Smeared);
    let has_amazons = references.iter().any(|reference| is_amazons(&reference));
    let of = |leap: Leap| {
        let counts = move |reference: &&Reference| !(has_amazons && reference.is_hardware_clock());
        references.iter().filter(counts).filter(move |reference| reference.leap() == Some(leap))
    };
    let names = |leap: Leap| of(leap).map(|reference| reference.name.as_str()).collect::<Vec<_>>().join(", ");
    if of(Leap::Smeared).next().is_none() || of(Leap::Whole).next().is_none() {
        return Check::ok(
            Area::Sources,
            SMEAR,
            "the daemon's sources tell leap seconds alike, as far as they are known",
        );
    }
    let evidence = [
        format!("spread leap seconds over a day: {}", names(Leap::Smeared)),
        format!("do not: {}", names(Leap::Whole)),
    ];
    let prefers = |leap: Leap| of(leap).any(|reference| reference.is_preferred);
    let check = if program == Some(Program::Timesyncd) {
        Check::ok(
            Area::Sources,
            SMEAR,
            "sources that smear leap seconds stand beside others, and systemd-timesyncd asks one of them at a time",
        )
    } else if prefers(Leap::Smeared) == prefers(Leap::Whole) {
        Check::warning(
            Area::Sources,
            SMEAR,
            "the daemon follows servers that smear leap seconds beside others that do not",
            "on the day of a leap second they contradict one another by up to half a second, and the clock follows either",
            mend::follow_one_kind(program.unwrap_or(Program::Chronyd)),
        )
    } else {
        Check::ok(
            Area::Sources,
            SMEAR,
            "sources that smear leap seconds stand beside others, and one kind is preferred",
        )
    };
    check.with_evidence(evidence)
}

#[cfg(test)]
mod tests {
    use sntpc::KissOfDeathCode;

    use super::*;
    use crate::doctor::clock::scenes::{snapshot, source};
    use crate::doctor::report;
    use crate::sources::ntp::Server;
    use crate::sources::ntp::refusal::Refusal;

    fn server(source: &Source) -> Server {
        source.server.parse().unwrap()
    }

    fn judged(source: &Source, facts: &Facts, is_ec2: bool) -> Check {
        check_source(facts, source, &server(source), &snapshot(0.0, true), is_ec2)
    }

    fn silent(server: &str, refusal: Refusal) -> Source {
        let [address, server] = [server.to_owned(), server.to_owned()];
        Source { address, server, verdict: "unreachable".into(), refusal: Some(refusal.to_string()), ..source() }
    }

    #[cfg(unix)]
    #[test]
    fn every_reason_for_silence_has_its_remedy() {
        for (server, refusal, is_ec2, expected) in [
            ("time.aws.com", Refusal::Unresolved, true, "`getent hosts time.aws.com`"),
            ("169.254.169.123", Refusal::Timeout, true, "no security group stands in its way"),
            ("169.254.169.123", Refusal::Network, true, "no security group stands in its way"),
            ("169.254.169.123", Refusal::Timeout, false, "exists on EC2 alone"),
            ("192.0.2.1", Refusal::Timeout, true, "let UDP 123 out to it"),
            ("192.0.2.1", Refusal::Network, true, "a firewall rejects it or nobody listens"),
            ("192.0.2.1", Refusal::Kiss(KissOfDeathCode::Rate), true, "raise `poll`"),
            ("192.0.2.1", Refusal::Kiss(KissOfDeathCode::Deny), true, "does not serve this host"),
            ("192.0.2.1", Refusal::Unsynchronized, true, "does not know the time"),
            ("192.0.2.1", Refusal::BeforeBuild, true, "does not know the time"),
            ("192.0.2.1", Refusal::RootDistance, true, "does not know the time"),
            ("192.0.2.1", Refusal::Origin, true, "no NTP server in order"),
        ] {
            let check = judged(&silent(server, refusal), &Facts::default(), is_ec2);
            assert_eq!((check.name.as_str(), check.verdict), ("source-amazon-time-sync", report::Verdict::Warning));
            let remedy = check.remedy.unwrap();
            assert!(remedy.contains(expected), "{server} {refusal}: {remedy}");
            assert!(check.summary.contains(&refusal.to_string()), "{}", check.summary);
        }
    }

    #[test]
    fn a_source_without_a_route_is_told_as_such() {
        let facts = Facts {
            routes: [("amazon-time-sync".to_owned(), "network unreachable".to_owned())].into(),
            ..Facts::default()
        };
        let check = judged(&silent("169.254.169.123:123", Refusal::Network), &facts, true);
        assert!(check.summary.contains("there is no way to it (network unreachable)"), "{check:?}");
        assert!(check.remedy.unwrap().starts_with("`ip route get 169.254.169.123`"));
    }

    #[test]
    fn verdicts_of_sources_become_verdicts_of_checks() {
        for (verdict, refusal, expected) in [
            ("truechimer", None, report::Verdict::Ok),
            ("truechimer", Some("no reply in time"), report::Verdict::Ok),
            ("undecided", None, report::Verdict::Ok),
            ("falseticker", None, report::Verdict::Warning),
            ("warming-up", None, report::Verdict::Skipped),
            ("warming-up", Some("no reply in time"), report::Verdict::Warning),
            ("denied", Some("kiss-o'-death DENY (access denied)"), report::Verdict::Warning),
            ("unsynchronized", None, report::Verdict::Warning),
        ] {
            let source = Source { verdict: verdict.into(), refusal: refusal.map(str::to_owned), ..source() };
            assert_eq!(judged(&source, &Facts::default(), true).verdict, expected, "{verdict} {refusal:?}");
        }
        let mut torn = snapshot(0.0, true);
        torn.clock.state = "disagreement".into();
        let source = Source { verdict: "undecided".into(), ..source() };
        assert_eq!(
            check_source(&Facts::default(), &source, &server(&source), &torn, true).verdict,
            report::Verdict::Warning
        );
    }

    #[tokio::test]
    async fn a_way_is_looked_for_only_to_what_was_not_reached() {
        let mut snapshot = snapshot(0.0, true);
        // A socket that may not broadcast has no way to all hosts at once; loopback has one everywhere.
        snapshot.sources = vec![
            Source { name: "near".into(), ..silent("127.0.0.1:123", Refusal::Network) },
            Source { name: "name".into(), ..silent("time.example", Refusal::Unresolved) },
            Source { name: "far".into(), ..silent("255.255.255.255:123", Refusal::Network) },
            Source { name: "reached".into(), address: "255.255.255.255:123".into(), ..source() },
        ];
        let facts = gather(Path::new("/nowhere"), &snapshot).await;
        assert_eq!(facts.routes.keys().collect::<Vec<_>>(), ["far"], "{facts:?}");
        assert!(facts.dropped.is_empty());
    }

    #[test]
    fn an_address_of_a_snapshot_has_a_port_or_that_of_ntp() {
        for (text, expected) in [
            ("169.254.169.123", Some("169.254.169.123:123")),
            ("169.254.169.123:1123", Some("169.254.169.123:1123")),
            ("fd00:ec2::123", Some("[fd00:ec2::123]:123")),
            ("[fd00:ec2::123]:123", Some("[fd00:ec2::123]:123")),
            ("time.aws.com", None),
        ] {
            assert_eq!(address(text).map(|address| address.to_string()).as_deref(), expected, "{text}");
        }
    }
}
