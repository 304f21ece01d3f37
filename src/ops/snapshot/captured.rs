//! What is known of the main database before the walk, and what is wrong with it.

use crate::manifest::{Directories, Learnt, ServerRecord, SnapshotRecord, UPGRADE};
use crate::progress::Problem;
use crate::source::{self, DATABASE_PATH, DatabaseFacts, LiveFile, Stat};

use super::super::ingest::item::Item;
use super::{SourceSpec, worth};

/// What is known of the database before the scan.
#[derive(Default)]
pub(super) struct Captured {
    pub item: Option<Item>,
    pub server: ServerRecord,
    pub seen_by_server: Directories,
    pub problems: Vec<Problem>,
    pub remarks: Remarks,
}

/// What the user should know and is no problem.
#[derive(Default)]
pub(super) struct Remarks {
    /// Something is missing, or something that was asked for had no effect.
    pub notices: Vec<String>,
    /// How it was done.
    pub details: Vec<String>,
}

impl Captured {
    /// Nothing but what is known of the server without its database.
    pub(super) fn of(spec: &SourceSpec) -> Captured {
        let server = ServerRecord {
            version: spec.server.version.clone(),
            id: spec.server.id.clone(),
            ..ServerRecord::default()
        };
        Captured { server, ..Captured::default() }
    }

    /// The main database where it is a file; what is there instead is told.
    pub(super) fn find(&mut self, spec: &SourceSpec) -> Option<(Stat, LiveFile)> {
        let path = spec.layout.locate(DATABASE_PATH)?;
        let found = spec.layout.live_file(DATABASE_PATH);
        if let Err(error) = &found
            && error.is_untrusted()
        {
            self.problem(format!("{error}, so the database is not in this snapshot. {NAME_IT}"));
            return None;
        }
        match found.ok().and_then(|file| Some((file.stat().ok()?, file))) {
            Some((stat, file)) if stat.is_file() => return Some((stat, file)),
            Some((stat, _)) if !stat.is_symlink() => {
                self.problem(format!("{} is not a regular file, so users, watch state and library are not in this snapshot", path.display()));
            }
            _ if spec.expects_database => {
                self.problem(format!("there is no database at {}, so users, watch state and library are not in this snapshot", path.display()));
            }
            // Where a plugin keeps the database, that was said already.
            _ if spec.problems.is_empty() => self.remarks.notices.push(format!(
                "there is no database at {}: this snapshot contains files only",
                path.display()
            )),
            _ => {}
        }
        None
    }

    /// Takes in what the database tells of its server.
    pub(super) fn learn(&mut self, facts: DatabaseFacts, earlier: &worth::Before<'_>) {
        let told = self.server.version.take();
        // In an upgrade the newest log may still be the older version's.
        let upgrade = worth::of_upgrade(&facts, earlier, told.as_ref());
        self.server.version = version_of(told, &facts);
        if let Some((to, problem)) = upgrade {
            let how = "the upgrade that was in progress: this version or a later one";
            let known = self.server.version.take().filter(|known| {
                source::version::parse(&known.value) >= source::version::parse(&to)
            });
            self.server.version =
                known.or_else(|| Some(Learnt { value: to, how: how.to_owned(), exact: false }));
            self.problems.push(problem);
        }
        self.server.schema = facts.schema;
        self.server.code_migration = facts.code_migration.map(|(id, _)| id);
        self.server.history = facts.history;
        self.seen_by_server = facts.directories;
    }

    /// Takes over what the parent snapshot knows of a database that did not change.
    pub(super) fn take_over(&mut self, parent: &SnapshotRecord) {
        let own = std::mem::take(&mut self.server);
        let number = |learnt: &Learnt| source::version::parse(&learnt.value);
        let known = parent.server.version.clone();
        // A log may still name the version that an upgrade began with: the database knows better.
        let told = own.version.filter(|learnt| {
            learnt.exact
                && !parent.is_upgrading()
                && known.as_ref().is_none_or(|known| number(learnt) >= number(known))
        });
        self.server = ServerRecord { version: told.or(known), id: own.id, ..parent.server.clone() };
        self.seen_by_server = parent.source.seen_by_server.clone();
        // What was wrong with it is wrong with it still.
        let is_about_it =
            |problem: &&Problem| ["data/jellyfin.db", UPGRADE].contains(&problem.path.as_str());
        self.problems.extend(parent.problems.iter().filter(is_about_it).cloned());
    }

    pub(super) fn problem(&mut self, what: String) {
        self.problems.push(Problem { path: "data/jellyfin.db".to_owned(), what });
    }
}

/// What to do about a place that is not trusted.
pub(super) const NAME_IT: &str = "If the path is right, give it once with --database, --metadata-dir or --config-dir; or make root the owner of the link (chown -h root); or follow links with --follow-roots";

/// The server's version: what is known exactly, else what the database says at least. A log or a
/// file of an older server may lie about: no server opens the database of a newer one.
fn version_of(known: Option<Learnt>, facts: &DatabaseFacts) -> Option<Learnt> {
    let least = match &facts.code_migration {
        Some(code) => Some(source::version::from_history(code)),
        None => facts.schema.as_deref().and_then(source::version::from_schema),
    };
    let parse = |learnt: &Learnt| source::version::parse(&learnt.value);
    known.filter(|known| least.as_ref().is_none_or(|least| parse(known) >= parse(least))).or(least)
}
