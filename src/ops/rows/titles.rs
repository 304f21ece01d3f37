//! What is called so? Films, episodes, people, playlists and users by their names, and where their
//! files lie in a snapshot.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::database::Lookup;
use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::source::DATABASE_PATH;
use crate::store::{ChunkReader, Index, Repository};

use super::super::Error;
use super::super::select::lookup;
use super::names::{LIBRARY, LIBRARY_ITEMS, item_name};
use super::view::{Id, PLACEHOLDER, View, read_id};
use super::{Which, kinds, open_state};

/// As many are found at most.
const FOUND_MAX: usize = 500;
/// At most so many are returned where all are wanted.
const ALL_MAX: usize = 1_000_000;

/// Something that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Titled {
    /// Its id.
    pub id: Id,
    /// Its name as people know it: `Distant Garden S01E02 Pilot`.
    pub name: String,
    /// What it is: `film`, `person`, `user`.
    pub kind: &'static str,
    /// The same of several: `films`, `people`.
    pub kinds: &'static str,
    /// The year it is of.
    pub year: Option<i64>,
    /// Where its media lie, as the server sees it.
    pub media: Option<String>,
    /// Folders of the snapshot that are its own.
    pub paths: Vec<Vec<u8>>,
    /// Whether it is called just so, or has just this id.
    pub is_exact: bool,
}

/// All whose name has these words in it, in whatever case and order, those that are called just so
/// first. A snapshot without a database has none.
pub fn titles(
    repository: &Repository,
    index: &Index,
    snapshot: &(SnapshotId, SnapshotRecord),
    wanted: &str,
) -> Result<Vec<Titled>, Error> {
    let mut found = called_so(repository, index, snapshot, wanted)?;
    let mut reader = ChunkReader::new(repository, index);
    for titled in &mut found {
        let mut there = Vec::new();
        for path in std::mem::take(&mut titled.paths) {
            if lookup(&mut reader, &snapshot.1, &path)?.is_some() {
                there.push(path);
            }
        }
        titled.paths = there;
    }
    found.sort_by(|a, b| (!a.is_exact, &a.name, a.year).cmp(&(!b.is_exact, &b.name, b.year)));
    Ok(found)
}

/// The same with all folders that could be theirs, whether this snapshot has them or not.
pub fn called_so(
    repository: &Repository,
    index: &Index,
    snapshot: &(SnapshotId, SnapshotRecord),
    wanted: &str,
) -> Result<Vec<Titled>, Error> {
    let text = folded(wanted);
    let wanted = Wanted::Text { in_full: episodes_in_full(&text), text, id: read_id(wanted) };
    let mut found = Vec::new();
    scan((repository, index, snapshot), &wanted, |titled| {
        found.push(titled);
        found.len() < FOUND_MAX
    })?;
    Ok(found)
}

/// Hands over all that have a name, with all folders that could be theirs, as they lie in the
/// database.
pub fn all_titled(
    repository: &Repository,
    index: &Index,
    snapshot: &(SnapshotId, SnapshotRecord),
    mut take: impl FnMut(Titled),
) -> Result<(), Error> {
    let mut count = 0;
    scan((repository, index, snapshot), &Wanted::All, |titled| {
        take(titled);
        count += 1;
        count < ALL_MAX
    })
}

/// A snapshot and where it lies.
type Of<'a> = (&'a Repository, &'a Index, &'a (SnapshotId, SnapshotRecord));

fn scan(
    (repository, index, snapshot): Of<'_>,
    wanted: &Wanted,
    mut take: impl FnMut(Titled) -> bool,
) -> Result<(), Error> {
    // Before 10.11 the items are in a database of their own.
    for (path, items) in [(DATABASE_PATH, "BaseItems"), (LIBRARY, LIBRARY_ITEMS)] {
        let Some(state) = open_state(repository, index, &Which::Snapshot(snapshot), path)? else {
            continue;
        };
        let mut database = state.open()?;
        Lookup::new(&mut database).scan(items, |table, row| {
            item(View { table, row: &row }, wanted).is_none_or(&mut take)
        })?;
        Lookup::new(&mut database).scan("Users", |table, row| {
            user(View { table, row: &row }, wanted).is_none_or(&mut take)
        })?;
    }
    Ok(())
}

enum Wanted {
    All,
    Text { text: String, in_full: String, id: Option<Id> },
}

