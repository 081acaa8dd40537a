//! By what the agent is told to end, and to read its configuration again.

use std::future::pending;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end a program.
pub struct Ending {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

impl Ending {
    /// Listens to SIGTERM and SIGINT from now on.
    ///
    /// # Errors
    /// Those of `sigaction(2)`.
    pub fn new() -> io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, hangup: None })
    }

    /// The same, and SIGHUP: for what somebody looks at in a terminal.
    ///
    /// # Errors
    /// Those of `sigaction(2)`.
    pub fn of_terminal() -> io::Result<Self> {
        Ok(Self { hangup: Some(signal(SignalKind::hangup())?), ..Self::new()? })
    }

    /// Waits until one comes. One that came while nobody waited is not lost.
    pub async fn came(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => {
                    hangup.recv().await;
                }
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = hangup => {}
        }
    }
}

/// The signals by which the configuration is read again.
pub struct Reloads(Signal);

impl Reloads {
    /// Listens to SIGHUP from now on.
    ///
    /// # Errors
    /// Those of `sigaction(2)`.
    pub fn new() -> io::Result<Self> {
        Ok(Self(signal(SignalKind::hangup())?))
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            pending::<()>().await;
        }
    }
}
