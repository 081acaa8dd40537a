//! From a paste to the errors in it: what each proves, the innermost cause before what wraps it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use super::folded::{Folded, Needle};
use super::kind::Kind;
use super::paste::Paste;
use super::split::{Entry, split};
use super::stamp::Stamp;
use super::symptom::Symptom;
use super::table::sources::{AT_IMDS, BEHIND_IMDS, FAILED, PERHAPS_IMDS};
use super::table::{Rank, Row, foreign, rows};
use super::times::{Page, Times, boundary};

/// Of more errors than this the newest are looked at.
const MOST: usize = 5_000;
/// Where a wording stands more often within one error, its newest places are looked at.
const MOST_OF_ONE: usize = 64;
/// How far behind the mention of the metadata service stands why it gave nothing.
const BEHIND: usize = 1_500;
/// What stands between an error and its cause, in the order of most programs.
const CAUSES: &[Needle] = &[
    Needle::Words("caused by:"),
    Needle::Words("--->"),
    Needle::Words("nested exception is"),
    Needle::Words("[cause]:"),
    Needle::Words("root cause:"),
    Needle::Words("original error:"),
    Needle::Words("direct cause of the following exception"),
    Needle::Words("another exception occurred:"),
    Needle::Words("causing:"),
    Needle::Words("wrapped by:"),
];

/// What was found in a paste.
#[derive(Default)]
pub(super) struct Found {
    /// The findings, the newest first.
    pub(super) findings: Vec<Finding>,
    /// How many errors at the beginning were not looked at.
    pub(super) skipped: usize,
    /// At how many places of the others, that may tell times of their own, a wording was not looked at.
    pub(super) repeated: usize,
}

/// One error.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// What went wrong.
    pub(super) kind: Kind,
    /// The wording that tells it.
    pub(super) row: &'static Row,
    /// The times that it tells.
    pub(super) times: Times,
    /// When it was logged.
    pub(super) stamp: Option<Stamp>,
}

/// A wording that stands somewhere.
#[derive(Clone)]
struct Hit {
    row: &'static Row,
    kind: Kind,
    place: Range<usize>,
    rank: Rank,
    /// How deep a cause it is.
    depth: isize,
    times: Times,
    /// How often it stands before that in the same error, and is not looked at.
    before: usize,
}

/// The newest errors in which wordings stand.
struct Newest {
    hits: BTreeMap<usize, Vec<Hit>>,
    /// Which errors had to go.
    dropped: Vec<bool>,
    /// Those before this one are too old.
    oldest: usize,
}

impl Newest {
    fn of(errors: usize) -> Self {
        Self { hits: BTreeMap::new(), dropped: vec![false; errors], oldest: 0 }
    }

    /// Keeps the places of a row in an error, and drops the oldest error where that makes too many.
    fn add(&mut self, error: usize, row: &'static Row, places: &mut VecDeque<Range<usize>>, before: usize) {
        if places.is_empty() {
            return;
        }
        if error < self.oldest {
            places.clear();
            self.leave_out(error);
            return;
        }
        let hits = self.hits.entry(error).or_default();
        for (at, place) in places.drain(..).enumerate() {
            let before = if at == 0 { before } else { 0 };
            let (kind, rank) = (row.proves, row.rank);
            hits.push(Hit { row, kind, place, rank, depth: 0, times: Times::default(), before });
        }
        if self.hits.len() > MOST
            && let Some((oldest, _)) = self.hits.pop_first()
        {
            self.oldest = oldest + 1;
            self.leave_out(oldest);
        }
    }

    fn leave_out(&mut self, error: usize) {
        if let Some(is_dropped) = self.dropped.get_mut(error) {
            *is_dropped = true;
        }
    }
}

