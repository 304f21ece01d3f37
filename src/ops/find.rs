//! `find` and `history`: where is a file, and what were its versions? One snapshot is read whole,
//! each later one only where it differs.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::chunk::ChunkId;
use crate::manifest::{
    Catalog, Content, Difference, Entry, Kind, SnapshotId, SnapshotRecord, differences,
    find as find_entry, instance_of,
};
use crate::progress::Phase;
use crate::source::{Category, OpenFile};
use crate::store::{ChunkReader, KEPT_FOR_ALL, Repository};

use super::select::categories;
use super::snapshot::content_of;
use super::wanted_paths::WantedPaths;
use super::{Error, Monitor, Unknown};

/// Paths that are told; a pattern that fits more is too wide to be read.
const MATCHES_MAX: usize = 100_000;

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Paths and patterns.
    pub paths: WantedPaths,
    /// Files of just these contents.
    pub contents: Option<Vec<Content>>,
}

/// A state of a path that some snapshots in a row have.
#[derive(Clone, Debug)]
pub struct Version {
    /// The entry.
    pub entry: Entry,
    /// The first snapshot that has it, by its place in the catalogue.
    pub first: usize,
    /// The last one.
    pub last: usize,
    /// The next snapshot of the source, which has it no more or another one.
    pub until: Option<usize>,
    /// The next snapshot of the source, which could not read that part of it, left it out or lacks
    /// its category: whether it is still there is not known.
    pub unknown_since: Option<usize>,
}

impl Version {
    fn new(entry: Entry, at: usize) -> Version {
        Version { entry, first: at, last: at, until: None, unknown_since: None }
    }

    /// It is there in every snapshot up to `last`, unless one of them does not know.
    fn close(&mut self, last: usize) {
        if self.until.is_none() && self.unknown_since.is_none() {
            self.last = last;
        }
    }
}

/// A path of one source with its versions, oldest first.
#[derive(Clone, Debug)]
pub struct Match {
    /// The source, by the place of its first snapshot in the catalogue.
    pub source: usize,
    /// Its category.
    pub category: Category,
    /// The path.
    pub path: Vec<u8>,
    /// Its versions.
    pub versions: Vec<Version>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Paths, sorted within each source.
    pub matches: Vec<Match>,
    /// Whether there are more than are told.
    pub is_cut: bool,
}

/// The state of one category of one source while its snapshots go by.
struct Lane {
    manifest: Option<ChunkId>,
    /// The newest snapshot that was captured with this category.
    last: usize,
    open: BTreeMap<Vec<u8>, Match>,
}

impl Lane {
    fn new(first: usize) -> Lane {
        Lane { manifest: None, last: first, open: BTreeMap::new() }
    }

    /// The snapshot `at` has an entry no more, or another one. Whether that is all there is to say:
    /// the snapshot does not know of it.
    fn lacks(&mut self, path: &[u8], is_gone: bool, unknown: &Unknown, at: usize) -> bool {
        let last = self.last;
        let version = self.open.get_mut(path).and_then(|open| open.versions.last_mut());
        let Some(version) = version.filter(|version| version.until.is_none()) else { return false };
        version.close(last);
        if is_gone && unknown.holds(path) {
            version.unknown_since.get_or_insert(at);
            return true;
        }
        version.until = Some(at);
        false
    }

    /// The snapshot `at` has an entry. False where there is no room for another path.
    fn has(
        &mut self,
        entry: Entry,
        (source, category): (usize, Category),
        at: usize,
        room: &mut usize,
    ) -> bool {
        if let Some(version) = self
            .open
            .get_mut(&entry.path)
            .and_then(|open| open.versions.last_mut())
            .filter(|version| version.until.is_none())
        {
            if version.entry == entry {
                // Known again, and what it was.
                version.unknown_since = None;
                return true;
            }
            version.until = Some(at);
        }
        let open = match self.open.get_mut(&entry.path) {
            Some(open) => open,
            None if *room == 0 => return false,
            None => {
                *room -= 1;
                let path = entry.path.clone();
                let none = Match { source, category, path: path.clone(), versions: Vec::new() };
                self.open.entry(path).or_insert(none)
            }
        };
        open.versions.push(Version::new(entry, at));
        true
    }

