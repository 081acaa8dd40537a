//! `demo`: an AWS in a box, or a fleet that there is not.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::Context;

use super::args::Demo;
use super::{exit, text};
use crate::config::load::load;
use crate::demo::fleet::{Drill, DrillError, End, Show, play};
use crate::demo::script;
use crate::sys;

/// The beginning of a line of a terminal, and nothing behind it.
const CLEAR: &str = "\r\x1b[K";

pub(super) async fn demo(arguments: Demo) -> anyhow::Result<u8> {
    let defaults = load(None, &|_| None)?;
    let is_watched = io::stderr().is_terminal();
    let show = |line: &str| {
        if is_watched {
            // Progress is for whoever looks.
            let _ = write!(io::stderr().lock(), "{CLEAR}{line}");
        }
    };
    let print = |line: &str| {
        if arguments.fleet.is_some() {
            show("");
        }
        // Who closes the output has seen enough; the exit code still tells.
        let _ = text::answer(&format!("{line}\n"));
    };
    let Some(hosts) = arguments.fleet else {
        let is_well = script::show(defaults, &print).await?;
        return Ok(u8::from(!is_well));
    };
    let Demo { minutes, past, ref otlp, .. } = arguments;
    let drill = Drill { hosts, minutes, past, collector: otlp.clone() };
    let mut ending = sys::Ending::new().context("failed to listen for what ends it")?;
    match play(&drill, defaults, Show { print: &print, progress: &show }, ending.came()).await {
        Ok(End::Well) => Ok(0),
        Ok(End::Ill) => Ok(1),
        Ok(End::Interrupted) => {
            print("Ended before its time.");
            Ok(1)
        }
        Err(error @ (DrillError::Refused(_) | DrillError::Collector(_))) => {
            show("");
            text::complain(&error.to_string());
            Ok(exit::UNAVAILABLE)
        }
        Err(error) => Err(error.into()),
    }
}
