//! From a paste to what the doctor says of each error in it.

use super::causes::{SET_THAT_CLOCK, TWO_CLOCKS, causes};
use super::explained::{Bound, Cause, Confidence, Direction, Explained, Standing, State, ThisHost};
use super::find::{Finding, Found, find};
use super::here::{Here, Sign};
use super::host::HostFacts;
use super::kind::Kind;
use super::paste::Paste;
use super::stamp::Stamp;
use super::table::Rank;
use crate::doctor::report::{Area, Check, Verdict};
use crate::time::{NANOS_PER_SECOND, Offset, humane, humane_offset};

const UNKNOWN: &str = "unknown";
const UNKNOWN_SUMMARY: &str = "no error of time or credentials that is known was found in the text";
const UNKNOWN_EFFECT: &str = "what it comes from is not said here";
const UNKNOWN_REMEDY: &str = "hand in the whole message, with its code and what caused it: what is understood is what AWS and its SDKs \
    say of time, signatures, keys, tokens and sessions, and of the metadata service, and what TLS, JSON Web Tokens, Kerberos \
    and CloudWatch say of time";
const WAITED_EFFECT: &str =
    "the request is refused; one that is signed anew and sent at once is not refused for its time";
/// Who logs a refusal does so within this time.
const AT_ONCE: i64 = 60 * NANOS_PER_SECOND;
/// The same, where the zone is not told and all zones have to be thought of.
const AT_ONCE_SOMEWHERE: i64 = 15 * NANOS_PER_SECOND;
/// Zones differ by multiples of this.
const ZONES: i64 = 900 * NANOS_PER_SECOND;
/// A request that is younger has not waited.
const WAIT: i64 = 120 * NANOS_PER_SECOND;

/// What is said of a paste: for people as checks, for programs as errors, the newest first. `None` for `host` where it is
/// not to be looked at.
pub fn explain(paste: &Paste, host: Option<&HostFacts>) -> (Vec<Check>, Vec<Explained>) {
    let found = find(paste);
    let cut = cut(paste, &found);
    let groups = groups(found.findings);
    if groups.is_empty() {
        let check = Check::warning(Area::Error, "error-unknown", UNKNOWN_SUMMARY, UNKNOWN_EFFECT, UNKNOWN_REMEDY);
        return (vec![check.with_evidence(cut)], vec![unknown(host.is_some())]);
    }
    let told: Vec<(Check, Explained)> =
        groups.iter().filter_map(|group| Some(tell(group.first()?, group, host))).collect();
    let (mut checks, explained): (Vec<Check>, Vec<Explained>) = told.into_iter().unzip();
    if let Some(first) = checks.first_mut() {
        first.evidence.extend(cut);
    }
    (checks, explained)
}

fn unknown(is_asked: bool) -> Explained {
    let found = if is_asked { "nothing of this host was looked at for it" } else { "this host was not looked at" };
    Explained {
        kind: UNKNOWN.to_owned(),
        summary: UNKNOWN_SUMMARY.to_owned(),
        confidence: Confidence::Low,
        count: 0,
        direction: None,
        skew_seconds: None,
        skew_range: None,
        skew_bound: None,
        times: Vec::new(),
        causes: Vec::new(),
        this_host: ThisHost {
            state: if is_asked { State::Absent } else { State::NotAsked },
            found: found.to_owned(),
            remedy: Some(UNKNOWN_REMEDY.to_owned()),
        },
    }
}

fn cut(paste: &Paste, found: &Found) -> Vec<String> {
    let bytes = (paste.cut() > 0)
        .then(|| format!("the first {} bytes were not looked at: errors stand at the end of a log", paste.cut()));
    let errors = (found.skipped > 0).then(|| format!("the first {} errors were not looked at", found.skipped));
    let repeated = (found.repeated > 0).then(|| {
        format!("{} more of the same wordings, before the newest of one error, were not looked at", found.repeated)
    });
    bytes.into_iter().chain(errors).chain(repeated).collect()
}

