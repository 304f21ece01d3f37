//! The old poster is back, and the server shows the new one: two names in a folder are one picture
//! (`poster.jpg` beside `poster.png`), and the server takes one of them. Names of pictures that
//! stand in the way of restored ones are told, or removed where the user says so.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rustix::fs::AtFlags;

use crate::manifest::{CategoryRecord, Entries, Kind, display, file_name, parent};
use crate::source::{Category, open_dir};
use crate::store::ChunkReader;

use super::super::rows::Namer;
use super::super::{Error, Monitor, image_word_of_file, same_names};
use super::target::Target;
use super::{RestoreOptions, Tally};

/// Pictures in folders of items, and of people.
const PLACES: [&[u8]; 3] =
    [b"metadata/library/", b"metadata-default/library/", b"metadata/People/"];

/// Notes the folder of a picture that was written: where none was, nothing new stands beside what
/// was there.
pub(super) fn note(tally: &Tally, path: &[u8]) {
    if PLACES.iter().any(|place| path.starts_with(place))
        && let Ok(mut pictured) = tally.pictured.lock()
    {
        pictured.insert(key(parent(path).unwrap_or_default()));
    }
}

/// 64 bits for a folder: one that is looked into in vain does no harm.
fn key(folder: &[u8]) -> u64 {
    blake3::hash(folder).as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// What was found, or removed.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    /// Paths of pictures that the server may show in place of the restored ones, each with the
    /// restored one.
    pub paths: Vec<(String, String)>,
    /// What the items are called whose pictures the first of them are, by path.
    titles: BTreeMap<String, String>,
}

/// As many are named.
const NAMED: usize = 5;

impl Rivals {
    /// Looks up whose pictures they are, as far as they are named. Where the snapshot's database
    /// does not tell, the paths must do.
    pub(super) fn name_by(&mut self, namer: &mut Namer<'_>) {
        for (path, _) in self.paths.iter().take(NAMED) {
            if let Ok(Some(title)) = namer.name(path.as_bytes()) {
                self.titles.insert(path.clone(), title);
            }
        }
    }

    /// A picture in words: `poster.png of Salt Bridge 6`.
    fn picture(&self, path: &str) -> String {
        match (self.titles.get(path), path.rsplit_once('/')) {
            (Some(title), Some((_, name))) => format!("{name} of {title} ({path})"),
            _ => path.to_owned(),
        }
    }

    /// What the user should know of them.
    pub(super) fn words(&self, options: &RestoreOptions) -> Option<String> {
        let (first, restored) = self.paths.first()?;
        let first = self.picture(first);
        let named: Vec<String> =
            self.paths.iter().take(NAMED).map(|(path, _)| self.picture(path)).collect();
        let others = named.get(1..).unwrap_or_default().join(", ");
        let more = if self.paths.len() > NAMED {
            format!(" and {} more", self.paths.len() - NAMED)
        } else {
            String::new()
        };
        let refresh = "Then refresh these items in the dashboard (the default refresh is enough). Until then their picture is missing";
        Some(if options.delete || options.replace_pictures {
            let were = if options.dry_run { "would be deleted" } else { "were deleted" };
            format!(
                "pictures with other names that the server showed instead {were}: {}{more}. {refresh}",
                named.join(", ")
            )
        } else {
            format!(
                "{first} is not in the snapshot, and the server still shows it instead of {restored}{}. Add --replace-pictures to delete such pictures. {refresh}",
                if self.paths.len() > 1 {
                    format!(" (and {} more: {others})", self.paths.len() - 1)
                } else {
                    String::new()
                }
            )
        })
    }
}

/// Looks through the folders of all restored pictures.
pub(super) fn rivals(
    reader: &mut ChunkReader<'_>,
    selected: &[(Category, &CategoryRecord)],
    target: &Target,
    (options, tally): (&RestoreOptions, &Tally),
    monitor: &Monitor,
) -> Result<Rivals, Error> {
    let mut found = Rivals::default();
    let Some((category, record)) =
        selected.iter().find(|(category, _)| *category == Category::Metadata)
    else {
        return Ok(found);
    };
    // Who asks for pictures wants to see them, though they are on disk already; of a whole server
    // only the folders count that were written to.
    let looks_at_all = options.replace_pictures || !options.selection.is_all();
    let is_noted = |folder: &[u8]| {
        looks_at_all || tally.pictured.lock().is_ok_and(|pictured| pictured.contains(&key(folder)))
    };
    if !looks_at_all && tally.pictured.lock().is_ok_and(|pictured| pictured.is_empty()) {
        return Ok(found);
    }
    let mut folder = Folder::default();
    let roots = options.selection.roots();
    for root in roots {
        for entry in Entries::within(reader, record.manifest, root) {
            // What cannot be read was told when it was to be restored.
            let Ok(entry) = entry else { continue };
            let is_picture = matches!(entry.kind, Kind::File { .. })
                && PLACES.iter().any(|place| entry.path.starts_with(place));
            if !is_picture || !options.selection.takes(*category, &entry.path) {
                continue;
            }
            let dir = parent(&entry.path).unwrap_or_default();
            if !is_noted(dir) {
                continue;
            }
            if folder.path != dir {
                folder.look(target, (options, tally), monitor, &mut found);
                folder = Folder { path: dir.to_vec(), ..Folder::default() };
            }
            folder.add(file_name(&entry.path));
        }
    }
    folder.look(target, (options, tally), monitor, &mut found);
    Ok(found)
}

