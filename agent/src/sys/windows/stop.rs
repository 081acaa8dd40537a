//! By what the agent is told to end, and to read its configuration again.

use std::io;

use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown,
};

use super::service;

/// What ends a program: the console, or the service manager.
pub struct Ending {
    c: CtrlC,
    break_: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
}

impl Ending {
    /// Listens from now on.
    ///
    /// # Errors
    /// Those of `SetConsoleCtrlHandler`.
    pub fn new() -> io::Result<Self> {
        Ok(Self { c: ctrl_c()?, break_: ctrl_break()?, close: ctrl_close()?, shutdown: ctrl_shutdown()? })
    }

    /// The same.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn of_terminal() -> io::Result<Self> {
        Self::new()
    }

    /// Waits until one comes. One that came while nobody waited is not lost.
    pub async fn came(&mut self) {
        tokio::select! {
            _ = self.c.recv() => {}
            _ = self.break_.recv() => {}
            _ = self.close.recv() => {}
            _ = self.shutdown.recv() => {}
            () = service::STOP.notified() => {}
        }
    }
}

/// By what the configuration is read again: the service manager's `paramchange`.
pub struct Reloads(());

impl Reloads {
    /// Listens from now on.
    ///
    /// # Errors
    /// None.
    pub const fn new() -> io::Result<Self> {
        Ok(Self(()))
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        service::RELOAD.notified().await;
    }
}