/// Finds all errors of a paste.
pub(super) fn find(paste: &Paste) -> Found {
    let lines = paste.lines();
    let folded = Folded::of(&lines.text);
    let page = Page { text: &lines.text, folded: &folded };
    let entries = split(&lines);
    let mut newest = Newest::of(entries.len());
    let mut has_own = false;
    for row in rows() {
        // Places come in their order.
        let (mut current, mut before, mut places) = (usize::MAX, 0, VecDeque::with_capacity(MOST_OF_ONE));
        for place in folded.find(row.says, 0..lines.text.len()) {
            let at = entries.partition_point(|entry| entry.range.end <= place.start);
            if at != current {
                newest.add(current, row, &mut places, before);
                (current, before) = (at, 0);
            }
            let is_within =
                entries.get(at).is_some_and(|entry| entry.range.start <= place.start && place.end <= entry.range.end);
            if !is_within {
                continue;
            }
            has_own |= !row.is_shared;
            if places.len() == MOST_OF_ONE {
                places.pop_front();
                before += 1;
            }
            places.push_back(place);
        }
        newest.add(current, row, &mut places, before);
    }
    // Who names another cloud, and nothing that is AWS's own, speaks of that one throughout.
    let is_foreign = !has_own && folded.has_any(foreign::MARKS, &(0..lines.text.len()));
    let skipped = newest.dropped.iter().filter(|is_dropped| **is_dropped).count();
    let (mut findings, mut repeated) = (Vec::new(), 0);
    for (at, hits) in newest.hits {
        if let Some(entry) = entries.get(at) {
            findings.extend(judge(&page, entry, hits, is_foreign, &mut repeated));
        }
    }
    let mut findings = without_wrappers(&findings);
    newest_first(&mut findings);
    Found { findings, skipped, repeated }
}

/// Without those that only say a part of what stands next to them: that there are no credentials, or the code of an error.
fn without_wrappers(findings: &[Finding]) -> Vec<Finding> {
    let is_part = |finding: &Finding, other: Option<&Finding>| {
        let is_bare = finding.row.because.is_none() && finding.row.rank <= Rank::Code;
        other.is_some_and(|other| is_bare && finding.kind.is_part_of(other.kind))
    };
    let mut kept = Vec::new();
    for (at, finding) in findings.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| findings.get(at));
        if !is_part(finding, before) && !is_part(finding, findings.get(at + 1)) {
            kept.push(finding.clone());
        }
    }
    kept
}

/// By the times of the log where all have one, else as they stand.
fn newest_first(findings: &mut [Finding]) {
    findings.reverse();
    if findings.iter().all(|finding| finding.stamp.is_some()) {
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.stamp.map(|stamp| stamp.nanos)));
    }
}

/// What the wordings of one error prove together. Adds to `repeated` at how many places their own times were not looked at.
fn judge(page: &Page<'_>, entry: &Entry, hits: Vec<Hit>, is_foreign: bool, repeated: &mut usize) -> Vec<Finding> {
    let range = &entry.range;
    let is_foreign = is_foreign || page.folded.has_any(foreign::MARKS, range) || foreign::is_named(page, range);
    let mut causes: Vec<usize> =
        CAUSES.iter().flat_map(|needle| page.folded.find(*needle, range.clone())).map(|place| place.start).collect();
    causes.sort_unstable();
    let holds = |row: &Row| {
        (!is_foreign || !row.is_shared || foreign::ANYBODYS.contains(&row.proves))
            && (row.with.is_empty() || page.folded.has_any(row.with, range))
            && !page.folded.has_any(row.without, range)
    };
    let mut held: BTreeMap<*const Row, bool> = BTreeMap::new();
    let mut hits = hits;
    hits.retain(|hit| *held.entry(std::ptr::from_ref(hit.row)).or_insert_with(|| holds(hit.row)));
    hits.sort_by_key(|hit| hit.place.start);
    let first_of_imds = hits.iter().find(|hit| is_imds(hit.kind)).map(|hit| hit.place.clone());
    let mut shared: Vec<(Kind, Times)> = Vec::new();
    for hit in &mut hits {
        let depth = causes.partition_point(|cause| *cause <= hit.place.start);
        let depth = isize::try_from(depth).unwrap_or(isize::MAX);
        hit.depth = if entry.is_cause_first { -depth } else { depth };
        if Times::are_of_a_place(hit.kind) {
            hit.times = Times::of(page, hit.kind, &hit.place, range);
            *repeated += hit.before;
            continue;
        }
        let known = shared.iter().find(|(kind, _)| *kind == hit.kind).map(|(_, times)| *times);
        hit.times = known.unwrap_or_else(|| {
            let times = Times::of(page, hit.kind, &hit.place, range);
            shared.push((hit.kind, times));
            times
        });
    }
    if let Some(mention) = first_of_imds {
        // A line says why before it says where, or behind it; what other lines say before it is theirs.
        let before = page.text.get(range.start..mention.start).unwrap_or_default();
        let line = match before.rfind('\n').filter(|_| !entry.is_cause_first) {
            Some(end) => range.start + end + 1,
            None => range.start,
        };
        let last = hits.iter().rfind(|hit| is_imds(hit.kind)).map_or(mention.end, |hit| hit.place.end);
        if let Some((symptom, place)) = symptom(page, range, line, last) {
            let depth = hits.iter().filter(|hit| is_imds(hit.kind)).map(|hit| hit.depth).max().unwrap_or_default();
            let mention = hits.iter().find(|hit| is_imds(hit.kind)).cloned();
            if let Some(mention) = mention {
                // A network that fails behind the mention of the service is the service's.
                hits.retain(|hit| hit.kind != Kind::ServiceUnreachable || hit.place.start < mention.place.start);
                let place = place.max(mention.place.start)..place.max(mention.place.end);
                hits.push(Hit { kind: Kind::Imds(symptom), rank: Rank::Words, depth, place, ..mention });
            }
        }
    }
    if !page.folded.has_any(FAILED, range) {
        hits.retain(|hit| hit.kind != Kind::Imds(Symptom::Unclear));
    }
    choose(hits)
        .into_iter()
        .map(|hit| Finding { kind: hit.kind, row: hit.row, times: hit.times, stamp: entry.stamp })
        .collect()
}

