//! What a reading of all that a provider hands out yields.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::Provider;
use super::http::Request;
use super::lease::{Lease, Unavailable};

/// One of the things that a provider hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What tells it from the others of its provider, such as a profile or a file: always the same for the same thing.
    /// Empty where the provider hands out one thing alone.
    pub slot: String,
    /// What was read.
    pub result: Result<Lease, Unavailable>,
}

/// All that a provider hands out at one moment, and what it took to learn it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// Each thing. What is missing here is not handed out any more.
    pub readings: Vec<Reading>,
    /// Each request over the network.
    pub requests: Vec<Request>,
}

impl Round {
    /// A round that took no request. Slots that cannot be told apart, because what tells them apart cannot be shown, are
    /// numbered in their order.
    pub fn of(mut readings: Vec<Reading>) -> Self {
        let mut taken = BTreeSet::new();
        for reading in &mut readings {
            let name = reading.slot.clone();
            let mut number = 1_u32;
            while !taken.insert(reading.slot.clone()) {
                number = number.saturating_add(1);
                reading.slot = format!("{name} ({number})");
            }
        }
        Self { readings, requests: Vec::new() }
    }

    /// A round of a provider that hands out one thing alone.
    pub fn one(result: Result<Lease, Unavailable>, requests: Vec<Request>) -> Self {
        Self { readings: vec![Reading { slot: String::new(), result }], requests }
    }
}

/// A round, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polled {
    /// Who hands it out.
    pub provider: Provider,
    /// What came of it.
    pub round: Round,
}

/// Reads what one provider hands out. What is secret in it is never deserialised.
#[async_trait]
pub trait Read: Send {
    /// Who hands it out.
    fn provider(&self) -> Provider;

    /// Reads all of it once.
    async fn read(&mut self) -> Round;
}
