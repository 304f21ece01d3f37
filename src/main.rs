//! The command line of jellyvault.

use std::process::ExitCode;

fn main() -> ExitCode {
    jellyvault::cli::main()
}
