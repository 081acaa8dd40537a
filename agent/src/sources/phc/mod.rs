//! PTP hardware clocks: a clock of a network card, or of a hypervisor, that the kernel shows as a device.

mod device;
mod reading;
mod refusal;
mod written;

use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use device::{Device, OF_ENA, Places};
use refusal::Refusal;
use written::{Timescale, Written};

use super::kind::{NITRO, SourceKind, Words};
use super::pace::Cadence;
use super::witness::Witness;
use crate::clock::true_clock::TrueClock;
use crate::setting::fault::{Bounds, Fault};
use crate::setting::locate::Path;
use crate::setting::period::Period;
use crate::sys;

/// What means the clock of the ENA.
const AUTO: &str = "auto";
/// What `error_bound` may be.
const BOUNDS: Bounds = Bounds(Duration::from_micros(1), Duration::from_secs(10));

/// A PTP hardware clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phc {
    device: Device,
    /// The time scale of one whose driver does not tell it.
    timescale: Option<Timescale>,
    /// How far one can be wrong whose driver does not tell it.
    error_bound: Option<Duration>,
}

impl Phc {
    /// Whether it can be no other than the ENA's, by its name alone.
    fn is_ena(&self) -> bool {
        match &self.device {
            Device::Ena => true,
            Device::At(path) => path == FilePath::new(OF_ENA),
        }
    }
}

impl fmt::Display for Phc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.device {
            Device::Ena => f.write_str("PHC of the ENA"),
            Device::At(path) => path.display().fmt(f),
        }
    }
}

impl SourceKind for Phc {
    type Written = Written;

    fn check(written: &Written, at: &Path) -> Result<Self, Fault> {
        let Written { device: text, timescale, error_bound } = written;
        let device = match text.as_str() {
            AUTO => Device::Ena,
            path if path.len() > 1 && sys::is_absolute(path) && !path.contains(char::is_control) => {
                Device::At(PathBuf::from(path))
            }
            _ => {
                let message = "a clock is auto, which is that of the ENA, or an absolute path such as /dev/ptp0";
                return Err(Fault::at(at.clone(), message));
            }
        };
        let error_bound = error_bound
            .map(|Period(bound)| BOUNDS.check(bound))
            .transpose()
            .map_err(|message| Fault::at(at.key("error_bound"), message))?;
        let phc = Self { device, timescale: *timescale, error_bound };
        if phc.is_ena() && timescale.is_some() {
            return Err(Fault::at(at.key("timescale"), format!("{phc} tells UTC: remove the key")));
        }
        Ok(phc)
    }

    fn written(&self) -> Written {
        let device = match &self.device {
            Device::Ena => AUTO.to_owned(),
            Device::At(path) => path.display().to_string(),
        };
        Written { device, timescale: self.timescale, error_bound: self.error_bound.map(Period) }
    }

    /// It is: but its card answers a limited number of times, whoever asks.
    fn is_near(&self) -> bool {
        false
    }

    fn cadence(&self) -> Cadence {
        Cadence { usual: Cadence::FAR.shortest, ..Cadence::FAR }
    }

    fn is_trusted(&self, is_ec2: bool) -> bool {
        is_ec2 && self.is_ena()
    }

