//! Who the hosts of a drill are. Everything in it says that it is one: no account of AWS has these digits, and no host, image
//! or instance these names.

use super::trouble::Trouble;
use crate::credentials::imds::host::HostIdentity;

/// The account of all hosts of a drill, which no customer of AWS has.
pub(super) const ACCOUNT: &str = "000000000000";
/// The attribute that every series of a drill has.
pub(super) const MARK: &str = "skewguard.demo";
/// The attribute that tells one drill from another.
pub(super) const RUN: &str = "skewguard.demo.run";

const REGIONS: [&str; 2] = ["eu-central-1", "us-east-1"];
const ZONES: [&str; 3] = ["a", "b", "c"];
const TYPES: [&str; 3] = ["m7g.large", "c7g.large", "r7g.large"];

/// The name of a host.
pub(super) fn name(run: &str, number: u32) -> String {
    format!("drill-{run}-{number:05}")
}

/// What the metadata service says of a host. An image that is rolled out goes into one region first, and a zone has one.
pub(super) fn identity(run: &str, number: u32, trouble: Option<Trouble>) -> HostIdentity {
    let pick =
        |list: &[&str], by: u32| list.get(by as usize % list.len()).map_or_else(String::new, ToString::to_string);
    let region = match trouble {
        Some(Trouble::Zone) => pick(&REGIONS, 0),
        Some(Trouble::Image) => pick(&REGIONS, 1),
        _ => pick(&REGIONS, number),
    };
    let zone = match trouble {
        Some(Trouble::Zone) => "d".to_owned(),
        _ => pick(&ZONES, number / 2),
    };
    let image = if trouble == Some(Trouble::Image) { "ami-drill-bad" } else { "ami-drill-good" };
    HostIdentity {
        instance_id: Some(format!("i-drill-{run}-{number:05}")),
        instance_type: Some(pick(&TYPES, number / 6)),
        availability_zone: Some(format!("{region}{zone}")),
        region: Some(region),
        account_id: Some(ACCOUNT.to_owned()),
        image_id: Some(image.to_owned()),
        auto_scaling_group: None,
        cluster: None,
    }
}
