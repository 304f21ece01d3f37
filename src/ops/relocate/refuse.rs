//! Moves that no server could follow.

use unicode_normalization::UnicodeNormalization;

use crate::manifest::{Directories, SnapshotId, SnapshotRecord};
use crate::store::Repository;

use super::super::Error;
use super::super::export::database_of;
use super::super::ls::short;
use super::items::{OWN, failed};
use super::options::MoveOptions;
use super::places::{is_usual, is_windows};
use super::prefixes::{Prefixes, rest_within};
use super::rows;

/// Refuses pairs that no server could have.
pub(super) fn check_pairs(options: &MoveOptions) -> Result<(), Error> {
    let wrong = |what: String| Error::Refused {
        what,
        hint: "Write each pair as --map /old=/new, with the paths as the server sees them."
            .to_owned(),
    };
    for (old, new) in &options.map {
        if old.trim_end_matches('/').is_empty() {
            return Err(wrong("/ cannot be moved as a whole".to_owned()));
        }
        for path in [old, new] {
            if is_windows(path) {
                return Err(wrong(format!(
                    "{path} is a path of Windows. How the ids of items change with it is not known"
                )));
            }
            if !path.starts_with('/')
                || path.split('/').any(|part| matches!(part, "." | ".."))
                || path.trim_end_matches('/').contains("//")
            {
                return Err(wrong(format!(
                    "{path:?} is not an absolute path without . and .. and empty parts"
                )));
            }
        }
        if options
            .map
            .iter()
            .filter(|(other, _)| other.trim_end_matches('/') == old.trim_end_matches('/'))
            .count()
            > 1
        {
            return Err(wrong(format!("{old} is mapped to two directories")));
        }
    }
    Ok(())
}

/// Refuses to move a part of what the server looks for in its own directories. Metadata in a place
/// of its own moves as a whole.
pub(super) fn check_own(
    options: &MoveOptions,
    from: &Directories,
    to: &Directories,
) -> Result<(), Error> {
    let data = from.get("programdata").map_or("", String::as_str);
    for (old, new) in &options.map {
        let old = old.trim_end_matches('/');
        let new = new.trim_end_matches('/');
        let holds_new =
            OWN.into_iter().filter_map(|name| Some((name, to.get(name)?))).find(|(name, dir)| {
                rest_within(new, dir).is_some() && !(*name == "metadata" && new == *dir)
            });
        if let Some((name, dir)) = holds_new {
            return Err(Error::Refused {
                what: format!(
                    "{new} lies in the server's {name} directory {dir}, and media must not"
                ),
                hint: "Give the directory that the media is in now, as the server sees it."
                    .to_owned(),
            });
        }
        let is_around = |dir: &str| rest_within(data, dir).is_some();
        let inside = OWN.into_iter().filter_map(|name| Some((name, from.get(name)?)));
        let found = inside.into_iter().find(|(name, dir)| {
            rest_within(old, dir).is_some()
                && !is_around(dir)
                && !(*name == "metadata" && old == dir.as_str())
        });
        // A server that stands where it is would go on to look in the usual place.
        if options.own_places_stay
            && is_usual(from)
            && from.get("metadata").is_some_and(|dir| dir == old)
        {
            return Err(Error::Refused {
                what: format!("{old} is the server's metadata directory in its usual place, and a server that stays in its directories keeps it there"),
                hint: "To give it a place of its own, restore a snapshot to a new directory: jellyvault restore SNAPSHOT --to DIR --layout LAYOUT --map-layout --map OLD=NEW".to_owned(),
            });
        }
        if let Some((name, dir)) = found {
            return Err(Error::Refused {
                what: format!("{old} lies in the server's {name} directory {dir}, and the server looks for it nowhere else"),
                hint: "Give only directories of media with --map, or the metadata directory as a whole where the settings give it a place of its own. Where the server has its own directories is said by --map-layout."
                    .to_owned(),
            });
        }
    }
    Ok(())
}

