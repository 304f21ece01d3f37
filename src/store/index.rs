//! Which extent holds a chunk? A redb file answers; it is a cache that heals from the packs' trailers, never the only copy of anything.
//!
//! The file is open for reading while a command runs and for writing only for the moment of a commit. Whatever is wrong with
//! it (missing, damaged, another repository's, held by another process), the trailers of the packs that it does not know are
//! read instead, and the next commit writes it anew.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use redb::{Database, DatabaseError, ReadOnlyDatabase, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};

use crate::backend::{Backend, Listed, Span};
use crate::chunk::ChunkId;

use super::extent::{Codec, ExtentKind};
use super::fresh::{Fresh, Place};
use super::trailer::{ExtentRow, PackTrailer, TrailerError};
use super::{Error, Repository, pack_name};

const META: TableDefinition<&str, &str> = TableDefinition::new("meta");
const PACKS: TableDefinition<u32, [u8; 16]> = TableDefinition::new("packs");
const EXTENTS: TableDefinition<(u32, u32), [u8; 34]> = TableDefinition::new("extents");
const CHUNKS: TableDefinition<[u8; 32], [u8; 16]> = TableDefinition::new("chunks");
const VERSION: &str = "1";
const CACHE_BYTES: usize = 16 << 20;
/// How long a commit waits for another process to let go of the index before it leaves the work to the next opening.
const COMMIT_PATIENCE: Duration = Duration::from_millis(1500);

/// Where a chunk lies.
#[derive(Clone, Copy, Debug)]
pub struct Located {
    /// The pack's id.
    pub pack: [u8; 16],
    /// Number of the extent in the pack.
    pub extent: u32,
    /// The extent.
    pub row: ExtentRow,
    /// Offset of the chunk in the extent's plain bytes.
    pub offset: u32,
    /// Length of the chunk in bytes.
    pub len: u32,
}

/// What the index is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexMode {
    /// Use what the index file holds, heal in memory.
    Use,
    /// Take the index file for absent: all trailers are read.
    Rebuild,
}

/// The index file, open for reading.
struct Base {
    chunks: ReadOnlyTable<[u8; 32], [u8; 16]>,
    extents: ReadOnlyTable<(u32, u32), [u8; 34]>,
    /// Keeps the file open; dropped after the tables.
    _file: ReadOnlyDatabase,
}

/// One pack by its number.
#[derive(Clone, Debug)]
struct KnownPack {
    id: [u8; 16],
    /// Whether its file is there.
    present: bool,
    /// Its extents, where the index file does not hold them.
    extents: Option<Vec<ExtentRow>>,
}

/// Finds chunks, and takes the claims on those being written.
pub struct Index {
    base: Option<Base>,
    fresh: Fresh,
    packs: RwLock<HashMap<u32, KnownPack>>,
    file: Option<PathBuf>,
    repository: String,
    /// Packs whose trailers cannot be read, with the reason.
    damaged: Vec<Error>,
    trailers_read: usize,
}

impl Index {
    /// Opens the index of a repository and reads the trailers of the packs that it does not know.
    pub fn open(repository: &Repository, mode: IndexMode) -> Result<Index, Error> {
        let mut index = Index {
            base: None,
            fresh: Fresh::new(),
            packs: RwLock::default(),
            file: repository.index_file(),
            repository: repository.config().id.clone(),
            damaged: Vec::new(),
            trailers_read: 0,
        };
        let mut known = HashMap::new();
        if mode == IndexMode::Use
            && let Some((base, packs)) = index.file.as_deref().and_then(|file| open_base(file, &index.repository))
        {
            index.base = Some(base);
            known = packs.iter().map(|(number, id)| (*id, *number)).collect();
            let packs = packs.into_iter().map(|(number, id)| (number, KnownPack { id, present: false, extents: None }));
            index.packs_mut().extend(packs);
        }
        for listed in repository.backend().list("packs/")? {
            let Some(id) = super::repository::pack_id(&listed.name) else { continue };
            if let Some(pack) = known.get(&id).and_then(|number| index.packs_mut().get_mut(number)) {
                pack.present = true;
                continue;
            }
            match read_trailer(repository.backend(), &listed, &id) {
                Ok(trailer) => index.take_in(&trailer),
                Err(error) if error.is_damage() => index.damaged.push(error),
                Err(error) => return Err(error),
            }
        }
        Ok(index)
    }

