//! Snapshots whose records are gone, brought back from what the packs tell: from the copy of the
//! record that lies beside the trees, or, where an older program stored none, from the trees alone.

use std::collections::{BTreeMap, HashSet};

use crate::chunk::ChunkId;
use crate::manifest::{
    ByteCounts, Catalog, CategoryRecord, Chain, Directories, Entries, FileHash, Files, Owners,
    RECOVERED_KEY, ServerRecord, SnapshotId, SnapshotRecord, SourceRecord,
};
use crate::source::Category;
use crate::store::{ChunkReader, Index, Repository};

use super::super::content::write_content;
use super::super::find_instance::server_id;
use super::super::reach::{Unnamed, UnnamedTree, record_copies, unnamed_trees};
use super::super::select::{lookup, root_of};
use super::super::{Error, Monitor};
use super::RepairReport;

/// What such a snapshot says of itself.
pub const RECOVERED: &str = "recovered from the repository's packs after its record was lost";
/// The first components of a Jellyfin instance's paths.
const ROOTS: [&[u8]; 7] =
    [b"config", b"data", b"metadata", b"metadata-default", b"plugins", b"programdata", b"root"];

/// A tree of which nothing but the tree is known.
struct Guess {
    tree: UnnamedTree,
    category: Category,
    is_instance: bool,
    entries: u64,
    /// The newest time of anything in it: its snapshot is not older.
    newest_ns: i64,
}

/// Brings back the snapshots of trees that nothing names, and those that the list names and whose
/// records are gone; the new records.
pub(super) fn records(
    repository: &Repository,
    index: &Index,
    report: &mut RepairReport,
    monitor: &Monitor,
) -> Result<Vec<(SnapshotId, FileHash)>, Error> {
    let catalog = Catalog::load(repository)?;
    let chain = Chain::load(repository)?;
    let here: HashSet<SnapshotId> = Catalog::ids(repository)?.into_iter().collect();
    let Unnamed { trees, mut records } =
        unnamed_trees(repository, index, &catalog.snapshots, monitor)?;
    // What cannot be read is as good as gone.
    let is_damaged = |id: &SnapshotId| {
        catalog.damaged.iter().any(|(name, _)| *name == crate::store::snapshot_name(&id.0))
    };
    let is_lost = |id: &SnapshotId| !here.contains(id) || is_damaged(id);
    if chain.listed.keys().any(is_lost) || here.iter().any(is_damaged) {
        let copies = record_copies(repository, index, monitor)?;
        records.extend(
            copies.into_iter().filter(|(id, _)| {
                (chain.listed.contains_key(id) || here.contains(id)) && is_lost(id)
            }),
        );
    }
    let told: HashSet<ChunkId> = records
        .iter()
        .flat_map(|(_, record)| record.categories.values())
        .map(|category| category.manifest)
        .collect();
    let mut reader = ChunkReader::new(repository, index);
    let mut guesses = Vec::new();
    for tree in trees.into_iter().filter(|tree| !told.contains(&tree.root)) {
        guesses.extend(guess(tree, &mut reader)?);
    }
    records.sort_by_key(|(id, _)| *id);
    records.dedup_by_key(|(id, _)| *id);
    let mut new = Vec::new();
    for (id, mut record) in records {
        record.remarks.push(RECOVERED.to_owned());
        new.push((id, Catalog::write(repository, id, &record)?));
        report.mended(
            crate::store::snapshot_name(&id.0),
            "restored from the copy of the record in a pack",
        );
    }
    for record in group(guesses, &mut reader)? {
        let id = new_id(&record)?;
        new.push((id, Catalog::write(repository, id, &record)?));
        report.mended(
            crate::store::snapshot_name(&id.0),
            "rebuilt from trees in the packs that belong to no snapshot. Its time is a guess. Its label is lost, and so is its server unless it contains device.txt",
        );
    }
    Ok(new)
}

/// A time and a category for a tree; nothing where it cannot be read.
fn guess(tree: UnnamedTree, reader: &mut ChunkReader<'_>) -> Result<Option<Guess>, Error> {
    let (mut newest, mut entries, mut category, mut is_instance) = (i128::MIN, 0, None, false);
    for entry in Entries::all(reader, tree.root) {
        let entry = match entry {
            Ok(entry) => entry,
            // What is left of it is brought back; repair goes on to name what is lost.
            Err(error) if error.is_damage() => continue,
            Err(error) => return Err(error.into()),
        };
        if category.is_none() {
            is_instance = ROOTS.contains(&root_of(&entry.path));
            let is_database = matches!(entry.content(), Some(crate::manifest::Content::Pages(_)));
            category = Some(if !is_instance {
                Category::Other
            } else if is_database {
                Category::Database
            } else {
                Category::of(&entry.path)
            });
        }
        newest = newest
            .max(i128::from(entry.mtime.seconds) * 1_000_000_000 + i128::from(entry.mtime.nanos));
        entries += 1;
    }
    let now = jiff::Timestamp::now().as_nanosecond();
    let newest_ns = i64::try_from(newest.clamp(0, now)).unwrap_or_default();
    Ok(category.map(|category| Guess { tree, category, is_instance, entries, newest_ns }))
}

