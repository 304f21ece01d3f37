//! The files of a snapshot in the order in which the server puts them into its zip.

use crate::archive::{Part, name_in_zip};
use crate::manifest::{CategoryRecord, Entries, Entry, Kind, display, find};
use crate::progress::Problem;
use crate::source::{Category, DATABASE_PATH};
use crate::store::ChunkReader;

use super::super::Error;
use super::folded::FoldedNames;
use super::item::Item;
use super::item::mtime_ns;
use super::pour::Pourer;
use super::{ExportOptions, old_library};

/// Parts that the server's own backup lacks.
const KEPT: [Part; 2] = [Part::Kept, Part::Attachments];

/// Whether the zip has a place for a category.
pub(super) fn is_exported(category: Category) -> bool {
    !matches!(category, Category::Plugins | Category::Other)
}

/// Goes through the categories.
pub(super) struct Walk<'p, 'e> {
    pourer: &'p mut Pourer<'e>,
    options: &'p ExportOptions,
    /// Whether databases of a server before 10.11 belong into the zip.
    has_old_library: bool,
    /// Files for which the zip has no place.
    pub unplaced: Unplaced,
    /// The names of the files in the zip.
    pub folded: FoldedNames,
}

/// Files that are left out because the server's own backup leaves them out.
#[derive(Debug, Default)]
pub(super) struct Unplaced {
    /// Of the configuration.
    pub files: u64,
    /// Databases of plugins.
    pub databases: u64,
    /// The first three.
    pub named: Vec<String>,
}

impl<'p, 'e> Walk<'p, 'e> {
    pub(super) fn new(
        pourer: &'p mut Pourer<'e>,
        options: &'p ExportOptions,
        has_old_library: bool,
    ) -> Walk<'p, 'e> {
        Walk {
            pourer,
            options,
            has_old_library,
            unplaced: Unplaced::default(),
            folded: FoldedNames::default(),
        }
    }

    /// Pours a category. Its few settings are sorted by part; what is many comes as it lies.
    pub(super) fn category(
        &mut self,
        category: Category,
        record: &CategoryRecord,
        reader: &mut ChunkReader<'_>,
    ) -> Result<(), Error> {
        let mut own = reader.sibling();
        let mut settings: Vec<(Part, Item)> = Vec::new();
        for entry in Entries::all(reader, record.manifest) {
            let Some((part, item)) = self.item(entry?, category, record, &mut own)? else {
                continue;
            };
            self.folded.add(&item.name);
            match category {
                Category::Config => settings.push((part, item)),
                _ => self.pourer.file(item, &mut own)?,
            }
        }
        // Stable: within a part the order of the paths stays.
        settings.sort_by_key(|(part, _)| *part);
        settings.into_iter().try_for_each(|(_, item)| self.pourer.file(item, &mut own))
    }

    /// A file with its name in the zip; nothing for what has no place in it, with a word where it
    /// should have.
    fn item(
        &mut self,
        entry: Entry,
        category: Category,
        record: &CategoryRecord,
        reader: &mut ChunkReader<'_>,
    ) -> Result<Option<(Part, Item)>, Error> {
        let logical = display(&entry.path);
        if matches!(entry.kind, Kind::Directory) {
            return Ok(None);
        }
        let text = std::str::from_utf8(&entry.path).ok();
        // Where the name itself is no text, its place is told by what can be read of it.
        let lossy = String::from_utf8_lossy(&entry.path);
        let old = text
            .filter(|_| self.has_old_library)
            .and_then(old_library::name_in_zip)
            .map(|name| (Part::Kept, name));
        let Some((part, name)) = old.or_else(|| name_in_zip(text.unwrap_or(&lossy))) else {
            // The server's own database is poured before.
            match category {
                Category::Config => self.unplaced(&entry.path),
                Category::Database
                    if entry.path != DATABASE_PATH && !entry.path.ends_with(b".db.old") =>
                {
                    self.unplaced.databases += 1
                }
                _ => {}
            }
            return Ok(None);
        };
        if self.options.as_server && KEPT.contains(&part) {
            return Ok(None);
        }
        let mut left_out = |what: &str| {
            self.pourer.problem(Problem {
                path: logical.clone(),
                what: format!("{what}; it is not in the zip"),
            });
            Ok(None)
        };
        if text.is_none() {
            return left_out("its name is not valid UTF-8, which Jellyfin's zips do not support");
        }
        // A link to a file that is here is what it leads to, as it is for the server.
        let target = match &entry.kind {
            Kind::Symlink { target } => leads_to(&entry.path, target)
                .map(|path| find(reader, record.manifest, &path))
                .transpose()?
                .flatten(),
            _ => None,
        };
        let found = target.unwrap_or(entry);
        let mtime_ns = mtime_ns(&found);
        match found.kind {
            Kind::File { size, content } => {
                Ok(Some((part, Item { name, logical, size, content, mode: found.mode, mtime_ns })))
            }
            Kind::Directory => {
                left_out("it is a symbolic link to a directory, which the zip cannot contain")
            }
            Kind::Symlink { .. } => left_out(
                "it is a symbolic link whose target is not a file of the same category in this snapshot",
            ),
        }
    }

    /// Counts what the zip has no place for. Markers are the server's own business.
    fn unplaced(&mut self, path: &[u8]) {
        if crate::manifest::file_name(path).starts_with(b".jellyfin-") {
            return;
        }
        self.unplaced.files += 1;
        if self.unplaced.named.len() < 3 {
            self.unplaced.named.push(display(path));
        }
    }
}

/// The path that a relative link leads to, as far as it stays in the logical tree.
fn leads_to(path: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    if target.starts_with(b"/") {
        return None;
    }
    let mut parts: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
    parts.pop();
    for part in target.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}
