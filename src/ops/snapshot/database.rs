//! The main database comes first: rows may then point to files that go a moment later, never to
//! files that were not seen.

use std::thread::JoinHandle;

use crate::manifest::{Content, display, find};
use crate::progress::{Phase, Problem};
use crate::source::{
    self, Category, CopyError, DATABASE_PATH, DatabaseFacts, Fingerprint, LiveFile, ScanCache,
    Stat, read_facts,
};

use super::super::ingest::collect::Collector;
use super::super::ingest::item::ReadDone;
use super::super::ingest::item::{BytesFrom, Item, Plan};
use super::super::ingest::job::{Shared, Worker};
use super::super::ingest::old::OldEntries;
use super::super::ingest::packer::{ReadFailure, Sink};
use super::super::ingest::read_file::CopyRead;
use super::super::{Error, Monitor, in_one_line};
use super::SourceSpec;
use super::captured::Captured;
use super::parents::Parents;
use super::plan::{database_fingerprint, database_is_racy};
use super::worth;

/// Captures databases one at a time, on one thread: so there is one private copy at most, and
/// nobody waits for anybody.
pub(super) struct Databases<'a> {
    worker: Worker<'a>,
    /// The copy before, on its way out.
    removal: Option<JoinHandle<()>>,
}

/// A database that was copied and stored.
struct Copied {
    done: ReadDone,
    how: &'static str,
    damage: Option<String>,
    facts: rusqlite::Result<DatabaseFacts>,
    /// What is missing in a library of a server before 10.11.
    library: Option<worth::Library>,
}

impl<'a> Databases<'a> {
    pub(super) fn new(shared: &Shared<'a>) -> Result<Databases<'a>, Error> {
        Ok(Databases { worker: Worker::new(shared)?, removal: None })
    }

    /// Copies a database and stores it; why not, where it cannot be copied.
    fn copy(
        &mut self,
        shared: &Shared<'a>,
        (file, stat): (&LiveFile, &Stat),
        before: Option<&Content>,
        sink: Sink<'_>,
    ) -> Result<Result<Copied, String>, Error> {
        if shared.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        self.finish_removal();
        let copy = match source::copy_database(file, shared.scratch, shared.interrupt) {
            Ok(copy) => copy,
            Err(CopyError::Interrupted) => return Err(Error::Interrupted),
            Err(error @ CopyError::NoSpace(_)) => {
                return Ok(Err(format!("{error}, or give another directory with --scratch-dir")));
            }
            Err(error) => return Ok(Err(in_one_line(&error))),
        };
        let read = self.worker.read_copy(shared, &copy, (file, stat), before, sink);
        let CopyRead { done, damage, facts } = match read {
            Ok(read) => read,
            Err(ReadFailure::Fatal(error)) => return Err(error),
            Err(ReadFailure::Io(error)) => return Ok(Err(error.to_string())),
        };
        self.worker.flush(sink)?;
        let damage = damage.or_else(|| copy.oddity.clone());
        let how = copy.how;
        let is_library = file
            .shown()
            .file_name()
            .is_some_and(|name| worth::LIBRARY.ends_with(name.as_encoded_bytes()));
        let library = if is_library && damage.is_none() {
            worth::of_library(&copy.path, done.size, shared.interrupt)
        } else {
            None
        };
        self.removal = Some(std::thread::spawn(move || drop(copy)));
        Ok(Ok(Copied { done, how, damage, facts, library }))
    }

    /// Stores the databases of a batch that changed, before a worker takes on the rest of it.
    pub(super) fn take_out(
        &mut self,
        shared: &Shared<'a>,
        category: Category,
        plans: &mut [Plan],
        collector: &mut Collector<'a>,
    ) -> Result<(), Error> {
        let is_database = |item: &Item| matches!(item.bytes_from, BytesFrom::Database);
        for plan in plans.iter_mut().filter(|_| !shared.dry_run) {
            let Plan::Build { items, old } = plan else { continue };
            if !items.iter().any(is_database) {
                continue;
            }
            let mut past = OldEntries::read(old, shared.cache, &mut self.worker.reader)?;
            let mut kept = Vec::with_capacity(items.len());
            for mut item in std::mem::take(items) {
                let before = past.take(&item.path);
                let is_known = before
                    .as_ref()
                    .is_some_and(|(_, known)| known.is_trusted() && *known == item.fingerprint);
                if let (BytesFrom::Database, false) = (&item.bytes_from, is_known) {
                    let content = before.as_ref().and_then(|(entry, _)| entry.content());
                    let file = shared.layout.live_file(&item.path);
                    let copied = match &file {
                        Ok(file) => {
                            self.copy(shared, (file, &item.stat), content, &mut |extent| {
                                collector.extent(category, extent)
                            })?
                        }
                        Err(error) => Err(error.to_string()),
                    };
                    collector.copied.insert(item.path.clone());
                    let problem = match copied {
                        Ok(copied) => {
                            if file.is_ok_and(|file| {
                                database_is_racy(&file, &item.stat, shared.scan_start_ns)
                            }) {
                                item.fingerprint = Fingerprint::NEVER;
                            }
                            item.bytes_from = BytesFrom::Stored(Box::new(copied.done));
                            let path = display(&item.path);
                            kept.push(item);
                            let library =
                                copied.library.filter(|_| path.as_bytes() == worth::LIBRARY);
                            collector.library_is_empty |=
                                library == Some(worth::Library::WithoutItems);
                            let worthless = library.and_then(|library| {
                                if let worth::Library::Worthless(what) = library {
                                    Some(what.to_owned())
                                } else {
                                    None
                                }
                            });
                            copied.damage.or(worthless).map(|what| Problem { path, what })
                        }
                        Err(why) => {
                            let what = format!(
                                "the database could not be copied ({why}), so it is not in this snapshot"
                            );
                            Some(Problem { path: display(&item.path), what })
                        }
                    };
                    if let Some(problem) = problem {
                        shared.progress.problem(&problem);
                        collector.problem(problem);
                    }
                } else {
                    kept.push(item);
                }
            }
            *items = kept;
        }
        Ok(())
    }

    fn finish_removal(&mut self) {
        // Removing cannot panic; what could not be removed is swept later.
        crate::tolerate(self.removal.take().map_or(Ok(()), JoinHandle::join));
    }
}

impl Drop for Databases<'_> {
    fn drop(&mut self) {
        self.finish_removal();
    }
}

