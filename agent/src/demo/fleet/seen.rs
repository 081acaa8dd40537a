//! What the agents of a drill have told, and whether that is what they should.

use std::collections::BTreeMap;

use super::trouble::{CALM, Trouble};
use crate::alert::machine::{Change, Transition};
use crate::assess::finding::{Kind, Severity};

/// For each trouble and alert, which hosts have told it, and how many seconds after the beginning of the trouble.
pub(super) struct Seen {
    fleet: u32,
    told: BTreeMap<(Option<Trouble>, Kind, Severity), BTreeMap<u32, f64>>,
}

impl Seen {
    /// Nothing yet of a fleet of so many.
    pub(super) const fn new(fleet: u32) -> Self {
        Self { fleet, told: BTreeMap::new() }
    }

    /// Takes note of what `host` tells so many seconds after the troubles began; a line where no other has told it before.
    pub(super) fn note(
        &mut self,
        host: u32,
        trouble: Option<Trouble>,
        transition: &Transition,
        after: f64,
    ) -> Option<String> {
        if transition.change != Change::Firing {
            return None;
        }
        let Transition { kind, severity, summary, .. } = transition;
        let told = self.told.entry((trouble, *kind, *severity)).or_default();
        let is_first = told.is_empty();
        told.entry(host).or_insert(after);
        is_first.then(|| {
            let name = trouble.map_or("a host that is well", Trouble::name);
            let at = clock(after + CALM);
            format!("{at:>7}  {name}: {} {}: {summary}", severity.name().to_uppercase(), kind.name())
        })
    }

    /// All that was told by hosts that have no trouble, or not that one.
    fn wrong(&self) -> impl Iterator<Item = String> {
        let is_right = |trouble: Trouble, kind, severity| {
            let expected = trouble.expected().iter().map(|one| (one.kind, one.severity));
            expected.chain(trouble.tolerated().iter().copied()).any(|one| one == (kind, severity))
        };
        let wrong = self
            .told
            .iter()
            .filter(move |((trouble, kind, severity), _)| !trouble.is_some_and(|one| is_right(one, *kind, *severity)));
        wrong.map(|((trouble, kind, severity), hosts)| {
            let name = trouble.map_or("nothing", Trouble::name);
            format!("wrong: {} {} on {} hosts whose trouble is {name}", severity.name(), kind.name(), hosts.len())
        })
    }

    /// What came of a drill that ended at `end`, line by line, and whether all is as it should be.
    pub(super) fn summary(&self, end: f64) -> (Vec<String>, bool) {
        let row = |cells: [&str; 7]| {
            let [trouble, hosts, alert, severity, told, first, last] = cells;
            format!("{trouble:<17} {hosts:>6}  {alert:<25} {severity:<9} {told:>6}  {first:>7} {last:>7}")
        };
        let mut lines = vec![row(["trouble", "hosts", "alert", "severity", "told", "first", "last"])];
        let mut is_well = true;
        for trouble in Trouble::ALL {
            let hosts = trouble.hosts(self.fleet);
            let mut name = (trouble.name(), hosts.to_string());
            for one in trouble.expected() {
                let told = self.told.get(&(Some(trouble), one.kind, one.severity));
                let times = || told.into_iter().flat_map(BTreeMap::values).copied();
                let is_due = CALM + one.within <= end;
                let in_time = times().filter(|after| *after <= one.within).count();
                let missing = hosts.saturating_sub(u32::try_from(in_time).unwrap_or(u32::MAX));
                is_well &= !is_due || missing == 0;
                let note = match (is_due, missing) {
                    (true, 0) => String::new(),
                    (true, _) => format!("  {missing} MISSING"),
                    (false, _) => format!("  not due before {}", clock(CALM + one.within)),
                };
                let (first, last) = (times().reduce(f64::min), times().reduce(f64::max));
                let [first, last] = [first, last].map(|time| time.map_or_else(|| "-".to_owned(), clock));
                let told = told.map_or(0, BTreeMap::len).to_string();
                lines.push(row([name.0, &name.1, one.kind.name(), one.severity.name(), &told, &first, &last]) + &note);
                name = ("", String::new());
            }
            if trouble.expected().is_empty() {
                lines.push(row([name.0, &name.1, "none by the agent", "", "", "", ""]).trim_end().to_owned());
                name = ("", String::new());
            }
            if !trouble.by_rules().is_empty() {
                lines.push(format!("{:<17} {:>6}  rules: {}", name.0, name.1, trouble.by_rules()));
            }
        }
        let ill: u32 = Trouble::ALL.iter().map(|trouble| trouble.hosts(self.fleet)).sum();
        let well = self.fleet.saturating_sub(ill);
        let falsely: std::collections::BTreeSet<u32> = self
            .told
            .iter()
            .filter(|((trouble, ..), _)| trouble.is_none())
            .flat_map(|(_, hosts)| hosts.keys().copied())
            .collect();
        lines.push(format!("{:<17} {well:>6}  {} of them told anything", "none", falsely.len()));
        lines.push(String::new());
        let wrong: Vec<_> = self.wrong().collect();
        is_well &= wrong.is_empty();
        lines.extend(wrong);
        lines.push(String::from(if is_well {
            "All that was due was told by every host concerned, and nothing else by any. Times are since the troubles began."
        } else {
            "Something did not come as it should: see above. Times are since the troubles began."
        }));
        (lines, is_well)
    }
}

/// Seconds as minutes and seconds.
pub(super) fn clock(seconds: f64) -> String {
    let whole = std::time::Duration::from_secs_f64(seconds.max(0.0)).as_secs();
    format!("{}m {:02}s", whole / 60, whole % 60)
}
