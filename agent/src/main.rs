//! skewguard warns before AWS rejects a request because a clock is wrong or a credential has run out.

use std::alloc::System;
use std::process::ExitCode;

use zeroizing_alloc::ZeroAlloc;

/// Freed memory is zeroed: the secrets in an answer of the instance metadata service do not outlive its reading.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    skewguard::cli::dispatch::main()
}
