//! What this process is to the service manager.

use std::sync::atomic::{AtomicBool, Ordering};

/// The name of the service.
pub(super) const NAME: &str = "skewguard";

static IS_SERVICE: AtomicBool = AtomicBool::new(false);

/// Whether the service manager has started this process.
pub(super) fn is_service() -> bool {
    IS_SERVICE.load(Ordering::Relaxed)
}

/// It has.
pub(super) fn become_service() {
    IS_SERVICE.store(true, Ordering::Relaxed);
}
