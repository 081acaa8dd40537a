//! `check`: measures once.

use std::sync::Arc;

use super::args::{Check, CheckFormat, Format};
use super::measure::measure;
use super::{npd, text};
use crate::clock::local;
use crate::config::checked::Config;

pub(super) async fn check(config: Config, arguments: &Check) -> anyhow::Result<u8> {
    let config = Arc::new(arguments.subject.narrow_config(config));
    let format = match arguments.format {
        CheckFormat::Text => Format::Text,
        CheckFormat::Json => Format::Json,
        CheckFormat::Npd => return npd::check(config, arguments).await,
    };
    let engine = measure(config, arguments.samples, arguments.timeout).await?;
    let snapshot = arguments.subject.narrow(engine.snapshot_of_one_look(local::read()));
    text::print(&snapshot, format)?;
    Ok(snapshot.status.exit_code())
}
