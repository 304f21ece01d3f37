//! Directories get their metadata last, each after all that is in it, or its times would be those of the restore.

use crate::manifest::{CategoryRecord, Entries, Entry, Kind, Xattrs};
use crate::source::{self, Category, Stat};
use crate::store::ChunkReader;

use super::super::Error;
use super::dress::{dress, is_ours};
use super::obstacle::Failure;
use super::writer::Writer;
use super::{BATCH_ENTRIES, RestoreOptions, threads_of};

/// Dresses every directory of the selected categories.
pub(super) fn finish<'a>(
    reader: &mut ChunkReader<'_>,
    selected: &[(Category, &CategoryRecord)],
    options: &RestoreOptions,
    new_writer: impl Fn() -> Writer<'a> + Sync,
) -> Result<(), Error> {
    if options.dry_run {
        return Ok(());
    }
    let mut writer = new_writer();
    let is_root = rustix::process::geteuid().is_root();
    // Roots that several categories share (`data`) are dressed when all categories are done.
    let mut shared: Vec<Entry> = Vec::new();
    // Those that shut their owner out: after all that is in them.
    let mut shut: Vec<Entry> = Vec::new();
    let (out, work) = crossbeam_channel::bounded::<Vec<Entry>>(threads_of(options) * 2);
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (0..threads_of(options))
            .map(|_| {
                let (work, mut writer) = (work.clone(), new_writer());
                scope.spawn(move || work.into_iter().flatten().try_for_each(|entry| finish_one(&entry, &mut writer)))
            })
            .collect();
        drop(work);
        let parts = options.selection.roots();
        let mut walk = || -> Result<(), Error> {
            let mut batch = Vec::new();
            for (category, root, part) in selected.iter().flat_map(|(category, root)| parts.iter().map(move |part| (category, root, part))) {
                for entry in Entries::within(reader, root.manifest, part) {
                    let entry = match entry {
                        // What cannot be read is told when it is restored.
                        Err(error) if error.is_damage() => continue,
                        entry => writer.target.adopt(entry?),
                    };
                    if !matches!(entry.kind, Kind::Directory) || !options.selection.takes(*category, &entry.path) {
                        continue;
                    }
                    if !entry.path.contains(&b'/') {
                        shared.push(entry);
                    } else if !is_root && entry.mode & 0o100 == 0 {
                        shut.push(entry);
                    } else {
                        batch.push(entry);
                    }
                    // A helper that failed tells why when it is joined.
                    if batch.len() >= BATCH_ENTRIES && out.send(std::mem::take(&mut batch)).is_err() {
                        return Ok(());
                    }
                }
            }
            crate::tolerate(out.send(batch));
            Ok(())
        };
        let walked = walk();
        drop(out);
        let joined = helpers.into_iter().map(|helper| helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.collect::<Vec<_>>().into_iter().collect::<Result<Vec<()>, Error>>().and(walked)
    })?;
    // In path order what is in a directory comes behind it.
    shut.iter().rev().try_for_each(|entry| finish_one(entry, &mut writer))?;
    // `programdata` is the directory that the other roots lie in: last.
    shared.sort_by_key(|entry| entry.path == b"programdata");
    shared.iter().try_for_each(|entry| finish_one(entry, &mut writer))
}

fn finish_one(entry: &Entry, writer: &mut Writer<'_>) -> Result<(), Error> {
    let (target, tally, watch) = (writer.target, writer.tally, writer.watch);
    let Some((number, below)) = target.place(&entry.path) else { return Ok(()) };
    let Some(root) = target.fd(number) else { return Ok(()) };
    let dir = match source::open_dir(root, below) {
        Ok(dir) => dir,
        Err(error) => {
            tally.problem(watch, &entry.path, format!("the directory's metadata could not be set ({})", std::io::Error::from(error)));
            return Ok(());
        }
    };
    let is_root = rustix::process::geteuid().is_root();
    let has = Stat::of(&dir).ok();
    let plain = matches!(entry.xattrs, Xattrs::None) && source::xattrs_of_file(&dir).is_ok_and(|has| !has.iter().any(|(name, _)| is_ours(name)));
    if has.is_some_and(|s| plain && s.permissions() == entry.mode && s.mtime == entry.mtime && (!is_root || (s.uid, s.gid) == (entry.uid, entry.gid))) {
        return Ok(());
    }
    match writer.xattrs_or_none(entry).and_then(|(xattrs, missing)| dress(is_root, entry, &dir, &xattrs).and(missing)) {
        Ok(()) => Ok(()),
        Err(Failure::Entry(what)) => {
            tally.problem(watch, &entry.path, what);
            Ok(())
        }
        Err(Failure::Fatal(error)) => Err(error),
    }
}
