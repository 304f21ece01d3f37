//! `stats`.

use serde_json::json;

use crate::ops;

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::{Exit, json as to_json, render};

/// Snapshots whose growth is shown without `--verbose`.
const SHOWN: usize = 10;

pub fn run(context: &Context) -> Result<Exit, Failure> {
    let repository = context.open()?;
    let catalog = context.catalog(&repository)?;
    let stats = ops::stats(&repository, &catalog)?;
    let (dedup, compression) = (stats.deduplication, stats.compression);
    if context.global.json {
        to_json::print(&json!({"stats": stats}));
        return Ok(if stats.unreadable.is_empty() { Exit::Done } else { Exit::Problems });
    }
    let mut out = format!(
        "{} in {}: {} in total.\nFull copies would take {}: deduplication saves a factor of {dedup:.1}, compression another {compression:.2}.\nManifests take {}.\n",
        render::plural(stats.snapshots, "snapshot", "snapshots"),
        render::plural(stats.packs, "pack", "packs"),
        render::size(stats.pack_bytes),
        render::size(stats.bytes_in_all_snapshots),
        render::size(stats.manifests_stored)
    );
    let mut rows =
        vec![["CATEGORY", "FILES", "SIZE", "IN ALL SNAPSHOTS"].map(str::to_owned).to_vec()];
    rows.extend(stats.categories.iter().map(|(name, c)| {
        vec![
            name.clone(),
            render::count(c.files),
            render::size(c.bytes),
            render::size(c.bytes_in_all_snapshots),
        ]
    }));
    out.push_str(&format!("\nIn the newest snapshot:\n\n{}", render::table(&rows, &[1, 2, 3])));
    let shown = if context.global.verbose { usize::MAX } else { SHOWN };
    let mut rows = vec![
        ["SNAPSHOT", "TIME", "NEW CONTENT", "ADDED", "OF WHICH DATABASE"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let skip = stats.growth.len().saturating_sub(shown);
    rows.extend(stats.growth.iter().skip(skip).map(|g| {
        let id = render::short(&g.id);
        vec![
            id,
            render::time(g.time_ns, &context.zone),
            render::size(g.new_raw),
            render::size(g.new_stored),
            render::size(g.database_stored),
        ]
    }));
    out.push_str(&format!(
        "\nGrowth{}:\n\n{}",
        if skip > 0 { format!(" (the last {SHOWN}; --verbose shows all)") } else { String::new() },
        render::table(&rows, &[2, 3, 4])
    ));
    output::print(&out)?;
    if !stats.unreadable.is_empty() {
        let ids: Vec<String> = stats.unreadable.iter().map(render::short).collect();
        context.say(&format!(
            "Problem: the databases of {} cannot be read, because the repository is damaged.",
            ids.join(", ")
        ));
        return Ok(Exit::Problems);
    }
    Ok(Exit::Done)
}
