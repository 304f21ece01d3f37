//! `--delete`: what the selected part of the target has and the snapshot lacks goes. What a capture would leave out stays.

use std::collections::BTreeMap;
use std::iter::Peekable;

use rustix::fs::AtFlags;

use crate::limits::PROBLEMS_NAMED_MAX;
use crate::manifest::{Entries, Entry, SnapshotRecord, compare, display, file_name, parent};
use crate::source::{self, Category, Event, Layout, Rules, ScanError, ScanRoot, scan};
use crate::store::ChunkReader;

use super::super::select::categories;
use super::super::{Error, Watch};
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

/// Removes; how many paths went, and the first of them by name.
pub(super) fn delete_others(
    reader: &mut ChunkReader<'_>,
    record: &SnapshotRecord,
    destination: &Destination,
    target: &Target,
    options: &RestoreOptions,
    tally: &Tally,
    watch: Watch<'_>,
) -> Result<(u64, Vec<String>), Error> {
    let doomed = find_others(reader, record, destination, target, options, watch)?;
    if options.dry_run {
        let named = doomed.iter().take(PROBLEMS_NAMED_MAX).map(|(path, _)| display(path)).collect();
        return Ok((doomed.len() as u64, named));
    }
    let (mut deleted, mut named) = (0, Vec::new());
    // What is in a directory goes before it.
    for (path, is_dir) in doomed.iter().rev() {
        let Some((number, below)) = target.place(path) else { continue };
        let Some(root) = target.fd(number) else { continue };
        let flags = if *is_dir { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        let removed = source::open_dir(root, parent(below).unwrap_or_default()).and_then(|dir| rustix::fs::unlinkat(&dir, file_name(below), flags));
        match removed {
            Ok(()) => {
                deleted += 1;
                if named.len() < PROBLEMS_NAMED_MAX {
                    named.push(display(path));
                }
            }
            // Something that is never captured is in it: it stays, and so does the directory.
            Err(rustix::io::Errno::NOTEMPTY) => {}
            Err(error) => tally.problem(watch, path, format!("it could not be removed ({})", std::io::Error::from(error))),
        }
    }
    named.reverse();
    Ok((deleted, named))
}

fn find_others(
    reader: &mut ChunkReader<'_>,
    record: &SnapshotRecord,
    destination: &Destination,
    target: &Target,
    options: &RestoreOptions,
    watch: Watch<'_>,
) -> Result<Vec<(Vec<u8>, bool)>, Error> {
    let is_instance = !record.source.directories.contains_key("folder");
    let mut rules = Rules { is_instance, ..Rules::default() };
    // The repository may lie inside what is restored: it is no part of it.
    rules.closed = match destination {
        Destination::InPlace(instance) => Layout::of(&instance.instance).closed(target.repository.as_slice()),
        Destination::Directory(_) => source::closed_dirs(target.repository.iter().map(std::path::PathBuf::as_path)),
    };
    rules.exclude(&record.excluded).map_err(|source| Error::Glob { glob: source.glob().unwrap_or_default().to_owned(), source })?;
    let roots: Vec<ScanRoot> =
        target.roots.iter().filter(|root| root.fd.is_some()).map(|root| ScanRoot { logical: root.logical.clone(), dir: root.dir.clone() }).collect();
    let captured: BTreeMap<Category, _> = categories(record).collect();
    let mut readers: Vec<ChunkReader<'_>> = captured.iter().map(|_| reader.sibling()).collect();
    let cursors = readers.iter_mut().zip(captured.values()).map(|(reader, root)| Entries::all(reader, root.manifest).peekable()).collect();
    let mut all = AllPaths { cursors };
    let mut doomed = Vec::new();
    let walked = scan(&roots, &rules, reader.hashing(), 2, watch.interrupt, |event| {
        if let Event::Found(found) = event {
            let category = rules.category(found.path);
            let ours = captured.contains_key(&category) && options.selection.takes(category, found.path);
            let marker = file_name(found.path).starts_with(b".jellyfin-");
            if !all.has(found.path)? && ours && !marker && !found.below.is_empty() {
                doomed.push((found.path.to_vec(), found.stat.is_dir()));
            }
        }
        Ok::<_, Error>(())
    });
    match walked {
        Ok(()) => Ok(doomed),
        Err(ScanError::Interrupted) => Err(Error::Interrupted),
        Err(ScanError::Root { path, error }) => Err(Error::Source { path, source: error }),
        Err(ScanError::Consumer(error)) => Err(error),
    }
}
