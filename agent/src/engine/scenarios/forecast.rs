//! The forecast: it comes first, and what nobody can know is neither the end of it nor its beginning.

use std::sync::Arc;
use std::time::Duration;

use super::Run;
use crate::alert::machine::Change;
use crate::assess::finding::Kind;
use crate::config::checked::Config;
use crate::engine::Engine;
use crate::schedules;

/// As bad as oscillators get: the first limit is five and a half days away.
const DRIFT: f64 = 500e-6;
const HOUR: f64 = 3_600.0;

/// What was told of the forecast.
fn forecasts(run: &Run) -> Vec<Change> {
    let told = run.transitions.iter().map(|(_, told)| told);
    told.filter(|told| told.kind == Kind::ClockSkewForecast).map(|told| told.change).collect()
}

/// A host with one source whose clock drifts, and of which a forecast was told.
fn drifting() -> Run {
    let mut run = Run::new(0);
    run.host.drift = DRIFT;
    run.go_on(1_200.0);
    assert_eq!(forecasts(&run), [Change::Firing], "{:?}", run.transitions);
    run
}

impl Run {
    /// Lets time pass in which nothing happens.
    pub(super) fn go_on(&mut self, seconds: f64) {
        let end = self.watched + seconds;
        while self.watched < end {
            self.step();
        }
    }
}

#[test]
fn a_forecast_outlasts_the_silence_of_its_source_and_is_over_when_the_drift_is() {
    let mut run = drifting();
    run.host.lost.fill(true);
    run.go_on(HOUR);
    assert_eq!(forecasts(&run), [Change::Firing], "while nobody answers");
    run.host.lost.fill(false);
    run.go_on(HOUR);
    assert_eq!(forecasts(&run), [Change::Firing], "the clock drifts as before");
    run.host.drift = 0.0;
    run.go_on(2.0 * HOUR);
    assert_eq!(forecasts(&run), [Change::Firing, Change::Resolved]);
}

#[test]
fn a_forecast_waits_for_the_next_trend_where_a_step_has_ended_the_last() {
    let mut run = drifting();
    run.host.step(-2.0);
    run.go_on(HOUR);
    assert_eq!(forecasts(&run), [Change::Firing]);
}

#[test]
fn the_silence_of_the_source_counts_for_no_pending_forecast() {
    let mut run = Run::new(0);
    run.host.drift = DRIFT;
    // The trend is known, and the five minutes have begun.
    run.go_on(240.0);
    run.host.lost.fill(true);
    run.go_on(1_500.0);
    run.host.lost.fill(false);
    run.go_on(60.0);
    assert_eq!(forecasts(&run), []);
    run.go_on(300.0);
    assert_eq!(forecasts(&run), [Change::Firing]);
}

#[test]
fn a_forecast_carried_over_a_boot_is_over_once_sources_that_are_asked_every_quarter_of_an_hour_have_told_a_trend() {
    let mut run = drifting();
    run.host.drift = 0.0;
    run.host.poll_every = 1_024.0;
    let mut config = Config::clone(&run.config);
    config.sources.iter_mut().for_each(|one| one.poll = Duration::from_secs(1_024));
    run.config = Arc::new(config);
    let image = run.engine.image();
    run.host.boot_again(false);
    run.engine = Engine::restore(Arc::clone(&run.config), image, run.host.reading(), false);
    run.go_on(7.0 * 1_024.0);
    assert_eq!(forecasts(&run), [Change::Firing], "seven answers are no trend");
    run.go_on(4.0 * 1_024.0);
    assert_eq!(forecasts(&run), [Change::Firing, Change::Resolved]);
}

#[test]
fn a_clock_that_drifts_past_three_hundred_ppm_is_foretold_before_it_is_off() {
    let drifts: &[f64] = if schedules::all() { &[-500e-6, 310e-6] } else { &[-500e-6] };
    for &drift in drifts {
        let mut run = Run::new(0);
        run.host.drift = drift;
        while !run.transitions.iter().any(|(_, told)| told.kind == Kind::ClockSkew) {
            run.step();
        }
        let told = |wanted| run.transitions.iter().find(|(_, told)| told.kind == wanted).map(|(at, _)| *at);
        let (forecast, skew) = (told(Kind::ClockSkewForecast).unwrap_or(f64::INFINITY), told(Kind::ClockSkew).unwrap());
        assert!(forecast + 3.0 * HOUR < skew, "{drift}: foretold at {forecast} s, told at {skew} s");
    }
}
