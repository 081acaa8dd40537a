//! `status`: asks the running agent.

use std::path::Path;

use super::args::Format;
use super::text;
use crate::status::ask;

/// Nobody answers (sysexits.h: a service is unavailable).
const UNAVAILABLE: u8 = 69;

pub(super) async fn status(socket: &Path, format: Format) -> anyhow::Result<u8> {
    match ask(socket).await {
        Ok(snapshot) => {
            text::print(&snapshot, format)?;
            Ok(snapshot.status.exit_code())
        }
        Err(error) => {
            text::complain(&error.to_string());
            Ok(UNAVAILABLE)
        }
    }
}
