//! The course of a drill: how its time passes, and what is told of it.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::error::DrillError;
use super::hosts::Hosts;
use super::place::{ACCOUNT, MARK, RUN};
use super::post::Post;
use super::seen::clock;
use super::trouble::{CALM, Trouble};
use crate::clock::local;
use crate::config::checked::Config;
use crate::setting::url::WebUrl;
use crate::time::{Span, TrueTime};

/// So many seconds before the beginning the hosts are there already: their boot grace is over, and their trends are known.
const WARM_UP: i32 = 300;
/// For so many minutes after its end rules may tell of a drill: host-silent tells for an hour.
const AFTER: u32 = 75;
/// What tells a drill from others is written with these.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// What is played.
#[derive(Clone)]
pub struct Drill {
    /// How many hosts there are.
    pub hosts: u32,
    /// For how many minutes.
    pub minutes: u32,
    /// The base URL of the collector that takes their metrics; `None` for none.
    pub collector: Option<WebUrl>,
    /// Whether all is sent at once, stamped so that it ends now, instead of when it happens.
    pub past: bool,
}

/// To whom a drill is told.
#[derive(Clone, Copy)]
pub struct Show<'a> {
    /// Takes lines.
    pub print: &'a dyn Fn(&str),
    /// Takes what holds for a moment.
    pub progress: &'a dyn Fn(&str),
}

/// How a drill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All that was due was told, and nothing else; and all was taken.
    Well,
    /// Something is missing, or was told wrongly, or was not taken.
    Ill,
    /// Somebody has ended it.
    Interrupted,
}

/// Plays a drill on hosts that are configured by `defaults`, until its end or that of `ending`. It is told to `show`.
///
/// # Errors
/// There is nothing to be seen: see [`DrillError`].
pub async fn play(
    drill: &Drill,
    defaults: Config,
    Show { print, progress }: Show<'_>,
    ending: impl Future<Output = ()>,
) -> Result<End, DrillError> {
    let run: String = (0..6).map(|_| char::from(*fastrand::choice(LETTERS).unwrap_or(&b'a'))).collect();
    let last = i32::try_from(drill.minutes.saturating_mul(60)).unwrap_or(i32::MAX);
    let (started, now) = (Instant::now(), TrueTime::from_nanos(local::read().system.nanos()));
    let is_timed = drill.collector.is_some() && !drill.past;
    let begin = if is_timed { now } else { now.minus(Span::from_seconds(f64::from(last))) };
    let mut hosts = Hosts::new((drill.hosts, run), begin, -WARM_UP, defaults)?;
    let mut post = Post::new(drill.collector.clone())?;
    introduce(drill, hosts.run(), print);
    let mut ending = pin!(ending);
    let mut is_interrupted = false;
    let mut at = -WARM_UP;
    while at <= last {
        let due = started + Duration::from_secs(u64::try_from(at).unwrap_or_default());
        let pause = async { if is_timed && at > 0 { sleep_until(due).await } else { tokio::task::yield_now().await } };
        tokio::select! {
            biased;
            () = &mut ending => {
                is_interrupted = true;
                break;
            }
            () = pause => {}
        }
        let exports = hosts.second(at, print)?;
        // Whoever wants to end it need not wait for a collector that does not answer.
        tokio::select! {
            sent = post.send(exports) => sent?,
            () = &mut ending => {
                is_interrupted = true;
                break;
            }
        }
        post.under_way();
        if at >= 0 {
            let late = started.elapsed().as_secs().saturating_sub(u64::try_from(at).unwrap_or_default());
            progress(&status(drill, (at, last), &post, if is_timed { late } else { 0 }));
        }
        at += 1;
    }
    if !is_interrupted {
        tokio::select! {
            () = post.finish() => {}
            () = &mut ending => is_interrupted = true,
        }
    }
    progress("");
    let (lines, is_well) = hosts.seen.summary(f64::from(at.min(last)));
    print("");
    lines.iter().for_each(|line| print(line));
    let is_taken = conclude(drill, hosts.run(), &mut post, print);
    Ok(match (is_interrupted, is_well && is_taken) {
        (true, _) => End::Interrupted,
        (false, true) => End::Well,
        (false, false) => End::Ill,
    })
}

fn introduce(drill: &Drill, run: &str, print: &dyn Fn(&str)) {
    let ill: u32 = Trouble::ALL.iter().map(|trouble| trouble.hosts(drill.hosts)).sum();
    let (hosts, minutes, calm) = (drill.hosts, drill.minutes, clock(CALM));
    let where_to = match &drill.collector {
        None => "Nothing is sent anywhere, and time is invented.".to_owned(),
        Some(url) if drill.past => format!("All goes to {url} at once, as if the {minutes} minutes were just over."),
        Some(url) => format!("All goes to {url} when it happens, for {minutes} minutes."),
    };
    print(&format!(
        "Drill {run}: {hosts} hosts for {minutes} minutes, of which {ill} are in trouble from {calm} on. {where_to}\nEach has \
         the real engine; the clock of this host is read and not touched."
    ));
    if drill.collector.is_some() {
        print(&format!(
            "Marked {MARK}=true and {RUN}={run}; the account is {ACCOUNT}, hosts are drill-{run}-..., images ami-drill-...\n\
             Rules page for it as for real hosts. In Alertmanager: amtool silence add account_id={ACCOUNT} -d {}m -c drill",
            drill.minutes.saturating_add(AFTER)
        ));
    }
    print("");
}