/// The innermost of what is more than a wrapper, and of that the most telling; and each that tells times of its own.
fn choose(hits: Vec<Hit>) -> Vec<Hit> {
    let mut timed: Vec<Hit> = Vec::new();
    for hit in &hits {
        let is_told = timed.iter().any(|other| other.kind == hit.kind && other.times == hit.times);
        if hit.kind.is_of_time() && hit.rank >= Rank::Code && hit.times.is_complete() && !is_told {
            timed.push(hit.clone());
        }
    }
    let specific = hits.iter().filter(|hit| hit.rank == Rank::Words).map(|hit| hit.depth).max();
    let best = hits.into_iter().max_by_key(|hit| match hit.rank {
        Rank::Wrapper | Rank::Mention => (false, isize::MIN, hit.rank, hit.place.start),
        rank => (true, hit.depth, rank, hit.place.start),
    });
    let Some(best) = best else { return Vec::new() };
    // What is no wrapper and stands deeper than all that tells times is the cause of it.
    let is_deeper =
        timed.iter().all(|hit| hit.depth < best.depth) && best.rank == Rank::Words && specific == Some(best.depth);
    if timed.is_empty() || is_deeper {
        return vec![best];
    }
    timed
}

const fn is_imds(kind: Kind) -> bool {
    matches!(kind, Kind::Imds(_))
}

/// Why the metadata service gave nothing, and where that stands.
fn symptom(page: &Page<'_>, entry: &Range<usize>, first: usize, last: usize) -> Option<(Symptom, usize)> {
    let behind = first..entry.end.min(boundary(page.text, last.saturating_add(BEHIND)));
    let telling = |table: &[(&'static str, Symptom)], within: &Range<usize>| {
        let found = table.iter().flat_map(|(words, symptom)| {
            page.folded.find(Needle::Words(words), within.clone()).map(|place| (place.start, *symptom))
        });
        found.max_by_key(|(place, _)| *place).map(|(place, symptom)| (symptom, place))
    };
    let text = page.text.get(behind.clone()).unwrap_or_default();
    let told = telling(AT_IMDS, entry).or_else(|| telling(BEHIND_IMDS, &behind)).or_else(|| {
        let joined = text.replace(super::decode::WRAP, "");
        Symptom::of_status(&joined).map(|symptom| (symptom, behind.start))
    });
    let told = told.or_else(|| telling(PERHAPS_IMDS, entry)).filter(|(symptom, _)| *symptom != Symptom::Unclear)?;
    let is_of_role = path(page, entry).is_none_or(|path| path.starts_with("iam"));
    match told {
        (Symptom::NoRole, place) if !is_of_role => Some((Symptom::NoSuchPath, place)),
        told => Some(told),
    }
}

/// What was asked for below `/latest/meta-data/`.
fn path(page: &Page<'_>, entry: &Range<usize>) -> Option<String> {
    let place = page.folded.find(Needle::Words("/latest/meta-data/"), entry.clone()).last()?;
    let rest = page.text.get(place.end..entry.end)?;
    let path: String = rest.chars().take(80).filter(|c| !matches!(*c, '\n' | super::decode::WRAP)).collect();
    let path: String = path.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_/".contains(*c)).collect();
    (!path.is_empty()).then_some(path)
}

#[cfg(test)]
mod tests;
