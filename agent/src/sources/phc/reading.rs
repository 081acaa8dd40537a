//! One poll of a PTP hardware clock.

use std::fs::File;
use std::io;
use std::time::Duration;

use async_trait::async_trait;

use super::Phc;
use super::device::{Found, Places};
use super::refusal::Refusal;
use super::written::Timescale;
use crate::built::BUILT;
use crate::clock::leap::TAI_MINUS_UTC;
use crate::clock::local::{self, DeviceReading};
use crate::clock::sample::{Sample, Timestamps};
use crate::sources::witness::{Answer, Witness};
use crate::time::{Anchor, Span, TrueTime};

/// How often the clock is read in a poll. The card answers 125 times a second, for all who read it together.
const GETS: u32 = 3;
/// How long to wait where it is busy: a card that did not answer in time refuses everybody for 1 ms.
const PAUSE: Duration = Duration::from_millis(5);
/// How long a poll takes at most. A read ends within microseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reads a clock, as often as it is asked.
pub(super) struct Reader {
    phc: Phc,
    places: Places,
    /// Whether it was told that the driver gives no error bound.
    is_bound_told: bool,
}

/// What one reading has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Got {
    reading: DeviceReading,
    /// How far it can be wrong by the driver's own account, where it gives one.
    bound: Option<Span>,
}

/// A clock that can be read again and again.
trait Read {
    fn read(&mut self) -> io::Result<Got>;
}

/// An open device.
struct Open<'a> {
    device: File,
    found: &'a Found,
}

impl Read for Open<'_> {
    fn read(&mut self) -> io::Result<Got> {
        let reading = local::device(&self.device)?;
        // Of the last reading, whoever made it: so it is asked for at once.
        Ok(Got { reading, bound: self.found.told_bound()? })
    }
}

#[async_trait]
impl Witness for Reader {
    async fn ask(&mut self) -> Answer {
        Answer { address: None, result: self.poll().await.map_err(Into::into) }
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }
}

impl Reader {
    pub(super) const fn new(phc: Phc, places: Places) -> Self {
        Self { phc, places, is_bound_told: false }
    }

    /// The device is found and opened anew each time: when its driver is loaded again, it may be another, and one that is
    /// held open would not let the driver go.
    async fn poll(&mut self) -> Result<Sample, Refusal> {
        let found = self.phc.device.find(&self.places)?;
        let timescale = found.driver.timescale(self.phc.timescale)?;
        let device = found.open()?;
        let got = best(&mut Open { device, found: &found }).await?;
        let bound = got.bound.unwrap_or_else(|| self.assumed_bound(&found));
        sample(got.reading, timescale, bound)
    }

    fn assumed_bound(&mut self, found: &Found) -> Span {
        let written = self.phc.error_bound.map(Span::from_duration);
        let bound = written.unwrap_or_else(|| found.driver.usual_bound());
        if written.is_none() && !self.is_bound_told {
            self.is_bound_told = true;
            tracing::info!(
                clock = found.name,
                assumed_seconds = bound.seconds(),
                "the driver does not tell how far its clock can be wrong: `error_bound` of the source can"
            );
        }
        bound
    }
}

