//! One capture: what is known of it before the first file is looked at.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::manifest::{Catalog, HALF_MOVED, SnapshotRecord, Standing, went_back};
use crate::progress::{Monitor, Problem};
use crate::source::{Category, Layout, Rules, ScanCache, ScanCacheWriter, ScanRoot};
use crate::store::{ChunkReader, Index, PackStreams, Repository};

use super::super::Error;
use super::super::ingest::collect::Collector;
use super::super::ingest::job::Shared;
use super::super::ingest::old::OldRuns;
use super::super::ingest::packer::Packer;
use super::captured::Captured;
use super::database::{self, Databases};
use super::parents::Parents;
use super::{SnapshotOptions, SourceSpec, clock, walk, worth};

/// What a capture is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A snapshot.
    Keep,
    /// To know what a snapshot would hold: the manifests stay in memory, contents are dropped once
    /// they are hashed.
    Look,
}

/// One capture.
pub(super) struct Run<'r> {
    pub repository: &'r Repository,
    pub spec: &'r SourceSpec,
    pub options: &'r SnapshotOptions,
    pub purpose: Purpose,
    pub monitor: &'r Monitor,
    pub begun: Instant,
    /// Nanoseconds since 1970.
    pub scan_start_ns: i128,
    /// Names the source.
    pub key: String,
    pub rules: Rules,
    pub wanted: Vec<Category>,
    pub parents: Parents,
    /// The server's id; of one that lost it, that of the server that the last snapshot of this
    /// directory is of.
    pub server: Option<String>,
    /// What is wrong with the repository's list and the machine's clock.
    problems: Vec<Problem>,
}