    /// What it comes to; `next` is the next snapshot of the source, which lacks the category.
    fn close(self, next: Option<usize>) -> impl Iterator<Item = Match> {
        let last = self.last;
        self.open.into_values().map(move |mut open| {
            open.versions.iter_mut().for_each(|version| version.close(last));
            if let (Some(next), Some(version)) =
                (next, open.versions.last_mut().filter(|version| version.until.is_none()))
            {
                version.unknown_since.get_or_insert(next);
            }
            open
        })
    }
}

/// Looks through the snapshots, oldest first; through one alone where `only` names it.
pub fn find(
    repository: &Repository,
    catalog: &Catalog,
    wanted: &Wanted,
    only: Option<SnapshotId>,
    monitor: &Monitor,
) -> Result<Found, Error> {
    let index = repository.index()?;
    // Each manifest is compared with the next one: what was read of it then is still there.
    let reader = || ChunkReader::new(repository, &index).keeping(KEPT_FOR_ALL);
    let (mut own, mut next) = (reader(), reader());
    let mut lanes: BTreeMap<(usize, Category), Lane> = BTreeMap::new();
    let mut sources: HashMap<&str, usize> = HashMap::new();
    let mut found = Found::default();
    let mut room = MATCHES_MAX;
    let mut of_source: HashMap<usize, Vec<usize>> = HashMap::new();
    monitor.progress.phase(Phase::Find, catalog.snapshots.len() as u64, 0);
    for (at, (_, record)) in catalog
        .snapshots
        .iter()
        .enumerate()
        .filter(|(_, (id, _))| only.is_none_or(|only| only == *id))
    {
        let source = *sources.entry(instance_of(record)).or_insert(at);
        of_source.entry(source).or_default().push(at);
        let unknown = Unknown::of(record)?;
        for (category, root) in categories(record) {
            let lane = lanes.entry((source, category)).or_insert(Lane::new(at));
            differences(
                (&mut own, lane.manifest),
                (&mut next, Some(root.manifest)),
                wanted.paths.folders(),
                |difference| {
                    if monitor.interrupt.is_raised() {
                        return Err(Error::Interrupted);
                    }
                    let Difference { before, after } = difference;
                    if let Some(before) = before
                        && lane.lacks(&before.path, after.is_none(), &unknown, at)
                    {
                        return Ok(());
                    }
                    if let Some(after) = after.filter(|after| wanted.takes(after))
                        && !lane.has(after, (source, category), at, &mut room)
                    {
                        found.is_cut = true;
                    }
                    Ok(())
                },
            )?;
            (lane.manifest, lane.last) = (Some(root.manifest), at);
        }
        std::mem::swap(&mut own, &mut next);
        monitor.progress.advance(1, 0);
    }
    for ((source, _), lane) in lanes {
        let last = lane.last;
        // Later ones lack the category.
        let next = of_source
            .get(&source)
            .and_then(|of_source| of_source.iter().find(|at| **at > last))
            .copied();
        found.matches.extend(lane.close(next));
    }
    found.matches.sort_by(|a, b| {
        a.source
            .cmp(&b.source)
            .then_with(|| crate::manifest::compare(&a.path, &b.path))
            .then(a.category.cmp(&b.category))
    });
    Ok(found)
}

impl Wanted {
    fn takes(&self, entry: &Entry) -> bool {
        let fits = self
            .contents
            .as_ref()
            .is_none_or(|wanted| entry.content().is_some_and(|content| wanted.contains(content)));
        fits && self.paths.take(&entry.path)
    }
}

