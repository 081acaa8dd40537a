//! Which host this is, as far as its files tell. `root` is the folder in which they stand: `/`, or a test's own.

pub mod distribution;
pub mod firmware;
pub mod identity;
pub mod mark;
pub(crate) mod small_file;
pub mod vmclock;
pub mod zone;
