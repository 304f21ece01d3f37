//! Where a file of the logical tree stands in Jellyfin's zip, and where a name in the zip leads
//! (`docs/zip.md`, "Names").

/// The part of the zip that an entry belongs to, in the order in which the server writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Settings directly in the configuration directory.
    Config,
    /// Avatars.
    Users,
    /// Triggers of scheduled tasks.
    ConfigTasks,
    /// Library definitions.
    Root,
    /// Collections.
    Collections,
    /// Playlists.
    Playlists,
    /// Last results of scheduled tasks.
    DataTasks,
    /// The server's id, splash screen, recording timers: the server's own backup lacks them, its
    /// restore takes them.
    Kept,
    /// Extracted subtitles.
    Subtitles,
    /// Trickplay sheets.
    Trickplay,
    /// Metadata in use.
    Metadata,
    /// Metadata in its default place.
    MetadataDefault,
    /// Fonts of videos: as `Kept`.
    Attachments,
}

/// Where the database stands in an exact zip.
pub const DATABASE_NAME: &str = "Data/jellyfin.db";
/// The manifest.
pub const MANIFEST_NAME: &str = "manifest.json";
/// The migration history.
pub const HISTORY_NAME: &str = "Database/HistoryRow.json";

/// Prefixes of the logical tree with their part and prefix in the zip.
const PREFIXES: [(&str, Part, &str); 12] = [
    ("config/users/", Part::Users, "Config/users/"),
    ("config/ScheduledTasks/", Part::ConfigTasks, "Config/ScheduledTasks/"),
    ("root/", Part::Root, "Root/"),
    ("data/collections/", Part::Collections, "Data/collections/"),
    ("data/playlists/", Part::Playlists, "Data/playlists/"),
    ("data/ScheduledTasks/", Part::DataTasks, "Data/ScheduledTasks/"),
    ("data/subtitles/", Part::Subtitles, "Data/subtitles/"),
    ("data/trickplay/", Part::Trickplay, "Data/trickplay/"),
    ("metadata/", Part::Metadata, "Data/metadata/"),
    ("metadata-default/", Part::MetadataDefault, "Data/metadata-default/"),
    ("data/attachments/", Part::Attachments, "Data/attachments/"),
    ("data/livetv/", Part::Kept, "Data/livetv/"),
];

/// Part and name of a file of the logical tree; nothing where the zip has no place for it.
pub fn name_in_zip(logical: &str) -> Option<(Part, String)> {
    for (prefix, part, in_zip) in PREFIXES {
        if let Some(rest) = logical.strip_prefix(prefix) {
            // Recordings lie beside the timers, and are no part of any backup.
            let wanted = part != Part::Kept || (rest.ends_with(".json") && !rest.contains('/'));
            return wanted.then(|| (part, format!("{in_zip}{rest}")));
        }
    }
    if let Some(rest) = logical.strip_prefix("config/") {
        let is_setting = !rest.contains('/') && (rest.ends_with(".xml") || rest.ends_with(".json"));
        return is_setting.then(|| (Part::Config, format!("Config/{rest}")));
    }
    let rest = logical.strip_prefix("data/").filter(|rest| {
        *rest == "device.txt" || (rest.starts_with("splashscreen") && !rest.contains('/'))
    })?;
    Some((Part::Kept, format!("Data/{rest}")))
}

/// What an entry of a zip is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `manifest.json`.
    Manifest,
    /// The migration history.
    History,
    /// A table, by name.
    Table(String),
    /// A file, by its logical path; the database of an exact zip among them.
    File(String),
    /// Nothing that belongs there: the server would not restore it either, or it would do harm.
    Nothing(&'static str),
}

/// What a name in a zip stands for. The name was found harmless before.
pub fn place_of(name: &str) -> Place {
    if name == MANIFEST_NAME {
        return Place::Manifest;
    }
    if name == HISTORY_NAME {
        return Place::History;
    }
    if let Some(table) = name.strip_prefix("Database/") {
        return match table.strip_suffix(".json").filter(|table| !table.contains('/')) {
            Some(table) => Place::Table(table.to_owned()),
            None => Place::Nothing("it is not a table"),
        };
    }
    // A restored marker in a wrong place keeps a server from starting; in its own place the server
    // makes it anew.
    let last = name.rsplit_once('/').map_or(name, |(_, last)| last);
    if last.starts_with(".jellyfin-") && name != "Root/.jellyfin-root" {
        return Place::Nothing("it is a marker that the server makes itself");
    }
    for (prefix, logical) in [
        ("Config/", "config/"),
        ("Root/", "root/"),
        ("Data/metadata/", "metadata/"),
        ("Data/metadata-default/", "metadata-default/"),
    ] {
        if let Some(rest) = name.strip_prefix(prefix) {
            return Place::File(format!("{logical}{rest}"));
        }
    }
    match name.strip_prefix("Data/") {
        Some(rest)
            if ["backups/", "SQLiteBackups/"].iter().any(|never| rest.starts_with(never)) =>
        {
            Place::Nothing("it is a backup inside the backup")
        }
        Some(rest)
            if ["-wal", "-shm", "-journal"]
                .iter()
                .any(|log| rest.ends_with(&format!(".db{log}"))) =>
        {
            Place::Nothing("it is the log of a database that is not in use")
        }
        Some(rest) => Place::File(format!("data/{rest}")),
        None => Place::Nothing("the server knows no such place"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_is_written_leads_back_to_its_file() {
        for path in [
            "config/system.xml",
            "config/logging.json",
            "config/users/Bjørn/profile.png",
            "config/ScheduledTasks/a.js",
            "root/.jellyfin-root",
            "root/default/Films/options.xml",
            "data/collections/x [boxset]/collection.xml",
            "data/playlists/“Best”/playlist.xml",
            "data/ScheduledTasks/b.js",
            "data/device.txt",
            "data/splashscreen-upload.png",
            "data/livetv/timers.json",
            "data/subtitles/11/2.srt",
            "data/trickplay/69/320 - 10x10/0.jpg",
            "data/attachments/a/font.ttf",
            "metadata/library/7c/poster.png",
            "metadata-default/library/7c/poster.png",
        ] {
            let (_, name) = name_in_zip(path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(place_of(&name), Place::File(path.to_owned()), "{name}");
        }
        for path in [
            "config/notes.txt",
            "config/deeper/a.xml",
            "data/jellyfin.db",
            "data/livetv/recordings/a.ts",
            "plugins/x.dll",
            "programdata/x",
            "data/.jellyfin-data",
        ] {
            assert_eq!(name_in_zip(path), None, "{path}");
        }
    }
}
