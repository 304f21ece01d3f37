//! The files of a snapshot in the order in which the server puts them into its zip.

use crate::archive::{Part, name_in_zip};
use crate::manifest::{CategoryRecord, Entries, Entry, Kind, display};
use crate::progress::Problem;
use crate::source::Category;
use crate::store::ChunkReader;

use super::super::Error;
use super::ExportOptions;
use super::pour::{Item, Pourer};

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
}

impl<'p, 'e> Walk<'p, 'e> {
    pub(super) fn new(pourer: &'p mut Pourer<'e>, options: &'p ExportOptions) -> Walk<'p, 'e> {
        Walk { pourer, options }
    }

    /// Pours a category. Its few settings are sorted by part; what is many comes as it lies.
    pub(super) fn category(&mut self, category: Category, record: &CategoryRecord, reader: &mut ChunkReader<'_>) -> Result<(), Error> {
        let mut own = reader.sibling();
        let mut settings: Vec<(Part, Item)> = Vec::new();
        for entry in Entries::all(reader, record.manifest) {
            let entry = entry?;
            let Some((part, item)) = self.item(entry) else { continue };
            match category {
                Category::Config => settings.push((part, item)),
                _ => self.pourer.file(item, &mut own)?,
            }
        }
        // Stable: within a part the order of the paths stays.
        settings.sort_by_key(|(part, _)| *part);
        settings.into_iter().try_for_each(|(_, item)| self.pourer.file(item, &mut own))
    }

    /// A file with its name in the zip; nothing for what has no place in it, with a word where it should have.
    fn item(&mut self, entry: Entry) -> Option<(Part, Item)> {
        let logical = display(&entry.path);
        if matches!(entry.kind, Kind::Directory) {
            return None;
        }
        let text = std::str::from_utf8(&entry.path).ok();
        // Where the name itself is no text, its place is told by what can be read of it.
        let lossy = String::from_utf8_lossy(&entry.path);
        let (part, name) = name_in_zip(text.unwrap_or(&lossy)).filter(|(part, _)| !self.options.as_server || !KEPT.contains(part))?;
        let mut left_out = |what: &str| {
            self.pourer.problem(Problem { path: logical.clone(), what: format!("{what}; it is not in the zip") });
        };
        if text.is_none() {
            left_out("its name is no valid UTF-8, which a zip of Jellyfin's cannot say");
            return None;
        }
        let mtime_ns = mtime_ns(&entry);
        match entry.kind {
            Kind::File { size, content } => Some((part, Item { name, logical, size, content, mode: entry.mode, mtime_ns })),
            Kind::Symlink { .. } => {
                left_out("it is a symbolic link, whose target is not in the snapshot");
                None
            }
            Kind::Directory => None,
        }
    }
}

/// An entry's last modification, nanoseconds since 1970.
pub(super) fn mtime_ns(entry: &Entry) -> i64 {
    entry.mtime.seconds.saturating_mul(1_000_000_000).saturating_add(entry.mtime.nanos.into())
}