fn status(drill: &Drill, (at, last): (i32, i32), post: &Post, late: u64) -> String {
    let [at, last] = [at, last].map(|seconds| clock(f64::from(seconds)));
    let sent = &post.sent;
    let lost = if sent.lost > 0 { format!(", {} not taken: {}", sent.lost, sent.reason) } else { String::new() };
    let late = if late > 5 { format!(", {late} s late") } else { String::new() };
    format!("{at} of {last}, {} hosts, {} exports{lost}{late}", drill.hosts, sent.exports)
}

/// Says what was sent and how to be rid of it; returns whether all of it was taken.
fn conclude(drill: &Drill, run: &str, post: &mut Post, print: &dyn Fn(&str)) -> bool {
    let under_way = post.under_way();
    let sent = &post.sent;
    let each = |total: u64| total as f64 / sent.exports.max(1) as f64;
    let verb = if drill.collector.is_some() { "sent" } else { "made" };
    print(&format!(
        "\n{} exports with {} points were {verb}: each has {:.1} points in {:.0} bytes.",
        sent.exports,
        sent.points,
        each(sent.points),
        each(sent.bytes)
    ));
    if under_way > 0 {
        print(&format!("{under_way} more were under way: nobody knows whether they were taken."));
    }
    if sent.lost > 0 {
        print(&format!("{} exports were NOT taken, the last of them: {}", sent.lost, sent.reason));
    }
    if drill.collector.is_some() {
        print(&format!(
            "\nIts hosts are silent from now on, and host-silent tells so for an hour unless it is muted:\n  \
             amtool silence add account_id={ACCOUNT} -d {AFTER}m -c 'drill {run}'\nVictoriaMetrics forgets it, and what was \
             recorded of it, with:\n  curl http://HOST:8428/api/v1/admin/tsdb/delete_series \\\n    \
             --data-urlencode 'match[]={{skewguard\\.demo=\"true\"}}' --data-urlencode 'match[]={{skewguard_demo=\"true\"}}' \\\n    \
             --data-urlencode 'match[]={{account_id=\"{ACCOUNT}\"}}'"
        ));
    }
    sent.lost == 0 && under_way == 0
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::{pending, ready};

    use super::*;
    use crate::assess::finding::Kind;
    use crate::config::load::load;

    async fn played(minutes: u32, config: Config, ending: impl Future<Output = ()>) -> (End, String) {
        let told = RefCell::new(String::new());
        let print = |line: &str| *told.borrow_mut() += &format!("{line}\n");
        let drill = Drill { hosts: 50, minutes, collector: None, past: false };
        let end = play(&drill, config, Show { print: &print, progress: &|_| {} }, ending).await.unwrap();
        (end, told.into_inner())
    }

    fn defaults() -> Config {
        load(None, &|_| None).unwrap()
    }

    #[tokio::test]
    async fn every_trouble_is_told_by_every_host_that_has_it_and_nothing_by_the_others() {
        let (end, told) = played(20, defaults(), pending()).await;
        assert_eq!(end, End::Well, "{told}");
        assert!(!told.contains("not due") && told.contains("0 of them told anything"), "{told}");
    }

    #[tokio::test]
    async fn what_is_not_told_or_told_without_a_cause_is_noticed() {
        let mut deaf = defaults();
        deaf.alerts.rules.change(Kind::ClockSkew, |rule| rule.enabled = false);
        let (end, told) = played(5, deaf, pending()).await;
        assert!(end == End::Ill && told.contains("5 MISSING"), "{told}");
        let mut nervous = defaults();
        nervous.alerts.rules.change(Kind::SourceUnreachable, |rule| rule.hold = Duration::ZERO);
        nervous.alerts.rules.change(Kind::ClockUnverified, |rule| rule.hold = Duration::ZERO);
        nervous.alerts.boot_grace = Duration::ZERO;
        let (end, told) = played(5, nervous, pending()).await;
        assert!(end == End::Ill && told.contains("wrong: "), "{told}");
    }

    #[tokio::test]
    async fn whoever_ends_it_hears_what_was_seen_until_then() {
        let (end, told) = played(1_440, defaults(), ready(())).await;
        assert!(end == End::Interrupted && told.contains("clock-skew-forecast"), "{told}");
    }
}
