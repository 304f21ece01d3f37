//! `schema learn`: a schema that this version does not know, from a server's own zip and its
//! database, trusted only once it gives that very zip.

use std::collections::{BTreeSet, HashSet};
use std::convert::Infallible;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::archive::{
    self, DumpStyle, HISTORY_BYTES_MAX, HISTORY_NAME, History, Learner, MANIFEST_BYTES_MAX,
    MANIFEST_NAME, Manifest, Place, Schema, Table, ZipError, ZipReader, each_row, place_of,
    read_history, read_history_json,
};
use crate::progress::Interrupt;
use crate::source::{DatabaseCopy, Instance, Layout, ScratchFolder, open_private, version};

use super::restore::{copy_to_look_at, live_database};
use super::{Error, Monitor, in_one_line};

/// Zips of `data/backups` that are looked at, the newest first.
const ZIPS_LOOKED_AT: usize = 50;

/// What was learnt.
#[derive(Debug)]
pub struct Learnt {
    /// The schema.
    pub schema: Schema,
    /// Tables of the zip.
    pub tables: usize,
    /// Tables that the database gives byte for byte as in the zip.
    pub same: usize,
    /// Tables of which rows changed between the two.
    pub changed: Vec<String>,
    /// Columns of which nothing told what they hold, and tables without a row.
    pub unsure: Vec<String>,
}

/// Learns the schema of a zip and a private copy of a database with the same history.
pub fn learn_schema(
    zip_path: &Path,
    database: &Path,
    scratch: &Path,
    monitor: &Monitor,
) -> Result<Learnt, Error> {
    let failed = |source| Error::Zip { path: zip_path.to_path_buf(), source: Box::new(source) };
    let refused = |what: String| {
        Error::Refused {
        what: format!("no schema was learned from {}: {what}", zip_path.display()),
        hint: "Create a new backup in the dashboard and run the command immediately, before much changes on the server.".to_owned(),
    }
    };
    let zip = ZipReader::at(zip_path).map_err(failed)?;
    let (manifest, history) = heads(&zip, zip_path)?;
    let db = open_private(database, &monitor.interrupt)
        .map_err(|error| refused(format!("the database cannot be read ({error})")))?;
    let own = read_history(&db)
        .map_err(|error| refused(format!("the database cannot be read ({error})")))?;
    if ids(&own) != ids(&history) {
        return Err(refused("the database and the zip are of different versions of the server: their migrations differ".to_owned()));
    }
    let tables = tables(&zip).map_err(failed)?;
    let mut learner = Learner::new(&db, &history).map_err(|error| refused(in_one_line(&error)))?;
    for (name, number) in &tables {
        if monitor.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let Some(entry) = zip.entries.get(*number) else { continue };
        learner
            .table(name, zip.read(entry).map_err(failed)?)
            .map_err(|error| refused(in_one_line(&error)))?;
    }
    let shown = version::display(&manifest.server_version).to_owned();
    let schema = learner.finish(&shown, &history).map_err(|error| refused(in_one_line(&error)))?;
    rebuild(&zip, &tables, (&schema, &history), scratch, monitor)?.map_err(refused)?;
    let (mut same, mut changed) = (0, Vec::new());
    for (table, (_, number)) in schema.tables.iter().zip(&tables) {
        let Some(entry) = zip.entries.get(*number) else { continue };
        match compare(&db, &schema, table, || zip.read(entry).map_err(failed), scratch)? {
            Compared::Same => same += 1,
            Compared::Changed => changed.push(table.name.clone()),
            Compared::Foreign => {
                return Err(refused(format!(
                    "no row of {} in the zip matches the database",
                    table.name
                )));
            }
        }
    }
    let unsure = unsure(&schema);
    Ok(Learnt { schema, tables: tables.len(), same, changed, unsure })
}

