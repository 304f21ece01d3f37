//! The snapshot's database on its way into a zip: a private copy, checked, mended, and poured as
//! tables or page for page.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rusqlite::Connection;

use crate::archive::{
    self, DATABASE_NAME, DumpError, HISTORY_NAME, History, MendError, Repairs, Schema, Standing,
    dump_history, dump_table, read_history,
};
use crate::manifest::{Entry, Kind, SnapshotId, SnapshotRecord, display};
use crate::progress::Interrupt;
use crate::source::{
    DATABASE_PATH, ScratchFolder, open_private, quick_check, refuse_computed, side_file, wary,
    watch,
};
use crate::store::{ChunkReader, Repository};

use super::super::content::write_content;
use super::super::ls::short;
use super::super::{Error, Monitor};
use super::pour::{BLOCK_BYTES, HUGE_BYTES, Pourer};
use super::{ExportKind, ExportOptions};

/// Plain bytes of tables for each byte of the database, at most: what stands in a name or two there
/// is a key in every row here.
const JSON_FACTOR: u64 = 24;

/// Mode of the tables, as the server sets it.
const TABLE_MODE: u32 = 0o644;

/// Writes a database out of the repository into a folder of its own, which goes when it is dropped.
pub(super) fn private_copy(
    entry: &Entry,
    logical: &[u8],
    id: &SnapshotId,
    repository: &Repository,
    reader: &mut ChunkReader<'_>,
) -> Result<(ScratchFolder, PathBuf), Error> {
    let Kind::File { size, content } = &entry.kind else {
        return Err(Error::NotAFile { path: display(logical), kind: "directory" });
    };
    let scratch = repository.scratch_folder();
    let failed = |path: PathBuf| {
        move |source| Error::Target {
            verb: "write a private copy of the database to",
            path,
            source,
        }
    };
    let folder = ScratchFolder::create(&scratch).map_err(failed(scratch))?;
    // A copy that is mended grows by what is put in, and its journal lies beside it.
    folder.check_space(size * 5 / 4).map_err(|error| Error::Refused {
        what: format!("there is no room for a private copy of the database: {error}"),
        hint: "Free some space on the repository's disk or in the system's temporary directory."
            .to_owned(),
    })?;
    let path = folder.path.join("jellyfin.db");
    let file = File::create_new(&path).map_err(failed(path.clone()))?;
    let written = write_content(reader, content, *size, |offset, bytes| {
        file.write_all_at(bytes, offset).map_err(failed(path.clone()))
    });
    written.map_err(|error| match error {
        error @ Error::Target { .. } => error,
        error => Error::Unreadable {
            snapshot: short(id),
            path: display(logical),
            source: Box::new(error),
        },
    })?;
    file.set_len(*size).map_err(failed(path.clone()))?;
    Ok((folder, path))
}

/// A private copy of a snapshot's database.
pub(super) struct PrivateDatabase {
    _folder: ScratchFolder,
    path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its migrations.
    pub history: History,
    /// Whether it is that of a whole version.
    pub standing: Standing,
    /// Its schema, where it is known.
    pub schema: Option<&'static Schema>,
    /// A migration that was cut off had left its lock, which was taken out.
    pub was_locked: bool,
    mode: u32,
    mtime_ns: i64,
}

impl PrivateDatabase {
    /// Writes it out of the repository and looks at it.
    pub(super) fn fetch(
        entry: &Entry,
        id: &SnapshotId,
        repository: &Repository,
        reader: &mut ChunkReader<'_>,
        kind: ExportKind,
        interrupt: &Interrupt,
    ) -> Result<PrivateDatabase, Error> {
        let (folder, path) = private_copy(entry, DATABASE_PATH, id, repository, reader)?;
        if let Err(damage) = quick_check(&path, interrupt) {
            if interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            return Err(Error::Refused {
                what: format!("the database of snapshot {} is damaged ({damage}). A zip of it would leave the server without items and users", short(id)),
                hint:
                    "Choose an older snapshot (see jellyvault list). To get the damaged database itself: jellyvault restore SNAPSHOT --to DIR --only database."
                        .to_owned(),
            });
        }
        let mut database = PrivateDatabase {
            _folder: folder,
            path,
            bytes: entry.size(),
            history: History::new(),
            standing: Standing::Unknown,
            schema: None,
            was_locked: false,
            mode: entry.mode,
            mtime_ns: super::item::mtime_ns(entry),
        };
        let db = open_private(&database.path, interrupt)
            .map_err(|source| database.failed("__EFMigrationsHistory", source))?;
        database.history =
            read_history(&db).map_err(|source| database.failed("__EFMigrationsHistory", source))?;
        database.standing = Standing::of(&database.history);
        // An exact zip needs none; who needs it refuses with the reason (`Facts::of`).
        database.schema = Schema::of(&database.history).ok();
        let locked: rusqlite::Result<i64> =
            db.query_row("SELECT count(*) FROM \"__EFMigrationsLock\"", [], |row| row.get(0));
        drop(db);
        // The table came with EF Core 9: without it there is no lock.
        // Left where a migration was cut off, it would keep the server from starting
        // (reference/jellyfin.md 1.3).
        if kind == ExportKind::Exact && locked.is_ok_and(|rows| rows > 0) {
            database
                .clear_lock()
                .map_err(|source| database.failed("__EFMigrationsLock", source))?;
            database.was_locked = true;
        }
        Ok(database)
    }

    fn failed(&self, table: &str, source: rusqlite::Error) -> Error {
        Error::Mend(MendError::Sqlite { table: table.to_owned(), source })
    }

