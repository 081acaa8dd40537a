//! How the parts of the queue lock what they share.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whatever became of the last who did: nothing here is left half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
