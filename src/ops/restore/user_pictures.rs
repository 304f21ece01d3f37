//! A user's old picture is back on disk, and the server shows the new one: which one it shows
//! stands in the database, and only the files were restored.

use std::collections::BTreeMap;

use crate::manifest::{CategoryRecord, Entries, Kind, display, file_name, parent};
use crate::source::{Category, DATABASE_PATH, open_dir};
use crate::store::ChunkReader;

use super::RestoreOptions;
use super::target::Target;

/// Where users' pictures are: a folder for each user.
const PLACE: &[u8] = b"config/users";

/// What the user should know: pictures of the snapshot that have another name than what stands
/// beside them. Looked at before anything is deleted.
pub(super) fn words(
    reader: &mut ChunkReader<'_>,
    selected: &[(Category, &CategoryRecord)],
    target: &Target,
    options: &RestoreOptions,
) -> Option<String> {
    let brings_database = selected.iter().any(|(category, _)| *category == Category::Database)
        && options.selection.touches(Category::Database, DATABASE_PATH);
    if brings_database {
        return None;
    }
    let (category, record) = selected.iter().find(|(category, _)| *category == Category::Config)?;
    let mut pictures: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    // What cannot be read was told when it was to be restored.
    for entry in Entries::within(reader, record.manifest, PLACE).flatten() {
        if matches!(entry.kind, Kind::File { .. })
            && is_picture(file_name(&entry.path))
            && options.selection.takes(*category, &entry.path)
        {
            let folder = parent(&entry.path).unwrap_or_default().to_vec();
            pictures.entry(folder).or_default().push(file_name(&entry.path).to_vec());
        }
    }
    let shown: Vec<String> = pictures
        .iter()
        .filter_map(|(folder, restored)| {
            let newer = other_picture(target, folder, restored)?;
            let user = display(file_name(folder));
            let first = restored.first().map(|name| display(name)).unwrap_or_default();
            Some(format!("{} of the user {user} ({first})", display(&newer)))
        })
        .collect();
    (!shown.is_empty()).then(|| {
        format!(
            "some users have a newer picture than the snapshot: {} (in brackets the restored one). The server shows the newer one, or none if it was deleted. \
             To show the restored one, upload it in the dashboard (Users), or restore the database too",
            shown.join(", ")
        )
    })
}

/// A picture beside the restored ones that the snapshot does not have.
fn other_picture(target: &Target, folder: &[u8], restored: &[Vec<u8>]) -> Option<Vec<u8>> {
    let (root, below) = target.place(folder)?;
    let dir = open_dir(target.fd(root)?, below).ok()?;
    let names = rustix::fs::Dir::read_from(&dir).ok()?;
    names
        .flatten()
        .map(|entry| entry.file_name().to_bytes().to_vec())
        .find(|name| is_picture(name) && !restored.contains(name))
}

fn is_picture(name: &[u8]) -> bool {
    name.strip_prefix(b"profile.").is_some_and(|ending| !ending.is_empty())
}
