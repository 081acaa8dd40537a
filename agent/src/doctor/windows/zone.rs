//! In which zone Windows takes the hardware clock to be.
//!
//! Source: "Set the time zone for your EC2 instance" of AWS: the clock of an instance is UTC, which Windows has to be told
//! with `RealTimeIsUniversal` where its own zone is another; and Microsoft on `TimeZoneInformation`.

use super::around::Around;
use super::reader::Reader;
use super::text::shown;
use crate::doctor::report::{Area, Check};

/// The check of it, which takes the place of the one of Linux.
pub const NAME: &str = "clock-rtc";
const KEY: &str = r"SYSTEM\CurrentControlSet\Control\TimeZoneInformation";
/// The farthest zone, in minutes.
const FARTHEST: i32 = 14 * 60;

/// What the registry says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Whether the hardware clock is taken to be in UTC.
    pub is_universal: bool,
    /// The name of the zone, which is the same in every language.
    pub name: Option<String>,
    /// UTC minus local time in minutes, summer time as it is at the moment.
    pub bias: Option<i32>,
}

impl Zone {
    /// Reads it.
    pub fn read(reader: &Reader<'_>) -> Self {
        let bias = reader.number(KEY, "ActiveTimeBias").or_else(|| reader.number(KEY, "Bias"));
        Self {
            is_universal: reader.number(KEY, "RealTimeIsUniversal").is_some_and(|number| number != 0),
            name: reader.text(KEY, "TimeZoneKeyName"),
            // It is a number with a sign, as which the registry has none.
            bias: bias.map(u32::cast_signed).filter(|bias| bias.abs() <= FARTHEST),
        }
    }
}

/// Whether a boot makes the clock wrong.
pub fn check(zone: &Zone, around: &Around) -> Check {
    let name = zone.name.as_ref().map(|name| format!("time zone: {}", shown(name)));
    if zone.is_universal {
        return Check::ok(Area::Clock, NAME, "the hardware clock is taken to be in UTC").with_evidence(name);
    }
    let bias = match zone.bias {
        _ if !around.is_ec2 => {
            let summary = "the hardware clock is taken to be in local time, as Windows does by itself";
            return Check::ok(Area::Clock, NAME, summary).with_evidence(name);
        }
        Some(0) => {
            let summary = "the hardware clock is taken to be in local time, which is UTC here";
            return Check::ok(Area::Clock, NAME, summary).with_evidence(name);
        }
        None => return Check::skipped(Area::Clock, NAME, "the time zone cannot be told").with_evidence(name),
        Some(bias) => bias,
    };
    let (hours, minutes) = (bias.abs() / 60, bias.abs() % 60);
    // Local time is UTC less the bias: where it is taken for UTC that is, the clock is off by it.
    let direction = if bias > 0 { "fast" } else { "slow" };
    let effect = format!(
        "after a boot the clock is {hours} h {minutes:02} min {direction} until the Windows Time service has corrected it, \
         because the clock of an EC2 instance is UTC"
    );
    let summary = "the hardware clock is taken to be in local time (RealTimeIsUniversal is not 1)";
    let remedy = format!(r"reg add HKLM\{KEY} /v RealTimeIsUniversal /t REG_DWORD /d 1 /f");
    Check::warning(Area::Clock, NAME, summary, effect, remedy).with_evidence(name)
}
