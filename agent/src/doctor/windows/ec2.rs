//! Whether Windows runs on EC2, as its firmware says.
//!
//! Windows shows that in the registry, with what DMI shows on Linux: "Amazon EC2" on Nitro, and a version such as `4.11.amazon`
//! on Xen.

use super::reader::Reader;

const KEY: &str = r"HARDWARE\DESCRIPTION\System\BIOS";

/// Whether the firmware names Amazon.
pub(super) fn is_ec2(reader: &Reader<'_>) -> bool {
    let names = ["SystemManufacturer", "BIOSVendor", "BIOSVersion"];
    names.iter().filter_map(|name| reader.text(KEY, name)).any(|text| text.to_ascii_lowercase().contains("amazon"))
}
