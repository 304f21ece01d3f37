//! The main database comes first: rows may then point to files that go a moment later, never to files that were not seen.

use std::thread::JoinHandle;

use crate::manifest::{Content, Directories, ServerRecord, find};
use crate::progress::{Phase, Problem};
use crate::source::{self, Category, DATABASE_PATH, Fingerprint, ScanCache, Stat, read_facts};

use super::super::{Error, Watch, in_one_line};
use super::SourceSpec;
use super::job::{BytesFrom, Item, Shared, Worker};
use super::packer::{ReadFailure, Sink};
use super::parents::Parents;
use super::plan::database_fingerprint;

/// What is known of the database before the scan.
#[derive(Default)]
pub(super) struct Captured {
    pub item: Option<Item>,
    pub server: ServerRecord,
    pub seen_by_server: Directories,
    pub problems: Vec<Problem>,
    pub remarks: Vec<String>,
    /// Removes the private copy meanwhile; to be joined before the capture ends.
    pub removal: Option<JoinHandle<()>>,
}

/// Copies the main database and stores it, unless nothing was written to it since the parent.
pub(super) fn capture<'a>(
    spec: &SourceSpec,
    shared: &Shared<'a>,
    worker: &mut Worker<'a>,
    parents: &Parents,
    watch: Watch<'_>,
    sink: Sink<'_>,
) -> Result<Captured, Error> {
    let mut captured = Captured {
        server: ServerRecord { version: spec.server.version.clone(), id: spec.server.id.clone(), ..ServerRecord::default() },
        ..Captured::default()
    };
    let Some(path) = spec.layout.locate(DATABASE_PATH) else { return Ok(captured) };
    let key = shared.repository.hashing().path_key(DATABASE_PATH);
    let stat = match Stat::of_path(&path) {
        Ok(stat) if stat.is_file() => stat,
        _ => {
            // Where a plugin keeps the database, that was said already.
            if spec.expects_database {
                let what = format!("there is no database at {}; users, watch state and library are not in this snapshot", path.display());
                captured.problems.push(Problem { path: "data/jellyfin.db".to_owned(), what });
            } else if spec.problems.is_empty() {
                captured.remarks.push(format!("there is no database at {}: this snapshot holds files only", path.display()));
            }
            return Ok(captured);
        }
    };
    let fingerprint = database_fingerprint(&path, stat.fingerprint(&key));
    let root = shared.roots.iter().position(|(root, _)| root.logical == b"data").unwrap_or(0);
    let item = |bytes_from, fingerprint| Item { root, path: DATABASE_PATH.to_vec(), stat, key, fingerprint, link_group: None, bytes_from };
    let is_unchanged = is_unchanged(fingerprint, parents, shared.cache);
    if let (true, Some(parent)) = (is_unchanged, &parents.record) {
        let own = std::mem::take(&mut captured.server);
        captured.server =
            ServerRecord { version: own.version.filter(|learnt| learnt.exact).or_else(|| parent.server.version.clone()), id: own.id, ..parent.server.clone() };
        captured.seen_by_server = parent.source.seen_by_server.clone();
    }
    if is_unchanged || shared.dry_run {
        captured.item = Some(item(BytesFrom::Database(path), fingerprint));
        return Ok(captured);
    }
    watch.progress.phase(Phase::Database, 1, stat.size);
    let lost = |error: &dyn std::error::Error| Problem {
        path: "data/jellyfin.db".to_owned(),
        what: format!("the database could not be copied ({}); users, watch state and library are not in this snapshot", in_one_line(error)),
    };
    let copy = match source::copy_database(&path, shared.scratch) {
        Ok(copy) => copy,
        Err(error) => {
            captured.problems.push(lost(&error));
            return Ok(captured);
        }
    };
    let before = before(parents, worker)?;
    let mut damage = None;
    let read = worker.read_copy(shared, &copy, (&path, &stat), before.as_ref(), &mut |what| damage = Some(what), sink);
    let done = match read {
        Ok(done) => done,
        Err(ReadFailure::Fatal(error)) => return Err(error),
        Err(ReadFailure::Io(error)) => {
            captured.problems.push(lost(&error));
            return Ok(captured);
        }
    };
    match read_facts(&copy.path) {
        Ok(facts) => {
            let lower_bound = facts.code_migration.as_ref().map(source::version::from_history);
            captured.server.version = captured.server.version.take().or(lower_bound);
            captured.server.schema = facts.schema;
            captured.server.code_migration = facts.code_migration.map(|(id, _)| id);
            captured.server.history = facts.history;
            captured.seen_by_server = facts.directories;
        }
        // A damaged database is told with its bytes; what it would have told is missing then.
        Err(error) if damage.is_none() => captured.remarks.push(format!("the database does not tell its schema ({error})")),
        Err(_) => {}
    }
    captured.remarks.push(format!("the database was copied {}", copy.how));
    captured.removal = Some(std::thread::spawn(move || drop(copy)));
    if let Some(pages) = done.pages {
        captured.remarks.push(format!("{} of the database's {} pages are new to the repository", pages.new, pages.pages));
    }
    captured.problems.extend(damage.map(|what| Problem { path: "data/jellyfin.db".to_owned(), what }));
    // Written to meanwhile, or just before: what the copy holds is right, the stat must not be trusted.
    let racy = stat.is_racy(shared.scan_start_ns);
    captured.item = Some(item(BytesFrom::Stored(Box::new(done)), if racy { Fingerprint::NEVER } else { fingerprint }));
    Ok(captured)
}

/// What the parent holds of the main database.
fn before(parents: &Parents, worker: &mut Worker<'_>) -> Result<Option<Content>, Error> {
    let Some(record) = parents.categories.get(&Category::Database) else { return Ok(None) };
    match find(&mut worker.reader, record.manifest, DATABASE_PATH) {
        Ok(entry) => Ok(entry.and_then(|entry| entry.content().cloned())),
        // A parent that cannot be read is no parent.
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the parent holds the database with this very fingerprint.
fn is_unchanged(fingerprint: Fingerprint, parents: &Parents, cache: Option<&ScanCache>) -> bool {
    let (Some(record), Some(cache)) = (parents.categories.get(&Category::Database), cache) else { return false };
    let Some(section) = cache.section(Category::Database, &record.manifest) else { return false };
    section.runs.iter().filter_map(|run| cache.fingerprints(run)).flatten().any(|known| known.is_trusted() && known == fingerprint)
}