/// Copies the main database and stores it, unless nothing was written to it since the parent.
pub(super) fn capture<'a>(
    spec: &SourceSpec,
    shared: &Shared<'a>,
    databases: &mut Databases<'a>,
    (parents, earlier): (&Parents, &worth::Before<'_>),
    monitor: &Monitor,
    sink: Sink<'_>,
) -> Result<Captured, Error> {
    let mut captured = Captured::of(spec);
    let Some((stat, file)) = captured.find(spec) else { return Ok(captured) };
    let key = shared.repository.hashing().path_key(DATABASE_PATH);
    let fingerprint = database_fingerprint(&file, stat.fingerprint(&key));
    let root = shared.roots.iter().position(|(root, _)| root.logical == b"data").unwrap_or(0);
    let item = |bytes_from, fingerprint| Item {
        root,
        path: DATABASE_PATH.to_vec(),
        stat,
        key,
        fingerprint,
        link_group: None,
        bytes_from,
    };
    let is_unchanged = is_unchanged(fingerprint, parents, shared.cache);
    if let (true, Some(parent)) = (is_unchanged, &parents.record) {
        captured.take_over(parent);
    }
    if shared.dry_run && stat.size == 0 {
        worth::of_database(0, None, earlier).into_iter().for_each(|what| captured.problem(what));
    }
    if is_unchanged || shared.dry_run {
        captured.item = Some(item(BytesFrom::Database, fingerprint));
        return Ok(captured);
    }
    monitor.progress.phase(Phase::Database, 1, stat.size);
    let before = before(parents, &mut databases.worker)?;
    let copied = match databases.copy(shared, (&file, &stat), before.as_ref(), sink)? {
        Ok(copied) => copied,
        Err(why) => {
            let what = format!(
                "the database could not be copied ({why}), so users, watch state and library are not in this snapshot"
            );
            captured.problem(what);
            return Ok(captured);
        }
    };
    let (done, damage) = (copied.done, copied.damage);
    // SQLite's own word of a damaged database is the better one.
    let worth = || worth::of_database(done.size, copied.facts.as_ref().ok(), earlier);
    let worth = damage.is_none().then(worth).flatten();
    match copied.facts {
        Ok(facts) => captured.learn(facts, earlier),
        // A damaged database is told with its bytes; what it would have told is missing then.
        Err(error) if damage.is_none() => {
            let what = format!(
                "it cannot be read as a database ({error}). The file is in this snapshot unchanged, but its server and version are unknown"
            );
            captured.problem(what);
        }
        Err(_) => {}
    }
    captured.remarks.details.push(format!("the database was copied {}", copied.how));
    tracing::debug!(how = copied.how, bytes = done.size, "copied the database");
    if let Some(pages) = done.pages {
        captured.remarks.details.push(format!(
            "of the database's {} pages, the content of about {} is new to the repository",
            pages.pages, pages.new
        ));
    }
    captured
        .problems
        .extend(damage.or(worth).map(|what| Problem { path: "data/jellyfin.db".to_owned(), what }));
    // Written to meanwhile, or just before: what the copy holds is right, the stat must not be
    // trusted.
    let racy = database_is_racy(&file, &stat, shared.scan_start_ns);
    captured.item = Some(item(
        BytesFrom::Stored(Box::new(done)),
        if racy { Fingerprint::NEVER } else { fingerprint },
    ));
    Ok(captured)
}

/// Whether an upgrade went on with the main database while the others were copied: the databases of
/// one snapshot belong together. Only a server before 10.11, or one that leaves it, has others.
pub(super) fn has_moved_on(spec: &SourceSpec, shared: &Shared<'_>, history: Option<&str>) -> bool {
    let Some(file) = spec
        .layout
        .live_file(DATABASE_PATH)
        .ok()
        .filter(|_| !shared.dry_run && spec.layout.open(b"data/library.db").is_some())
    else {
        return false;
    };
    // What cannot be copied or read was told when it was captured.
    let now = source::copy_database(&file, shared.scratch, shared.interrupt)
        .ok()
        .and_then(|copy| read_facts(&copy.path, shared.interrupt).ok());
    now.is_some_and(|facts| facts.history.as_deref() != history)
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
    let (Some(record), Some(cache)) = (parents.categories.get(&Category::Database), cache) else {
        return false;
    };
    let Some(section) = cache.section(Category::Database, &record.manifest) else { return false };
    section
        .runs
        .iter()
        .filter_map(|run| cache.fingerprints(run))
        .flatten()
        .any(|known| known.is_trusted() && known == fingerprint)
}
