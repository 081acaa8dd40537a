//! What everybody needs who speaks HTTP to somebody else's server: TLS by true time, the way around or through a proxy, and the
//! dates of HTTP.

pub mod bootstrap;
pub mod client;
pub mod date;
pub mod proxy;
pub mod tls;
pub mod words;