/// Snapshots from trees: those whose roots lie in one pack were captured together; what a capture
/// found unchanged is taken from the newest tree of its category that is not newer.
fn group(
    mut guesses: Vec<Guess>,
    reader: &mut ChunkReader<'_>,
) -> Result<Vec<SnapshotRecord>, Error> {
    guesses.sort_by_key(|guess| guess.newest_ns);
    let mut groups: Vec<(bool, BTreeMap<Category, &Guess>)> = Vec::new();
    for guess in &guesses {
        let fits = |(is_instance, trees): &&mut (bool, BTreeMap<Category, &Guess>)| {
            *is_instance == guess.is_instance
                && !trees.contains_key(&guess.category)
                && trees.values().any(|other| other.tree.pack == guess.tree.pack)
        };
        match groups.iter_mut().find(fits) {
            Some((_, trees)) => drop(trees.insert(guess.category, guess)),
            None => groups.push((guess.is_instance, BTreeMap::from([(guess.category, guess)]))),
        }
    }
    let time = |trees: &BTreeMap<Category, &Guess>| {
        trees.values().map(|guess| guess.newest_ns).max().unwrap_or_default()
    };
    groups.sort_by_key(|(_, trees)| time(trees));
    let mut records = Vec::new();
    for (is_instance, mut trees) in groups {
        let time_ns = time(&trees);
        let of_group: HashSet<ChunkId> = trees.values().map(|guess| guess.tree.root).collect();
        for other in guesses
            .iter()
            .filter(|other| other.is_instance == is_instance && other.newest_ns <= time_ns)
        {
            let own =
                trees.get(&other.category).is_some_and(|known| of_group.contains(&known.tree.root));
            if !own {
                // In order of time: the last one that fits is the newest.
                trees.insert(other.category, other);
            }
        }
        records.push(record_of(is_instance, time_ns, &trees, reader)?);
    }
    Ok(records)
}

fn record_of(
    is_instance: bool,
    time_ns: i64,
    trees: &BTreeMap<Category, &Guess>,
    reader: &mut ChunkReader<'_>,
) -> Result<SnapshotRecord, Error> {
    let category = |guess: &Guess| CategoryRecord {
        manifest: guess.tree.root,
        entries: guess.entries,
        files: guess.tree.files,
        bytes: guess.tree.bytes,
    };
    let categories: BTreeMap<String, CategoryRecord> =
        trees.iter().map(|(name, guess)| (name.name().to_owned(), category(guess))).collect();
    // A plain folder is told by the name of its only directory.
    let directories = if is_instance {
        Directories::new()
    } else {
        Directories::from([("folder".to_owned(), String::new())])
    };
    let sum = |of: fn(&CategoryRecord) -> u64| categories.values().map(of).sum();
    let mut record = SnapshotRecord {
        time_ns,
        parent: None,
        label: None,
        note: Some("Recovered by repair. The time is that of the newest file in it.".to_owned()),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        source: SourceRecord {
            key: RECOVERED_KEY.to_owned(),
            host: "unknown".to_owned(),
            how: RECOVERED.to_owned(),
            directories,
            seen_by_server: Directories::new(),
        },
        server: ServerRecord::default(),
        files: Files { total: sum(|category| category.files), ..Files::default() },
        bytes: ByteCounts { source: sum(|category| category.bytes), ..ByteCounts::default() },
        categories,
        took_ms: 0,
        excluded: Vec::new(),
        problems: Vec::new(),
        problem_count: 0,
        remarks: vec![RECOVERED.to_owned()],
        owners: Owners::default(),
    };
    if is_instance {
        record.server.id = id_in(&record, reader);
    }
    Ok(record)
}

/// The server's id, where the snapshot holds it and it can be read.
fn id_in(record: &SnapshotRecord, reader: &mut ChunkReader<'_>) -> Option<String> {
    let entry = lookup(reader, record, b"data/device.txt").ok()??.entry;
    let mut bytes = Vec::new();
    let content = entry.content().filter(|_| entry.size() < 4096)?;
    write_content(reader, content, entry.size(), |_, part| {
        bytes.extend_from_slice(part);
        Ok(())
    })
    .ok()?;
    server_id(&String::from_utf8_lossy(&bytes))
}

fn new_id(record: &SnapshotRecord) -> Result<SnapshotId, Error> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|_| Error::System { what: "random numbers" })?;
    Ok(SnapshotId::at(u64::try_from(record.time_ns / 1_000_000).unwrap_or_default(), random))
}
