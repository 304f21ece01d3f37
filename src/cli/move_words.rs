//! What a move changes, in words.

use crate::ops::{MovePlan, MoveReport, MovedNames};

use super::render;

/// Names that are shown of many.
const SHOWN: usize = 5;

fn named(names: &MovedNames) -> String {
    let mut out: String = names.first.iter().take(SHOWN).map(|name| format!("  {name}\n")).collect();
    if names.count > SHOWN as u64 && names.first.len() >= SHOWN {
        out.push_str(&format!("  … and {} more\n", render::count(names.count - SHOWN as u64)));
    }
    out
}

/// The plan.
pub fn plan_words(plan: &MovePlan, looks_for_media: bool) -> String {
    let mut out = String::from("Paths that would change, as the server sees them:\n");
    out.push_str(&paths(plan));
    out.push_str(&changes(plan, "would "));
    if !looks_for_media {
        out.push_str("The media was not looked for: the server sees it at another path than this machine, or runs on another one.\n");
    } else {
        out.push_str(&format!(
            "Media found at its new path: {} of {}.\n",
            render::count(plan.media_found),
            render::count(plan.media_found + plan.media_missing.count)
        ));
        out.push_str(&named(&plan.media_missing));
    }
    out.push_str(&left_alone(plan));
    out
}

fn paths(plan: &MovePlan) -> String {
    let by_name = plan.from.iter().filter_map(|(name, old)| Some((name.as_str(), old, plan.to.get(name)?))).filter(|(_, old, new)| old != new);
    let mut out: String = by_name.map(|(name, old, new)| format!("  {name}: {old} → {new}\n")).collect();
    for (old, new) in &plan.map {
        out.push_str(&format!("  media: {old} → {new}\n"));
    }
    if out.is_empty() { "  none: the snapshot's server saw its directories at the same paths\n".to_owned() } else { out }
}

fn changes(plan: &MovePlan, would: &str) -> String {
    let rows: u64 = plan.rows.values().sum();
    let tables: Vec<String> = plan.rows.iter().map(|(table, rows)| format!("{table} {}", render::count(*rows))).collect();
    let get = if would.is_empty() { "got" } else { "get" };
    let mut out = format!("{} of {} {would}{get} a new id.\n", render::count(plan.new_ids), render::plural(plan.items, "item", "items"));
    out.push_str(&format!("{} {would}change{}", render::plural(rows, "row", "rows"), if would.is_empty() { "d" } else { "" }));
    out.push_str(&if tables.is_empty() { ".\n".to_owned() } else { format!(": {}.\n", tables.join(", ")) });
    if plan.folders > 0 {
        out.push_str(&format!("{} of pictures, subtitles or previews {would}{get} a new name.\n", render::plural(plan.folders, "folder", "folders")));
    }
    if !plan.documents.is_empty() {
        out.push_str(&format!(
            "{} with paths {would}change{}: {}.\n",
            render::plural(plan.documents.len() as u64, "settings file or playlist", "settings files and playlists"),
            if would.is_empty() { "d" } else { "" },
            shortened(&plan.documents)
        ));
    }
    out
}

fn shortened(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

/// What stays as it is, though it may have to do with the move.
fn left_alone(plan: &MovePlan) -> String {
    let mut out = String::new();
    if plan.kept_ids.count > 0 {
        out.push_str(&format!(
            "{} their id, because Jellyfin did not make it from the path. The server may add them anew at the next scan, without their watch state:\n{}",
            render::plural(plan.kept_ids.count, "item keeps", "items keep"),
            named(&plan.kept_ids)
        ));
    }
    if plan.unread.count > 0 {
        out.push_str(&format!("{} could not be read and stays as it is:\n{}", render::plural(plan.unread.count, "value", "values"), named(&plan.unread)));
    }
    if plan.leftovers.count > 0 {
        out.push_str(&format!(
            "{} under the new names belonged to items that are no longer in the library, and go:\n{}",
            render::plural(plan.leftovers.count, "file", "files"),
            named(&plan.leftovers)
        ));
    }
    if !plan.plugins.is_empty() {
        out.push_str(&format!("Settings of plugins contain old paths and stay as they are (--map-plugins changes them): {}.\n", shortened(&plan.plugins)));
    }
    if !plan.plugin_databases.is_empty() {
        out.push_str(&format!("Databases of plugins may contain old ids and stay as they are: {}.\n", shortened(&plan.plugin_databases)));
    }
    out
}

/// What was changed, for a restore or an export.
pub fn changed_words(plan: &MovePlan) -> String {
    format!("Changed paths:\n{}{}{}", paths(plan), changes(plan, ""), left_alone(plan))
}

/// Where only files were restored.
pub fn part_words(plan: &MovePlan) -> String {
    format!(
        "The database was not restored. {} of pictures, subtitles or previews in the snapshot {} the ids of the new paths: they fit only a server that was moved to them.\n",
        render::plural(plan.folders, "folder", "folders"),
        if plan.folders == 1 { "has" } else { "have" }
    )
}

/// What to look at before the first scan.
pub const CHECKLIST: &str = "Before you start Jellyfin: the media must be mounted at its new path, with its old modification times.\n\
                             Then check in the dashboard: Libraries (their folders), Playback (the paths of FFmpeg and of transcoding), Live TV (recording paths),\n\
                             and the settings of plugins. If anything is wrong, stop Jellyfin before its library scan.\n";

/// What a move did.
pub fn done_words(report: &MoveReport, undo: &str) -> String {
    format!(
        "Took snapshot {} of the state before the move. To undo: {undo}\n{}{} written, {} already up to date, {} deleted.\n{CHECKLIST}",
        render::short(&report.before),
        changed_words(&report.plan),
        render::plural(report.restored.files, "file", "files"),
        render::count(report.restored.unchanged),
        render::count(report.restored.deleted)
    )
}
