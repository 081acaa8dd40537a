//! From arguments to an exit code.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use super::args::{Alert, Arguments, Command};
use super::input::read;
use super::outcome::{block_on, failure};
use super::{alert, check, config, demo, doctor, exit, run, service, status, wait};
use crate::stderr;

/// Runs the command of the process's arguments.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Without a terminal to write to there is nobody left to tell.
            let _ = error.print();
            let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if is_answer { 0 } else { exit::USAGE });
        }
    };
    match dispatch(arguments.command) {
        Ok(code) => {
            stderr::end();
            ExitCode::from(code)
        }
        Err(error) => {
            let (text, code) = failure(&error);
            stderr::say(&text);
            ExitCode::from(code)
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Run(file) => block_on(run::run(&file))?,
        Command::Check(arguments) => block_on(check::check(read(&arguments.config)?, &arguments))?,
        Command::Wait(arguments) => block_on(wait::wait(read(&arguments.config)?, &arguments))?,
        Command::Doctor(arguments) => block_on(doctor::doctor(&arguments))?,
        Command::Status(arguments) => {
            let socket = match &arguments.socket {
                Some(socket) => socket.clone(),
                None => read(&arguments.config)?.socket,
            };
            block_on(status::status(&socket, &arguments))?
        }
        Command::Alert(Alert::Test(arguments)) => {
            block_on(alert::test(read(&arguments.config)?, arguments.channel.as_deref()))?
        }
        Command::Demo(arguments) => block_on(demo::demo(arguments))?,
        Command::Config(command) => config::config(command),
        Command::Service(command) => service::service(command),
    }
}
