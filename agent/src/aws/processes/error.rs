//! Why a process is not told.

use crate::sys::WORDS;

/// Why one process cannot be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProcessError {
    /// There is no such process, or it is hidden.
    #[error("there is no process {0}: {list}", list = WORDS.list_processes)]
    NotFound(u32),
    /// It is a part of the kernel, or has ended already.
    #[error("the process {0} runs no program: it is a part of the kernel, or has ended")]
    NoProgram(u32),
    /// It belongs to another user.
    #[error("the process {0} belongs to another user: {see}", see = WORDS.see_process)]
    Denied(u32),
}
