//! Writes what packages carry beside the program: `manual FOLDER` puts the manual pages into `FOLDER/man` and the
//! completions into `FOLDER/completions`, all of them from the words of the command line. It is no command of the
//! agent, because hosts need the pages and not what makes them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use skewguard::cli::args::Arguments;

/// What completions are written for.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Fish, Shell::Zsh];
/// Everybody on a host may run all of it.
const SECTION: &str = "1";

fn main() -> Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from).context("usage: manual FOLDER")?;
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    write_pages(Arguments::command(), &man)?;
    fs::create_dir_all(&completions)?;
    for shell in SHELLS {
        generate_to(shell, &mut Arguments::command(), "skewguard", &completions)?;
    }
    Ok(())
}

/// A page for the program and one for each of its commands, which refer to one another by these names.
fn write_pages(command: Command, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    // There are pages, so nobody needs to be told of `skewguard help`.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    write_page(&command, folder)
}

fn write_page(command: &Command, folder: &Path) -> Result<()> {
    let page = Man::new(command.clone()).section(SECTION).source(concat!("skewguard ", env!("CARGO_PKG_VERSION")));
    let path = folder.join(page.get_filename());
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    command.get_subcommands().try_for_each(|below| write_page(below, folder))
}