    fn packs_mut(&mut self) -> &mut HashMap<u32, KnownPack> {
        self.packs.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_in(&mut self, trailer: &PackTrailer) {
        self.trailers_read += 1;
        let number = self.add_pack(trailer.pack);
        for chunk in &trailer.chunks {
            self.fresh.place(&chunk.id, Place { pack: number, extent: chunk.extent, offset: chunk.offset, len: chunk.len });
        }
        if let Some(pack) = self.packs_mut().get_mut(&number) {
            pack.extents = Some(trailer.extents.clone());
        }
    }

    /// Packs that could not be taken in because they are damaged.
    pub fn damaged(&self) -> &[Error] {
        &self.damaged
    }

    /// How many trailers were read at opening: packs that the index file did not know.
    pub fn trailers_read(&self) -> usize {
        self.trailers_read
    }

    /// Gives a new pack a number.
    pub(super) fn add_pack(&self, id: [u8; 16]) -> u32 {
        let mut packs = self.packs.write().unwrap_or_else(PoisonError::into_inner);
        let number = packs.keys().max().map_or(0, |last| last + 1);
        packs.insert(number, KnownPack { id, present: true, extents: Some(Vec::new()) });
        number
    }

    /// Tells of an extent that was just appended to a new pack.
    pub(super) fn add_extent(&self, pack: u32, row: ExtentRow, chunks: &[(ChunkId, u32)]) {
        let mut packs = self.packs.write().unwrap_or_else(PoisonError::into_inner);
        let Some(extents) = packs.get_mut(&pack).and_then(|known| known.extents.as_mut()) else { return };
        extents.push(row);
        let (extent, mut offset) = (extents.len() as u32 - 1, 0);
        for (id, len) in chunks {
            self.fresh.place(id, Place { pack, extent, offset, len: *len });
            offset += len;
        }
    }

    /// Claims a chunk for writing: true for the one caller who must store it, false where it is stored or being stored.
    pub fn claim(&self, id: &ChunkId) -> Result<bool, Error> {
        Ok(!self.fresh.contains(id) && self.find_in_base(id)?.is_none() && self.fresh.claim(id))
    }

    /// Whether the repository holds the chunk, or will.
    pub fn contains(&self, id: &ChunkId) -> Result<bool, Error> {
        Ok(self.fresh.contains(id) || self.find_in_base(id)?.is_some())
    }

    fn find_in_base(&self, id: &ChunkId) -> Result<Option<Place>, Error> {
        let Some(base) = &self.base else { return Ok(None) };
        let Some(value) = base.chunks.get(&id.0).map_err(|e| self.failed("read", e))? else { return Ok(None) };
        let place = decode_place(&value.value());
        let packs = self.packs.read().unwrap_or_else(PoisonError::into_inner);
        Ok(packs.get(&place.pack).is_some_and(|pack| pack.present).then_some(place))
    }

    /// Where a chunk lies; nothing where no pack holds it.
    pub fn locate(&self, id: &ChunkId) -> Result<Option<Located>, Error> {
        let place = match self.fresh.find(id) {
            Some(place) => place,
            None => match self.find_in_base(id)? {
                Some(place) => place,
                None => return Ok(None),
            },
        };
        let packs = self.packs.read().unwrap_or_else(PoisonError::into_inner);
        let Some(pack) = packs.get(&place.pack) else { return Ok(None) };
        let row = match (&pack.extents, &self.base) {
            (Some(extents), _) => extents.get(place.extent as usize).copied(),
            (None, Some(base)) => {
                let row = base.extents.get(&(place.pack, place.extent)).map_err(|e| self.failed("read", e))?;
                row.and_then(|row| decode_extent(&row.value()))
            }
            (None, None) => None,
        };
        Ok(row.map(|row| Located { pack: pack.id, extent: place.extent, row, offset: place.offset, len: place.len }))
    }

    /// Every extent of every pack that is there: for statistics.
    pub fn for_each_extent(&self, mut each: impl FnMut(&ExtentRow)) -> Result<(), Error> {
        let packs = self.packs.read().unwrap_or_else(PoisonError::into_inner);
        for pack in packs.values().filter_map(|pack| pack.extents.as_ref()) {
            pack.iter().for_each(&mut each);
        }
        if let Some(base) = &self.base {
            for row in base.extents.iter().map_err(|e| self.failed("read", e))? {
                let (key, row) = row.map_err(|e| self.failed("read", e))?;
                if packs.get(&key.value().0).is_some_and(|pack| pack.present)
                    && let Some(row) = decode_extent(&row.value())
                {
                    each(&row);
                }
            }
        }
        Ok(())
    }

    /// Writes what is new into the index file: one transaction, keys sorted. Where another process holds the file, it is left
    /// alone and the next opening heals it. True where the file now knows all.
    pub fn commit(mut self) -> Result<bool, Error> {
        let Some(file) = self.file.clone() else { return Ok(false) };
        let packs = std::mem::take(self.packs_mut());
        if packs.values().all(|pack| pack.extents.is_none()) && self.base.is_some() {
            return Ok(true);
        }
        let had_base = self.base.take().is_some();
        match open_to_write(&file, &self.repository, had_base) {
            Ok(Some(database)) => match write_all(&database, packs, &mut self.fresh) {
                Ok(()) => Ok(database.close().is_ok()),
                Err(error) => {
                    drop(database);
                    discard(&file, &error);
                    Ok(false)
                }
            },
            Ok(None) => Ok(false),
            Err(error) => {
                discard(&file, &error);
                Ok(false)
            }
        }
    }

    fn failed(&self, verb: &'static str, error: impl Into<redb::Error>) -> Error {
        Error::Local { verb, path: self.file.clone().unwrap_or_default(), source: std::io::Error::other(error.into()) }
    }
}

/// Takes a damaged index file away; the next opening reads the trailers. A file that cannot be removed either (a full or
/// read-only disk) is found out by the same checks next time.
fn discard(file: &Path, error: &redb::Error) {
    if !matches!(error, redb::Error::Io(_)) {
        crate::tolerate(std::fs::remove_file(file));
    }
}

/// The trailer of a listed pack, checked against its name.
pub(super) fn read_trailer(backend: &dyn Backend, listed: &Listed, id: &[u8; 16]) -> Result<PackTrailer, Error> {
    struct Failure(Error);
    let damaged = |source| Error::Pack { pack: listed.name.clone(), source };
    impl From<TrailerError> for Failure {
        fn from(source: TrailerError) -> Failure {
            Failure(Error::Pack { pack: String::new(), source })
        }
    }
    let read = |offset, len| backend.read(&listed.name, Span::At { offset, len }).map_err(|e| Failure(e.into()));
    let trailer = PackTrailer::decode(listed.size_bytes, read).map_err(|Failure(error)| match error {
        Error::Pack { source, .. } => damaged(source),
        other => other,
    })?;
    if trailer.pack == *id { Ok(trailer) } else { Err(damaged(TrailerError::Name)) }
}

type Packs = Vec<(u32, [u8; 16])>;

/// The index file for reading; nothing where it cannot be used, whatever the reason.
fn open_base(file: &Path, repository: &str) -> Option<(Base, Packs)> {
    let start = Instant::now();
    let database = loop {
        match Database::builder().set_cache_size(CACHE_BYTES).open_read_only(file) {
            Ok(database) => break database,
            Err(DatabaseError::DatabaseAlreadyOpen) if start.elapsed() < COMMIT_PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            // Left by a crash: opening it to write repairs it.
            Err(DatabaseError::RepairAborted) => match Database::builder().set_cache_size(CACHE_BYTES).open(file).map(Database::close) {
                Ok(Ok(())) if start.elapsed() < COMMIT_PATIENCE => {}
                _ => return None,
            },
            Err(_) => return None,
        }
    };
    let read = database.begin_read().ok()?;
    let meta = read.open_table(META).ok()?;
    let is = |key: &str, wanted: &str| meta.get(key).ok().flatten().is_some_and(|value| value.value() == wanted);
    if !is("version", VERSION) || !is("repository", repository) {
        return None;
    }
    let mut packs = Vec::new();
    for row in read.open_table(PACKS).ok()?.iter().ok()? {
        let (number, id) = row.ok()?;
        packs.push((number.value(), id.value()));
    }
    let (chunks, extents) = (read.open_table(CHUNKS).ok()?, read.open_table(EXTENTS).ok()?);
    Some((Base { chunks, extents, _file: database }, packs))
}

/// The index file for writing; nothing where another process holds it. A file that is not this repository's is emptied.
fn open_to_write(file: &Path, repository: &str, had_base: bool) -> Result<Option<Database>, redb::Error> {
    if !had_base && file.exists() {
        // It could not be used for reading: whatever it is, its content is not to be trusted.
        match Database::builder().open(file) {
            Err(DatabaseError::DatabaseAlreadyOpen) => return Ok(None),
            _ => std::fs::remove_file(file)?,
        }
    }
    // For its owner alone, like every file of a repository.
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(file)?;
    let start = Instant::now();
    let database = loop {
        match Database::builder().set_cache_size(CACHE_BYTES).create(file) {
            Err(DatabaseError::DatabaseAlreadyOpen) if start.elapsed() < COMMIT_PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            Err(DatabaseError::DatabaseAlreadyOpen) => return Ok(None),
            other => break other?,
        }
    };
    let write = database.begin_write()?;
    {
        let mut meta = write.open_table(META)?;
        meta.insert("version", VERSION)?;
        meta.insert("repository", repository)?;
    }
    write.commit()?;
    Ok(Some(database))
}

fn write_all(database: &Database, packs: HashMap<u32, KnownPack>, fresh: &mut Fresh) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        let mut pack_table = write.open_table(PACKS)?;
        let mut known = HashMap::new();
        for row in pack_table.iter()? {
            let (number, id) = row?;
            known.insert(id.value(), number.value());
        }
        let mut next = known.values().max().map_or(0, |last| last + 1);
        // Another process may have committed since this one opened the file: numbers are given anew.
        let mut numbers = HashMap::new();
        let mut extent_table = write.open_table(EXTENTS)?;
        let mut new: Vec<_> = packs.into_iter().filter_map(|(number, pack)| Some((number, pack.id, pack.extents?))).collect();
        new.sort_unstable_by_key(|(number, ..)| *number);
        for (number, id, extents) in new {
            if known.contains_key(&id) {
                continue;
            }
            pack_table.insert(next, id)?;
            for (at, extent) in extents.iter().enumerate() {
                extent_table.insert((next, at as u32), encode_extent(extent))?;
            }
            numbers.insert(number, next);
            next += 1;
        }
        let mut chunk_table = write.open_table(CHUNKS)?;
        for (id, place) in fresh.drain_sorted() {
            if let Some(pack) = numbers.get(&place.pack) {
                chunk_table.insert(id.0, encode_place(&Place { pack: *pack, ..place }))?;
            }
        }
    }
    write.commit()?;
    Ok(())
}

