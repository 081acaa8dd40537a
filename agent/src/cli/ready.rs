//! Whether a host is as `wait` wants it: judged by one snapshot, without a clock.

use std::time::Duration;

use super::args::{Subject, Wait};
use super::text::{offset, seconds};
use crate::credentials::lease::Unavailable;
use crate::setting::period::Period;
use crate::snapshot::{Clock, Credential, Snapshot, Source};

/// How far a host is from what is wanted; the last one outweighs those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Readiness {
    /// It is as it is wanted.
    Good,
    /// Nobody knows.
    Unknown,
    /// It was measured, and is not.
    NotGood,
}

impl Readiness {
    pub(super) const fn exit_code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::NotGood => 1,
            Self::Unknown => 3,
        }
    }

    /// The name in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::NotGood => "not-good",
            Self::Unknown => "unknown",
        }
    }
}

/// What is said of one thing that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) readiness: Readiness,
    /// For people.
    pub(super) text: String,
    /// The same without its numbers: it changes only where something does.
    pub(super) gist: String,
}

impl Verdict {
    fn new(readiness: Readiness, text: impl Into<String>, gist: impl Into<String>) -> Self {
        Self { readiness, text: text.into(), gist: gist.into() }
    }

    /// One that has no numbers.
    fn plain(readiness: Readiness, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { readiness, gist: text.clone(), text }
    }
}

/// What is wanted of a host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    subject: Subject,
    within: Duration,
    remaining: Duration,
    allow_no_role: bool,
}

impl From<&Wait> for Demand {
    fn from(wait: &Wait) -> Self {
        let Wait { subject, within, remaining, allow_no_role, .. } = *wait;
        Self { subject, within, remaining, allow_no_role }
    }
}

/// What is said of all that is waited for; `None` of what is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) clock: Option<Verdict>,
    pub(super) credentials: Option<Verdict>,
}

impl Judgement {
    pub(super) fn readiness(&self) -> Readiness {
        self.verdicts().map(|verdict| verdict.readiness).max().unwrap_or(Readiness::Unknown)
    }

    /// For people: what is not good, or that all is.
    pub(super) fn text(&self) -> String {
        self.told(|verdict| &verdict.text)
    }

    pub(super) fn gist(&self) -> String {
        self.told(|verdict| &verdict.gist)
    }

    fn told<'a>(&'a self, part: impl Fn(&'a Verdict) -> &'a str) -> String {
        let is_good = self.readiness() == Readiness::Good;
        let told = self.verdicts().filter(|verdict| is_good || verdict.readiness != Readiness::Good);
        told.map(part).collect::<Vec<_>>().join("; ")
    }

    fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.clock.iter().chain(&self.credentials)
    }
}

impl Demand {
    /// Judges what is known; `None` where nobody has said anything yet.
    pub(super) fn judge(&self, snapshot: Option<&Snapshot>) -> Judgement {
        let of = |is_wanted: bool, judge: &dyn Fn(&Snapshot) -> Verdict| {
            let nothing = || Verdict::plain(Readiness::Unknown, "nothing was measured yet");
            is_wanted.then(|| snapshot.map_or_else(nothing, judge))
        };
        let clock = of(self.subject.has_clock(), &|snapshot| self.clock(&snapshot.clock, &snapshot.sources));
        let credentials = of(self.subject.has_credentials(), &|snapshot| self.credentials(snapshot));
        // They lack the same then, and that is told once.
        match (clock, credentials) {
            (Some(clock), Some(_)) if snapshot.is_none() => Judgement { clock: Some(clock), credentials: None },
            (clock, credentials) => Judgement { clock, credentials },
        }
    }