/// A directory that nothing of the library lies in.
pub(super) struct Unused {
    /// It, to be looked for in the settings.
    pub directory: Prefixes,
    /// Why the move is refused, if it is not there either.
    pub refused: Error,
}

/// Directories that nothing of the library lies in. If they are not in the settings either, that is
/// a slip of the pen, or the path that another machine sees.
pub(super) fn unused(
    options: &MoveOptions,
    from: &Directories,
    db: &rusqlite::Connection,
) -> Result<Vec<Unused>, Error> {
    let mut found = Vec::new();
    let sql = "SELECT 1 FROM \"BaseItems\" WHERE \"Path\" = ?1 OR substr(\"Path\", 1, length(?1) + 1) = ?1 || '/'";
    let mut uses = db.prepare(sql).map_err(failed)?;
    for (old, new) in &options.map {
        let old = old.trim_end_matches('/');
        if from.get("metadata").map(String::as_str) != Some(old)
            && !uses.exists([old]).map_err(failed)?
        {
            let sql = "SELECT \"Path\" FROM \"BaseItems\" WHERE \"Type\" = 'MediaBrowser.Controller.Entities.Folder' AND substr(\"Path\", 1, 1) = '/' ORDER BY 1 LIMIT 10";
            let mut roots = db.prepare(sql).map_err(failed)?;
            let roots: Vec<String> = roots
                .query_map([], |row| row.get(0))
                .and_then(Iterator::collect)
                .map_err(failed)?;
            found.push(Unused {
                directory: Prefixes::new([(old.to_owned(), new.clone())]),
                refused: nothing_in(old, &roots),
            });
        }
    }
    Ok(found)
}

fn nothing_in(old: &str, roots: &[String]) -> Error {
    let composed = |path: &str| path.nfc().collect::<String>();
    let looks_like =
        roots.iter().find(|root| rest_within(&composed(root), &composed(old)).is_some());
    Error::Refused {
        what: format!("nothing of the library lies in {old}"),
        hint: match looks_like {
            Some(root) => format!(
                "{root} only looks the same: its accented letters are stored in another way (NFC and NFD of Unicode). Copy the path from the dashboard (Libraries) instead of typing it."
            ),
            None => format!(
                "Give the directories as the server saw them. Those of its libraries: {}.",
                roots.join(", ")
            ),
        },
    }
}

/// Only the schema since 10.11 has all items in the server's own database.
pub(super) fn check_schema(
    db: &rusqlite::Connection,
    id: &SnapshotId,
    record: &SnapshotRecord,
) -> Result<(), Error> {
    let has_items: bool = db
        .query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('BaseItems', '__EFMigrationsHistory')", [], |row| row.get(0))
        .map(|count: i64| count == 2)
        .map_err(failed)?;
    if record.is_upgrading() {
        return Err(Error::Refused {
            what: format!(
                "snapshot {} was taken in the middle of a server upgrade: its library is half in the old form and half in the new",
                short(id)
            ),
            hint: "Choose a snapshot from before or after the upgrade (jellyvault list)."
                .to_owned(),
        });
    }
    if has_items {
        return Ok(());
    }
    Err(Error::Refused {
        what: format!("snapshot {} is of a server older than 10.11, and the paths of such a database cannot be changed", short(id)),
        hint: "Restore it to the same directories as before, upgrade the server to 10.11 or later, and take a new snapshot. Then move it.".to_owned(),
    })
}

/// Refuses where references between rows would be broken that were whole. Few servers have any, so
/// the old database is looked at only then.
pub(super) fn check_references(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    broken: u64,
) -> Result<(), Error> {
    if broken == 0 {
        return Ok(());
    }
    let original = database_of(repository, snapshot)?;
    let (db, _) = rows::open(&original.path).map_err(failed)?;
    let before = rows::broken_references(&db).map_err(failed)?;
    if broken > before {
        let what = format!(
            "{} references between rows would be broken that were whole before",
            broken - before
        );
        return Err(failed(rusqlite::Error::ToSqlConversionFailure(what.into())));
    }
    Ok(())
}