impl<'r> Run<'r> {
    pub(super) fn begin(
        repository: &'r Repository,
        spec: &'r SourceSpec,
        options: &'r SnapshotOptions,
        purpose: Purpose,
        monitor: &'r Monitor,
    ) -> Result<Run<'r>, Error> {
        let begun = Instant::now();
        let scan_start_ns = clock::now_ns();
        let key = source_key(&options.host, &spec.layout);
        let rules = rules(repository, spec, options)?;
        let wanted: Vec<Category> = Category::ALL
            .into_iter()
            .filter(|c| rules.wants(*c) && (spec.layout.is_instance || *c == Category::Other))
            .collect();
        let server = spec.server.id.clone().map_or_else(
            || server_of_place(repository, &options.host, &spec.layout),
            |id| Ok(Some(id)),
        )?;
        let parents = Parents::find(repository, &key, server.as_deref(), &wanted)?;
        let mut run = Run {
            repository,
            spec,
            options,
            purpose,
            monitor,
            begun,
            scan_start_ns,
            key,
            rules,
            wanted,
            parents,
            server,
            problems: Vec::new(),
        };
        if run.keeps() {
            // Repositories of older programs had no copy of their settings, and one that is new may
            // have been cut off before it was written.
            if run.parents.newest.is_none() || repository.config().format == 1 {
                repository.complete_config()?;
            }
            let gone_back = went_back(repository)?.map(|went_back| went_back.problem());
            run.problems.extend(gone_back);
            // Where this source has a snapshot there is a list.
            if run.parents.newest.is_none() {
                run.problems.extend(begin_list(repository, scan_start_ns)?);
            }
        }
        if purpose == Purpose::Keep {
            let before = run.parents.record.as_ref();
            let believed = match before.filter(|before| before.has_wrong_clock()) {
                Some(_) => run.parents.newest_of(
                    repository,
                    &run.key,
                    run.server.as_deref(),
                    |record| !record.has_wrong_clock(),
                )?,
                None => None,
            };
            let last = run.parents.last_believed(repository)?;
            let compared =
                clock::Compared { before, believed: believed.as_ref(), last: last.as_ref() };
            let problem = clock::problem(scan_start_ns, &compared, repository);
            run.problems.extend(problem);
        }
        if purpose == Purpose::Keep && spec.layout.is_unfinished() {
            run.problems
                .push(Problem { path: HALF_MOVED.to_owned(), what: HALF_MOVED_WORDS.to_owned() });
        }
        Ok(run)
    }

    /// Whether a snapshot comes of it.
    pub(super) fn keeps(&self) -> bool {
        self.purpose == Purpose::Keep && !self.options.dry_run
    }

    /// What earlier captures found, by category.
    pub(super) fn old_runs(
        &self,
        cache: Option<&ScanCache>,
        index: &Index,
    ) -> HashMap<Category, OldRuns> {
        let mut reader = ChunkReader::new(self.repository, index);
        self.parents
            .categories
            .iter()
            .map(|(category, record)| {
                (*category, OldRuns::load(*category, record, cache, &mut reader))
            })
            .collect()
    }

    /// Where private copies of databases are made.
    pub(super) fn scratch(&self, roots: &[ScanRoot]) -> Result<PathBuf, Error> {
        if let Some(scratch) = self.options.scratch.as_deref().filter(|_| !self.options.dry_run) {
            check_scratch(scratch, roots)?;
        }
        Ok(self.options.scratch.clone().unwrap_or_else(|| self.repository.scratch_folder()))
    }

    /// Takes what the workers store.
    pub(super) fn collector<'i>(
        &self,
        index: &'i Index,
        cache_file: Option<&Path>,
    ) -> Result<Collector<'i>, Error>
    where
        'r: 'i,
    {
        let writer = if self.keeps() {
            cache_file.and_then(|path| ScanCacheWriter::create(path).ok())
        } else {
            None
        };
        let config = self.repository.config();
        let packer = Packer::new(self.repository.hashing(), config.cut, config.compression_level)?;
        let streams = PackStreams::new(self.repository, index, Collector::STREAMS);
        let mut collector = Collector::new(streams, index, packer, writer, self.options.dry_run);
        collector.holds = self.purpose == Purpose::Look;
        Ok(collector)
    }

    /// What earlier snapshots hold, to see what was lost since.
    pub(super) fn earlier<'i>(&self, index: &'i Index) -> Result<worth::Before<'i>, Error>
    where
        'r: 'i,
    {
        if self.options.accept_loss {
            return Ok(worth::Before::nothing(self.repository, index));
        }
        worth::Before::find(
            (self.repository, index),
            &self.parents,
            (&self.key, self.server.as_deref()),
            &self.wanted,
        )
    }

    /// Copies and stores the main database first: what the server writes meanwhile is younger than
    /// everything else.
    pub(super) fn main_database<'a>(
        &self,
        shared: &Shared<'a>,
        databases: &mut Databases<'a>,
        earlier: &worth::Before<'_>,
        collector: &mut Collector<'a>,
    ) -> Result<Captured, Error> {
        if !self.rules.wants(Category::Database) || !self.spec.layout.is_instance {
            return Ok(Captured::of(self.spec));
        }
        database::capture(
            self.spec,
            shared,
            databases,
            (&self.parents, earlier),
            self.monitor,
            &mut |extent| collector.extent(Category::Database, extent),
        )
    }

    /// Tells what is known to be wrong before the walk.
    pub(super) fn tell_known(
        &self,
        of_database: Vec<Problem>,
        missing_packs: usize,
        collector: &mut Collector<'_>,
    ) {
        let missing = (missing_packs > 0).then(|| Problem {
            path: "packs".to_owned(),
            what: format!(
                "{missing_packs} of the repository's packs are missing or damaged, so files of older snapshots are lost. Everything was read again, so \
                 this snapshot is complete"
            ),
        });
        // A capture of the database alone does not tell of pictures.
        let of_source = self
            .spec
            .problems
            .iter()
            .filter(|problem| self.rules.wants(Category::of(problem.path.as_bytes())))
            .cloned();
        let mut unfollowed = walk::unfollowed(&self.spec.layout, &self.rules);
        unfollowed.extend(walk::refused(&self.spec.layout, &self.rules));
        collector
            .unlisted
            .extend(unfollowed.iter().map(|problem| problem.path.clone().into_bytes()));
        for problem in of_source
            .chain(of_database)
            .chain(missing)
            .chain(self.problems.clone())
            .chain(unfollowed)
        {
            self.monitor.progress.problem(&problem);
            collector.problem(problem);
        }
    }
}