/// The versions of one path in every source that had it: a few nodes a snapshot are read, none
/// where nothing changed.
pub fn history(
    repository: &Repository,
    catalog: &Catalog,
    path: &[u8],
    monitor: &Monitor,
) -> Result<Vec<Match>, Error> {
    let index = repository.index()?;
    let mut reader = ChunkReader::new(repository, &index);
    monitor.progress.phase(Phase::Find, catalog.snapshots.len() as u64, 0);
    // By source: the manifests that were read last, what they told, and the history so far.
    type Seen = HashMap<Category, (ChunkId, Option<Entry>)>;
    let mut sources: HashMap<&str, (usize, Seen, Match)> = HashMap::new();
    for (at, (_, record)) in catalog.snapshots.iter().enumerate() {
        if monitor.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let none = || {
            let (category, path) = (Category::Other, path.to_vec());
            Match { source: at, category, path, versions: Vec::new() }
        };
        let (last, seen, history) =
            sources.entry(instance_of(record)).or_insert_with(|| (at, Seen::new(), none()));
        let (mut here, mut was_captured) = (None, false);
        for (category, root) in categories(record) {
            let entry = match seen.get(&category) {
                Some((manifest, entry)) if *manifest == root.manifest => entry.clone(),
                _ => find_entry(&mut reader, root.manifest, path)?,
            };
            seen.insert(category, (root.manifest, entry.clone()));
            // A snapshot that was taken without the path's category says nothing about it.
            was_captured |=
                entry.is_some() || category == history.category || history.versions.is_empty();
            if let Some(entry) = entry {
                here = Some((category, entry));
            }
        }
        if let Some(version) = history.versions.last_mut().filter(|version| version.until.is_none())
        {
            match &here {
                Some((_, entry)) if was_captured && *entry == version.entry => {
                    version.unknown_since = None
                }
                here => {
                    version.close(*last);
                    // Nothing is said of what was left out, or could not be read.
                    if !was_captured || (here.is_none() && Unknown::of(record)?.holds(path)) {
                        version.unknown_since.get_or_insert(at);
                    } else {
                        version.until = Some(at);
                    }
                }
            }
        }
        if let Some((category, entry)) = here
            && history.versions.last().is_none_or(|version| version.until.is_some())
        {
            history.category = category;
            history.versions.push(Version::new(entry, at));
        }
        if was_captured {
            *last = at;
        }
        monitor.progress.advance(1, 0);
    }
    let mut found: Vec<Match> = sources
        .into_values()
        .filter_map(|(last, _, mut history)| {
            history.versions.iter_mut().for_each(|version| version.close(last));
            (!history.versions.is_empty()).then_some(history)
        })
        .collect();
    found.sort_by_key(|history| history.source);
    Ok(found)
}

/// The contents by which a repository would know a file.
pub fn contents_of_file(repository: &Repository, path: &Path) -> Result<Vec<Content>, Error> {
    let failed =
        |source: std::io::Error| Error::Target { verb: "read", path: path.to_path_buf(), source };
    let open = OpenFile::open_path(path).map_err(|error| failed(error.into()))?;
    if !open.before.is_file() {
        return Err(Error::NotAFile {
            path: path.display().to_string(),
            kind: "directory or device",
        });
    }
    content_of(repository, &open).map_err(|error| match error {
        super::snapshot::ReadFailure::Io(error) => failed(error),
        super::snapshot::ReadFailure::Fatal(error) => error,
    })
}

/// Whether two versions hold the same bytes.
pub fn same_content(a: &Entry, b: &Entry) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::File { content, .. }, Kind::File { content: other, .. }) => content == other,
        (a, b) => a == b,
    }
}

/// A snapshot of the catalogue.
pub fn snapshot_at(catalog: &Catalog, at: usize) -> Option<&(SnapshotId, SnapshotRecord)> {
    catalog.snapshots.get(at)
}
