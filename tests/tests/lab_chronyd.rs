//! A real chronyd, asked by the doctor in chronyd's own protocol, says what `chronyc` says.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::indexing_slicing, reason = "a field that chronyc does not print fails the test")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use skewguard::doctor::clock::chronyd::{Place, ask};
use skewguard::doctor::clock::tracking::{Leap, Tracking, Unheard};
use skewguard::foreign::Writers;
use skewguard::time::SystemTime;
use tests::chrony::{Chrony, Follower};
use tests::net::{Net, Side, TIME_SYNC};

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 323);

fn socket(follower: &Follower) -> Place {
    let root = follower.dir().to_owned();
    Place::Socket { root, path: "chronyd.sock".into(), writers: Writers::with([]) }
}

/// What the doctor hears, and what `chronyc` prints before and after it.
fn compare(follower: &Follower, net: &Net, place: Place) -> (Tracking, [Vec<String>; 2]) {
    let before = follower.tracking().unwrap();
    let heard = asked(net, place).unwrap();
    (heard, [before, follower.tracking().unwrap()])
}

/// Asks inside the agent's namespace.
fn asked(net: &Net, place: Place) -> Result<Tracking, Unheard> {
    net.within(Side::Agent, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(ask(&[place]))
    })
    .unwrap()
}

fn number(field: &str) -> f64 {
    field.parse().expect("chronyc prints a number")
}

/// chronyc prints: reference id, its name, stratum, reference time, system time, last offset, RMS offset, frequency,
/// residual frequency, skew, root delay, root dispersion, update interval, leap status.
fn assert_same(heard: &Tracking, printed: &[Vec<String>; 2]) {
    let [before, after] = printed;
    assert_eq!(before.len(), 14, "{before:?}");
    assert_eq!(format!("{:08X}", heard.reference), before[0]);
    assert_eq!(heard.address.map(|address| address.to_string()).unwrap_or_default(), before[1]);
    assert_eq!(heard.stratum.to_string(), before[2]);
    let reference_time = number(&before[3]);
    assert!(
        (heard.reference_time.since(SystemTime::ZERO).seconds() - reference_time).abs() < 1e-6,
        "{heard:?} {before:?}"
    );
    let leap = match heard.leap {
        Leap::Normal => "Normal",
        Leap::Insert => "Insert second",
        Leap::Delete => "Delete second",
        Leap::Unsynchronized => "Not synchronised",
    };
    assert_eq!(leap, before[13]);
    // chronyc rounds to nanoseconds and to thousandths of a millionth; what moves lies between its two answers.
    for (value, index, rounding) in [
        (heard.correction, 4, 1e-9),
        (heard.last_offset, 5, 1e-9),
        (heard.rms_offset, 6, 1e-9),
        (heard.frequency_ppm, 7, 1e-3),
        (heard.residual_frequency_ppm, 8, 1e-3),
        (heard.skew_ppm, 9, 1e-3),
        (heard.root_delay, 10, 1e-9),
        (heard.root_dispersion, 11, 1e-9),
        (heard.update_interval, 12, 0.1),
    ] {
        let (low, high) = (number(&before[index]), number(&after[index]));
        let (low, high) = (low.min(high) - rounding, low.max(high) + rounding);
        assert!((low..=high).contains(&value), "field {index}: {value} is not in {low}..{high}");
    }
}

#[test]
fn tracking_is_read_over_udp_and_over_the_socket_as_chronyc_prints_it() {
    let net = Net::new().unwrap();
    let served = Chrony::start(&net, TIME_SYNC).unwrap();
    let ahead = served.set_offset(2.0).unwrap();
    let lines = "server 169.254.169.123 iburst minpoll 4 maxpoll 4\nbindcmdaddress 127.0.0.1";
    let follower = Follower::start(&net, lines).unwrap();
    follower.await_reference().unwrap();
    for place in [Place::Udp(LOOPBACK), socket(&follower)] {
        let (heard, printed) = compare(&follower, &net, place.clone());
        assert_same(&heard, &printed);
        assert!(heard.follows_somebody(), "{place:?} {heard:?}");
        assert_eq!((heard.address, heard.stratum), (Some(TIME_SYNC), 2));
        // Its server is ahead, so that it takes the machine's clock to be slow.
        assert!((heard.correction - ahead).abs() < 0.01, "{heard:?}");
    }
    let left: Vec<_> = fs::read_dir(follower.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("skewguard")), "{left:?}");
}

#[test]
fn a_chronyd_without_a_source_follows_nobody_and_one_that_serves_its_own_clock_says_so() {
    let net = Net::new().unwrap();
    for (lines, is_its_own) in [("cmdport 0", false), ("cmdport 0\nlocal stratum 10", true)] {
        let follower = Follower::start(&net, lines).unwrap();
        let (heard, printed) = compare(&follower, &net, socket(&follower));
        assert_eq!((heard.follows_somebody(), heard.is_its_own()), (false, is_its_own), "{heard:?}");
        assert_eq!(heard.leap == Leap::Unsynchronized, !is_its_own);
        assert_eq!(
            (heard.stratum.to_string(), format!("{:08X}", heard.reference)),
            (printed[0][2].clone(), printed[0][0].clone())
        );
    }
}

#[test]
fn a_command_port_that_is_off_is_told_at_once_and_the_socket_still_answers() {
    let net = Net::new().unwrap();
    let follower = Follower::start(&net, "cmdport 0").unwrap();
    let refused = asked(&net, Place::Udp(LOOPBACK)).unwrap_err();
    assert_eq!(refused, Unheard::Unreachable(std::io::ErrorKind::ConnectionRefused.to_string()));
    assert!(asked(&net, socket(&follower)).is_ok());
}
