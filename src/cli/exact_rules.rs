//! What must be known of exact zips.

/// How an exact zip is used, and how not; the same words stand in its help and in `docs/zip.md`.
pub const EXACT_RULES: &str = "Restore this zip only from the dashboard (Dashboard, Backups), while no task is running. \
If a library scan runs at the same time, the server may stop once: start it again, and everything is restored. \
Never start a server with --restore-archive and this zip: it would run with a wrong or broken database. \
If that happened, stop the server and use jellyvault restore --in-place.";
