//! The identity of a host: what tells it from every other one, and under which name it speaks.

use std::collections::BTreeMap;
use std::path::Path;

use ring::hmac::{HMAC_SHA256, Key, sign};
use serde::{Deserialize, Serialize};

use super::firmware;
use crate::sys;

/// What the identifier of a machine is mixed with, so that it stays unknown to whoever reads what was made of it.
const APPLICATION: &[u8] = b"skewguard state directory";
/// So many digits of that tell one host from another.
const DIGITS: usize = 32;

/// What tells this host from every other one, and stays the same for as long as it lives: the identifier of the instance
/// where the firmware says it, else one that is made of the machine-id. Never the name, which may be anybody's.
///
/// The machine-id itself is not for others to know (machine-id(5)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostId(String);

impl HostId {
    /// That of the host below `root`; `None` where neither can be read, as in a container that was given no machine-id.
    pub fn read(root: &Path) -> Option<Self> {
        firmware::instance_id(root).or_else(|| machine(root)).map(Self)
    }
}

impl std::fmt::Display for HostId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is made of the machine-id. One that was not made yet (`uninitialized`) identifies nobody.
fn machine(root: &Path) -> Option<String> {
    let id = sys::machine_id(root)?;
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mixed = sign(&Key::new(HMAC_SHA256, id.to_ascii_lowercase().as_bytes()), APPLICATION);
    let digits = mixed.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Some(format!("machine-{}", digits.get(..DIGITS)?))
}

/// Who says something: the host as it was called, and as the instance metadata service described it, at one moment. Both
/// may be others a moment later, so what lasts keeps the one under which it began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaker {
    /// The name of the host, as the kernel knows it; empty where nobody has said it.
    pub host: String,
    /// What the instance metadata service says of it, by the names of the OpenTelemetry resource conventions.
    pub attributes: BTreeMap<String, String>,
}

/// The name of this host at this moment, as the kernel knows it; empty where it cannot be read. It may change at any time.
pub fn name() -> String {
    sys::host_name().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::small_file::tests::host;

    const MACHINE: &str = "0123456789abcdef0123456789abcdef";

    #[cfg(unix)]
    #[test]
    fn the_instance_identifies_a_host_and_else_the_machine_does_without_being_told() {
        let tag = "sys/class/dmi/id/board_asset_tag";
        let id = |files: &[(&str, &str)]| HostId::read(host(files).path()).map(|id| id.to_string());
        let instance = id(&[(tag, "i-0123456789abcdef0\n"), ("etc/machine-id", MACHINE)]);
        assert_eq!(instance.as_deref(), Some("i-0123456789abcdef0"));
        let machine = id(&[(tag, "Not Specified"), ("etc/machine-id", &format!("{MACHINE}\n"))]).unwrap();
        assert!(machine.starts_with("machine-") && !machine.contains(MACHINE), "{machine}");
        assert_eq!(id(&[("etc/machine-id", MACHINE)]).unwrap(), machine, "it stays the same");
        assert_ne!(id(&[("etc/machine-id", &MACHINE.replace('0', "1"))]).unwrap(), machine);
        // The name of a host is no part of it.
        assert_eq!(id(&[("etc/machine-id", MACHINE), ("etc/hostname", "web-1")]).unwrap(), machine);
        for nobody in ["", "uninitialized\n", "0123", &MACHINE.replace('0', "x")] {
            assert_eq!(id(&[("etc/machine-id", nobody)]), None, "{nobody}");
        }
        assert_eq!(id(&[]), None);
    }
}
