//! What the firmware and the installation say of the machine.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// No such file is longer.
const MOST: u64 = 4_096;

/// The text of a field of the firmware, by its name below `/sys/class/dmi/id`; `None` where it cannot be read or is empty.
/// `root` is `/` but in tests.
pub fn firmware(root: &Path, field: &str) -> Option<String> {
    read(&root.join("sys/class/dmi/id").join(field))
}

/// What tells this installation from every other one (machine-id(5)), as it is written.
pub fn machine_id(root: &Path) -> Option<String> {
    read(&root.join("etc/machine-id"))
}

fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    (!text.is_empty()).then_some(text)
}
