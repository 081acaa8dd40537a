//! What settings are made of, whoever has them: durations, URLs, secrets, headers, and what can be wrong with one.

pub(crate) mod address;
pub(crate) mod arn;
pub(crate) mod fault;
pub mod headers;
pub(crate) mod locate;
pub mod masker;
pub mod named;
pub(crate) mod path;
pub mod period;
pub mod secret;
pub(crate) mod text;
pub mod tls;
pub mod url;
pub(crate) mod variable;
pub(crate) mod web;