impl Wanted {
    /// Whether something is called so; whether just so.
    fn fits(&self, own: Id, name: &str, year: Option<i64>) -> Option<bool> {
        let Wanted::Text { text, in_full, id } = self else { return Some(true) };
        let name = folded(name);
        let with_year = year.map_or_else(|| name.clone(), |year| format!("{name} ({year})"));
        let is_exact = *id == Some(own)
            || [text, in_full].into_iter().any(|text| name == *text || with_year == *text);
        let has_words = |text: &str| text.split(' ').all(|word| with_year.contains(word));
        let is_part = !text.trim().is_empty() && (has_words(text) || has_words(in_full));
        (is_exact || is_part).then_some(is_exact)
    }
}

/// A text as it is compared: in small letters, without accents, its quotation marks and dashes as
/// a keyboard has them.
fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let plain = |c: char| match c {
        '‘' | '’' | '‚' | '′' | '´' => '\'',
        '“' | '”' | '„' | '«' | '»' => '"',
        '‐' | '‑' | '–' | '—' => '-',
        c => c,
    };
    text.nfd().filter(|c| !is_combining_mark(*c)).map(plain).collect::<String>().to_lowercase()
}

/// `s1e2` and `1x2` as names have them: `s01e02`.
fn episodes_in_full(text: &str) -> String {
    let number = |digits: &str| {
        digits.parse::<u16>().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let word = |word: &str| {
        let parts = word
            .strip_prefix('s')
            .and_then(|rest| rest.split_once('e'))
            .or_else(|| word.split_once('x'))?;
        Some(format!("s{:02}e{:02}", number(parts.0)?, number(parts.1)?))
    };
    text.split(' ')
        .map(|part| word(part).unwrap_or_else(|| part.to_owned()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn item(row: View<'_>, wanted: &Wanted) -> Option<Titled> {
    let id = row.id("Id").or_else(|| row.id("guid")).filter(|id| *id != PLACEHOLDER)?;
    let named = item_name(row);
    let year = row.integer("ProductionYear");
    let is_exact = wanted.fits(id, &named.name, year)?;
    let media = row.text("Path").filter(|path| !path.is_empty());
    let paths = folders(id, media.as_deref());
    let (kind, kinds) = kinds::words(named.kind);
    Some(Titled { id, name: named.name, kind, kinds, year, media, paths, is_exact })
}

fn user(row: View<'_>, wanted: &Wanted) -> Option<Titled> {
    let (id, name) = (row.id("Id")?, row.text("Username")?);
    let is_exact = wanted.fits(id, &name, None)?;
    let paths = vec![format!("config/users/{name}").into_bytes()];
    Some(Titled {
        id,
        name: super::super::clean_name(&name),
        kind: "user",
        kinds: "users",
        year: None,
        media: None,
        paths,
        is_exact,
    })
}

/// Where the server keeps what it knows of an item (`reference/jellyfin.md` 1.4).
fn folders(id: Id, media: Option<&str>) -> Vec<Vec<u8>> {
    let plain = format!("{id:032x}");
    let dashed = super::view::stored_id(id).to_lowercase();
    let start = plain.get(..2).unwrap_or_default();
    let mut found = vec![
        format!("metadata/library/{start}/{plain}"),
        format!("metadata-default/library/{start}/{plain}"),
    ];
    for kind in ["data/trickplay", "data/subtitles", "data/attachments"] {
        found.extend([format!("{kind}/{start}/{plain}"), format!("{kind}/{start}/{dashed}")]);
    }
    found.extend(media.and_then(own_folder));
    found.into_iter().map(String::into_bytes).collect()
}

/// The folder of what has no media: people, playlists, collections, libraries.
fn own_folder(path: &str) -> Option<String> {
    for (start, logical) in [("%MetadataPath%/", "metadata/"), ("%AppDataPath%/", "data/")] {
        if let Some(rest) = path.strip_prefix(start) {
            return Some(format!("{logical}{rest}"));
        }
    }
    [
        ("/metadata/People/", "metadata/People/"),
        ("/data/collections/", "data/collections/"),
        ("/data/playlists/", "data/playlists/"),
        ("/root/default/", "root/default/"),
    ]
    .into_iter()
    .find_map(|(inside, logical)| {
        path.split_once(inside).map(|(_, rest)| format!("{logical}{rest}"))
    })
}

#[cfg(test)]
mod tests {
    use super::{episodes_in_full, folded};

    #[test]
    fn titles_are_found_however_they_are_typed() {
        assert_eq!(folded("Amélie ÉTÉ"), "amelie ete");
        assert_eq!(folded("Crimson"), "crimson");
        assert_eq!(episodes_in_full("distant garden s1e2"), "distant garden s01e02");
        assert_eq!(episodes_in_full("distant garden 2x13 x"), "distant garden s02e13 x");
        assert_eq!(episodes_in_full("xmas exes 1080x s1x"), "xmas exes 1080x s1x");
    }
}
