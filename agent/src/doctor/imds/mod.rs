//! The instance metadata service: `probe` asks it, `checks` judges what it says, and `proxy` knows by which rule each SDK
//! sends its requests elsewhere.

mod cause;
pub mod checks;
mod no_proxy;
pub mod place;
pub mod probe;
pub mod proxy;
mod role;
#[cfg(test)]
mod scenarios;
mod settings;
