//! Arguments of the maintenance commands: forget, keep, prune, check and repair.

use clap::Args;

use crate::manifest::Policy;

/// How long to wait for other processes.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// How long to wait for other jellyvault processes (snapshot, restore, mount) to end, for
    /// example 30s or 2h
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = super::durations::duration)]
    pub wait: std::time::Duration,
}

/// Retention rules.
#[derive(Debug, Args)]
#[group(id = "rules", multiple = true)]
pub struct RuleArgs {
    /// Keep the last N snapshots (N: a number, or all)
    #[arg(long, value_name = "N", value_parser = super::durations::count)]
    pub keep_last: Option<crate::manifest::Count>,
    /// Keep the newest snapshot of each of the last N hours that have one
    #[arg(long, value_name = "N", value_parser = super::durations::count)]
    pub keep_hourly: Option<crate::manifest::Count>,
    /// Keep the newest snapshot of each of the last N days that have one
    #[arg(long, value_name = "N", value_parser = super::durations::count)]
    pub keep_daily: Option<crate::manifest::Count>,
    /// Keep the newest snapshot of each of the last N weeks that have one
    #[arg(long, value_name = "N", value_parser = super::durations::count)]
    pub keep_weekly: Option<crate::manifest::Count>,
    /// Keep the newest snapshot of each of the last N months that have one
    #[arg(long, value_name = "N", value_parser = super::durations::count)]
    pub keep_monthly: Option<crate::manifest::Count>,
    /// Keep the newest snapshot of each of the last N years that have one
    #[arg(long, value_name = "N", value_parser = super::durations::count)]
    pub keep_yearly: Option<crate::manifest::Count>,
    /// Keep all snapshots taken within this time before the newest one, for example 48h, 7d, 2mo or
    /// 1y
    #[arg(long, value_name = "DURATION", value_parser = super::durations::span)]
    pub keep_within: Option<jiff::Span>,
    /// Keep snapshots with this label. Other labels then no longer keep a snapshot
    #[arg(long, value_name = "LABEL")]
    pub keep_label: Vec<String>,
}

impl RuleArgs {
    /// The policy of all servers.
    pub fn policy(&self) -> Policy {
        Policy {
            server: None,
            last: self.keep_last,
            hourly: self.keep_hourly,
            daily: self.keep_daily,
            weekly: self.keep_weekly,
            monthly: self.keep_monthly,
            yearly: self.keep_yearly,
            within: self.keep_within,
            labels: self.keep_label.clone(),
        }
    }
}

/// What to forget.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// Delete these snapshots: ids or unique prefixes, labels, latest
    #[arg(value_name = "SNAPSHOT", conflicts_with = "rules")]
    pub snapshots: Vec<String>,
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Show which snapshots would be deleted and why; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Run prune afterwards to free the space
    #[arg(long)]
    pub prune: bool,
    /// With --prune: how much unused data may stay, as a share (5%), a size (2GiB) or unlimited
    #[arg(long, value_name = "LIMIT", default_value = "5%", value_parser = super::durations::max_unused)]
    pub max_unused: crate::ops::MaxUnused,
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// What to protect.
#[derive(Debug, Args)]
pub struct KeepArgs {
    /// Snapshots: ids or unique prefixes, labels, latest
    #[arg(value_name = "SNAPSHOT", required = true)]
    pub snapshots: Vec<String>,
    /// Remove the protection
    #[arg(long)]
    pub off: bool,
}

/// How to prune.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Show the plan; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How much unused data may stay, as a share (5%), a size (2GiB) or unlimited
    #[arg(long, value_name = "LIMIT", default_value = "5%", value_parser = super::durations::max_unused)]
    pub max_unused: crate::ops::MaxUnused,
    /// After the list of snapshots was lost: also delete this tree, which belongs to no snapshot.
    /// --dry-run lists such trees
    #[arg(long, value_name = "ID")]
    pub remove_tree: Vec<String>,
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// How to check.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Also read and verify the stored data: all of it, or a share. 10% or 5GiB: the least recently
    /// verified. 15m: as much as can be read in this time. unread:30d: what was not read for 30
    /// days
    #[arg(long, value_name = "SHARE", num_args = 0..=1, require_equals = true, default_missing_value = "all", value_parser = super::durations::share)]
    pub read_data: Option<crate::ops::Share>,
    /// Verify every file of an encrypted repository without its passphrase, for example on the
    /// machine that keeps a copy
    #[arg(long, conflicts_with = "read_data")]
    pub without_key: bool,
}

/// How to repair.
#[derive(Debug, Args)]
pub struct RepairArgs {
    /// Show what would be repaired and what is lost; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not read the stored data: repair only damage that is visible in the structure
    #[arg(long)]
    pub quick: bool,
    /// Store recovery data (parity) for each pack, also in future, for example 3%. 0% removes it
    #[arg(long, value_name = "SHARE", value_parser = super::durations::permille)]
    pub add_parity: Option<u32>,
    /// Continue even if most packs are missing, as if a disk were not mounted. Their contents are
    /// given up as lost
    #[arg(long)]
    pub give_up_missing: bool,
    #[command(flatten)]
    pub wait: WaitArgs,
}
