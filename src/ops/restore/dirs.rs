//! Directories get their metadata last, each after all that is in it, or its times would be those
//! of the restore.

use crate::manifest::{CategoryRecord, Entries, Entry, Kind, Xattrs};
use crate::source::{self, Category, Stat};
use crate::store::ChunkReader;

use super::super::Error;
use super::RestoreOptions;
use super::dress::{dress, is_ours};
use super::links::Links;
use super::obstacle::Failure;
use super::share::share;
use super::writer::Writer;

/// Dresses every directory of the selected categories.
pub(super) fn finish<'a>(
    reader: &mut ChunkReader<'_>,
    selected: &[(Category, &CategoryRecord)],
    links: &Links,
    options: &RestoreOptions,
    new_writer: impl Fn() -> Writer<'a>,
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
    share(options, &new_writer, finish_one, |batches| {
        let parts = options.selection.roots();
        for (category, root, part) in selected
            .iter()
            .flat_map(|(category, root)| parts.iter().map(move |part| (category, root, part)))
        {
            for entry in Entries::within(reader, root.manifest, part) {
                let entry = match entry {
                    // What cannot be read is told when it is restored.
                    Err(error) if error.is_damage() => continue,
                    entry => writer.target.adopt(entry?),
                };
                if !matches!(entry.kind, Kind::Directory)
                    || !options.selection.takes(*category, &entry.path)
                    || links.behind(&entry).is_some()
                {
                    continue;
                }
                if !entry.path.contains(&b'/') {
                    shared.push(entry);
                } else if !is_root && entry.mode & 0o100 == 0 {
                    shut.push(entry);
                } else if !batches.push(entry) {
                    return Ok(());
                }
            }
        }
        Ok(())
    })?;
    // In path order what is in a directory comes behind it.
    shut.iter().rev().try_for_each(|entry| finish_one(&mut writer, entry))?;
    // `programdata` is the directory that the other roots lie in: last.
    shared.sort_by_key(|entry| entry.path == b"programdata");
    shared.iter().try_for_each(|entry| finish_one(&mut writer, entry))
}

fn finish_one(writer: &mut Writer<'_>, entry: &Entry) -> Result<(), Error> {
    let (target, tally, monitor) = (writer.target, writer.tally, writer.monitor);
    let Some((number, below)) = target.place(&entry.path) else { return Ok(()) };
    let Some(root) = target.fd(number) else { return Ok(()) };
    let dir = match source::open_dir(root, below) {
        Ok(dir) => dir,
        Err(error) => {
            tally.problem(
                monitor,
                &entry.path,
                format!(
                    "the directory's metadata could not be set ({})",
                    std::io::Error::from(error)
                ),
            );
            return Ok(());
        }
    };
    let is_root = target.gives_away();
    let has = Stat::of(&dir).ok();
    let plain = matches!(entry.xattrs, Xattrs::None)
        && source::xattrs_of_file(&dir).is_ok_and(|has| !has.iter().any(|(name, _)| is_ours(name)));
    if has.is_some_and(|s| {
        plain
            && s.permissions() == entry.mode
            && s.mtime == entry.mtime
            && (!is_root || (s.uid, s.gid) == (entry.uid, entry.gid))
    }) {
        return Ok(());
    }
    match writer
        .xattrs_or_none(entry)
        .and_then(|(xattrs, missing)| dress(is_root, entry, &dir, &xattrs).and(missing))
    {
        Ok(()) => Ok(()),
        Err(Failure::Entry(what)) => {
            tally.problem(monitor, &entry.path, what);
            Ok(())
        }
        Err(Failure::Fatal(error)) => Err(error),
    }
}
