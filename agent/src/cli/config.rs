//! `config`: checks, shows and describes the configuration.

use super::args::Config;
use super::input::{env, read};
use super::text;
use crate::config::load::load;
use crate::config::schema::schema;
use crate::config::show::show;

pub(super) fn config(command: Config) -> anyhow::Result<u8> {
    match command {
        Config::Check { path } => {
            load(Some(&path), &env)?;
            text::answer(&format!("{} is right\n", path.display()))?;
        }
        Config::Show(file) => text::answer(&show(&read(&file)?))?,
        Config::Schema => text::answer(&schema())?,
    }
    Ok(0)
}
