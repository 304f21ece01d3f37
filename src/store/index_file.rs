//! The redb file behind the index: its tables, opened for reading, opened for the moment of a
//! commit.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::{
    Builder, Database, DatabaseError, ReadOnlyDatabase, ReadOnlyTable, ReadableDatabase,
    ReadableTable, StorageError, TableDefinition,
};

use crate::backend::{Backend, Disk, FolderMark, temp_name};

use super::extent_kind::{Codec, ExtentKind};
use super::extent_row::ExtentRow;
use super::fresh::Fresh;
use super::known_pack::KnownPack;
use super::pack_names::{Marks, PackNames};
use super::place::{Place, decode_place, encode_place};
use super::redb_file::RedbFile;

const META: TableDefinition<&str, &str> = TableDefinition::new("meta");
const PACKS: TableDefinition<u32, [u8; 16]> = TableDefinition::new("packs");
/// The same the other way round.
const IDS: TableDefinition<[u8; 16], u32> = TableDefinition::new("ids");
/// What folders of packs looked like when all packs in them were in the index, by the first byte of
/// their ids.
const FOLDERS: TableDefinition<u8, FolderMark> = TableDefinition::new("folders");
const EXTENTS: TableDefinition<(u32, u32), [u8; 35]> = TableDefinition::new("extents");
const CHUNKS: TableDefinition<[u8; 32], [u8; 16]> = TableDefinition::new("chunks");
/// Packs that a prune gave up and is about to remove: what is left of them after a crash counts as
/// gone.
const CONDEMNED: TableDefinition<[u8; 16], ()> = TableDefinition::new("condemned");
/// When all folders were listed, in `META`: seconds since 1970.
const LISTED_AT: &str = "listed at";
const VERSION: &str = "3";
const CACHE_BYTES: usize = 16 << 20;
/// How long a commit waits for another process to let go of the index before it leaves the work to
/// the next opening.
const COMMIT_PATIENCE: Duration = Duration::from_millis(1500);

/// The index file, open for reading.
pub(super) struct Base {
    pub chunks: ReadOnlyTable<[u8; 32], [u8; 16]>,
    pub extents: ReadOnlyTable<(u32, u32), [u8; 35]>,
    pub packs: ReadOnlyTable<u32, [u8; 16]>,
    pub ids: ReadOnlyTable<[u8; 16], u32>,
    /// Keeps the file open; dropped after the tables.
    _file: ReadOnlyDatabase,
}

/// Where the index file is.
#[derive(Clone)]
pub struct IndexPlace {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The file on it.
    pub path: PathBuf,
}

impl IndexPlace {
    fn builder() -> Builder {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        builder
    }

    fn open_read_only(&self) -> Result<ReadOnlyDatabase, DatabaseError> {
        match self.disk.random(&self.path, false)? {
            Some(file) => IndexPlace::builder().open_read_only_with_backend(RedbFile(file)),
            None => {
                self.check_is_file()?;
                IndexPlace::builder().open_read_only(&self.path)
            }
        }
    }

    /// A pipe in its place would wait for a writer that never comes.
    fn check_is_file(&self) -> Result<(), DatabaseError> {
        match std::fs::metadata(&self.path) {
            Ok(found) if !found.is_file() => {
                Err(StorageError::Corrupted("it is no regular file".to_owned()).into())
            }
            _ => Ok(()),
        }
    }