    fn clear_lock(&self) -> rusqlite::Result<()> {
        let db = Connection::open(&self.path)?;
        wary(&db)?;
        db.execute("DELETE FROM \"__EFMigrationsLock\"", [])?;
        // In a database with a log the change stands in the log until it is folded in.
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        db.close().map_err(|(_, error)| error)
    }

    fn open_to_mend(&self, interrupt: &Interrupt) -> rusqlite::Result<Connection> {
        let mut db = Connection::open(&self.path)?;
        wary(&db)?;
        // Indexes of expressions are there in Jellyfin's own, and are computed when rows change.
        watch(&mut db, interrupt)?;
        refuse_computed(&db)?;
        Ok(db)
    }

    /// Mends its rows and, where the zip is for another version, its history.
    pub(super) fn mend(
        &mut self,
        schema: Option<&Schema>,
        time_ns: i128,
        retargets: bool,
        monitor: &Monitor,
    ) -> Result<Repairs, Error> {
        let Some(schema) = schema else { return Ok(Repairs::default()) };
        let own = self.schema.unwrap_or(schema);
        let db = self
            .open_to_mend(&monitor.interrupt)
            .map_err(|source| self.failed("BaseItems", source))?;
        let _held_up = monitor.interrupt.out_of_hand();
        let repairs = archive::mend(&db, own, time_ns, &|| monitor.interrupt.is_raised()).map_err(
            |error| match error {
                MendError::Stopped => Error::Interrupted,
                error => Error::Mend(error),
            },
        )?;
        if retargets {
            let names = archive::clashing_names(&db, own, schema)
                .map_err(|source| self.failed("Users", source))?;
            if !names.is_empty() {
                return Err(Error::Refused {
                    what: format!("the users {} differ only in upper and lower case, which {} does not allow", names.join(" and "), schema.versions),
                    hint: "Rename one of them in the dashboard and take a new snapshot, or use export --exact: then the server migrates the database itself."
                        .to_owned(),
                });
            }
            let version = self
                .history
                .iter()
                .rev()
                .map(|(_, version)| version)
                .find(|version| version.split('.').count() < 4)
                .cloned()
                .unwrap_or_default();
            for id in &schema.migrations {
                if !self.history.iter().any(|(has, _)| has == id) {
                    self.history.push((id.clone(), version.clone()));
                }
            }
            self.history.sort();
        }
        self.bytes = std::fs::metadata(&self.path).map_or(self.bytes, |file| file.len());
        Ok(repairs)
    }

    /// Pours it into the zip; whether it holds home sections.
    pub(super) fn pour(
        &self,
        pourer: &mut Pourer<'_>,
        schema: Option<&Schema>,
        record: &SnapshotRecord,
        options: &ExportOptions,
    ) -> Result<bool, Error> {
        let Some(_) = schema else {
            self.pour_pages(pourer)?;
            return Ok(false);
        };
        // The database has the tables of its own schema; those of the one it is retargeted to are
        // the same.
        let own = self.schema.or(schema).into_iter();
        let db = open_private(&self.path, pourer.interrupt())
            .map_err(|source| self.failed("BaseItems", source))?;
        for schema in own {
            for table in &schema.tables {
                let may_be_huge = self.bytes.saturating_mul(JSON_FACTOR) >= u64::from(u32::MAX);
                pourer.begin(
                    &format!("Database/{}.json", table.name),
                    record.time_ns,
                    TABLE_MODE,
                    true,
                    may_be_huge,
                )?;
                let mut push = |block: &mut Vec<u8>| {
                    pourer.push(std::mem::replace(block, Vec::with_capacity(block.capacity())))
                };
                dump_table(&db, schema, table, options.style(), &mut push).map_err(|error| match error {
                    DumpError::Out(error) => error,
                    DumpError::Sqlite { table, source } => self.failed(&table, source),
                    error @ DumpError::Unlearnt { .. } => Error::Refused {
                        what: format!("the tables cannot be written: {error}"),
                        hint:
                            "Create a backup in the dashboard and learn its schema again: jellyvault schema learn ZIP. Or use export --exact, which needs no schema."
                                .to_owned(),
                    },
                    DumpError::Fault { table, column, what } => Error::Unmended { table, column, what },
                })?;
                pourer.end()?;
            }
        }
        pourer.bytes(HISTORY_NAME, &dump_history(&self.history), record.time_ns)?;
        // Only for a word to the user: a database without the table has no home sections to lose.
        let sections: rusqlite::Result<i64> =
            db.query_row("SELECT count(*) FROM \"HomeSection\"", [], |row| row.get(0));
        Ok(sections.is_ok_and(|rows| rows > 0))
    }

    fn pour_pages(&self, pourer: &mut Pourer<'_>) -> Result<(), Error> {
        let failed = |source| Error::Target { verb: "read", path: self.path.clone(), source };
        // What is left of the log was folded in; none may be beside it.
        debug_assert!(!side_file(&self.path, "-wal").exists(), "a log was left beside the copy");
        let mut file = File::open(&self.path).map_err(failed)?;
        pourer.begin(DATABASE_NAME, self.mtime_ns, self.mode, true, self.bytes >= HUGE_BYTES)?;
        loop {
            let mut block = Vec::new();
            (&mut file).take(BLOCK_BYTES as u64).read_to_end(&mut block).map_err(failed)?;
            if block.is_empty() {
                return pourer.end();
            }
            pourer.push(block)?;
        }
    }
}