/// The findings of each kind, in the order of the newest of each.
fn groups(findings: Vec<Finding>) -> Vec<Vec<Finding>> {
    let mut groups: Vec<Vec<Finding>> = Vec::new();
    for finding in findings {
        match groups.iter_mut().find(|group| group.first().is_some_and(|other| other.kind == finding.kind)) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    for group in &mut groups {
        // What only quotes the wording is no occurrence beside those that tell their times.
        if group.iter().any(|finding| finding.times.is_complete()) {
            group.retain(|finding| finding.times.is_complete());
        }
    }
    groups
}

fn tell(newest: &Finding, group: &[Finding], host: Option<&HostFacts>) -> (Check, Explained) {
    let (kind, words) = (newest.kind, newest.kind.words());
    let skews: Vec<i64> = group.iter().filter_map(skew).collect();
    // What is told of the clock is of the newest: those on its side of zero agree with it.
    let side = skew(newest).map(i64::signum);
    let alike = skews.iter().copied().filter(|skew| side.is_none_or(|side| skew.signum() == side));
    let nearest = alike.min_by_key(|skew| skew.abs());
    let range =
        skews.iter().min().zip(skews.iter().max()).filter(|(min, max)| min != max).map(|(min, max)| [*min, *max]);
    let sign = sign(newest);
    let here = host.map(|host| Here::of(kind, &sign, &newest.times, host));
    let causes = causes_of(newest, &sign);
    let this_host = match &here {
        Some(here) => ThisHost {
            state: if here.is_present { State::Present } else { State::Absent },
            found: here.text.clone(),
            remedy: here.remedy.clone(),
        },
        None => ThisHost { state: State::NotAsked, found: "this host was not looked at".to_owned(), remedy: None },
    };
    let explained = Explained {
        kind: kind.name().to_owned(),
        summary: format!("{}: {}", words.title, words.meaning),
        confidence: confidence(newest),
        count: group.len(),
        direction: direction(&sign),
        skew_seconds: nearest,
        skew_range: range,
        skew_bound: nearest.and_then(|nearest| bound(newest, nearest)),
        times: lines(newest, group.len(), range),
        causes,
        this_host,
    };
    let effect = if sign.has_waited { WAITED_EFFECT } else { words.effect };
    (check(&explained, effect), explained)
}

/// It for people.
fn check(explained: &Explained, effect: &'static str) -> Check {
    let summary = match explained.this_host.state {
        State::NotAsked => explained.summary.clone(),
        State::Present | State::Absent => format!("{}; {}", explained.summary, explained.this_host.found),
    };
    let remedy = explained.this_host.remedy.clone();
    let remedy = remedy.or_else(|| explained.causes.first().map(|cause| cause.remedy.clone())).unwrap_or_default();
    let verdict = if explained.this_host.state == State::Present { Verdict::Problem } else { Verdict::Warning };
    let causes =
        explained.causes.iter().map(|cause| format!("{}: {} -> {}", cause.standing.name(), cause.cause, cause.remedy));
    let make = if verdict == Verdict::Problem { Check::problem } else { Check::warning };
    make(Area::Error, &format!("error-{}", explained.kind), summary, effect.to_owned(), remedy)
        .with_evidence(explained.times.clone())
        .with_evidence(causes)
}

/// How far a clock was off by the text, in whole seconds: positive where it was slow.
fn skew(finding: &Finding) -> Option<i64> {
    offset(finding).map(|offset| offset.span().nanos() / NANOS_PER_SECOND)
}

/// Without a window a URL may have been signed long before it was used: the distance is its age.
fn offset(finding: &Finding) -> Option<Offset> {
    let is_age = finding.times.good_until.is_some() && finding.kind != Kind::PresignedNotYetValid;
    finding.times.offset().filter(|_| !is_age)
}

fn sign(finding: &Finding) -> Sign {
    let told = offset(finding);
    if finding.row.is_between_hosts {
        return Sign { told, direction: 0, has_waited: false, is_between_hosts: true };
    }
    let by_kind = match finding.kind {
        Kind::SignatureExpired | Kind::CertificateNotYetValid | Kind::JwtNotYetValid => 1,
        Kind::SignatureNotYetCurrent | Kind::RequestInTheFuture | Kind::PresignedNotYetValid => -1,
        _ => finding.row.leans,
    };
    let direction = told.map_or(by_kind, |told| match told.span().nanos() {
        0 => by_kind,
        nanos if nanos > 0 => 1,
        _ => -1,
    });
    let logged = logged(finding);
    Sign {
        told,
        direction,
        has_waited: direction > 0 && logged == Some(Logged::Waited { is_certain: true }),
        is_between_hosts: false,
    }
}

/// What the time of the log tells of a request that came too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logged {
    /// It is that of who judged the request: the clock was right.
    Waited { is_certain: bool },
    /// It is that in the request: the clock was slow.
    Slow { is_certain: bool },
}

fn logged(finding: &Finding) -> Option<Logged> {
    // Of two hosts the one that logs may be the one that is off.
    let stamp = finding.stamp.filter(|_| !finding.row.is_between_hosts)?;
    let times = &finding.times;
    let (signed, judged) = (times.signed?.nanos(), times.judged?.nanos());
    if judged.saturating_sub(signed) < WAIT {
        return None;
    }
    match (is_at(stamp, judged), is_at(stamp, signed)) {
        (true, false) => Some(Logged::Waited { is_certain: true }),
        (false, true) => Some(Logged::Slow { is_certain: stamp.is_zoned }),
        _ => None,
    }
}

fn is_at(stamp: Stamp, time: i64) -> bool {
    let apart = stamp.nanos.saturating_sub(time);
    if stamp.is_zoned {
        return apart.saturating_abs() <= AT_ONCE;
    }
    let apart_somewhere = apart.rem_euclid(ZONES);
    apart_somewhere.min(ZONES - apart_somewhere) <= AT_ONCE_SOMEWHERE
}

