//! What time it is: the types of time, the local clocks, and the estimate of true time from what was measured.

pub mod aging;
#[cfg(test)]
mod coverage;
mod decision;
pub mod drift;
pub mod estimate;
pub mod estimator;
pub mod filter;
pub mod intersection;
pub mod leap;
pub mod local;
pub mod sample;
pub mod source;
pub mod steering;
pub mod true_clock;