    fn clock(&self, clock: &Clock, sources: &[Source]) -> Verdict {
        let wanted = self.within.as_secs_f64();
        let (Some(value), Some(bound)) = (clock.offset_seconds, clock.error_bound_seconds) else {
            return silence(clock, sources);
        };
        let is_off = |by: f64, readiness| {
            let text =
                format!("the clock is {} ± {} (wanted: within {})", offset(value), seconds(bound), Period(self.within));
            let gist = if by > 0.0 { "the clock is wrong" } else { "the clock is not known well enough" };
            Verdict::new(readiness, text, gist)
        };
        let certain = value.abs() - bound - wanted;
        match clock.state.as_str() {
            "synchronized" if is_trusted(clock) && value.abs() + bound <= wanted => {
                let text = format!("the clock is {} ± {}", offset(value), seconds(bound));
                Verdict::new(Readiness::Good, text, "the clock is right")
            }
            "synchronized" if is_trusted(clock) => is_off(certain, Readiness::NotGood),
            "synchronized" => Verdict::plain(Readiness::Unknown, "one source of time has answered, and only once"),
            // As with alerts: who is silent proves nothing but what would be wrong for certain.
            "holdover" if certain > 0.0 => is_off(certain, Readiness::NotGood),
            _ => silence(clock, sources),
        }
    }

    fn credentials(&self, snapshot: &Snapshot) -> Verdict {
        let judged = || snapshot.credentials.iter().filter(|credential| credential.judged);
        let mut verdicts: Vec<_> = judged().map(|credential| self.credential(credential, &snapshot.clock)).collect();
        let awaited = |provider: &String| {
            Verdict::plain(Readiness::Unknown, format!("the credentials of {provider} were not read yet"))
        };
        verdicts.extend(snapshot.awaited.iter().map(awaited));
        if verdicts.is_empty() {
            verdicts.push(self.nobody("nobody hands out a credential"));
        }
        let readiness = verdicts.iter().map(|verdict| verdict.readiness).max().unwrap_or(Readiness::Unknown);
        verdicts.retain(|verdict| verdict.readiness == readiness);
        let join = |part: fn(&Verdict) -> &str| verdicts.iter().map(part).collect::<Vec<_>>().join(", ");
        Verdict::new(readiness, join(|verdict| &verdict.text), join(|verdict| &verdict.gist))
    }

    fn credential(&self, credential: &Credential, clock: &Clock) -> Verdict {
        let name = format!("{} {}", credential.provider, credential.identity);
        let name = name.trim_end();
        match credential.state.as_str() {
            "no-role" => return self.nobody(&format!("{name} hands out no role")),
            "unavailable" => {
                let readiness = if is_own_fault(&credential.code) { Readiness::Unknown } else { Readiness::NotGood };
                return Verdict::plain(readiness, format!("{name} cannot be read ({})", credential.code));
            }
            _ if credential.code != "Success" => {
                return Verdict::plain(Readiness::NotGood, format!("{name} is not handed out ({})", credential.code));
            }
            _ => {}
        }
        // What this host wrote down by its own clock is compared with that clock, whatever it shows.
        let is_local = credential.basis.as_deref() == Some("local");
        let doubt = if is_local { Some(0.0) } else { clock.error_bound_seconds.filter(|_| is_time_known(clock)) };
        match (credential.remaining_seconds, doubt) {
            (None, _) if credential.remaining_local_seconds.is_none() => {
                Verdict::plain(Readiness::Good, format!("{name} does not expire"))
            }
            (Some(left), Some(doubt)) if left - doubt > self.remaining.as_secs_f64() => {
                Verdict::new(Readiness::Good, format!("{name} has {} left", seconds(left)), format!("{name} is good"))
            }
            (Some(left), Some(_)) => {
                let life = match left > 0.0 {
                    true => format!("has {} left", seconds(left)),
                    false => format!("expired {} ago", seconds(left)),
                };
                let text = format!("{name} {life} (wanted: more than {})", Period(self.remaining));
                Verdict::new(Readiness::NotGood, text, format!("{name} expires"))
            }
            _ => Verdict::plain(Readiness::Unknown, format!("{name} was read, but true time is not known")),
        }
    }

    /// Nothing is handed out: that is good where it was said to be.
    fn nobody(&self, text: &str) -> Verdict {
        if self.allow_no_role {
            Verdict::plain(Readiness::Good, text)
        } else {
            Verdict::plain(Readiness::NotGood, format!("{text} (--allow-no-role would take that)"))
        }
    }
}

