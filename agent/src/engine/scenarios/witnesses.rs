//! Which sources are one witness: on one host in four a witness has twins, such as the second address of Amazon Time Sync
//! and the clock of the network card, which are wrong together and fall silent together or each by itself.

use super::Run;

/// One host in so many has twins.
const HAS_TWINS: u64 = 4;
/// Which of them.
const WITH_TWINS: u64 = 2;
const MOST_TWINS: usize = 3;

/// The witnesses of a host. Each has a source of its own number, and one of them may have more, which come after all others.
#[derive(Clone, Debug)]
pub(super) struct Witnesses {
    count: usize,
    /// The witness that has twins, and how many.
    twins: Option<(usize, usize)>,
    /// Whether its sources are out of reach together.
    falls_silent_as_one: bool,
}

impl Witnesses {
    /// As this host has them: whoever lies is the one with twins in half of the cases.
    pub(super) fn new(seed: u64, count: usize, liar: Option<usize>, may_have_twins: bool) -> Self {
        // What else happens to a host is not to depend on this.
        let mut random = fastrand::Rng::with_seed(seed ^ 0x7717);
        let which = liar.filter(|_| random.bool()).unwrap_or(random.usize(..count));
        let twins = (which, random.usize(1..=MOST_TWINS));
        let falls_silent_as_one = random.bool();
        let has_twins = may_have_twins && seed % HAS_TWINS == WITH_TWINS;
        Self { count, twins: has_twins.then_some(twins), falls_silent_as_one }
    }

    /// How many witnesses there are.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// How many sources there are.
    pub(super) fn sources(&self) -> usize {
        self.count + self.twins.map_or(0, |(_, twins)| twins)
    }

    /// The witness that a source is a part of.
    pub(super) fn of(&self, source: usize) -> usize {
        match self.twins {
            Some((which, _)) if source >= self.count => which,
            _ => source,
        }
    }

    /// Its group, where it has more than one source.
    pub(super) fn group(&self, source: usize) -> Option<String> {
        self.twins.filter(|(which, _)| *which == self.of(source)).map(|_| "nitro".to_owned())
    }

    /// All sources that are out of reach where this one is.
    pub(super) fn lost_with(&self, source: usize) -> Vec<usize> {
        let is_lost_too =
            |other: &usize| *other == source || (self.falls_silent_as_one && self.of(*other) == self.of(source));
        (0..self.sources()).filter(is_lost_too).collect()
    }

    /// How many witnesses these sources are.
    pub(super) fn among(&self, sources: impl Iterator<Item = usize>) -> usize {
        let mut witnesses: Vec<usize> = sources.map(|source| self.of(source)).collect();
        witnesses.sort_unstable();
        witnesses.dedup();
        witnesses.len()
    }

    /// Whether it is the one that has more than one source.
    fn has_twins(&self, witness: usize) -> bool {
        self.twins.is_some_and(|(which, _)| which == witness)
    }
}

impl Run {
    /// However many sources a witness that lies has, it is never believed by those who could know the time.
    pub(super) fn check_twins(&self) {
        let host = &self.host;
        let Some(liar) = host.liar.filter(|liar| host.witnesses.has_twins(*liar) && host.is_known()) else { return };
        let Some(skew) = self.engine.at(host.reading()).skew else { return };
        let wrong = skew.offset.span().seconds() - host.offset();
        assert!(
            (wrong - host.lie).abs() > host.lie.abs() / 2.0,
            "witness {liar} of {} sources is believed: {wrong} s wrong",
            host.configured.iter().filter(|source| host.witnesses.of(**source) == liar).count()
        );
    }
}

#[test]
fn one_host_in_four_has_twins_and_half_of_those_that_lie_have_them() {
    let all: Vec<(Option<usize>, Witnesses)> = (0..2_000)
        .map(|seed| {
            let run = Run::new(seed);
            (run.host.liar, run.host.witnesses)
        })
        .collect();
    let with_twins = || all.iter().filter(|(_, witnesses)| witnesses.twins.is_some());
    assert_eq!(with_twins().count(), 500);
    let lying = with_twins().filter(|(liar, _)| liar.is_some()).count();
    let liars = with_twins().filter(|(liar, witnesses)| liar.is_some_and(|liar| witnesses.has_twins(liar))).count();
    assert!(liars * 2 > lying && liars < lying, "{liars} of {lying}");
    // Those are more sources than all honest ones together.
    let is_outnumbering = |liar: usize, witnesses: &Witnesses| {
        witnesses.has_twins(liar) && witnesses.twins.is_some_and(|(_, twins)| twins + 1 > witnesses.count - 1)
    };
    let outnumbering =
        with_twins().filter(|(liar, witnesses)| liar.is_some_and(|liar| is_outnumbering(liar, witnesses)));
    assert!(outnumbering.count() >= 20);
    assert!(
        with_twins().any(|(_, one)| one.falls_silent_as_one) && with_twins().any(|(_, one)| !one.falls_silent_as_one)
    );
}