/// The narrowest of three readings. One that fails counts as well: never are there more.
async fn best(clock: &mut impl Read) -> Result<Got, Refusal> {
    let width = |got: &Got| got.reading.after.since(got.reading.before);
    let (mut best, mut refusal): (Option<Got>, _) = (None, Refusal::Busy);
    for get in 1..=GETS {
        match clock.read() {
            Ok(got) => best = Some(best.filter(|best| width(best) <= width(&got)).unwrap_or(got)),
            Err(error) => {
                refusal = Refusal::to_read(&error);
                if refusal == Refusal::Gone {
                    break;
                }
                if get < GETS {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
    best.ok_or(refusal)
}

/// What a reading says of true time.
fn sample(reading: DeviceReading, timescale: Timescale, bound: Span) -> Result<Sample, Refusal> {
    let DeviceReading { before, nanos, after } = reading;
    let told = TrueTime::from_nanos(nanos);
    let told = match timescale {
        Timescale::Utc => told,
        Timescale::Tai => told.minus(TAI_MINUS_UTC),
    };
    if told < BUILT {
        return Err(Refusal::BeforeBuild);
    }
    let delay = after.since(before);
    let middle = before.plus(delay.half());
    Ok(Sample {
        at: after,
        anchor: Anchor::from_nanos(told.nanos().saturating_sub(middle.nanos())),
        delay,
        root_delay: Span::ZERO,
        root_dispersion: bound,
        precision: Span::ZERO,
        stratum: None,
        timestamps: Timestamps::Device,
    })
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::phc::device::Device;
    use crate::sources::phc::device::tests::host;
    use crate::time::BootTime;

    /// What each reading of a clock shows in turn, and how often it was read.
    struct Script(Vec<Result<i64, i32>>, usize);

    impl Read for Script {
        /// A reading that took so many nanoseconds, or an error of the system.
        fn read(&mut self) -> io::Result<Got> {
            self.1 += 1;
            let took = self.0.remove(0).map_err(io::Error::from_raw_os_error)?;
            Ok(Got { reading: reading(BUILT.nanos(), took), bound: None })
        }
    }

    fn reading(nanos: i64, took: i64) -> DeviceReading {
        DeviceReading { before: BootTime::from_nanos(1_000), nanos, after: BootTime::from_nanos(1_000 + took) }
    }

    async fn read(script: &[Result<i64, i32>]) -> (Result<i64, Refusal>, usize) {
        let mut script = Script(script.to_vec(), 0);
        let got = best(&mut script).await;
        (got.map(|got| got.reading.after.since(got.reading.before).nanos()), script.1)
    }

    #[tokio::test]
    async fn the_narrowest_of_three_readings_counts_and_there_is_never_a_fourth() {
        assert_eq!(read(&[Ok(500_000), Ok(2_000), Ok(9_000), Ok(1)]).await, (Ok(2_000), 3));
        assert_eq!(read(&[Err(libc::EBUSY), Ok(7_000), Err(libc::EBUSY), Ok(1)]).await, (Ok(7_000), 3));
        assert_eq!(read(&[Err(libc::EBUSY), Err(libc::EBUSY), Err(libc::EBUSY), Ok(1)]).await, (Err(Refusal::Busy), 3));
        assert_eq!(read(&[Err(libc::ENODEV), Ok(1)]).await, (Err(Refusal::Gone), 1));
        assert_eq!(read(&[Ok(3_000), Err(libc::ENODEV), Ok(1)]).await, (Ok(3_000), 2));
        assert_eq!(read(&[Err(libc::EINVAL); 3]).await, (Err(Refusal::Unreadable), 3));
    }

    #[tokio::test]
    async fn a_busy_clock_is_read_again_after_five_milliseconds() {
        let begun = tokio::time::Instant::now();
        let _ = read(&[Err(libc::EBUSY); 3]).await;
        assert!((PAUSE * 2..PATIENCE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_sample_has_the_middle_of_its_reading_and_the_bound_of_its_driver() {
        let (later, bound) = (BUILT.plus(TAI_MINUS_UTC), Span::from_nanos(14_000));
        let utc = sample(reading(later.nanos(), 3_000), Timescale::Utc, bound).unwrap();
        assert_eq!(utc.anchor.nanos(), later.nanos() - 2_500);
        assert_eq!((utc.delay.nanos(), utc.root_distance().nanos()), (3_000, 15_500));
        assert_eq!((utc.stratum, utc.timestamps, utc.at), (None, Timestamps::Device, BootTime::from_nanos(4_000)));
        let tai = sample(reading(later.nanos(), 3_000), Timescale::Tai, bound).unwrap();
        assert_eq!(utc.anchor.since(tai.anchor), TAI_MINUS_UTC);
        let unset = sample(reading(later.nanos() - 1, 3_000), Timescale::Tai, bound);
        assert_eq!(unset, Err(Refusal::BeforeBuild));
    }

    #[tokio::test]
    async fn a_device_without_a_clock_is_told_as_one_that_cannot_be_read() {
        let (_folder, places) = host(&[("ptp0", "ena-ptp-05", "/dev/null")]);
        let phc = Phc { device: Device::Ena, timescale: None, error_bound: None };
        let answer = Reader::new(phc, places).ask().await;
        assert_eq!(answer.address, None);
        assert_eq!(answer.result.unwrap_err().outcome, "unreadable");
    }

    #[test]
    fn what_is_written_counts_where_the_driver_tells_no_bound() {
        let (_folder, places) = host(&[("ptp0", "hyperv", "/dev/null"), ("ptp1", "ena-ptp-05", "/dev/zero")]);
        let assumed = |device: &str, error_bound| {
            let device = Device::At(places.devices.join(device));
            let found = device.find(&places).unwrap();
            Reader::new(Phc { device, timescale: None, error_bound }, places.clone()).assumed_bound(&found)
        };
        assert_eq!(assumed("ptp0", None), Span::from_seconds(0.1));
        assert_eq!(assumed("ptp1", None), Span::from_seconds(100e-6));
        assert_eq!(assumed("ptp1", Some(Duration::from_micros(30))), Span::from_seconds(30e-6));
    }
}
