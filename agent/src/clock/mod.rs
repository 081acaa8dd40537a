//! What time it is: the types of time, the local clocks, and the estimate of true time from what was measured.

pub mod time;
