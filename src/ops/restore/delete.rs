//! `--delete`: what the selected part of the target has and the snapshot lacks goes. What a capture
//! would leave out stays.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::iter::Peekable;

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::limits::PROBLEMS_NAMED_MAX;
use crate::manifest::{Entries, Entry, SnapshotRecord, compare, display, file_name, parent};
use crate::source::{self, Category, Event, Layout, Rules, ScanError, ScanRoot, scan};
use crate::store::ChunkReader;

use super::super::select::categories;
use super::super::{Error, Monitor, Unknown};
use super::ahead::is_immutable;
use super::target::Target;
use super::{Destination, RestoreOptions, Tally};

/// All paths of a snapshot in order, over all categories.
struct AllPaths<'m, 'r> {
    cursors: Vec<Peekable<Entries<'m, 'r>>>,
}

impl AllPaths<'_, '_> {
    /// Whether the snapshot has this path. Paths must come in order.
    fn has(&mut self, path: &[u8]) -> Result<bool, Error> {
        for cursor in &mut self.cursors {
            let before = |entry: &Result<Entry, _>| matches!(entry, Ok(entry) if compare(&entry.path, path).is_lt());
            while cursor.next_if(before).is_some() {}
            match cursor.peek() {
                Some(Ok(entry)) if entry.path == path => return Ok(true),
                Some(Err(_)) => {
                    if let Some(Err(error)) = cursor.next() {
                        return Err(error.into());
                    }
                }
                _ => {}
            }
        }
        Ok(false)
    }
}

/// What `--delete` did.
#[derive(Default)]
pub(super) struct Deleted {
    /// Paths that went.
    pub count: u64,
    /// The first of them.
    pub named: Vec<String>,
    /// Paths that stay because the snapshot says nothing about them.
    pub unknown: u64,
    /// The first of them.
    pub unknown_named: Vec<String>,
}

/// What is to be removed, and what the snapshot lacks without knowing.
#[derive(Default)]
struct Others {
    doomed: Vec<(Vec<u8>, bool)>,
    unknown: u64,
    unknown_named: Vec<String>,
}

impl Others {
    /// A directory with something in it that stays, stays.
    fn keep_full_directories(&mut self, target: &Target) {
        let mut goes: HashSet<Vec<u8>> = HashSet::new();
        // What is in a directory comes behind it.
        for (path, is_dir) in self.doomed.iter().rev() {
            if !is_dir
                || all_in(target, path)
                    .is_some_and(|children| children.iter().all(|child| goes.contains(child)))
            {
                goes.insert(path.clone());
            }
        }
        self.doomed.retain(|(path, _)| goes.contains(path));
    }
}

/// All paths in a directory of the target; nothing where it cannot be listed.
fn all_in(target: &Target, path: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (number, below) = target.place(path)?;
    let dir = source::open_dir(target.fd(number)?, below).ok()?;
    let mut children = Vec::new();
    for entry in rustix::fs::Dir::read_from(&dir).ok()? {
        let name = entry.ok()?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            children.push([path, b"/", &name].concat());
        }
    }
    Some(children)
}

/// Removes what the snapshot lacks.
pub(super) fn delete_others(
    reader: &mut ChunkReader<'_>,
    record: &SnapshotRecord,
    destination: &Destination,
    target: &Target,
    options: &RestoreOptions,
    tally: &Tally,
    monitor: &Monitor,
) -> Result<Deleted, Error> {
    let Others { doomed, unknown, unknown_named } =
        find_others(reader, record, destination, target, options, monitor)?;
    if options.dry_run {
        let goes = deletable(&doomed, target, tally, monitor);
        let named = goes.iter().take(PROBLEMS_NAMED_MAX).map(|path| display(path)).collect();
        return Ok(Deleted { count: goes.len() as u64, named, unknown, unknown_named });
    }
    let (mut deleted, mut named) = (0, Vec::new());
    // What is in a directory goes before it.
    for (path, is_dir) in doomed.iter().rev() {
        let Some((number, below)) = target.place(path) else { continue };
        let Some(root) = target.fd(number) else { continue };
        let flags = if *is_dir { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        let removed = source::open_dir(root, parent(below).unwrap_or_default())
            .and_then(|dir| rustix::fs::unlinkat(&dir, file_name(below), flags));
        match removed {
            Ok(()) => {
                deleted += 1;
                if named.len() < PROBLEMS_NAMED_MAX {
                    named.push(display(path));
                }
            }
            // Something that is never captured is in it: it stays, and so does the directory.
            Err(rustix::io::Errno::NOTEMPTY) => {}
            Err(error) => tally.problem(
                monitor,
                path,
                format!("it could not be deleted ({})", std::io::Error::from(error)),
            ),
        }
    }
    named.reverse();
    Ok(Deleted { count: deleted, named, unknown, unknown_named })
}

/// Those that can be deleted, in their order; the others are told, as the restore itself would tell
/// them.
fn deletable<'d>(
    doomed: &'d [(Vec<u8>, bool)],
    target: &Target,
    tally: &Tally,
    monitor: &Monitor,
) -> Vec<&'d [u8]> {
    let (mut goes, mut stays) = (Vec::new(), HashSet::new());
    for (path, _) in doomed.iter().rev() {
        let above = parent(path).unwrap_or_default();
        let is_fixed = target
            .file(path)
            .is_some_and(|file| is_immutable(&file) || file.parent().is_some_and(is_immutable));
        if is_fixed {
            let error = std::io::Error::from(rustix::io::Errno::PERM);
            tally.problem(monitor, path, format!("it could not be deleted ({error})"));
        }
        // A directory with something in it that stays, stays.
        if is_fixed || stays.contains(path.as_slice()) {
            stays.insert(above);
        } else {
            goes.push(path.as_slice());
        }
    }
    goes.reverse();
    goes
}

