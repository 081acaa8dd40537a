//! skewguard
fn main() {}
