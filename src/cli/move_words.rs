//! What a move changes, in words.

use crate::ops::{MovePlan, MoveReport, MovedNames};

use super::render;

/// Names that are shown of many.
const SHOWN: usize = 5;

fn named(names: &MovedNames) -> String {
    let mut out: String =
        names.first.iter().take(SHOWN).map(|name| format!("  {name}\n")).collect();
    if names.count > SHOWN as u64 && names.first.len() >= SHOWN {
        out.push_str(&format!("  … and {} more\n", render::count(names.count - SHOWN as u64)));
    }
    out
}

/// The plan.
pub fn plan_words(plan: &MovePlan) -> String {
    let mut out = String::from("Paths that would change, as the server sees them:\n");
    out.push_str(&paths(plan));
    out.push_str(&changes(plan, "would "));
    out.push_str(&media(plan));
    out.push_str(&left_alone(plan));
    out
}

/// What is known of the media at its new path.
fn media(plan: &MovePlan) -> String {
    let looked_for = plan.media_found + plan.media_missing.count;
    let mut out = String::new();
    let is_moved = moves_media(plan) && plan.new_ids + plan.kept_ids.count > 0;
    if looked_for == 0 {
        out.push_str("jellyvault did not look for the media: the server may see it at another path than this machine.\n");
        return out;
    }
    let place = if is_moved { "its new path" } else { "its path" };
    out.push_str(&format!(
        "Media found at {place}: {} of {}.\n",
        render::count(plan.media_found),
        render::count(looked_for)
    ));
    out.push_str(&named(&plan.media_missing));
    if plan.media_changed.count > 0 {
        let files = render::plural(plan.media_changed.count, "media file has", "media files have");
        out.push_str(&format!(
            "{files} another modification time than in the library:\n{}",
            named(&plan.media_changed)
        ));
    }
    out
}

fn paths(plan: &MovePlan) -> String {
    let by_name = plan
        .from
        .iter()
        .filter_map(|(name, old)| Some((name.as_str(), old, plan.to.get(name)?)))
        .filter(|(_, old, new)| old != new);
    let mut out: String =
        by_name.map(|(name, old, new)| format!("  {name}: {old} → {new}\n")).collect();
    for (old, new) in plan.map.iter().map(|(old, new)| (old, new)).chain(&plan.along) {
        out.push_str(&format!("  media: {old} → {new}\n"));
    }
    if out.is_empty() {
        "  none: the snapshot's server saw its directories at the same paths\n".to_owned()
    } else {
        out
    }
}