/// The id of the server that the last snapshot of the same data directory on this machine is of:
/// what is gone from there is its.
fn server_of_place(
    repository: &Repository,
    host: &str,
    layout: &Layout,
) -> Result<Option<String>, Error> {
    let here = layout.directories();
    let Some(place) = here.get("programdata") else { return Ok(None) };
    let is_of_it = |record: &SnapshotRecord| {
        record.source.host == host && record.source.directories.get("programdata") == Some(place)
    };
    Ok(Catalog::newest(repository, is_of_it)?.and_then(|(_, record)| record.server.id))
}

const HALF_MOVED_WORDS: &str = "a move of this server was interrupted: some of its files have the old paths and some the new. Finish or undo it (jellyvault move \
                                --undo) before you start Jellyfin, and do not restore this snapshot";

/// Begins the list of a new repository; a problem where the list of an old one is gone.
pub(in crate::ops) fn begin_list(
    repository: &Repository,
    now_ns: i128,
) -> Result<Option<Problem>, Error> {
    let standing = Standing::begin(repository, i64::try_from(now_ns).unwrap_or(i64::MAX))?;
    Ok((standing == Standing::Lost).then(|| Problem {
        path: "list".to_owned(),
        what: "the repository's list of snapshots is missing, but the repository contains data. Older snapshots are not listed. Run jellyvault repair to \
               recover them. Until then, prune keeps their data"
            .to_owned(),
    }))
}

/// A directory that the user names for private copies must be there, writable, and none of the
/// source's.
fn check_scratch(scratch: &Path, roots: &[ScanRoot]) -> Result<(), Error> {
    let failed = |source| Error::Target {
        verb: "make a private copy in",
        path: scratch.to_path_buf(),
        source,
    };
    let real = std::fs::canonicalize(scratch).map_err(failed)?;
    let is_within =
        |root: &ScanRoot| std::fs::canonicalize(&root.dir).is_ok_and(|root| real.starts_with(root));
    if roots.iter().any(is_within) {
        return Err(Error::Refused {
            what: format!("{} is inside the source, and jellyvault never writes to the source", scratch.display()),
            hint: "Give another directory with --scratch-dir, or leave it out: then the repository is used.".to_owned(),
        });
    }
    drop(crate::source::ScratchFolder::create(&real).map_err(failed)?);
    Ok(())
}

pub(super) fn open_roots(roots: &[ScanRoot]) -> Result<Vec<(ScanRoot, OwnedFd)>, Error> {
    let open = |root: &ScanRoot| -> Result<(ScanRoot, OwnedFd), Error> {
        let fd = root.open(rustix::fs::OFlags::PATH);
        Ok((
            root.clone(),
            fd.map_err(|error| Error::Source { path: root.dir.clone(), source: error.into() })?,
        ))
    };
    roots.iter().map(open).collect()
}

fn rules(
    repository: &Repository,
    spec: &SourceSpec,
    options: &SnapshotOptions,
) -> Result<Rules, Error> {
    let own = match repository.location() {
        crate::store::Location::Folder(folder) => vec![folder.clone()],
        crate::store::Location::Memory => Vec::new(),
    };
    let mut rules = Rules {
        is_instance: spec.layout.is_instance,
        closed: spec.layout.closed(&own),
        categories: options.only.clone(),
        one_file_system: options.one_file_system,
        takes_generated: options.include_generated,
        ..Rules::default()
    };
    if !spec.layout.is_instance {
        // A plain folder's own root is its only one.
        rules.closed = crate::source::closed_dirs(own.iter().map(PathBuf::as_path));
    }
    rules.exclude(&options.exclude).map_err(|source| Error::Glob {
        glob: source.glob().unwrap_or_default().to_owned(),
        source,
    })?;
    Ok(rules)
}

/// Names a source: the machine and the directories. What follows one another under this name has
/// one scan cache.
fn source_key(host: &str, layout: &Layout) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(host.as_bytes());
    // A link that is followed from now on makes no other source.
    let mut directories = layout.directories();
    // Nor does one that is not followed.
    directories.extend(layout.refused.iter().map(|(root, _)| {
        (
            String::from_utf8_lossy(&root.logical).into_owned(),
            root.dir.to_string_lossy().into_owned(),
        )
    }));
    for (name, path) in directories.iter().filter(|(name, _)| !name.contains('/')) {
        hasher.update(&[0]).update(name.as_bytes()).update(&[0]).update(path.as_bytes());
    }
    hasher.finalize().to_hex().chars().take(32).collect()
}