    fn create(&self) -> Result<Database, DatabaseError> {
        if let Some(file) = self.disk.random(&self.path, true)? {
            return IndexPlace::builder().create_with_backend(RedbFile(file));
        }
        self.check_is_file()?;
        // For its owner alone, like every file of a repository.
        use std::os::unix::fs::OpenOptionsExt;
        std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&self.path)?;
        IndexPlace::builder().create(&self.path)
    }

    /// Takes a damaged index file away; the next opening reads the trailers. A file that cannot be
    /// removed either (a full or read-only disk) is found out by the same checks next time.
    pub(super) fn discard(&self) {
        crate::tolerate(self.disk.remove(&self.path));
    }

    /// Takes the index file away.
    pub fn remove(&self) -> std::io::Result<()> {
        match self.disk.remove(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// What the index file says of the packs, but for their names.
#[derive(Default)]
pub(super) struct KnownPacks {
    /// Those that were given up.
    pub condemned: HashSet<[u8; 16]>,
    /// What their folders looked like.
    pub marks: Marks,
    /// A number that none has, nor a later one.
    pub next: u32,
}

/// What became of opening the index file.
pub(super) enum Opening {
    /// It can be asked.
    Open(Box<(Base, KnownPacks)>),
    /// Another process writes it.
    Busy,
    /// It is missing, cannot be read, or is another repository's.
    Useless,
}

/// Opens the index file for reading.
pub(super) fn open_base(place: &IndexPlace, repository: &str) -> Opening {
    let start = Instant::now();
    let database = loop {
        match place.open_read_only() {
            Ok(database) => break database,
            Err(DatabaseError::DatabaseAlreadyOpen) if start.elapsed() < COMMIT_PATIENCE => {
                std::thread::sleep(Duration::from_millis(5))
            }
            Err(DatabaseError::DatabaseAlreadyOpen) => return Opening::Busy,
            // Left by a crash: opening it to write repairs it.
            Err(DatabaseError::RepairAborted) => match place.create().map(Database::close) {
                Ok(Ok(())) if start.elapsed() < COMMIT_PATIENCE => {}
                _ => return Opening::Useless,
            },
            Err(_) => return Opening::Useless,
        }
    };
    match read_base(database, repository) {
        Some(opened) => Opening::Open(Box::new(opened)),
        None => Opening::Useless,
    }
}

fn read_base(database: ReadOnlyDatabase, repository: &str) -> Option<(Base, KnownPacks)> {
    let read = database.begin_read().ok()?;
    let meta = read.open_table(META).ok()?;
    let is = |key: &str, wanted: &str| {
        meta.get(key).ok().flatten().is_some_and(|value| value.value() == wanted)
    };
    if !is("version", VERSION) || !is("repository", repository) {
        return None;
    }
    let mut known = KnownPacks::default();
    // Made by the first prune.
    if let Ok(condemned) = read.open_table(CONDEMNED) {
        for row in condemned.iter().ok()? {
            known.condemned.insert(row.ok()?.0.value());
        }
    }
    // Made by the first commit that has something to say of them.
    if let Ok(folders) = read.open_table(FOLDERS) {
        for row in folders.iter().ok()? {
            let (folder, mark) = row.ok()?;
            known.marks.folders.insert(folder.value(), mark.value());
        }
        // Where that is not told it was in 1970: all are listed.
        known.marks.listed_at =
            meta.get(LISTED_AT).ok()?.and_then(|at| at.value().parse().ok()).unwrap_or_default();
    }
    let (chunks, extents) = (read.open_table(CHUNKS).ok()?, read.open_table(EXTENTS).ok()?);
    let (packs, ids) = (read.open_table(PACKS).ok()?, read.open_table(IDS).ok()?);
    known.next = packs.last().ok()?.map_or(0, |(last, _)| last.value().saturating_add(1));
    Some((Base { chunks, extents, packs, ids, _file: database }, known))
}

/// Writes the index file: `fill` puts everything into one transaction. False where another process
/// holds the file.
///
/// One that could be read is written in place. Any other, or none, is replaced by a new one that is
/// made under another name, so that no kill leaves half of an index.
pub(super) fn write_index(
    place: &IndexPlace,
    can_be_read: bool,
    fill: impl FnOnce(&Database) -> Result<(), redb::Error>,
) -> Result<bool, redb::Error> {
    if !can_be_read {
        return match place.open_read_only() {
            Err(DatabaseError::DatabaseAlreadyOpen) => Ok(false),
            _ => replace_index(place, fill),
        };
    }
    let start = Instant::now();
    let database = loop {
        match place.create() {
            Err(DatabaseError::DatabaseAlreadyOpen) if start.elapsed() < COMMIT_PATIENCE => {
                std::thread::sleep(Duration::from_millis(5))
            }
            Err(DatabaseError::DatabaseAlreadyOpen) => return Ok(false),
            other => break other?,
        }
    };
    fill(&database)?;
    Ok(database.close().is_ok())
}

fn replace_index(
    place: &IndexPlace,
    fill: impl FnOnce(&Database) -> Result<(), redb::Error>,
) -> Result<bool, redb::Error> {
    let new =
        IndexPlace { disk: place.disk.clone(), path: place.path.with_file_name(temp_name()?) };
    let outcome = new.create().map_err(redb::Error::from).and_then(|database| {
        fill(&database)?;
        database.close()?;
        Ok(place.disk.rename(&new.path, &place.path)?)
    });
    if outcome.is_err() {
        new.discard();
    }
    outcome.map(|()| true)
}

/// Packs that are given up, by their ids.
pub type Removal = HashSet<[u8; 16]>;

/// Takes out what is given up, and puts in what is new: one transaction. `names` are the packs that
/// were seen, and where.
pub(super) fn write_all(
    (database, repository): (&Database, &str),
    packs: HashMap<u32, KnownPack>,
    fresh: &mut Fresh,
    removal: &Removal,
    (names, backend): (&PackNames, &dyn Backend),
) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        let mut meta = write.open_table(META)?;
        meta.insert("version", VERSION)?;
        meta.insert("repository", repository)?;
    }
    let written: Vec<_> =
        packs.values().filter(|pack| pack.is_written).map(|pack| pack.id).collect();
    remove(&write, removal, &packs)?;
    {
        let (mut pack_table, mut id_table) = (write.open_table(PACKS)?, write.open_table(IDS)?);
        let mut next = pack_table.last()?.map_or(0, |(last, _)| last.value() + 1);
        // Another process may have committed since this one opened the file: numbers are given
        // anew.
        let mut numbers = HashMap::new();
        let mut extent_table = write.open_table(EXTENTS)?;
        let mut new: Vec<_> = packs
            .into_iter()
            .filter_map(|(number, pack)| Some((number, pack.id, pack.extents?)))
            .collect();
        new.sort_unstable_by_key(|(number, ..)| *number);
        let mut recipes = HashMap::new();
        for (number, id, extents) in new {
            if id_table.get(id)?.is_some() || removal.contains(&id) {
                continue;
            }
            pack_table.insert(next, id)?;
            id_table.insert(id, next)?;
            for (at, extent) in extents.iter().enumerate() {
                extent_table.insert((next, at as u32), encode_extent(extent))?;
                if extent.kind.is_recipe() {
                    recipes.insert((next, at as u32), extent.kind);
                }
            }
            numbers.insert(number, next);
            next += 1;
        }
        let mut chunk_table = write.open_table(CHUNKS)?;
        for row in fresh.drain_sorted() {
            let (id, place) = row?;
            if let Some(pack) = numbers.get(&place.pack) {
                // Another process may have written a recipe of the same database meanwhile.
                if let Some(kind) = recipes.get(&(*pack, place.extent))
                    && let Some(other) =
                        chunk_table.get(id.0)?.map(|other| decode_place(&other.value()))
                    && let Some(row) = extent_table
                        .get((other.pack, other.extent))?
                        .and_then(|row| decode_extent(&row.value()))
                    && !kind.replaces(row.kind)
                {
                    continue;
                }
                chunk_table.insert(id.0, encode_place(&Place { pack: *pack, ..place }))?;
            }
        }
    }
    remember(&write, names, &written, backend)?;
    write.commit()?;
    Ok(())
}