/// Whether the estimate rests on more than the word of somebody who has answered once.
const fn is_trusted(clock: &Clock) -> bool {
    clock.confirmed || clock.vouched
}

/// Whether all that is known of the time is the one answer of somebody whom nobody has to believe.
pub(super) fn rests_on_one_answer(clock: &Clock) -> bool {
    clock.state == "synchronized" && !is_trusted(clock)
}

/// Whether lives can be judged: by sources that agree, or by what they have said before they fell silent.
fn is_time_known(clock: &Clock) -> bool {
    match clock.state.as_str() {
        "synchronized" => is_trusted(clock),
        "holdover" => true,
        _ => false,
    }
}

/// Whether only this process is kept from reading: those for whom a credential is there read it all the same.
fn is_own_fault(code: &str) -> bool {
    [Unavailable::Denied, Unavailable::Escapes, Unavailable::NotAFile].iter().any(|reason| reason.code() == code)
}

/// Why nothing is known of the clock.
fn silence(clock: &Clock, sources: &[Source]) -> Verdict {
    let mut reasons = sources.iter().filter_map(|source| {
        let refusal = source.refusal.as_ref()?;
        Some(format!("{}: {refusal}", source.name))
    });
    let text = match clock.state.as_str() {
        "disagreement" => "the sources of time contradict one another".to_owned(),
        "holdover" => "the sources of time have fallen silent".to_owned(),
        _ => match reasons.next() {
            Some(reason) => format!("no source of time has answered ({reason})"),
            None => "no source of time has answered yet".to_owned(),
        },
    };
    Verdict::plain(Readiness::Unknown, text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::brief::tests::snapshot;

    const DEMAND: Demand = Demand {
        subject: Subject::All,
        within: Duration::from_secs(5),
        remaining: Duration::from_secs(60),
        allow_no_role: false,
    };

    /// A clock, which nobody but those who vouch for it or have confirmed it is trusted on.
    fn clock(state: &str, offset: f64, bound: f64, trusted: (bool, bool)) -> Snapshot {
        snapshot(|value| {
            value["clock"]["state"] = json!(state);
            value["clock"]["offset_seconds"] = json!(offset);
            value["clock"]["error_bound_seconds"] = json!(bound);
            value["clock"]["confirmed"] = json!(trusted.0);
            value["clock"]["vouched"] = json!(trusted.1);
        })
    }

    /// A clock that is right, and one credential.
    fn credential(change: impl FnOnce(&mut Value)) -> Snapshot {
        snapshot(|value| {
            value["clock"]["vouched"] = json!(true);
            value["credentials"][0]["remaining_seconds"] = json!(3_600.0);
            value["credentials"][0]["remaining_local_seconds"] = json!(3_600.0);
            value["credentials"][0]["basis"] = json!("server");
            change(&mut value["credentials"][0]);
        })
    }

    fn of_clock(snapshot: &Snapshot) -> Verdict {
        Demand { subject: Subject::Clock, ..DEMAND }.judge(Some(snapshot)).clock.unwrap()
    }

    fn of_credentials(demand: Demand, snapshot: &Snapshot) -> (Readiness, String) {
        let verdict = demand.judge(Some(snapshot)).credentials.unwrap();
        (verdict.readiness, verdict.text)
    }

    const STATES: [&str; 5] = ["starting", "synchronized", "holdover", "disagreement", "unknown"];

    proptest! {
        #[test]
        fn a_clock_is_good_where_sources_agree_that_it_is_within_and_only_there(
            state in 0..STATES.len(), offset in -20.0..20.0_f64, bound in 0.0..10.0_f64,
            confirmed in any::<bool>(), vouched in any::<bool>()
        ) {
            let verdict = of_clock(&clock(STATES[state], offset, bound, (confirmed, vouched)));
            let is_agreed = STATES[state] == "synchronized" && (confirmed || vouched);
            let is_good = is_agreed && offset.abs() + bound <= 5.0;
            prop_assert_eq!(verdict.readiness == Readiness::Good, is_good, "{:?}", verdict);
            // Nobody is told to be wrong by those who prove nothing.
            let is_proved = is_agreed || (STATES[state] == "holdover" && offset.abs() - bound > 5.0);
            prop_assert_eq!(verdict.readiness == Readiness::NotGood, is_proved && !is_good, "{:?}", verdict);
        }

        #[test]
        fn what_is_good_stays_good_where_less_is_wanted(
            offset in -20.0..20.0_f64, bound in 0.0..10.0_f64, within in 0..20_u64, more in 0..20_u64
        ) {
            let snapshot = clock("synchronized", offset, bound, (false, true));
            let good = |within| Demand { within: Duration::from_secs(within), subject: Subject::Clock, ..DEMAND }
                .judge(Some(&snapshot)).readiness() == Readiness::Good;
            prop_assert!(!good(within) || good(within + more));
        }

        #[test]
        fn the_life_of_a_credential_is_the_true_one_whatever_the_host_believes(
            left in -7_200.0..7_200.0_f64, believed in -7_200.0..7_200.0_f64, bound in 0.0..30.0_f64
        ) {
            let mut snapshot = credential(|value| {
                value["remaining_seconds"] = json!(left);
                value["remaining_local_seconds"] = json!(believed);
            });
            snapshot.clock.error_bound_seconds = Some(bound);
            let expected = if left - bound > 60.0 { Readiness::Good } else { Readiness::NotGood };
            prop_assert_eq!(of_credentials(DEMAND, &snapshot).0, expected);
        }

        #[test]
        fn the_worst_of_several_decides(states in proptest::collection::vec(0..4_usize, 1..6)) {
            const CASES: [(&str, f64, Readiness); 4] = [
                ("valid", 3_600.0, Readiness::Good), ("expired", -5.0, Readiness::NotGood),
                ("unavailable", 3_600.0, Readiness::NotGood), ("expiring", 200.0, Readiness::Good),
            ];
            let mut snapshot = credential(|_| {});
            let one = snapshot.credentials[0].clone();
            snapshot.credentials = states.iter().map(|&index| Credential {
                state: CASES[index].0.to_owned(),
                remaining_seconds: Some(CASES[index].1),
                ..one.clone()
            }).collect();
            let worst = states.iter().map(|&index| CASES[index].2).max().unwrap();
            prop_assert_eq!(of_credentials(DEMAND, &snapshot).0, worst);
        }
    }

    #[test]
    fn what_is_said_of_a_clock_says_what_is_wanted() {
        let said = |state, offset, bound, trusted| of_clock(&clock(state, offset, bound, trusted)).text;
        assert_eq!(
            said("synchronized", 400.0, 0.001, (true, true)),
            "the clock is 400 s slow ± 1.0 ms (wanted: within 5s)"
        );
        assert_eq!(said("synchronized", -0.002, 0.001, (true, false)), "the clock is 2.0 ms fast ± 1.0 ms");
        let unsure = of_clock(&clock("synchronized", 1.0, 6.0, (true, true)));
        assert_eq!(
            (unsure.readiness, unsure.gist.as_str()),
            (Readiness::NotGood, "the clock is not known well enough")
        );
        assert_eq!(said("synchronized", 0.0, 0.001, (false, false)), "one source of time has answered, and only once");
        assert_eq!(said("holdover", 0.0, 0.1, (true, true)), "the sources of time have fallen silent");
        assert_eq!(said("disagreement", 0.0, 0.1, (true, true)), "the sources of time contradict one another");
    }

    #[test]
    fn numbers_are_no_change_and_the_end_of_a_fault_is() {
        let gist = |offset| of_clock(&clock("synchronized", offset, 0.001, (true, true))).gist;
        assert_eq!(gist(400.0), gist(399.0));
        assert_ne!(gist(400.0), gist(1.0));
    }

    #[test]
    fn each_state_of_a_credential_has_its_verdict() {
        let of = |change: fn(&mut Value)| of_credentials(DEMAND, &credential(change));
        assert_eq!(of(|_| {}), (Readiness::Good, "imds a-role has 1.0 h left".to_owned()));
        assert_eq!(
            of(|value| value["remaining_seconds"] = json!(30.0)),
            (Readiness::NotGood, "imds a-role has 30.0 s left (wanted: more than 1m)".to_owned())
        );
        assert_eq!(
            of(|value| (value["state"], value["code"]) = (json!("unavailable"), json!("timeout"))),
            (Readiness::NotGood, "imds a-role cannot be read (timeout)".to_owned())
        );
        let denied = of(|value| (value["state"], value["code"]) = (json!("unavailable"), json!("permission-denied")));
        assert_eq!(denied.0, Readiness::Unknown, "the application may be allowed to read it");
        let unverified = of(|value| (value["state"], value["remaining_seconds"]) = (json!("unverified"), Value::Null));
        assert_eq!(unverified.0, Readiness::Unknown);
        let timeless = of(|value| {
            (value["remaining_seconds"], value["remaining_local_seconds"]) = (Value::Null, Value::Null);
        });
        assert_eq!(timeless, (Readiness::Good, "imds a-role does not expire".to_owned()));
        let other = of(|value| value["code"] = json!("AssumeRoleUnauthorizedAccess"));
        assert_eq!(other.0, Readiness::NotGood);
    }

    #[test]
    fn a_life_that_ends_by_an_unknown_time_is_unknown_but_for_what_the_host_wrote_itself() {
        let mut blind = credential(|_| {});
        blind.clock.vouched = false;
        assert_eq!(of_credentials(DEMAND, &blind).0, Readiness::Unknown, "one answer proves nothing");
        blind.clock.state = "holdover".to_owned();
        assert_eq!(of_credentials(DEMAND, &blind).0, Readiness::Good);
        blind.clock.state = "starting".to_owned();
        assert_eq!(of_credentials(DEMAND, &blind).0, Readiness::Unknown);
        blind.credentials[0].basis = Some("local".to_owned());
        assert_eq!(of_credentials(DEMAND, &blind).0, Readiness::Good);
    }

    #[test]
    fn that_nobody_hands_out_anything_is_good_only_where_it_is_allowed() {
        let lenient = Demand { allow_no_role: true, ..DEMAND };
        let mut none = credential(|value| (value["state"], value["code"]) = (json!("no-role"), json!("no-role")));
        assert_eq!(of_credentials(DEMAND, &none).0, Readiness::NotGood);
        assert_eq!(of_credentials(lenient, &none).0, Readiness::Good);
        // What is nobody's concern counts for nothing, and what was not read yet may be there.
        none.credentials[0].judged = false;
        assert_eq!(of_credentials(DEMAND, &none).0, Readiness::NotGood);
        assert_eq!(of_credentials(lenient, &none).0, Readiness::Good);
        none.awaited = vec!["imds".to_owned()];
        let unread = (Readiness::Unknown, "the credentials of imds were not read yet".to_owned());
        assert_eq!(of_credentials(lenient, &none), unread);
        assert_eq!(of_credentials(DEMAND, &none), unread);
    }

    #[test]
    fn nothing_is_known_before_anybody_has_said_anything() {
        let judgement = DEMAND.judge(None);
        assert_eq!(
            (judgement.readiness(), judgement.text().as_str()),
            (Readiness::Unknown, "nothing was measured yet")
        );
    }

    #[test]
    fn what_is_not_good_is_told_alone_and_outweighs_what_is_not_known() {
        let mut snapshot = credential(|value| value["remaining_seconds"] = json!(30.0));
        snapshot.clock.state = "holdover".to_owned();
        let judgement = DEMAND.judge(Some(&snapshot));
        assert_eq!(judgement.readiness(), Readiness::NotGood);
        assert!(judgement.text().starts_with("the sources of time have fallen silent; imds a-role has 30.0 s left"));
        snapshot.clock.state = "synchronized".to_owned();
        assert!(DEMAND.judge(Some(&snapshot)).text().starts_with("imds"), "the clock is right");
    }
}
