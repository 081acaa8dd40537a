//! `doctor`: looks at this host once, and names the cause of failing requests and the command that mends it. It changes
//! nothing.
//!
//! [`examine`] has everything looked at and judged; each area has facts that are plain data, and pure functions from facts
//! to checks ([`report`]).

pub mod agent;
pub mod clock;
pub mod credentials;
pub mod examine;
pub mod explain;
pub mod imds;
pub mod report;
pub mod sdks;
pub mod seen;
pub mod text;
pub mod windows;
