//! From arguments to an exit code.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use clap::error::ErrorKind;

use super::alert::UnknownChannel;
use super::args::{Alert, Arguments, Command};
use super::input::read;
use super::{alert, check, config, demo, doctor, exit, run, service, status, wait};
use crate::aws::processes::scan::ProcessError;
use crate::config::explain::ConfigError;
use crate::runtime::RunError;
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

/// What is said of an error, and the exit code.
pub(super) fn failure(error: &anyhow::Error) -> (String, u8) {
    match error.downcast_ref::<ConfigError>() {
        Some(wrong) => (wrong.to_string(), exit::CONFIG),
        None if error.is::<UnknownChannel>() || error.is::<ProcessError>() => (format!("error: {error}"), exit::USAGE),
        None if matches!(error.downcast_ref(), Some(RunError::Ailing(_))) => (format!("error: {error}"), exit::AILING),
        None => (format!("error: {error:#}"), exit::SOFTWARE),
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

/// Threads that read and write files: one for each provider of files that may hang, and some for the others. Names are
/// resolved on threads of their own. The systemd unit allows more.
const MOST_THREADS: usize = 12;

/// One thread serves all: the agent waits far more than it works.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MOST_THREADS)
        .build()
        .context("no runtime")?;
    let result = runtime.block_on(future);
    // A resolver that hangs must not keep the process alive.
    runtime.shutdown_background();
    Ok(result)
}
