//! The command line of jellyvault.

use std::process::ExitCode;

/// Listings are made by one thread and let go by another, a hundred thousand a second: the system's
/// allocator spends a third of an unchanged capture on its locks (docs/decisions/0006).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    jellyvault::cli::main()
}
