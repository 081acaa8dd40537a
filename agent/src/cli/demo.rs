//! `demo`: an AWS in a box.

use super::text;
use crate::config::load::load;
use crate::demo::script;

pub(super) async fn demo() -> anyhow::Result<u8> {
    let defaults = load(None, &|_| None)?;
    let print = |line: &str| {
        // Who closes the output has seen enough; the exit code still tells.
        let _ = text::answer(&format!("{line}\n"));
    };
    let is_well = script::show(defaults, &print).await?;
    Ok(u8::from(!is_well))
}
