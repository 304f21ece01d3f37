//! The writing of a restore: everything that differs, hard links when their files are there,
//! databases last, then what is to be removed.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::manifest::{
    CategoryRecord, Content, Entries, Entry, Kind, SnapshotId, SnapshotRecord, display,
};
use crate::progress::{Monitor, Phase};
use crate::source::Category;
use crate::store::{ChunkReader, Index, Repository};

use super::super::Error;
use super::super::rows::Namer;
use super::links::Links;
use super::share::{Batches, share};
use super::tally::Tally;
use super::target::Target;
use super::writer::Writer;
use super::{
    Destination, RestoreOptions, RestoreReport, database, delete, dirs, folded, owners, pictures,
    privileges, unreadable, user_pictures,
};

/// One restore, when nothing speaks against it any more.
pub(super) struct Job<'r> {
    pub repository: &'r Repository,
    pub index: &'r Index,
    pub snapshot: &'r (SnapshotId, SnapshotRecord),
    pub destination: &'r Destination,
    pub selected: &'r [(Category, &'r CategoryRecord)],
    pub options: &'r RestoreOptions,
    pub monitor: &'r Monitor,
}

/// What has to wait until the other files are written.
#[derive(Default)]
struct Later {
    databases: Vec<Entry>,
    /// Files that are hard links to one that was met before.
    linked: Vec<Entry>,
    /// The path of the first file of each group of hard links.
    first_of_group: HashMap<u64, Vec<u8>>,
    /// Links of the snapshot that are directories here, with what they led to.
    unlinked: Vec<(PathBuf, Vec<u8>)>,
    names: folded::Names,
}

impl<'r> Job<'r> {
    pub(super) fn write(
        &self,
        reader: &mut ChunkReader<'r>,
        report: &mut RestoreReport,
    ) -> Result<(), Error> {
        let (options, selected, monitor) = (self.options, self.selected, self.monitor);
        let is_in_place = matches!(self.destination, Destination::InPlace(_));
        let target = self.target(reader, report)?;
        let (tally, links) = (Tally::default(), Links::of(self.destination));
        let (files, bytes) = selected
            .iter()
            .fold((0, 0), |(files, bytes), (_, c)| (files + c.files, bytes + c.bytes));
        monitor.progress.phase(Phase::Restore, files, bytes);
        let scratch = || self.repository.scratch_folder();
        let new_writer = || {
            Writer::new(
                ChunkReader::new(self.repository, self.index),
                &target,
                &tally,
                monitor,
                scratch(),
                options,
                &self.snapshot.0,
            )
        };
        let mut later = Later::default();
        share(options, new_writer, Writer::entry, |batches| {
            self.hand_out(reader, (&target, &links, &tally), &mut later, batches)
        })?;

        report.remarks.extend(later.unlinked_words());
        let mut writer = new_writer();
        for entry in &later.linked {
            let first = entry.link_group.and_then(|group| later.first_of_group.get(&group));
            writer.link(entry, first.map(Vec::as_slice))?;
        }
        database::restore_all(&later.databases, self.destination, &target, &mut writer, options)?;
        // What is removed with all else that the snapshot lacks must be seen before.
        let rivals = if is_in_place && options.delete {
            self.rivals(reader, &target, &tally)?
        } else {
            Default::default()
        };
        let of_users = user_pictures::words(reader, selected, &target, options);
        if options.delete {
            let done = delete::delete_others(
                reader,
                &self.snapshot.1,
                self.destination,
                &target,
                options,
                &tally,
                monitor,
            )?;
            (report.deleted, report.deleted_paths, report.unknown, report.unknown_paths) =
                (done.count, done.named, done.unknown, done.unknown_named);
        }
        monitor.progress.phase(Phase::Compare, 0, 0);
        drop(writer);
        dirs::finish(reader, selected, &links, options, new_writer)?;
        later.names.tell(reader, selected, &target, (options, &tally), monitor)?;
        let rivals = if is_in_place && !options.delete {
            self.rivals(reader, &target, &tally)?
        } else {
            rivals
        };
        if !options.delete && options.replace_pictures {
            report.deleted += rivals.paths.len() as u64;
            report.deleted_paths.extend(rivals.paths.iter().map(|(path, _)| path.clone()));
        }
        report.remarks.extend(rivals.words(options));
        report.remarks.extend(of_users.filter(|_| is_in_place));
        report.remarks.extend(target.privileges.words());
        target.sync(is_in_place && !options.dry_run)?;
        tally.finish(&links, report);
        Ok(())
    }