/// The newest zip of a folder that has the history of a database, a private copy.
pub fn zip_of_history(folder: &Path, database: &Path, interrupt: &Interrupt) -> Option<PathBuf> {
    let history = &open_private(database, interrupt).and_then(|db| read_history(&db)).ok()?;
    let mut zips: Vec<(std::time::SystemTime, PathBuf)> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .filter(|entry| {
            entry.path().extension().is_some_and(|kind| kind.eq_ignore_ascii_case("zip"))
                && entry.file_type().is_ok_and(|kind| kind.is_file())
        })
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    zips.sort_by(|a, b| b.cmp(a));
    // Others, and what is no zip at all, lie there too.
    let fits = |path: &PathBuf| {
        ZipReader::at(path)
            .ok()
            .and_then(|zip| heads(&zip, path).ok())
            .is_some_and(|(_, own)| ids(&own) == ids(history))
    };
    zips.into_iter().take(ZIPS_LOOKED_AT).map(|(_, path)| path).find(fits)
}

/// A private copy of a live server's database.
pub fn copy_of_live(
    instance: &Instance,
    scratch: &Path,
    interrupt: &Interrupt,
) -> Result<DatabaseCopy, Error> {
    let file = live_database(&Layout::of(instance))?.ok_or_else(|| Error::Refused {
        what: format!("no database was found in {}", instance.data),
        hint: "Give the server's data directory with --data-dir, or a snapshot with --snapshot."
            .to_owned(),
    })?;
    copy_to_look_at(&file, scratch, interrupt).map_err(|why| Error::Refused {
        what: format!("the database {} could not be copied ({why})", file.shown().display()),
        hint: "Free some space for a copy of it, or give another directory with --scratch-dir."
            .to_owned(),
    })
}

fn ids(history: &[(String, String)]) -> BTreeSet<&str> {
    history.iter().map(|(id, _)| id.as_str()).collect()
}

/// What a zip says of itself.
fn heads(zip: &ZipReader, path: &Path) -> Result<(Manifest, History), Error> {
    let failed = |source| Error::Zip { path: path.to_path_buf(), source: Box::new(source) };
    let not_one = |what: String| Error::NotABackup { path: path.to_path_buf(), what };
    let read = |name: &str, max| {
        let entry = zip.find(name).ok_or_else(|| not_one(format!("it has no {name}")))?;
        zip.read_small(entry, max).map_err(failed)
    };
    let manifest = Manifest::read(&read(MANIFEST_NAME, MANIFEST_BYTES_MAX)?)
        .map_err(|error| not_one(error.to_string()))?;
    let history = read_history_json(read(HISTORY_NAME, HISTORY_BYTES_MAX)?.as_slice())
        .map_err(|error| not_one(error.to_string()))?;
    Ok((manifest, history))
}

/// Names and entries of the tables, in the order of the zip.
fn tables(zip: &ZipReader) -> Result<Vec<(String, usize)>, ZipError> {
    let mut found: Vec<(u64, String, usize)> = Vec::new();
    for (number, entry) in zip.entries.iter().enumerate() {
        if let Place::Table(name) = place_of(&zip.name(entry)) {
            found.push((zip.offset(entry)?, name, number));
        }
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, name, number)| (name, number)).collect())
}

/// Makes a database of the zip's tables and writes them again: each must be the very bytes.
fn rebuild(
    zip: &ZipReader,
    tables: &[(String, usize)],
    (schema, history): (&Schema, &[(String, String)]),
    scratch: &Path,
    monitor: &Monitor,
) -> Result<Result<(), String>, Error> {
    let folder = ScratchFolder::create(scratch).map_err(|source| Error::Target {
        verb: "create a folder in",
        path: scratch.to_path_buf(),
        source,
    })?;
    let path = folder.path.join("jellyfin.db");
    let built = || -> Result<(), String> {
        let db = archive::create(&path, schema, history).map_err(|error| error.to_string())?;
        for (table, (_, number)) in schema.tables.iter().zip(tables) {
            let Some(entry) = zip.entries.get(*number) else { continue };
            let json = zip.read(entry).map_err(|error| in_one_line(&error))?;
            let loaded = archive::load_table(&db, table, json, &|| monitor.interrupt.is_raised())
                .map_err(|error| in_one_line(&error))?;
            if let Some(told) = loaded.told.first() {
                return Err(format!("{}: {told}", table.name));
            }
        }
        archive::finish(db, schema, history, true).map_err(|error| error.to_string())?;
        let db = open_private(&path, &monitor.interrupt).map_err(|error| error.to_string())?;
        for (table, (_, number)) in schema.tables.iter().zip(tables) {
            let Some(entry) = zip.entries.get(*number) else { continue };
            let again = dump_hash(&db, schema, table)
                .map_err(|error| format!("{}: {error}", table.name))?;
            if again
                != reader_hash(zip.read(entry).map_err(|error| in_one_line(&error))?)
                    .map_err(|error| error.to_string())?
            {
                return Err(format!(
                    "the rows of {} cannot be reproduced exactly as in the zip",
                    table.name
                ));
            }
        }
        Ok(())
    };
    let outcome = built();
    if monitor.interrupt.is_raised() { Err(Error::Interrupted) } else { Ok(outcome) }
}

