//! Each alert fires, and resolves once its cause is gone: an alert that no event can raise would be one that nobody hears of.

use super::Run;
use crate::assess::finding::Kind;

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3_600.0;
/// A host with three sources, and a kernel that tells of its clock.
const HOST: u64 = 37;

/// After a repair this is enough for every alert to resolve, the forecast last.
const PATIENCE: f64 = 2.0 * HOUR;

/// A host on which all is well for so long.
fn settled(seconds: f64) -> Run {
    let mut run = Run::new(HOST);
    run.host.liar = None;
    run.go_on(seconds);
    assert_eq!(run.transitions.len(), 0, "{:?}", run.transitions);
    run
}

/// Lets the cause of an alert come, and last for long enough.
fn break_it(run: &mut Run, kind: Kind) {
    let host = &mut run.host;
    let lasts = match kind {
        Kind::ClockSkew => {
            host.step(-100.0);
            MINUTE
        }
        Kind::ClockSkewForecast => {
            host.drift = 500e-6;
            20.0 * MINUTE
        }
        Kind::ClockUndisciplined => {
            host.step(5.0);
            11.0 * MINUTE
        }
        Kind::ClockStepped => {
            host.step(3.0);
            MINUTE
        }
        Kind::ClockUnverified => {
            host.lost.fill(true);
            HOUR
        }
        Kind::SourceFalseticker => {
            (host.liar, host.lie) = (Some(1), 400.0);
            20.0 * MINUTE
        }
        Kind::SourceUnreachable => {
            host.lost[1] = true;
            HOUR
        }
        Kind::CredentialRefreshMargin => {
            host.step(-40.0);
            3.0 * MINUTE
        }
        Kind::CredentialExpiring => {
            host.rotates = false;
            host.rotated = host.elapsed - 6.0 * HOUR + 10.0 * MINUTE;
            2.0 * MINUTE
        }
        Kind::CredentialRotationOverdue => {
            host.rotates = false;
            4.0 * HOUR
        }
        Kind::CredentialUnavailable => {
            host.imds_out = true;
            6.0 * MINUTE
        }
        Kind::Test => unreachable!("nobody looks for it"),
    };
    run.go_on(lasts);
}

#[test]
fn each_alert_fires_and_resolves() {
    for kind in Kind::ALL {
        // A habit is known after some rotations.
        let mut run = settled(if kind == Kind::CredentialRotationOverdue { 5.0 * HOUR } else { 10.0 * MINUTE });
        break_it(&mut run, kind);
        assert!(run.firing.keys().any(|(firing, _)| *firing == kind), "{} does not fire", kind.name());
        run.host.repair();
        let end = run.watched + PATIENCE;
        while run.firing.keys().any(|(firing, _)| *firing == kind) {
            assert!(run.watched < end, "{} does not resolve", kind.name());
            run.step();
        }
    }
}

#[test]
fn what_the_kernel_says_of_its_clock_is_known_to_the_engine() {
    let mut run = settled(MINUTE);
    run.host.drift = 200e-6;
    run.go_on(MINUTE);
    let kernel = run.engine.snapshot(run.host.reading()).clock.kernel.expect("it tells");
    assert!((kernel.frequency_ppm + 200.0).abs() < 1e-6, "{}", kernel.frequency_ppm);
}
