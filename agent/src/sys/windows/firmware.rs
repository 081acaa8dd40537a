//! What the firmware says of the machine: the tables of SMBIOS (DSP0134).

use std::path::Path;
use std::sync::OnceLock;

use windows_sys::Win32::System::SystemInformation::{GetSystemFirmwareTable, RSMB};

/// The largest tables that are read, in bytes.
const MOST: usize = 256 * 1024;
/// What stands before the tables (RawSMBIOSData).
const HEADER: usize = 8;
/// The kinds of structures (DSP0134 §6.2), and where in one the number of a string is.
const FIRMWARE: u8 = 0;
const SYSTEM: u8 = 1;
const BOARD: u8 = 2;
const END: u8 = 127;

/// The text of a field, by the name that Linux gives it below `/sys/class/dmi/id`; `None` where it is not told.
pub fn firmware(_root: &Path, field: &str) -> Option<String> {
    static TABLES: OnceLock<Vec<u8>> = OnceLock::new();
    text(TABLES.get_or_init(read), field)
}

/// What tells this installation of Windows from every other one, in 32 hexadecimal digits; `None` where nobody may read it.
pub fn machine_id(_root: &Path) -> Option<String> {
    let key = windows_registry::LOCAL_MACHINE.open(r"SOFTWARE\Microsoft\Cryptography").ok()?;
    Some(key.get_string("MachineGuid").ok()?.replace('-', ""))
}

#[expect(unsafe_code, reason = "a call of Windows")]
fn read() -> Vec<u8> {
    let mut tables = vec![0; MOST];
    // SAFETY: as much is written as the buffer has room for.
    let length =
        unsafe { GetSystemFirmwareTable(RSMB, 0, tables.as_mut_ptr(), u32::try_from(MOST).unwrap_or(0)) } as usize;
    // What has no room is told with its length, and nothing is written.
    tables.truncate(if length > MOST { 0 } else { length });
    tables
}

fn text(raw: &[u8], field: &str) -> Option<String> {
    let (kind, offset) = match field {
        "bios_vendor" => (FIRMWARE, 0x04),
        "bios_version" => (FIRMWARE, 0x05),
        "sys_vendor" => (SYSTEM, 0x04),
        "product_uuid" => (SYSTEM, 0x08),
        "board_vendor" => (BOARD, 0x04),
        "board_asset_tag" => (BOARD, 0x08),
        _ => return None,
    };
    let mut rest = raw.get(HEADER..)?;
    while let [found, length, ..] = *rest {
        let formatted = rest.get(..usize::from(length)).filter(|formatted| formatted.len() >= 4)?;
        let strings = rest.get(usize::from(length)..)?;
        // They end with an empty one, and are two zeroes where there are none.
        let end = strings.windows(2).position(|pair| pair == [0, 0])?;
        if found == kind {
            return match field {
                "product_uuid" => uuid(formatted.get(offset..offset + 16)?),
                _ => nth(strings.get(..end)?, *formatted.get(offset)?),
            };
        }
        if found == END {
            return None;
        }
        rest = strings.get(end + 2..)?;
    }
    None
}

/// The string with this number, counted from one.
fn nth(strings: &[u8], number: u8) -> Option<String> {
    let string = strings.split(|byte| *byte == 0).nth(usize::from(number).checked_sub(1)?)?;
    let text = String::from_utf8_lossy(string).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// Its first three fields have their lowest byte first (§7.2.1).
fn uuid(bytes: &[u8]) -> Option<String> {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let digits: String = ORDER.iter().filter_map(|at| bytes.get(*at)).map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| digits.get(from..to);
    Some(format!("{}-{}-{}-{}-{}", part(0, 8)?, part(8, 12)?, part(12, 16)?, part(16, 20)?, part(20, 32)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The tables of an instance, as far as they are read.
    fn instance() -> Vec<u8> {
        let mut raw = vec![0; HEADER];
        raw.extend([FIRMWARE, 6, 0, 0, 1, 2]);
        raw.extend(b"Amazon EC2\x001.0\0\0");
        raw.extend([SYSTEM, 24, 1, 0, 1, 2, 0, 0]);
        raw.extend((0x00..0x10).collect::<Vec<u8>>());
        raw.extend(b"Amazon EC2\0t3.micro\0\0");
        raw.extend([9, 4, 5, 0, 0, 0]);
        raw.extend([BOARD, 9, 2, 0, 1, 0, 0, 0, 2]);
        raw.extend(b"Amazon EC2\0i-0123456789abcdef0\0\0");
        raw.extend([END, 4, 3, 0, 0, 0]);
        raw
    }

    #[test]
    fn the_tables_of_an_instance_name_it() {
        let raw = instance();
        assert_eq!(text(&raw, "sys_vendor").as_deref(), Some("Amazon EC2"));
        assert_eq!(text(&raw, "bios_version").as_deref(), Some("1.0"));
        assert_eq!(text(&raw, "board_asset_tag").as_deref(), Some("i-0123456789abcdef0"));
        assert_eq!(text(&raw, "product_uuid").as_deref(), Some("03020100-0504-0706-0809-0a0b0c0d0e0f"));
        assert_eq!(text(&raw, "chassis_type"), None);
        assert_eq!(text(&[], "sys_vendor"), None);
    }

    proptest! {
        #[test]
        fn no_tables_are_too_strange(mut raw in proptest::collection::vec(any::<u8>(), 0..200), whole in any::<bool>()) {
            if whole {
                let mut tables = instance();
                let at = raw.len() % tables.len();
                tables.splice(at..at, raw.drain(..));
                raw = tables;
            }
            for field in ["bios_vendor", "sys_vendor", "product_uuid", "board_asset_tag"] {
                let _ = text(&raw, field);
            }
        }
    }
}
