//! What can be typed to keep a repository small and whole.

use clap::Args;

/// How long to wait for other processes.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// How long to wait for other jellyvault processes to end (a capture, a restore, a mount), such as 30s or 2h
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = super::durations::duration)]
    pub wait: std::time::Duration,
}

/// What to forget.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// Drop these, whatever the rules: ids, unique beginnings of them, labels, latest
    #[arg(value_name = "SNAPSHOT", conflicts_with_all = ["keep_last", "keep_hourly", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly", "keep_within", "keep_label"])]
    pub snapshots: Vec<String>,
    /// Keep the last N snapshots; N is a number or all
    #[arg(long, value_name = "N", value_parser = super::durations::count)]
    pub keep_last: Option<crate::manifest::Count>,
    /// Keep the newest snapshot of each of the last N hours that have one
    #[arg(long, value_name = "N", value_parser = super::durations::count)]
    pub keep_hourly: Option<crate::manifest::Count>,
    /// The same for days
    #[arg(long, value_name = "N", value_parser = super::durations::count)]
    pub keep_daily: Option<crate::manifest::Count>,
    /// The same for weeks
    #[arg(long, value_name = "N", value_parser = super::durations::count)]
    pub keep_weekly: Option<crate::manifest::Count>,
    /// The same for months
    #[arg(long, value_name = "N", value_parser = super::durations::count)]
    pub keep_monthly: Option<crate::manifest::Count>,
    /// The same for years
    #[arg(long, value_name = "N", value_parser = super::durations::count)]
    pub keep_yearly: Option<crate::manifest::Count>,
    /// Keep all that are at most so much older than the newest, such as 48h, 7d, 2mo or 1y
    #[arg(long, value_name = "DURATION", value_parser = super::durations::span)]
    pub keep_within: Option<jiff::Span>,
    /// Keep those with this label; then labels that are not named protect nothing
    #[arg(long, value_name = "LABEL")]
    pub keep_label: Vec<String>,
    /// Show what would go and why, change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Free the space at once
    #[arg(long)]
    pub prune: bool,
    /// With --prune: how much waste is tolerated, as a share (5%), a size (2GiB) or unlimited
    #[arg(long, value_name = "LIMIT", default_value = "5%", value_parser = super::durations::max_unused)]
    pub max_unused: crate::ops::MaxUnused,
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// What to mark.
#[derive(Debug, Args)]
pub struct KeepArgs {
    /// Snapshots: ids, unique beginnings of them, labels, latest
    #[arg(value_name = "SNAPSHOT", required = true)]
    pub snapshots: Vec<String>,
    /// Take the mark away
    #[arg(long)]
    pub off: bool,
}

/// How to prune.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Show the plan, change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How much waste is tolerated, as a share (5%), a size (2GiB) or unlimited
    #[arg(long, value_name = "LIMIT", default_value = "5%", value_parser = super::durations::max_unused)]
    pub max_unused: crate::ops::MaxUnused,
    /// After the list of snapshots was lost: also remove this tree, which belongs to no snapshot. --dry-run lists such trees
    #[arg(long, value_name = "ID")]
    pub remove_tree: Vec<String>,
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// How to check.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Read the data too, all or a share: 10% or 5GiB (what was not read for longest), 15m (as much as can be read in that time),
    /// unread:30d (what was not read for 30 days)
    #[arg(long, value_name = "SHARE", num_args = 0..=1, require_equals = true, default_missing_value = "all", value_parser = super::durations::share)]
    pub read_data: Option<crate::ops::Share>,
}

/// How to repair.
#[derive(Debug, Args)]
pub struct RepairArgs {
    /// Say what would be mended and what is lost, change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not read the data: mend only what the structure shows to be damaged
    #[arg(long)]
    pub quick: bool,
    /// Write recovery blocks beside each pack from now on, such as 3%; 0% removes them
    #[arg(long, value_name = "SHARE", value_parser = super::durations::permille)]
    pub add_parity: Option<u32>,
    /// Go on though most packs are gone, as if a disk were not mounted: what they held is given up
    #[arg(long)]
    pub give_up_missing: bool,
    #[command(flatten)]
    pub wait: WaitArgs,
}
