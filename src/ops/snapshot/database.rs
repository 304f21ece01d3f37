//! The main database comes first: rows may then point to files that go a moment later, never to files that were not seen.

use std::path::Path;
use std::sync::Arc;

use crate::chunk::Hashing;
use crate::manifest::{Directories, ServerRecord};
use crate::progress::{Phase, Problem};
use crate::source::{self, Category, DATABASE_PATH, Fingerprint, ScanCache, ScanRoot, Stat, read_facts};

use super::super::{Watch, in_one_line};
use super::job::{BytesFrom, Item};
use super::plan::database_fingerprint;
use super::{Parents, SourceSpec};

/// What is known of the database before the scan.
#[derive(Default)]
pub(super) struct Captured {
    pub item: Option<Item>,
    pub server: ServerRecord,
    pub seen_by_server: Directories,
    pub problems: Vec<Problem>,
    pub remarks: Vec<String>,
}

/// Copies the main database, unless nothing was written to it since the parent.
#[expect(clippy::too_many_arguments, reason = "each is one fact of the capture that is under way")]
pub(super) fn capture(
    spec: &SourceSpec,
    roots: &[ScanRoot],
    hashing: &Hashing,
    parents: &Parents,
    cache: Option<&ScanCache>,
    scratch: &Path,
    dry_run: bool,
    scan_start_ns: i128,
    watch: Watch<'_>,
) -> Captured {
    let mut captured = Captured {
        server: ServerRecord { version: spec.server.version.clone(), id: spec.server.id.clone(), ..ServerRecord::default() },
        ..Captured::default()
    };
    let Some(path) = spec.layout.locate(DATABASE_PATH) else { return captured };
    let key = hashing.path_key(DATABASE_PATH);
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
            return captured;
        }
    };
    let fingerprint = database_fingerprint(&path, stat.fingerprint(&key));
    let root = roots.iter().position(|root| root.logical == b"data").unwrap_or(0);
    let item = |bytes_from, fingerprint| Item { root, path: DATABASE_PATH.to_vec(), stat, key, fingerprint, link_group: None, bytes_from };
    if is_unchanged(fingerprint, parents, cache)
        && let Some(parent) = &parents.record
    {
        let own = std::mem::take(&mut captured.server);
        captured.server =
            ServerRecord { version: own.version.filter(|learnt| learnt.exact).or_else(|| parent.server.version.clone()), id: own.id, ..parent.server.clone() };
        captured.seen_by_server = parent.source.seen_by_server.clone();
        captured.item = Some(item(BytesFrom::Copy(None), fingerprint));
        return captured;
    }
    if dry_run {
        captured.item = Some(item(BytesFrom::Copy(None), fingerprint));
        return captured;
    }
    watch.progress.phase(Phase::Database, 1, stat.size);
    match source::copy_database(&path, scratch) {
        Ok(copy) => {
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
                Err(error) if copy.damage.is_none() => captured.remarks.push(format!("the database does not tell its schema ({error})")),
                Err(_) => {}
            }
            captured.remarks.push(format!("the database was copied {}", copy.how));
            // Written to meanwhile, or just before: what the copy holds is right, the stat must not be trusted.
            let racy = stat.is_racy(scan_start_ns);
            captured.item = Some(item(BytesFrom::Copy(Some(Arc::new(copy))), if racy { Fingerprint::NEVER } else { fingerprint }));
        }
        Err(error) => {
            let what = format!("the database could not be copied ({}); users, watch state and library are not in this snapshot", in_one_line(&error));
            captured.problems.push(Problem { path: "data/jellyfin.db".to_owned(), what });
        }
    }
    captured
}

/// Whether the parent holds the database with this very fingerprint.
fn is_unchanged(fingerprint: Fingerprint, parents: &Parents, cache: Option<&ScanCache>) -> bool {
    let (Some(record), Some(cache)) = (parents.categories.get(&Category::Database), cache) else { return false };
    let Some(section) = cache.section(Category::Database, &record.manifest) else { return false };
    section.runs.iter().filter_map(|run| cache.fingerprints(run)).flatten().any(|known| known.is_trusted() && known == fingerprint)
}
