//! The service is systemd's: units are installed by packages, and asked for by `systemctl`.

use crate::sys::ServiceError;

/// Whether this program registers itself as a service.
pub const HAS_SERVICE: bool = false;

fn none<T>() -> Result<T, ServiceError> {
    Err(ServiceError(
        "here the service is one of systemd: systemctl starts and stops it, and a package installs it".to_owned(),
    ))
}

/// Hands this process to the service manager.
///
/// # Errors
/// Always.
pub fn run_service(_work: impl FnOnce() -> u8 + Send + 'static) -> Result<(), ServiceError> {
    none()
}

/// Registers the service.
///
/// # Errors
/// Always.
pub fn install_service(_arguments: &[&str]) -> Result<(), ServiceError> {
    none()
}

/// Gives it what a registration alone does not.
///
/// # Errors
/// Always.
pub fn configure_service() -> Result<(), ServiceError> {
    none()
}

/// Takes the registration away.
///
/// # Errors
/// Always.
pub fn uninstall_service() -> Result<(), ServiceError> {
    none()
}

/// Starts it.
///
/// # Errors
/// Always.
pub fn start_service() -> Result<(), ServiceError> {
    none()
}

/// Has it end.
///
/// # Errors
/// Always.
pub fn stop_service() -> Result<(), ServiceError> {
    none()
}

/// Has it read its configuration again.
///
/// # Errors
/// Always.
pub fn reload_service() -> Result<(), ServiceError> {
    none()
}

/// What the manager says of it, in a word.
///
/// # Errors
/// Always.
pub fn service_state() -> Result<&'static str, ServiceError> {
    none()
}
