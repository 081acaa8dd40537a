//! udev in a guest, with the rule that is shipped: it gives devices their modes.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::process::lab_dir;
use crate::vm::Vm;

const RULES: &str = include_str!("../../deploy/udev/70-skewguard.rules");

/// The program, which a guest needs.
///
/// # Errors
/// When the lab has none.
pub fn udevadm() -> Result<PathBuf> {
    let root = lab_dir()?.join("guests/root");
    let folders = ["usr/bin", "bin"].map(|folder| root.join(folder).join("udevadm"));
    folders.into_iter().find(|path| path.is_file()).context("the lab has no udevadm: tests/run unpacks it")
}

/// Starts udev.
///
/// # Errors
/// When the guest has no [`udevadm`], or it does not start.
pub fn start(guest: &mut Vm) -> Result<()> {
    guest.run("mkdir -p /etc/udev/rules.d && ln -s /bin/udevadm /bin/systemd-udevd")?;
    for line in RULES.lines().filter(|line| !line.starts_with('#')) {
        guest.run(&format!("echo '{line}' >>/etc/udev/rules.d/70-skewguard.rules"))?;
    }
    guest.run("systemd-udevd --daemon 2>/dev/ttyS0")?;
    Ok(())
}

/// The mode of a device after all rules were applied to it again.
///
/// # Errors
/// When udev does not run, or there is no such device.
pub fn mode(guest: &mut Vm, subsystem: &str, device: &str) -> Result<String> {
    let line =
        format!("udevadm trigger --action=add --subsystem-match={subsystem} && udevadm settle && stat -c %a {device}");
    Ok(guest.run(&line)?.trim().to_owned())
}
