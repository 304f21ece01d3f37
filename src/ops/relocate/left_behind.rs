//! A restore over a server that is there renames the folders of items only where it brings them:
//! those that it does not bring would keep the names of the old ids.

use crate::manifest::{SnapshotRecord, is_within};
use crate::source::{Category, DATABASE_PATH};

use super::super::Error;
use super::super::restore::{InstanceTarget, Selection};
use super::plan::MovePlan;

/// Categories with a folder for each item, and where these lie.
const WITH_FOLDERS: [(Category, &[u8]); 4] = [
    (Category::Metadata, b"metadata/library"),
    (Category::Subtitles, b"data/subtitles"),
    (Category::Trickplay, b"data/trickplay"),
    (Category::Attachments, b"data/attachments"),
];

/// Why a restore over a server must not change its paths: folders of pictures, subtitles or
/// previews that it has would not be found by the new ids.
pub fn left_behind(
    plan: &MovePlan,
    record: &SnapshotRecord,
    selection: &Selection,
    target: &InstanceTarget,
) -> Option<Error> {
    if plan.new_ids == 0 || !selection.touches(Category::Database, DATABASE_PATH) {
        return None;
    }
    let there: Vec<(Category, &[u8])> = WITH_FOLDERS
        .into_iter()
        .filter(|(_, path)| {
            let dir = target.spec.layout.locate(path);
            // What cannot be listed is told when the restore looks at it.
            dir.and_then(|dir| dir.read_dir().ok()).is_some_and(|mut dir| dir.next().is_some())
        })
        .collect();
    let names = |missing: &dyn Fn(Category, &[u8]) -> bool| -> Vec<&str> {
        let missing = there.iter().filter(|(category, path)| missing(*category, path));
        missing.map(|(category, _)| category.name()).collect()
    };
    let unselected = names(&|category, path| !selection.takes(category, path));
    let absent = names(&|category, _| record.category(category.name()).is_none());
    let (what, hint) = if !unselected.is_empty() {
        (
            format!(
                "{} of this server would keep the old ids: they are not selected",
                list(&unselected)
            ),
            format!(
                "Add them: --only database,config,{},… Or leave out --only.",
                unselected.join(",")
            ),
        )
    } else if !absent.is_empty() {
        (
            format!(
                "{} of this server would keep the old ids: the snapshot does not contain them",
                list(&absent)
            ),
            TWO_STEPS.to_owned(),
        )
    } else {
        let unread = record.problems.iter().find(|problem| {
            there.iter().any(|(_, path)| is_within(path, problem.path.as_bytes()))
        })?;
        (
            format!(
                "{} of this server would keep the old ids: the snapshot does not contain it ({})",
                unread.path, unread.what
            ),
            TWO_STEPS.to_owned(),
        )
    };
    Some(Error::Refused {
        what: format!("{what}, so Jellyfin would no longer find them; nothing was changed"),
        hint,
    })
}

const TWO_STEPS: &str = "Take a complete snapshot of the server and use that. Or restore without --map and --map-layout, and then change the paths: jellyvault move --map OLD=NEW renames the files on the disk, too.";

fn list(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => names.concat(),
    }
}
