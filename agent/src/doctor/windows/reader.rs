//! Asks Windows, and remembers what it did not want to tell.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;

use super::text::shown;
use crate::sys::system::{Service, System, Value};

/// The longest text of the registry that is kept, in characters.
const LONGEST: usize = 4_096;

/// Reads the values of a system in the types that they should have.
pub struct Reader<'a> {
    /// What is asked.
    pub system: &'a dyn System,
    unread: RefCell<BTreeSet<String>>,
}

impl<'a> Reader<'a> {
    /// One that has not met any refusal yet.
    pub fn new(system: &'a dyn System) -> Self {
        Self { system, unread: RefCell::default() }
    }

    /// A text; `None` as well where it is not one.
    pub fn text(&self, key: &str, name: &str) -> Option<String> {
        match self.told(key, self.system.value(key, name))?? {
            Value::Text(text) => Some(text.chars().take(LONGEST).collect()),
            Value::List(lines) => Some(lines.join(" ").chars().take(LONGEST).collect()),
            Value::Number(_) | Value::Bytes(_) => None,
        }
    }

    /// A number; `None` as well where it is not one of 32 bits.
    pub fn number(&self, key: &str, name: &str) -> Option<u32> {
        match self.told(key, self.system.value(key, name))?? {
            Value::Number(number) => u32::try_from(number).ok(),
            Value::Text(_) | Value::List(_) | Value::Bytes(_) => None,
        }
    }

    /// Bytes; `None` as well where it is something else.
    pub fn bytes(&self, key: &str, name: &str) -> Option<Vec<u8>> {
        match self.told(key, self.system.value(key, name))?? {
            Value::Bytes(bytes) => Some(bytes),
            Value::Text(_) | Value::Number(_) | Value::List(_) => None,
        }
    }

    /// Whether there is such a value.
    pub fn has(&self, key: &str, name: &str) -> bool {
        self.told(key, self.system.has(key, name)).unwrap_or_default()
    }

    /// Whether there is anything below a key.
    pub fn has_keys(&self, key: &str) -> bool {
        self.told(key, self.system.keys(key)).is_some_and(|keys| !keys.is_empty())
    }

    /// A service; `None` where there is none or it may not be asked for.
    pub fn service(&self, name: &str) -> Option<Service> {
        self.told(name, self.system.service(name)).flatten()
    }

    /// What was found, or `None` and a line for [`Self::unread`].
    pub fn told<T>(&self, what: &str, answer: io::Result<T>) -> Option<T> {
        answer
            .map_err(|error| {
                let line = format!("{what} could not be read: {}", shown(&error.to_string()));
                self.unread.borrow_mut().insert(line);
            })
            .ok()
    }

    /// What could not be read and why, a line each.
    pub fn unread(self) -> Vec<String> {
        self.unread.into_inner().into_iter().collect()
    }
}
