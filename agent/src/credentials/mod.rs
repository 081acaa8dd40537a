//! The credentials of this host: which there are, when they expire, and by whose clock. The secrets in them are never
//! kept. Each provider has a file.

mod cache;
mod certificate;
pub mod cli_cache;
pub mod container;
mod document;
pub mod environment;
mod file;
mod homes;
pub mod http;
mod identity;
pub mod imds;
pub mod lease;
pub mod login_cache;
#[cfg(test)]
mod marked;
pub mod named;
pub mod named_file;
pub mod poller;
pub mod provider;
pub mod round;
pub mod shared_file;
pub mod sso_cache;
pub mod timestamp;
pub mod web_identity;
