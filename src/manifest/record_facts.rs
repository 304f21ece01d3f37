//! What jellyvault reads from the texts of a record. A record has these facts nowhere else, and old
//! ones have them in these words: they belong to the format (docs/format.md) and never change.

use super::record::SnapshotRecord;
use super::snapshot_id::SnapshotId;

/// The key of a source that `repair` made of trees in packs.
pub const RECOVERED_KEY: &str = "recovered";
/// How the key of a source begins that is a zip.
const ZIP_KEY: &str = "zip-";
/// Beginning of the remark of a snapshot that holds a zip's tables as they are.
pub const TABLES_KEPT: &str = "its tables are kept as they are: ";
/// Beginning of the remark that says what a zip lacked.
pub const NOT_IN_ZIP: &str = "the zip does not hold, and so neither does the snapshot: ";

/// What the problem of a source says of which only the markers were there.
pub const ONLY_MARKERS: &str = "contains only Jellyfin's marker files";

/// Whether a problem with this path means that something is missing that the snapshot is for: a
/// category, the database, a settings file of the server or of a library, or a whole folder of
/// pictures or libraries.
fn is_vital(path: &str) -> bool {
    let is_settings = path.ends_with(".xml")
        && ["config/", "plugins/configurations/"]
            .iter()
            .any(|dir| path.strip_prefix(dir).is_some_and(|name| !name.contains('/')));
    let is_library =
        path.starts_with("root/") && (path.ends_with(".xml") || path.ends_with(".mblink"));
    let is_folder = ["metadata/", "root/"]
        .iter()
        .any(|dir| path.strip_prefix(dir).is_some_and(|name| !name.contains('/')));
    is_settings || is_library || is_folder || VITAL.contains(&path)
}

/// Problems with these paths mean that a snapshot cannot stand for its server: what it is for is
/// missing or worthless.
const VITAL: [&str; 17] = [
    "config",
    "data",
    "data/attachments",
    "data/collections",
    "data/device.txt",
    "data/jellyfin.db",
    "data/library.db",
    "data/playlists",
    "data/subtitles",
    "data/trickplay",
    "metadata",
    "packs",
    "plugins",
    "root",
    CLOCK,
    HALF_MOVED,
    UPGRADE,
];
/// The remark of a snapshot that was taken before something replaced what was there.
const SAFETY: &str = "taken automatically, before a restore replaced this state";
/// The remark of a snapshot that was made from another for a move.
const MOVED: &str = "made automatically from an older snapshot, with the paths of another layout";
/// The remark of a snapshot that was copied from a repository of somebody else's.
const FOREIGN: &str = "copied from a repository that was not created here, so restores leave out set-user-ID bits, capabilities and system attributes";
/// The path of a problem that is about a server whose paths were changed halfway.
pub const HALF_MOVED: &str = "move";
/// The path of a problem that is about the machine's clock.
pub const CLOCK: &str = "clock";
/// The path of a problem that is about a server in the middle of an upgrade.
pub const UPGRADE: &str = "upgrade";
const UPGRADE_BEGIN: &str = "the server was in the middle of its upgrade";

/// How that problem begins. A record has the versions nowhere else: [`SnapshotRecord::upgrade`]
/// reads them from there.
pub fn upgrade_words(from: Option<&str>, to: &str) -> String {
    let from = from.map(|from| format!(" from {from}")).unwrap_or_default();
    format!("{UPGRADE_BEGIN}{from} to {to}: ")
}

/// The key of a source that is a zip, by the hash of what is in it.
pub fn zip_key(hash: &str) -> String {
    format!("{ZIP_KEY}{hash}")
}

impl SnapshotRecord {
    /// Whether nothing that the snapshot is for is missing: such a one takes no complete one's
    /// place.
    pub fn is_complete(&self) -> bool {
        self.problem_count <= self.problems.len() as u64
            && !self.problems.iter().any(|problem| is_vital(&problem.path))
    }