/// The pictures of the snapshot in one folder.
#[derive(Default)]
struct Folder {
    path: Vec<u8>,
    names: BTreeSet<Vec<u8>>,
    pictures: BTreeMap<(&'static str, String), Vec<u8>>,
}

impl Folder {
    fn add(&mut self, name: &[u8]) {
        self.names.insert(name.to_vec());
        if let Some(picture) = picture_of(name) {
            self.pictures.entry(picture).or_insert_with(|| name.to_vec());
        }
    }

    fn look(
        &self,
        target: &Target,
        (options, tally): (&RestoreOptions, &Tally),
        monitor: &Monitor,
        found: &mut Rivals,
    ) {
        if self.pictures.is_empty() {
            return;
        }
        let Some((root, below)) = target.place(&self.path) else { return };
        let Some(dir) = target.fd(root).and_then(|root| open_dir(root, below).ok()) else { return };
        let Ok(listing) = rustix::fs::Dir::read_from(&dir) else { return };
        let there: BTreeSet<Vec<u8>> =
            listing.flatten().map(|entry| entry.file_name().to_bytes().to_vec()).collect();
        for (name, restored) in self.rivals_among(&there) {
            let path = [self.path.as_slice(), b"/", name.as_slice()].concat();
            if options.replace_pictures
                && !options.dry_run
                && let Err(error) = rustix::fs::unlinkat(&dir, name.as_slice(), AtFlags::empty())
            {
                tally.problem(
                    monitor,
                    &path,
                    format!(
                        "it could not be deleted ({}), so the server may still show it",
                        std::io::Error::from(error)
                    ),
                );
                continue;
            }
            found.paths.push((display(&path), String::from_utf8_lossy(restored).into_owned()));
        }
    }
}

impl Folder {
    /// Those of the names in the folder on disk that show a restored picture, each with that one.
    fn rivals_among<'f>(&'f self, there: &'f BTreeSet<Vec<u8>>) -> Vec<(&'f Vec<u8>, &'f Vec<u8>)> {
        // Where the file system folds names, one of them stands for a restored one.
        let folded: HashSet<u64> =
            self.names.difference(there).map(|name| same_names::key(name)).collect();
        let others = there.difference(&self.names);
        others
            .filter(|name| !folded.contains(&same_names::key(name)))
            .filter_map(|name| Some((name, self.pictures.get(&picture_of(name)?)?)))
            .collect()
    }
}

/// What a name shows, and which one of several: `backdrop1.jpg` is another picture than
/// `backdrop.jpg`.
fn picture_of(name: &[u8]) -> Option<(&'static str, String)> {
    let name = std::str::from_utf8(name).ok()?;
    let word = image_word_of_file(name)?;
    let stem = name.rsplit_once('.')?.0;
    let number = stem.len() - stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let which =
        if word == "image" { stem } else { stem.get(stem.len() - number..).unwrap_or_default() };
    Some((word, which.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::{BTreeSet, Folder, picture_of};

    #[test]
    fn a_folded_name_is_the_restored_picture_itself() {
        let mut folder = Folder::default();
        folder.add(b"Poster.jpg");
        let rivals = |there: &[&str]| -> Vec<String> {
            let there: BTreeSet<Vec<u8>> =
                there.iter().map(|name| name.as_bytes().to_vec()).collect();
            let found = folder.rivals_among(&there).into_iter();
            found.map(|(name, _)| String::from_utf8(name.clone()).unwrap()).collect()
        };
        // exFAT keeps the name of whatever was there first.
        assert!(rivals(&["poster.jpg"]).is_empty());
        assert_eq!(rivals(&["poster.jpg", "poster.png"]), ["poster.png"]);
        assert_eq!(rivals(&["Poster.jpg", "poster.jpg"]), ["poster.jpg"]);
    }

    #[test]
    fn names_of_one_picture_are_one() {
        let same = |a: &str, b: &str| {
            picture_of(a.as_bytes()).is_some()
                && picture_of(a.as_bytes()) == picture_of(b.as_bytes())
        };
        assert!(
            same("poster.jpg", "poster.png")
                && same("poster.jpg", "folder.jpg")
                && same("backdrop1.jpg", "fanart1.webp")
                && same("logo.png", "clearlogo.svg")
        );
        assert!(
            !same("backdrop.jpg", "backdrop1.jpg")
                && !same("poster.jpg", "logo.jpg")
                && !same("a.jpg", "b.jpg")
        );
        assert_eq!(picture_of(b"movie.nfo"), None);
    }
}
