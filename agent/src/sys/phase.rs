//! What a service manager is told.

/// What the agent has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It watches.
    Ready,
    /// It reads its configuration again.
    Reloading,
    /// It ends.
    Stopping,
}
