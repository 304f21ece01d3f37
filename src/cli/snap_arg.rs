//! The name of a snapshot on the command line.

use clap::Args;

/// A snapshot's name.
#[derive(Debug, Args)]
pub struct SnapArg {
    /// A snapshot: id or unique prefix, latest, latest~N, label, or a time (2026-11-22,
    /// 2026-11-22T10:00)
    #[arg(value_name = "SNAPSHOT")]
    pub name: String,
}