    /// The versions between which its server was in the middle of an upgrade: from which, where
    /// that is known, and to which.
    pub fn upgrade(&self) -> Option<(Option<&str>, &str)> {
        let problem = self.problems.iter().find(|problem| problem.path == UPGRADE)?;
        let versions = problem.what.strip_prefix(UPGRADE_BEGIN)?.split_once(':')?.0;
        match versions.strip_prefix(" from ").and_then(|versions| versions.split_once(" to ")) {
            Some((from, to)) => Some((Some(from), to)),
            None => Some((None, versions.strip_prefix(" to ")?)),
        }
    }

    /// Whether nothing but markers of Jellyfin's was there: that says nothing of what belongs
    /// there.
    pub fn has_only_markers(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.path == "data" && problem.what.contains(ONLY_MARKERS))
    }

    /// Whether its server was in the middle of an upgrade, to its version.
    pub fn is_upgrading(&self) -> bool {
        self.problems.iter().any(|problem| problem.path == UPGRADE)
    }

    /// Whether it was imported from a zip.
    pub fn is_zip(&self) -> bool {
        self.source.key.starts_with(ZIP_KEY)
    }

    /// Whether only its trees were left, and `repair` created the record again from them.
    pub fn is_recovered(&self) -> bool {
        self.source.key == RECOVERED_KEY
    }

    /// Whether it was taken before something replaced what was there, or made for a move. Such a
    /// one is not `latest`, and goes after a while.
    pub fn is_safety(&self) -> bool {
        self.remarks.iter().any(|remark| remark == SAFETY || remark == MOVED)
    }

    /// Whether it was made from another snapshot for a move.
    pub fn is_moved(&self) -> bool {
        self.remarks.iter().any(|remark| remark == MOVED)
    }

    /// The snapshot that it was made from for a move.
    pub fn moved_from(&self) -> Option<SnapshotId> {
        self.parent.filter(|_| self.is_moved())
    }

    /// Says so.
    pub fn mark_moved(&mut self) {
        self.remarks.push(MOVED.to_owned());
    }

    /// Says so.
    pub fn mark_safety(&mut self) {
        self.remarks.push(SAFETY.to_owned());
    }

    /// Whether it came from a repository of somebody else's.
    pub fn is_foreign(&self) -> bool {
        self.remarks.iter().any(|remark| remark == FOREIGN)
    }

    /// Says so.
    pub fn mark_foreign(&mut self) {
        if !self.is_foreign() {
            self.remarks.push(FOREIGN.to_owned());
        }
    }

    /// Whether it was taken while the machine's clock was wrong.
    pub fn has_wrong_clock(&self) -> bool {
        self.problems.iter().any(|problem| problem.path == CLOCK)
    }

    /// Whether it holds a zip's tables as they are.
    pub fn has_kept_tables(&self) -> bool {
        self.remarks.iter().any(|remark| remark.starts_with(TABLES_KEPT))
    }

    /// What the zip lacked that it was imported from.
    pub fn not_in_zip(&self) -> Option<&str> {
        self.remarks.iter().find_map(|remark| remark.strip_prefix(NOT_IN_ZIP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change of one of these texts changes what old records say.
    #[test]
    fn the_texts_that_are_read_stand_in_the_format() {
        let document = include_str!("../../docs/format.md");
        let document = document.split_whitespace().collect::<Vec<_>>().join(" ");
        let texts = [
            CLOCK,
            FOREIGN,
            HALF_MOVED,
            TABLES_KEPT,
            MOVED,
            NOT_IN_ZIP,
            ONLY_MARKERS,
            RECOVERED_KEY,
            SAFETY,
            UPGRADE,
            UPGRADE_BEGIN,
            ZIP_KEY,
        ];
        for text in texts.iter().chain(&VITAL) {
            assert!(document.contains(&format!("`{}`", text.trim_end())), "{text}");
        }
    }
}
