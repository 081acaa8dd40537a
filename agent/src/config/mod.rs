//! The configuration: YAML as written (`raw`), the same once it is known to be right (`checked`), and errors that show
//! the place.

pub mod checked;
pub mod secret;
