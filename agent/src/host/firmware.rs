//! What the firmware and the hypervisor say of the machine.

use std::path::Path;

use super::small_file::read;

use crate::sys;

/// Who made the machine, as its firmware says.
const VENDORS: [&str; 4] = ["sys_vendor", "bios_vendor", "board_vendor", "chassis_vendor"];

/// Whether the host below `root` is an EC2 instance, as its firmware and its hypervisor say; `None` where neither can
/// be read.
///
/// Source: "Detect whether a host is an EC2 instance" in the EC2 user guide.
pub fn is_ec2(root: &Path) -> Option<bool> {
    let uuids = [read(root, "sys/hypervisor/uuid"), sys::firmware(root, "product_uuid")];
    let vendors = VENDORS.map(|field| sys::firmware(root, field));
    let told = || vendors.iter().chain(&uuids).flatten();
    let is_uuid = uuids.iter().flatten().any(|uuid| uuid.to_ascii_lowercase().starts_with("ec2"));
    let is_vendor = vendors.iter().flatten().any(|vendor| vendor == "Amazon EC2");
    let is_xen = sys::firmware(root, "bios_version").is_some_and(|version| version.contains("amazon"));
    if is_uuid || is_vendor || is_xen || instance_id(root).is_some() {
        return Some(true);
    }
    told().next().map(|_| false)
}

/// The identifier of the instance as the firmware of Nitro says it, such as `i-0123456789abcdef0`.
pub fn instance_id(root: &Path) -> Option<String> {
    // Others write into this field whatever they like.
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_id = |tag: &String| {
        tag.strip_prefix("i-").is_some_and(|id| (8..=17).contains(&id.len()) && id.bytes().all(is_digit))
    };
    sys::firmware(root, "board_asset_tag").filter(is_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::small_file::tests::host;

    #[cfg(unix)]
    #[test]
    fn an_instance_is_known_by_any_of_its_signs_and_another_machine_by_its_vendor() {
        for (files, expected) in [
            (vec![("sys/class/dmi/id/sys_vendor", "Amazon EC2\n")], Some(true)),
            (vec![("sys/class/dmi/id/board_asset_tag", "i-0123456789abcdef0\n")], Some(true)),
            (vec![("sys/hypervisor/uuid", "ec2e1916-9099-7caf-fd21-012345abcdef\n")], Some(true)),
            (
                vec![("sys/class/dmi/id/sys_vendor", "Xen"), ("sys/class/dmi/id/bios_version", "4.11.amazon")],
                Some(true),
            ),
            (vec![("sys/class/dmi/id/product_uuid", "EC2E1916-9099-7CAF-FD21-012345ABCDEF")], Some(true)),
            (vec![("sys/class/dmi/id/sys_vendor", "QEMU\n")], Some(false)),
            (
                vec![("sys/class/dmi/id/sys_vendor", "Dell Inc."), ("sys/class/dmi/id/board_asset_tag", "i- none")],
                Some(false),
            ),
            (vec![("sys/class/dmi/id/sys_vendor", "\n")], None),
            (vec![], None),
        ] {
            assert_eq!(is_ec2(host(&files).path()), expected, "{files:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_firmware_names_the_instance() {
        let root = host(&[("sys/class/dmi/id/board_asset_tag", "i-0123456789abcdef0\n")]);
        assert_eq!(instance_id(root.path()).as_deref(), Some("i-0123456789abcdef0"));
        for other in ["i-1;reboot", "i-", "i-1234567", "i-0123456789abcdef01", "i-inventory", "I-0123456789abcdef0"] {
            let root = host(&[("sys/class/dmi/id/board_asset_tag", other)]);
            assert_eq!(instance_id(root.path()), None, "{other}");
        }
    }
}