fn reader_hash(mut reader: impl Read) -> std::io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut reader, &mut hasher)?;
    Ok(hasher.finalize())
}

fn dump_hash(db: &Connection, schema: &Schema, table: &Table) -> Result<blake3::Hash, String> {
    let mut hasher = blake3::Hasher::new();
    dump(db, schema, table, &mut |block| {
        hasher.update(block);
    })?;
    Ok(hasher.finalize())
}

fn dump(
    db: &Connection,
    schema: &Schema,
    table: &Table,
    take: &mut dyn FnMut(&[u8]),
) -> Result<(), String> {
    let mut out = |block: &mut Vec<u8>| {
        take(block);
        block.clear();
        Ok::<(), Infallible>(())
    };
    archive::dump_table(db, schema, table, DumpStyle::default(), &mut out)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

/// How a table of the database is to that of the zip.
enum Compared {
    Same,
    /// Some rows are the same, or the one or the other has none.
    Changed,
    Foreign,
}

/// Holds a table of the database against the zip's, as bytes and then row by row: a server goes on
/// writing after it made its zip.
fn compare<R: Read>(
    db: &Connection,
    schema: &Schema,
    table: &Table,
    json: impl Fn() -> Result<R, Error>,
    scratch: &Path,
) -> Result<Compared, Error> {
    let unreadable = |source: std::io::Error| Error::Target {
        verb: "read",
        path: table.name.clone().into(),
        source,
    };
    let mut own = tempfile::tempfile_in(scratch).map_err(unreadable)?;
    let mut written = Ok(());
    let mut hasher = blake3::Hasher::new();
    let dumped = dump(db, schema, table, &mut |block| {
        hasher.update(block);
        if written.is_ok() {
            written = own.write_all(block);
        }
    });
    // Rows that came since may hold what the zip did not tell.
    if dumped.is_err() {
        return Ok(Compared::Changed);
    }
    written.and_then(|()| own.rewind()).map_err(unreadable)?;
    if hasher.finalize() == reader_hash(json()?).map_err(unreadable)? {
        return Ok(Compared::Same);
    }
    let mut rows = HashSet::new();
    let of_database = each_row(own, |row| {
        rows.insert(blake3::hash(row.as_bytes()));
    });
    let (mut all, mut found) = (0u64, 0u64);
    let of_zip = each_row(json()?, |row| {
        all += 1;
        found += u64::from(rows.contains(&blake3::hash(row.as_bytes())));
    });
    of_database.and(of_zip).map_err(|error| unreadable(error.into()))?;
    Ok(if all > 0 && !rows.is_empty() && found == 0 {
        Compared::Foreign
    } else {
        Compared::Changed
    })
}

/// What is not known of a schema, for the user.
fn unsure(schema: &Schema) -> Vec<String> {
    let tables =
        schema.tables.iter().filter(|table| table.is_unseen).map(|table| table.name.clone());
    let columns = schema.tables.iter().filter(|table| !table.is_unseen).flat_map(|table| {
        let unsure = table
            .properties
            .iter()
            .filter(|property| matches!(property.kind, archive::Kind::Unsure(_)));
        unsure.map(|property| format!("{}.{}", table.name, property.name))
    });
    tables.chain(columns).collect()
}
