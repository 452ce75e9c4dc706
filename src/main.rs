//! The `keyferry` program: arguments in, exit code out.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Gives memory back after a burst, which the system's allocator does not do for many small pieces on many threads.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    keyferry::main()
}
