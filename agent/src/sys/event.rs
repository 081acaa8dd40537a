//! What is told to the event log of the platform, where it has one.

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// How grave it is.
    pub level: EventLevel,
    /// What it is: the same number for all of its kind, 1 to 1000.
    pub id: u16,
    /// In words.
    pub text: &'a str,
}

/// How grave an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventLevel {
    /// All is well.
    Information,
    /// A warning.
    Warning,
    /// An error, or a critical alert.
    Error,
}
