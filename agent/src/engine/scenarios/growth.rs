//! What the agent remembers, which is no more after days than after an hour.

use super::Run;
use super::host::Host;
use crate::assess::alerts::{Kind, Part};
use crate::schedules;

/// How long some hosts are in trouble without an end to it.
const DAYS: f64 = 4.0 * 86_400.0;
const HOUR: f64 = 3_600.0;
/// The trend keeps 128 points and a source eight answers: as text, no more than this. All else is of fixed size.
const MOST_IN_THE_IMAGE: usize = 16 * 1_024;
const MOST_OF_A_SOURCE: usize = 8 * 1_024;

impl Run {
    /// What outlives the process, what is known of the sources, and what fires or pends are all bounded.
    pub(super) fn assert_small(&self) {
        let engine = &self.engine;
        let sources = self.host.configured.len();
        let image = serde_json::to_string(&engine.image()).unwrap().len();
        assert!(image <= MOST_IN_THE_IMAGE, "{image} bytes in the state file");
        let heard = format!("{:?}", engine.estimator.sources()).len();
        assert!(heard <= sources * MOST_OF_A_SOURCE, "{heard} bytes of {sources} sources");
        let alerts = engine.alerts.alerts().count();
        // Of the clock and of one provider of credentials, and so many for each source.
        let of_a_source = Kind::ALL.iter().filter(|kind| kind.part() == Some(Part::Source)).count();
        assert!(alerts <= Kind::ALL.len() - of_a_source + sources * of_a_source, "{alerts} alerts");
        assert_eq!((engine.sources.len(), engine.estimator.sources().len()), (sources, sources));
    }
}

#[test]
fn hosts_that_are_in_trouble_for_days_remember_no_more_than_after_an_hour() {
    let long = if schedules::all() || schedules::one().is_some() { DAYS } else { DAYS / 8.0 };
    for seed in schedules::seeds(5, 1) {
        // The alerts of more sources would be more than may wait in memory while the disk is broken for days.
        let outcome = Run::of(Host::new(seed, false)).tell_what_goes_wrong(seed, |run| {
            while run.watched < long {
                run.be_in_trouble(HOUR);
                run.begin_after_a_kill();
                run.assert_small();
            }
            run.come_to_peace();
        });
        assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    }
}