    /// The directories that are written to; makes those that are missing.
    fn target(
        &self,
        reader: &mut ChunkReader<'r>,
        report: &mut RestoreReport,
    ) -> Result<Target, Error> {
        let mut target = Target::open(self.destination, self.repository, self.options.dry_run)?;
        target.check_new(self.destination)?;
        if !self.snapshot.1.source.directories.contains_key("folder") {
            target.close_directories_of(self.destination);
            report.remarks.extend(target.is_open.then(|| {
                "other users can enter the target directory, so the server's directories in it are accessible to their owner only".to_owned()
            }));
        }
        report.remarks.extend(target.set_owners(owners::of(
            reader,
            &self.snapshot.1,
            self.destination,
            self.options,
        )?));
        target.privileges = privileges::Privileges::new(
            self.options.trusts_repository && !self.snapshot.1.is_foreign(),
        );
        if self.options.dry_run {
            target.moved =
                report.moved_aside.iter().map(|moved| moved.paths().0.to_path_buf()).collect();
        }
        Ok(target)
    }

    /// Hands the selected entries to the writers, but for those that have to wait.
    fn hand_out(
        &self,
        reader: &mut ChunkReader<'r>,
        (target, links, tally): (&Target, &Links, &Tally),
        later: &mut Later,
        batches: &mut Batches,
    ) -> Result<(), Error> {
        let parts = self.options.selection.roots();
        for (category, root, part) in self
            .selected
            .iter()
            .flat_map(|(category, root)| parts.iter().map(move |part| (category, root, part)))
        {
            tracing::debug!(category = category.name(), files = root.files, "restoring");
            for entry in Entries::within(reader, root.manifest, part) {
                let entry = match entry {
                    Ok(entry) => target.adopt(entry),
                    Err(error) if error.is_damage() => {
                        let why = super::super::in_one_line(&error);
                        let what = format!(
                            "part of its file list cannot be read ({why}), so the files in that part were not restored"
                        );
                        tally.problem(self.monitor, category.name().as_bytes(), what);
                        continue;
                    }
                    Err(error) => {
                        return Err(unreadable(
                            &self.snapshot.0,
                            category.name().as_bytes(),
                            error.into(),
                        ));
                    }
                };
                if self.monitor.interrupt.is_raised() {
                    return Err(Error::Interrupted);
                }
                if !self.options.selection.takes(*category, &entry.path) || links.hold(&entry) {
                    continue;
                }
                if let (Some(path), Kind::Symlink { target: to }) =
                    (target.directory_for_link(&entry), &entry.kind)
                {
                    later.unlinked.push((path, to.clone()));
                    continue;
                }
                if let Some(entry) = later.sort(*category, entry)
                    && !batches.push(entry)
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Pictures that the server would show in place of restored ones, with the names of their
    /// items.
    fn rivals(
        &self,
        reader: &mut ChunkReader<'r>,
        target: &Target,
        tally: &Tally,
    ) -> Result<pictures::Rivals, Error> {
        let mut rivals =
            pictures::rivals(reader, self.selected, target, (self.options, tally), self.monitor)?;
        if !rivals.paths.is_empty()
            && let Ok(Some(mut namer)) = Namer::of_snapshots(
                (self.repository, self.index),
                &[self.snapshot],
                &std::sync::Arc::default(),
            )
        {
            rivals.name_by(&mut namer);
        }
        Ok(rivals)
    }
}

impl Later {
    fn unlinked_words(&self) -> impl Iterator<Item = String> {
        self.unlinked.iter().map(|(path, to)| {
            format!(
                "{} was a symbolic link to {} when the snapshot was taken; it is a directory now",
                path.display(),
                display(to)
            )
        })
    }

    /// Keeps an entry that has to wait; gives back any other.
    fn sort(&mut self, category: Category, entry: Entry) -> Option<Entry> {
        self.names.note(&entry.path);
        if !matches!(entry.kind, Kind::File { .. }) {
            return Some(entry);
        }
        if category == Category::Database || matches!(entry.content(), Some(Content::Pages(_))) {
            self.databases.push(entry);
            return None;
        }
        let Some(group) = entry.link_group else { return Some(entry) };
        if self.first_of_group.contains_key(&group) {
            self.linked.push(entry);
            return None;
        }
        self.first_of_group.insert(group, entry.path.clone());
        Some(entry)
    }
}
