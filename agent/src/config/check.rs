//! From the configuration as it is written to one in which every value is valid.
//!
//! What the file says wins over the environment, and the environment over the default.

use crate::setting::fault::Bounds;
use crate::setting::fault::Environment;
use crate::setting::fault::Fault;
use crate::setting::fault::unique;
use crate::sys;
use std::path::PathBuf;
use std::time::Duration;

use super::channels::channels;
use super::checked::Config;
use super::rules::alerts;
use super::storage::{queue, state_dir};
use super::telemetry::telemetry;
use super::{default, raw};
use crate::assess::limit::Limit;
use crate::aws::sdk::Sdk;
use crate::credentials::{Credentials, WrittenCredentials};
use crate::host::vmclock;
use crate::setting::locate::Path;
use crate::sources::source::check as sources;

/// What a limit may be.
const WINDOW: Bounds = Bounds(Duration::from_secs(1), Duration::from_secs(24 * 3_600));

/// Checks all that was written, and fills in what was not.
pub(super) fn check(raw: &raw::Config, env: Environment<'_>, is_ec2: bool) -> Result<Config, Fault> {
    let none = WrittenCredentials::default();
    let credentials = Credentials::check(raw.credentials.as_ref().unwrap_or(&none), env)?;
    let channels = channels(raw.channels.as_deref().unwrap_or_default(), credentials.imds.is_some())?;
    let telemetry = telemetry(raw.telemetry.as_ref(), credentials.imds.as_ref(), env)?;
    Ok(Config {
        sources: sources(raw.sources.as_deref(), is_ec2)?,
        vmclock: vmclock(raw.vmclock.as_deref())?,
        credentials,
        sdks: sdks(raw.sdks.as_ref())?,
        sdks_auto: !matches!(raw.sdks, Some(raw::Sdks::Names(_))),
        limits: limits(raw.limits.as_deref().unwrap_or_default())?,
        alerts: alerts(raw.alerts.as_ref())?,
        channels,
        telemetry,
        socket: socket(raw.socket.as_deref())?,
        state_dir: Some(state_dir(raw.state_dir.as_deref(), env)?),
        queue: queue(raw.queue.as_ref())?,
    })
}

fn limits(given: &[raw::Limit]) -> Result<Vec<Limit>, Fault> {
    let at = Path::root("limits");
    let mut limits = default::limits();
    for (index, limit) in given.iter().enumerate() {
        if limits.iter().any(|built_in| built_in.name.eq_ignore_ascii_case(&limit.name)) {
            let message = format!("{} is a built-in limit and cannot be changed: choose another name", limit.name);
            return Err(Fault::at(at.index(index).key("name"), message));
        }
    }
    unique(&at, given.iter().map(|limit| limit.name.as_str()))?;
    for (index, raw::Limit { name, window }) in given.iter().enumerate() {
        let window = WINDOW.or(Some(*window), window.0, &at.index(index), "window")?;
        limits.push(Limit { name: name.clone(), window, masked: false });
    }
    Ok(limits)
}

fn sdks(given: Option<&raw::Sdks>) -> Result<Vec<Sdk>, Fault> {
    let names = match given {
        None | Some(raw::Sdks::Auto) => return Ok(Sdk::usual()),
        Some(raw::Sdks::Names(names)) => names,
    };
    for (index, name) in names.iter().enumerate() {
        if names.iter().take(index).any(|other| other == name) {
            let message = format!("{} is named twice: remove one", name.name());
            return Err(Fault::at(Path::root("sdks").index(index), message));
        }
    }
    Ok(names.clone())
}

fn vmclock(given: Option<&str>) -> Result<vmclock::Choice, Fault> {
    match given {
        None | Some("auto") => Ok(vmclock::Choice::Auto),
        Some("off") => Ok(vmclock::Choice::Off),
        Some(path) if sys::is_absolute(path) && !path.contains('\0') => Ok(vmclock::Choice::Path(path.into())),
        Some(_) => Err(Fault::at(
            Path::root("vmclock"),
            format!("write auto, off, or the absolute path of a device, such as {}", vmclock::DEVICE),
        )),
    }
}

fn socket(given: Option<&str>) -> Result<PathBuf, Fault> {
    let Some(given) = given else { return Ok(sys::places().socket) };
    let Err(complaint) = sys::check_socket(given) else { return Ok(given.into()) };
    Err(Fault::at(Path::root("socket"), complaint))
}