fn encode_place(place: &Place) -> [u8; 16] {
    let mut out = [0; 16];
    for (slot, value) in out.chunks_exact_mut(4).zip([place.pack, place.extent, place.offset, place.len]) {
        slot.copy_from_slice(&value.to_le_bytes());
    }
    out
}

fn decode_place(bytes: &[u8; 16]) -> Place {
    let number = |at: usize| bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).map_or(0, u32::from_le_bytes);
    Place { pack: number(0), extent: number(4), offset: number(8), len: number(12) }
}

fn encode_extent(row: &ExtentRow) -> [u8; 34] {
    let mut out = Vec::with_capacity(34);
    out.extend_from_slice(&row.offset.to_le_bytes());
    out.extend_from_slice(&row.stored_bytes.to_le_bytes());
    out.extend_from_slice(&row.raw_bytes.to_le_bytes());
    out.extend_from_slice(&[row.codec.code(), row.kind.code()]);
    out.extend_from_slice(&row.checksum);
    out.try_into().unwrap_or([0; 34])
}

fn decode_extent(bytes: &[u8; 34]) -> Option<ExtentRow> {
    let mut at = super::bytes::Bytes(bytes);
    Some(ExtentRow {
        offset: at.u64().ok()?,
        stored_bytes: at.u32().ok()?,
        raw_bytes: at.u32().ok()?,
        codec: Codec::from_code(at.u8().ok()?)?,
        kind: ExtentKind::from_code(at.u8().ok()?)?,
        checksum: at.array().ok()?,
    })
}

/// The name of a pack's file, for errors.
impl Located {
    /// Name of the file that holds the chunk.
    pub fn pack_name(&self) -> String {
        pack_name(&self.pack)
    }
}