const fn direction(sign: &Sign) -> Option<Direction> {
    match sign.direction {
        _ if sign.has_waited => Some(Direction::Waited),
        1 => Some(Direction::Slow),
        -1 => Some(Direction::Fast),
        _ => None,
    }
}

/// Nothing is said of one clock where neither is known to be right.
fn bound(finding: &Finding, skew: i64) -> Option<Bound> {
    match () {
        () if finding.row.is_between_hosts => None,
        () if finding.times.difference.is_some() => Some(Bound::Exact),
        () if skew > 0 && finding.times.judged.is_some() => Some(Bound::AtMost),
        () => Some(Bound::AtLeast),
    }
}

fn confidence(finding: &Finding) -> Confidence {
    match finding.row.rank {
        Rank::Wrapper => Confidence::Low,
        _ if finding.row.is_shared => Confidence::Medium,
        _ => Confidence::High,
    }
}

/// The causes of its kind, as far as the text does not tell them apart.
fn causes_of(finding: &Finding, sign: &Sign) -> Vec<Cause> {
    let make =
        |standing, cause: &str, remedy: &str| Cause { standing, cause: cause.to_owned(), remedy: remedy.to_owned() };
    let because = finding.row.because.map(|(cause, remedy)| make(Standing::Proven, cause, remedy));
    // Who measures the difference has sent nothing that could wait.
    let is_measured = finding.times.difference.is_some();
    let is_ahead = finding.times.offset().is_some_and(|offset| offset.span().nanos() < 0);
    let known = causes(finding.kind).iter().filter_map(|(standing, cause, remedy)| {
        let is_clock = *remedy == SET_THAT_CLOCK;
        let is_waiting = cause.starts_with("the request waited");
        if is_clock && sign.is_between_hosts {
            let (standing, cause, remedy) = TWO_CLOCKS;
            return Some(make(standing, cause, remedy));
        }
        let standing = match logged(finding).filter(|_| sign.direction > 0) {
            Some(Logged::Waited { .. }) if is_clock => return None,
            Some(Logged::Waited { is_certain }) if is_waiting => told_by_log(is_certain),
            Some(Logged::Slow { is_certain: true }) if is_waiting => return None,
            Some(Logged::Slow { is_certain }) if is_clock => told_by_log(is_certain),
            _ => *standing,
        };
        // A request that waits gets older, not younger.
        if is_waiting && (is_ahead || is_measured || sign.direction < 0) {
            return None;
        }
        let standing = if is_clock && sign.direction < 0 { Standing::Proven } else { standing };
        Some(make(standing, cause, remedy))
    });
    let mut causes: Vec<Cause> = because.into_iter().chain(known).collect();
    causes.sort_by_key(|cause| cause.standing);
    causes
}

const fn told_by_log(is_certain: bool) -> Standing {
    if is_certain { Standing::Proven } else { Standing::Likely }
}

/// The times of a text, and what follows from them.
fn lines(newest: &Finding, count: usize, range: Option<[i64; 2]>) -> Vec<String> {
    let times = &newest.times;
    let many = (count > 1).then(|| match range {
        Some([from, to]) => format!("it stands there {count} times, with {from} s to {to} s between the two clocks"),
        None => format!("it stands there {count} times"),
    });
    let skew = offset(newest).map(|offset| {
        let seconds = offset.span().abs().seconds();
        match logged(newest) {
            Some(Logged::Waited { .. }) if offset.lag().nanos() > 0 => {
                format!(
                    "by the time of its log the clock was right, and the request waited {} ({seconds} s)",
                    humane(offset.span())
                )
            }
            _ if newest.row.is_between_hosts => {
                format!("the two clocks differed by {} ({seconds} s): which of them was off is not told", humane(offset.span()))
            }
            _ if times.judged.is_none() && times.difference.is_none() => {
                format!("the clock that read it was at least {} ({seconds} s)", humane_offset(offset))
            }
            Some(Logged::Slow { .. }) => {
                format!("by the time of its log the clock that signed was {} ({seconds} s)", humane_offset(offset))
            }
            _ if times.difference.is_some() => {
                format!("the clock that signed was {} ({seconds} s)", humane_offset(offset))
            }
            _ if offset.lag().nanos() > 0 => format!(
                "the time in the request was {} behind ({seconds} s): the clock that signed was slow by no more than that, or the \
                 request waited",
                humane(offset.span())
            ),
            _ => format!("the clock that signed was at least {} ({seconds} s)", humane_offset(offset)),
        }
    });
    let overdue = times.overdue().map(|overdue| format!("it came {} too late", humane(overdue)));
    many.into_iter().chain(times.lines()).chain(skew).chain(overdue).collect()
}

#[cfg(test)]
mod claims;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wrapped;