fn find_others(
    reader: &mut ChunkReader<'_>,
    record: &SnapshotRecord,
    destination: &Destination,
    target: &Target,
    options: &RestoreOptions,
    monitor: &Monitor,
) -> Result<Others, Error> {
    let is_instance = !record.source.directories.contains_key("folder");
    // What a killed restore left behind is no part of a snapshot, and goes.
    let mut rules = Rules { is_instance, takes_leftovers: true, ..Rules::default() };
    // The repository may lie inside what is restored: it is no part of it.
    rules.closed = match destination {
        Destination::InPlace(instance) => {
            Layout::of(&instance.instance).closed(target.repository.as_slice())
        }
        Destination::Arranged(instance, _) => {
            Layout::of(instance).closed(target.repository.as_slice())
        }
        Destination::Directory(_) => {
            source::closed_dirs(target.repository.iter().map(std::path::PathBuf::as_path))
        }
    };
    let unknown = Unknown::of(record)?;
    let roots: Vec<ScanRoot> = target
        .roots
        .iter()
        .filter(|root| root.fd.is_some())
        .map(|root| ScanRoot {
            at: root.fd.clone(),
            ..ScanRoot::new(&root.logical, root.dir.clone())
        })
        .collect();
    let captured: BTreeMap<Category, _> = categories(record).collect();
    let mut readers: Vec<ChunkReader<'_>> = captured.iter().map(|_| reader.sibling()).collect();
    let cursors = readers
        .iter_mut()
        .zip(captured.values())
        .map(|(reader, root)| Entries::all(reader, root.manifest).peekable())
        .collect();
    let mut all = AllPaths { cursors };
    let mut others = Others::default();
    let walked = scan(&roots, &rules, reader.hashing(), 2, &monitor.interrupt, |event| {
        if let Event::Found(found) = event {
            let category = rules.category(found.path);
            let ours =
                captured.contains_key(&category) && options.selection.takes(category, found.path);
            let marker = file_name(found.path).starts_with(b".jellyfin-");
            let says_nothing = found.stat.is_dir() && !unknown.knows_directories();
            if all.has(found.path)? || !ours || marker || says_nothing || found.below.is_empty() {
                return Ok(());
            }
            // A database is known by what it holds, not by its name.
            let is_unknown_database = || {
                is_instance
                    && !unknown.knows_databases()
                    && found.stat.is_file()
                    && is_database(target, found.path)
            };
            if unknown.holds(found.path) || is_unknown_database() {
                others.unknown += 1;
                if others.unknown_named.len() < PROBLEMS_NAMED_MAX {
                    others.unknown_named.push(display(found.path));
                }
            } else {
                others.doomed.push((found.path.to_vec(), found.stat.is_dir()));
            }
        }
        Ok::<_, Error>(())
    });
    match walked {
        Ok(()) => {
            others.keep_full_directories(target);
            Ok(others)
        }
        Err(ScanError::Interrupted) => Err(Error::Interrupted),
        Err(ScanError::Root { path, error }) => Err(Error::Source { path, source: error }),
        Err(ScanError::Consumer(error)) => Err(error),
    }
}

/// Whether a file of the target is a SQLite database.
fn is_database(target: &Target, path: &[u8]) -> bool {
    let Some((number, below)) = target.place(path) else { return false };
    let Some(root) = target.fd(number) else { return false };
    let opened = source::open_beneath(
        root,
        below,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
        Mode::empty(),
    );
    // One that cannot be looked at is not removed.
    opened.map_or(true, |file| source::is_database(&mut File::from(file)).unwrap_or(true))
}