    /// Without a time scale it can only be the ENA's, or that of a hypervisor, which is alone on its host.
    fn group(&self) -> Option<&'static str> {
        self.timescale.is_none().then_some(NITRO)
    }

    fn identity(&self) -> String {
        if self.is_ena() { Self { device: Device::Ena, ..self.clone() }.to_string() } else { self.to_string() }
    }

    fn witness(&self, _: &Arc<TrueClock>) -> Box<dyn Witness> {
        Box::new(reading::Reader::new(self.clone(), Places::default()))
    }

    fn remedy(&self, refusal: &str, is_ec2: bool) -> String {
        let refusal = Refusal::ALL.into_iter().find(|one| one.to_string() == refusal);
        refusal.unwrap_or(Refusal::Unreadable).remedy(is_ec2).to_owned()
    }

    fn words() -> Words {
        Words {
            what: "One PTP hardware clock: that of an EC2 instance's network card, which the ENA driver shows as a device.",
            value: "The PTP hardware clock: auto, which is that of the ENA driver, or the path of a device such as /dev/ptp0. As \
                    a mapping with what its driver does not tell: device, timescale (utc or tai) and error_bound (1us to 10s).",
            trusted: "true for the ENA's on EC2, written as auto or /dev/ptp_ena, else false",
            leap_smear: "false",
            group: "nitro where no timescale is written, else none",
            poll: "16s to 1024s. Default: 16s",
            reference: r"
  # The clock of the network card, on instance types whose ENA driver offers it, as `phc: auto`. Reading it takes the udev rule
  # and the drop-in among the examples. Any other clock is named by its device, with what its driver does not tell.
  #- name: phc
    #phc:
      # auto, or the path of a device. The clocks of the ENA driver, of KVM and of Hyper-V are known to tell UTC.
      #device: /dev/ptp0
      # utc or tai, for any other: whoever sets that clock knows which.
      #timescale: tai
      # How far it can be wrong, where its driver does not tell: 1us to 10s. Default: 100us, and 100ms for a hypervisor's.
      #error_bound: 100us
",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phc(yaml: &str) -> Phc {
        checked(yaml).unwrap_or_else(|message| panic!("{yaml}: {message}"))
    }

    fn checked(yaml: &str) -> Result<Phc, String> {
        Phc::check(&serde_yaml::from_str(yaml).unwrap(), &Path::root("phc")).map_err(|fault| match fault {
            Fault::At { path, message } => format!("{path}: {message}"),
            Fault::Variable { name, .. } => panic!("{name}"),
        })
    }

    #[cfg(unix)]
    #[test]
    fn only_what_can_be_no_other_than_the_enas_is_trusted_and_it_is_the_same_under_two_names() {
        for yaml in ["auto", "/dev/ptp_ena"] {
            assert!(phc(yaml).is_trusted(true) && !phc(yaml).is_trusted(false), "{yaml}");
            assert_eq!(phc(yaml).identity(), phc("auto").identity());
        }
        assert!(!phc("/dev/ptp0").is_trusted(true));
        assert_ne!(phc("/dev/ptp0").identity(), phc("/dev/ptp1").identity());
    }

    #[cfg(unix)]
    #[test]
    fn what_may_be_the_cards_clock_has_no_vote_beside_it() {
        assert_eq!(phc("auto").group(), Some(NITRO));
        assert_eq!(phc("/dev/ptp0").group(), Some(NITRO));
        assert_eq!(phc("{ device: /dev/ptp0, timescale: tai }").group(), None);
    }

    #[test]
    fn it_is_read_three_times_in_sixteen_seconds_at_most() {
        let auto = phc("auto");
        assert!(auto.check_poll(Duration::from_secs(15)).is_err() && auto.check_poll(Duration::from_secs(16)).is_ok());
        let mut pace = crate::sources::pace::Pace::new(auto.cadence().usual, &auto.cadence());
        assert_eq!(pace.floor(), Duration::from_secs(16), "however urgent");
        let next = pace.polled::<()>(&Ok(())).unwrap();
        assert!(next >= Duration::from_secs(16), "{next:?}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_written_wrong_is_told() {
        for (yaml, expected) in [
            ("ptp0", "phc: a clock is auto"),
            ("/", "phc: a clock is auto"),
            ("''", "phc: a clock is auto"),
            ("{ device: }", "phc: a clock is auto"),
            ("{ device: auto, timescale: utc }", "phc.timescale: PHC of the ENA tells UTC"),
            ("{ device: /dev/ptp0, error_bound: 11s }", "phc.error_bound: 11s is too long: allowed is 1us to 10s"),
            ("{ device: /dev/ptp0, error_bound: 1ns }", "phc.error_bound: 1ns is too short"),
        ] {
            let error = checked(yaml).expect_err(yaml);
            assert!(error.starts_with(expected), "{yaml}: {error}");
        }
    }
}
