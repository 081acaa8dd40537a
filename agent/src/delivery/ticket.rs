//! What is said to the queue and what it answers.

use super::item::{Class, Item};
use crate::clock::true_clock::Stamp;
use crate::time::BootTime;

/// An item, by its place in the order of all that were accepted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// Where it goes.
    pub lane: String,
    /// A later item has a higher number.
    pub number: u64,
}

/// What was found on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which item it is.
    pub ticket: Ticket,
    /// What is given up first.
    pub class: Class,
    /// Its idempotency key.
    pub key: String,
    /// When it was made.
    pub at: Stamp,
    /// The length of its body.
    pub bytes: u64,
}

/// What the sender of a lane is to do.
#[derive(Debug)]
pub enum Next {
    /// Wait until something comes.
    Nothing,
    /// Wait until then, or until something comes.
    Wait(BootTime),
    /// Send this item, which is on disk.
    Stored(Ticket),
    /// Send this item.
    Item(Option<Ticket>, Item),
}

/// What became of an item that was pushed.
#[derive(Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It waits, if there was room for it.
    Waits(Ticket),
    /// It waits already, by its key.
    Known,
}

/// What the disk is to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Chore {
    /// Forget these.
    Remove(Vec<Ticket>),
    /// Keep this.
    Write(Ticket, Item),
}

/// How many items of a lane were given up for want of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Transitions of alerts.
    pub alerts: u64,
    /// Exports.
    pub telemetry: u64,
}