fn changes(plan: &MovePlan, would: &str) -> String {
    let rows: u64 = plan.rows.values().sum();
    let tables: Vec<String> =
        plan.rows.iter().map(|(table, rows)| format!("{table} {}", render::count(*rows))).collect();
    let get = if would.is_empty() { "got" } else { "get" };
    let mut out = format!(
        "{} of {} {would}{get} a new id.\n",
        render::count(plan.new_ids),
        render::plural(plan.items, "item", "items")
    );
    out.push_str(&format!(
        "{} {would}change{}",
        render::plural(rows, "row", "rows"),
        if would.is_empty() { "d" } else { "" }
    ));
    out.push_str(&if tables.is_empty() {
        ".\n".to_owned()
    } else {
        format!(": {}.\n", tables.join(", "))
    });
    if plan.folders > 0 {
        out.push_str(&format!(
            "{} of pictures, subtitles or previews {would}{get} a new name.\n",
            render::plural(plan.folders, "folder", "folders")
        ));
    }
    if !plan.documents.is_empty() {
        out.push_str(&format!(
            "{} with paths {would}change{}: {}.\n",
            render::plural(
                plan.documents.len() as u64,
                "settings file or playlist",
                "settings files and playlists"
            ),
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
            "{}, because the old id does not follow from the path. The next scan may add such an item again, without its watch state:\n{}",
            render::plural(plan.kept_ids.count, "item keeps its id", "items keep their ids"),
            named(&plan.kept_ids)
        ));
    }
    if plan.unread.count > 0 {
        out.push_str(&format!(
            "{} not be read and {} not changed:\n{}",
            render::plural(plan.unread.count, "value could", "values could"),
            if plan.unread.count == 1 { "is" } else { "are" },
            named(&plan.unread)
        ));
    }
    if plan.leftovers.count > 0 {
        out.push_str(&format!(
            "{} in folders with the new names, of items that are no longer in the library, left out:\n{}",
            render::plural(plan.leftovers.count, "file", "files"),
            named(&plan.leftovers)
        ));
    }
    if plan.kept_seasons.count > 0 {
        out.push_str(&format!(
            "{}. The server finds them by series and number.\n",
            render::plural(
                plan.kept_seasons.count,
                "season without a folder keeps its id",
                "seasons without a folder keep their ids"
            )
        ));
    }
    if !plan.settings.is_empty() {
        out.push_str(&format!(
            "Settings of the server still contain old paths, in a form that jellyvault does not change: {}. Correct them in the dashboard.\n",
            shortened(&plan.settings)
        ));
    }
    if !plan.plugins.is_empty() {
        out.push_str(&format!("Settings of plugins contain old paths or ids and stay as they are (--map-plugins changes them): {}.\n", shortened(&plan.plugins)));
    }
    if !plan.plugins_by_hand.is_empty() {
        out.push_str(&format!(
            "Settings of plugins still contain old paths, in a form that jellyvault does not change: {}. Correct them in the plugin's settings.\n",
            shortened(&plan.plugins_by_hand)
        ));
    }
    if !plan.plugin_databases.is_empty() {
        out.push_str(&format!(
            "Databases of plugins may contain old ids and stay as they are: {}.\n",
            shortened(&plan.plugin_databases)
        ));
    }
    out
}

/// What was changed, for a restore or an export.
pub fn changed_words(plan: &MovePlan) -> String {
    format!(
        "Changed paths:\n{}{}{}{}",
        paths(plan),
        changes(plan, ""),
        media(plan),
        left_alone(plan)
    )
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
pub fn checklist(plan: &MovePlan) -> String {
    let media = if moves_media(plan) {
        "at its new path, with its old modification times"
    } else {
        "at the same paths as before"
    };
    format!(
        "Before you start Jellyfin: the server must be able to see the media {media}.\n{}\
         After the start, check in the dashboard before the first library scan: Libraries (their folders), Playback (the paths of FFmpeg and of\n\
         transcoding), Live TV (recording paths), and the settings of plugins. If anything is wrong, stop Jellyfin before it scans.\n",
        metadata_words(plan)
    )
}

/// Whether any media is at another path than before.
pub fn moves_media(plan: &MovePlan) -> bool {
    !plan.map.is_empty() || !plan.along.is_empty()
}

/// Where the metadata directory has a place of its own that changes: jellyvault moves no
/// directories.
fn metadata_words(plan: &MovePlan) -> String {
    let (Some(old), Some(new)) = (plan.from.get("metadata"), plan.to.get("metadata")) else {
        return String::new();
    };
    if !plan.map.iter().any(|(from, _)| from.trim_end_matches('/') == old) {
        return String::new();
    }
    format!(
        "The settings now name {new} as the metadata directory (before: {old}). Move or mount the directory there, or the server starts without its pictures.\n"
    )
}

/// What a move did.
pub fn done_words(report: &MoveReport, undo: &str) -> String {
    format!(
        "Took snapshot {} of the state before the move. To undo: {undo}\n{}{} written, {} already up to date, {} with old names deleted.\n{}",
        render::short(&report.before),
        changed_words(&report.plan),
        render::plural(report.restored.files, "file", "files"),
        render::count(report.restored.unchanged),
        render::plural(report.restored.deleted, "file or folder", "files and folders"),
        checklist(&report.plan)
    )
}
