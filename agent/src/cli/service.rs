//! `service`: the agent as a service that registers itself, where the platform has such.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;

use super::args::{ConfigFile, Service};
use super::outcome::{block_on, failure};
use super::{exit, run, text};
use crate::stderr;
use crate::sys::{self, Event, EventLevel, HAS_SERVICE};

/// The number of the event that the service could not go on.
const FAILED: u16 = 11;

pub(super) fn service(command: Service) -> anyhow::Result<u8> {
    if !HAS_SERVICE {
        sys::service_state()?;
    }
    match command {
        Service::Install(file) => {
            let path = file.path.map(|path| std::path::absolute(&path)).transpose()?;
            // A wrong configuration is better known now than when the service does not start.
            super::input::read(&ConfigFile { path: path.clone() })?;
            sys::install_service(&arguments(path.as_deref())?)?;
        }
        Service::Configure => sys::configure_service()?,
        Service::Uninstall => {
            // One that does not run need not be stopped.
            let _ = sys::stop_service();
            sys::uninstall_service()?;
        }
        Service::Start => sys::start_service()?,
        Service::Stop => sys::stop_service()?,
        Service::Adopt { file, place } => adopt(&file, &place.unwrap_or_else(|| sys::places().config))?,
        Service::Reload => sys::reload_service()?,
        Service::Status => text::answer(&format!("{}\n", sys::service_state()?))?,
        Service::Run(file) => sys::run_service(move || serve(&file))?,
    }
    Ok(0)
}

/// Puts a configuration at its place, where there is none: an installer has been given one. In a folder of a stranger it would
/// be in his hands.
fn adopt(file: &Path, place: &Path) -> anyhow::Result<()> {
    let folder = place.parent().context("the configuration has a folder")?;
    if let Some(owner) =
        sys::owner_without_say(folder).with_context(|| format!("failed to look at {}", folder.display()))?
    {
        anyhow::bail!(
            "{} belongs to {owner}, who may not say what the agent does: look into it, and remove it",
            folder.display()
        );
    }
    let text = fs::read(file).with_context(|| format!("failed to read {}", file.display()))?;
    let made = OpenOptions::new().write(true).create_new(true).open(place);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made
            .and_then(|mut made| made.write_all(&text))
            .with_context(|| format!("failed to write {}", place.display())),
    }
}

/// What the manager starts the program with.
fn arguments(config: Option<&Path>) -> anyhow::Result<Vec<&str>> {
    let mut arguments = vec!["service", "run"];
    if let Some(config) = config {
        let text = config.to_str().ok_or_else(|| anyhow::anyhow!("the path of the configuration is no UTF-8"))?;
        arguments.extend(["--config", text]);
    }
    Ok(arguments)
}

/// The agent, until it is told to end. Why it could not go on is told where somebody looks: there is no terminal.
fn serve(file: &ConfigFile) -> u8 {
    let result = block_on(run::run(file)).and_then(|ended| ended);
    let code = result.unwrap_or_else(|error| {
        let (text, code) = failure(&error);
        sys::report(&Event { level: EventLevel::Error, id: FAILED, text: &text });
        stderr::say(&text);
        code
    });
    stderr::end();
    // Another start would find the same mistake: the manager is to start it again after a failure alone.
    if [exit::USAGE, exit::CONFIG].contains(&code) { 0 } else { code }
}
