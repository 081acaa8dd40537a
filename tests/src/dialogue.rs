//! A program that a test talks to: each line that it is sent, it answers with one line.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::net::{Net, Side};
use crate::process::{assignment, private_dir};

/// A program that answers, until it is dropped.
pub struct Dialogue {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    dir: TempDir,
}

impl Dialogue {
    /// Starts a program on the agent's host that has these variables alone: nothing of this machine's own decides which
    /// credentials it finds, or how.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn on_host(
        net: &Net,
        environment: &[(&str, OsString)],
        program: impl AsRef<OsStr>,
        arguments: &[&str],
    ) -> Result<Self> {
        let mut command = net.command(Side::Agent, "env")?;
        command.args(["-i", "HOME=/nonexistent"]);
        command.args(environment.iter().map(|(name, value)| assignment(*name, value)));
        command.arg(program).args(arguments);
        Self::start(&mut command)
    }

    /// Starts a command.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let dir = private_dir()?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(dir.path().join("log"))?)
            .spawn()
            .with_context(|| format!("failed to start {command:?}"))?;
        let (questions, answers) = (child.stdin.take(), child.stdout.take());
        let questions = questions.context("the program has no standard input")?;
        let answers = BufReader::new(answers.context("the program has no standard output")?);
        Ok(Self { child, questions, answers, dir })
    }

    /// Sends a line and awaits the answer, for as long as the program takes.
    ///
    /// # Errors
    /// When the program has ended, with its standard error.
    pub fn ask(&mut self, question: &str) -> Result<String> {
        // A program that has ended says why on standard error, not in the failure of this.
        let _ = writeln!(self.questions, "{question}");
        self.hear()
    }

    /// Awaits a line that it says unasked.
    ///
    /// # Errors
    /// When the program has ended, with its standard error.
    pub fn hear(&mut self) -> Result<String> {
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            bail!("the program ended instead of an answer:\n{}", self.log());
        }
        Ok(answer.trim_end().to_owned())
    }

    /// Its number on this machine.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard error so far.
    pub fn log(&self) -> String {
        let log = fs::read(self.dir.path().join("log"));
        log.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        // An error means that the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_answered() {
        let mut cat = Dialogue::start(&mut Command::new("cat")).unwrap();
        assert_eq!(cat.ask("one").unwrap(), "one");
        assert_eq!(cat.ask("two").unwrap(), "two");
    }

    #[test]
    fn a_program_that_ends_shows_its_standard_error() {
        let mut gone = Dialogue::start(Command::new("sh").args(["-c", "echo out of luck >&2"])).unwrap();
        let error = gone.ask("why?").unwrap_err();
        assert!(error.to_string().contains("out of luck"), "{error}");
    }
}