/// Writes down what the folders of packs looked like when what is in the index now was seen in
/// them.
fn remember(
    write: &redb::WriteTransaction,
    names: &PackNames,
    written: &[[u8; 16]],
    backend: &dyn Backend,
) -> Result<(), redb::Error> {
    let ids = write.open_table(IDS)?;
    let mut folders = write.open_table(FOLDERS)?;
    let mut meta = write.open_table(META)?;
    // Asked of the table as it is now: the file may be another one than that which was read. What
    // cannot be asked is not known: its folder is listed again.
    let Some(new) =
        names.to_remember(backend, written, |id| ids.get(id).is_ok_and(|row| row.is_some()))
    else {
        folders.retain(|_, _| false)?;
        return Ok(());
    };
    for (folder, mark) in new.folders {
        match mark {
            Some(mark) => drop(folders.insert(folder, mark)?),
            None => drop(folders.remove(folder)?),
        }
    }
    if let Some(listed_at) = new.listed_at {
        meta.insert(LISTED_AT, listed_at.to_string().as_str())?;
    }
    Ok(())
}

fn remove(
    write: &redb::WriteTransaction,
    removal: &Removal,
    packs: &HashMap<u32, KnownPack>,
) -> Result<(), redb::Error> {
    let mut condemned = write.open_table(CONDEMNED)?;
    // Those whose files are gone need not be remembered; packs that are there again, whoever put
    // them back, count again.
    let listed: HashSet<_> =
        packs.values().filter(|pack| pack.is_condemned).map(|pack| pack.id).collect();
    condemned.retain(|id, ()| listed.contains(&id))?;
    if removal.is_empty() {
        return Ok(());
    }
    let (mut pack_table, mut ids) = (write.open_table(PACKS)?, write.open_table(IDS)?);
    let mut numbers = HashSet::new();
    for id in removal {
        numbers.extend(ids.remove(id)?.map(|number| number.value()));
    }
    let (mut extents, mut chunks) = (write.open_table(EXTENTS)?, write.open_table(CHUNKS)?);
    for number in &numbers {
        pack_table.remove(number)?;
        extents.retain_in::<(u32, u32), _>((*number, 0)..=(*number, u32::MAX), |_, _| false)?;
    }
    chunks.retain(|_, place| !numbers.contains(&decode_place(&place).pack))?;
    for id in removal {
        condemned.insert(id, ())?;
    }
    Ok(())
}

pub(super) fn encode_extent(row: &ExtentRow) -> [u8; 35] {
    let mut out = Vec::with_capacity(35);
    out.extend_from_slice(&row.offset.to_le_bytes());
    out.extend_from_slice(&row.stored_bytes.to_le_bytes());
    out.extend_from_slice(&row.raw_bytes.to_le_bytes());
    out.extend_from_slice(&[row.codec.code(), row.kind.code(), row.kind.depth()]);
    out.extend_from_slice(&row.checksum);
    out.try_into().unwrap_or([0; 35])
}

pub(super) fn decode_extent(bytes: &[u8; 35]) -> Option<ExtentRow> {
    let mut at = super::bytes::Bytes(bytes);
    Some(ExtentRow {
        offset: at.u64().ok()?,
        stored_bytes: at.u32().ok()?,
        raw_bytes: at.u32().ok()?,
        codec: Codec::from_code(at.u8().ok()?)?,
        kind: ExtentKind::from_code(at.u8().ok()?, at.u8().ok()?)?,
        checksum: at.array().ok()?,
    })
}
