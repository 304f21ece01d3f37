//! `restore`: repository → directory, or back into the instance. Refuse what would do harm, write what differs, then tidy.

mod ahead;
mod database;
mod delete;
mod dirs;
mod dress;
mod folded;
mod keep_old;
mod links;
mod obstacle;
mod owners;
mod pictures;
mod privileges;
mod refuse;
mod safety;
mod same;
mod share;
mod target;
mod tree;
mod writer;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::manifest::{CategoryRecord, Content, Entries, Entry, Kind, SnapshotId, SnapshotRecord, compare, display, is_within};
use crate::progress::{Phase, Problem};
use crate::source::{Category, Instance};
use crate::store::{ChunkReader, Index, IndexMode, Repository};

pub use self::keep_old::Moved;
use self::links::Links;
pub(super) use self::refuse::{check_directories as check_same_directories, copy_to_look_at, live_database, refuse_running};
use self::share::share;
use self::target::Target;
use self::writer::Writer;
use super::find_instance::Server;
use super::ls::short;
use super::select::categories;
use super::snapshot::SourceSpec;
use super::{Error, Watch};

/// Where to.
#[derive(Clone, Debug)]
pub enum Destination {
    /// The logical tree below a directory.
    Directory(PathBuf),
    /// The instance's own directories.
    InPlace(Box<InstanceTarget>),
    /// A directory, arranged as a server keeps its things.
    Arranged(Box<Instance>),
}

/// Whose the restored files are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owners {
    /// The snapshot's; but in an instance's directories what belonged to the server belongs to the owner of its data directory.
    #[default]
    Target,
    /// The snapshot's, by number.
    Keep,
    /// What belonged to the server belongs to this user and group.
    Set(u32, u32),
    /// The user's who restores.
    Own,
}

/// An instance that is restored into.
#[derive(Clone, Debug)]
pub struct InstanceTarget {
    /// Its directories.
    pub instance: Instance,
    /// What a capture would know of it.
    pub spec: SourceSpec,
    /// What is known of the server that is installed.
    pub server: Server,
}

/// What of the snapshot.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Categories; empty means all.
    pub categories: Vec<Category>,
    /// Paths, each with all below it; empty means all.
    pub paths: Vec<Vec<u8>>,
}

impl Selection {
    /// Whether a path of a category is wanted.
    pub fn takes(&self, category: Category, path: &[u8]) -> bool {
        (self.categories.is_empty() || self.categories.contains(&category))
            && (self.paths.is_empty() || self.paths.iter().any(|wanted| is_within(path, wanted)))
    }

    /// Whether anything of a category at or below a path, or a folder that it is in, is wanted.
    pub fn touches(&self, category: Category, path: &[u8]) -> bool {
        (self.categories.is_empty() || self.categories.contains(&category))
            && (self.paths.is_empty() || self.paths.iter().any(|wanted| is_within(wanted, path) || is_within(path, wanted)))
    }

    /// Whether all that is wanted may be written under a running server: pictures, trickplay sheets, subtitles and fonts.
    pub fn is_safe_under_a_server(&self) -> bool {
        const SAFE: [Category; 4] = [Category::Metadata, Category::Trickplay, Category::Subtitles, Category::Attachments];
        let categories = !self.categories.is_empty() && self.categories.iter().all(|category| SAFE.contains(category));
        categories || (!self.paths.is_empty() && self.paths.iter().all(|path| SAFE.contains(&Category::of(path))))
    }

    /// The paths below which all that is wanted lies, in order, none within another: what of the manifests is read.
    fn roots(&self) -> Vec<&[u8]> {
        let mut sorted: Vec<&[u8]> = self.paths.iter().map(Vec::as_slice).collect();
        sorted.sort_by(|a, b| compare(a, b));
        let mut roots: Vec<&[u8]> = Vec::new();
        for path in sorted {
            if !roots.last().is_some_and(|root| is_within(path, root)) {
                roots.push(path);
            }
        }
        if roots.is_empty() { vec![b""] } else { roots }
    }

    /// Whether everything is wanted.
    pub fn is_all(&self) -> bool {
        self.categories.is_empty() && self.paths.is_empty()
    }
}

/// How.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// What of the snapshot.
    pub selection: Selection,
    /// Remove what the snapshot lacks.
    pub delete: bool,
    /// Remove pictures that the server would show in place of the restored ones.
    pub replace_pictures: bool,
    /// Move what is there aside first.
    pub keep_old: bool,
    /// Say what would be done, change nothing.
    pub dry_run: bool,
    /// Go on though the server is older than the snapshot's, or the database is damaged.
    pub force: bool,
    /// The user vouches that the server sees the same directories as before (a container's volumes).
    pub same_directories: bool,
    /// Whose the files are; only root can give files away.
    pub owners: Owners,
    /// Take a snapshot of what is there before the database or the configuration is replaced.
    pub safety_snapshot: bool,
    /// The machine's name, for that snapshot.
    pub host: String,
    /// The user wants a snapshot of another server than the one whose data is there.
    pub other_server: bool,
    /// `TIME` of `NAME.bak-TIME`.
    pub stamp: String,
    /// Restore what makes files powerful: the repository was made by this user on this machine, or the user says so.
    pub trusts_repository: bool,
    /// Threads; 0 means one for each core.
    pub threads: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct RestoreReport {
    /// Files and links that were written.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Files and links that were right already.
    pub unchanged: u64,
    /// Of these, how many had other metadata, which was put right.
    pub metadata: u64,
    /// Paths that were removed.
    pub deleted: u64,
    /// Which, the first 10,000.
    pub deleted_paths: Vec<String>,
    /// Paths that `--delete` let stay: the snapshot lacks them and does not know whether they were there.
    pub unknown: u64,
    /// Which, the first 10,000.
    pub unknown_paths: Vec<String>,
    /// The snapshot of what was there before.
    pub safety: Option<SnapshotId>,
    /// Directories that were moved aside: from, to.
    pub moved_aside: Vec<Moved>,
    /// Problems.
    pub problems: Vec<Problem>,
    /// What the user should know and is no problem.
    pub remarks: Vec<String>,
}

/// Counters that all writers share.
#[derive(Default)]
pub(super) struct Tally {
    pub files: AtomicU64,
    pub bytes: AtomicU64,
    pub unchanged: AtomicU64,
    pub metadata: AtomicU64,
    pub problems: Mutex<Vec<Problem>>,
    /// Folders into which pictures were written.
    pub pictured: Mutex<HashSet<u64>>,
}

impl Tally {
    pub(super) fn problem(&self, watch: Watch<'_>, path: &[u8], what: String) {
        let problem = Problem { path: display(path), what };
        watch.progress.problem(&problem);
        if let Ok(mut problems) = self.problems.lock() {
            problems.push(problem);
        }
    }
}

/// Restores a snapshot: refuse what would do harm, look ahead for what would stop it half-way, keep what is there, then write.
pub fn restore(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    destination: &Destination,
    options: &RestoreOptions,
    watch: Watch<'_>,
) -> Result<RestoreReport, Error> {
    let (id, record) = snapshot;
    let index = Index::open(repository, IndexMode::Use)?;
    let mut reader = ChunkReader::new(repository, &index);
    let mut report = RestoreReport::default();
    for path in &options.selection.paths {
        if super::select::lookup(&mut reader, record, path)?.is_none() {
            return Err(Error::NoPath { snapshot: short(id), path: display(path) });
        }
    }
    refuse::check_repository(repository, destination, options)?;
    if let Destination::InPlace(target) = destination {
        if record.source.directories.contains_key("folder") {
            return Err(Error::Refused {
                what: format!("snapshot {} is of a plain folder, not of a Jellyfin instance", short(id)),
                hint: "Restore it to a directory with --to.".to_owned(),
            });
        }
        report.remarks = refuse::check(repository, id, record, target, options, watch.interrupt)?;
    }
    if record.problem_count > 0 {
        let (what, problems) = if record.problem_count == 1 { ("one path is", "problem") } else { ("some paths are", "problems") };
        report.remarks.push(format!(
            "{what} not in this snapshot, or not as they were ({} {problems}): they could not be captured, or were lost since; jellyvault show {} names them",
            record.problem_count,
            short(id)
        ));
    }
    let selected: Vec<_> =
        categories(record).filter(|(category, _)| options.selection.categories.is_empty() || options.selection.categories.contains(category)).collect();
    let looked = Target::open(destination, repository, true)?;
    refuse::check_open_databases(record, &mut reader, &looked, options)?;
    if matches!(destination, Destination::InPlace(_)) || is_tight(&selected, &looked) {
        ahead::look_ahead(&mut reader, &selected, destination, &looked, options, watch)?;
    }
    drop(looked);
    let Destination::InPlace(target) = destination else {
        return write(repository, snapshot, destination, (&index, &mut reader), &selected, options, &mut report, watch).map(|()| report);
    };
    // The index is let go of: the snapshot adds to it.
    drop(reader);
    drop(index);
    report.safety = safety::keep(repository, id, target, options, watch)?;
    if options.keep_old {
        report.moved_aside = keep_old::move_aside(target, options)?;
    }
    let index = Index::open(repository, IndexMode::Use)?;
    let mut reader = ChunkReader::new(repository, &index);
    match write(repository, snapshot, destination, (&index, &mut reader), &selected, options, &mut report, watch) {
        Ok(()) => Ok(report),
        Err(error) if options.dry_run => Err(error),
        Err(error) => Err(half_done(error, &report)),
    }
}

/// Whether the target may have too little room for all that is selected: then it is worth a closer look.
fn is_tight(selected: &[(Category, &CategoryRecord)], target: &Target) -> bool {
    let bytes: u64 = selected.iter().map(|(_, category)| category.bytes + category.entries * 4096).sum();
    let dir = target.roots.first().and_then(|root| root.dir.ancestors().find(|dir| dir.is_dir()).map(std::path::Path::to_path_buf));
    dir.and_then(|dir| rustix::fs::statvfs(&dir).ok()).is_some_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < bytes)
}

/// An in-place restore that stopped: what was moved away comes back, and what is where is told.
fn half_done(error: Error, report: &RestoreReport) -> Error {
    let safety = report.safety.as_ref().map_or_else(String::new, |id| format!(" The state before the restore is in snapshot {}.", short(id)));
    let what = if report.moved_aside.is_empty() {
        format!("the restore stopped half-way: some files are the snapshot's, others are still as they were. The database is replaced last.{safety}")
    } else {
        match keep_old::move_back(&report.moved_aside) {
            Ok(()) => format!("the restore stopped half-way, and everything was put back as it was before.{safety}"),
            Err((left, why)) => {
                format!("the restore stopped half-way, and not everything could be put back ({why}): {}.{safety}", keep_old::words(&left))
            }
        }
    };
    Error::HalfDone { what, source: Box::new(error) }
}

/// Writes what differs, databases last, then removes what is to be removed.
#[expect(clippy::too_many_arguments, reason = "the parts of one restore")]
fn write<'r>(
    repository: &'r Repository,
    (id, record): &(SnapshotId, SnapshotRecord),
    destination: &Destination,
    (index, reader): (&'r Index, &mut ChunkReader<'r>),
    selected: &[(Category, &CategoryRecord)],
    options: &RestoreOptions,
    report: &mut RestoreReport,
    watch: Watch<'_>,
) -> Result<(), Error> {
    let mut target = Target::open(destination, repository, options.dry_run)?;
    report.remarks.extend(target.set_owners(owners::of(reader, record, destination, options)?));
    target.privileges = privileges::Privileges::new(options.trusts_repository);
    let target = target;
    let tally = Tally::default();
    let links = Links::of(destination);
    let (files, bytes) = selected.iter().fold((0, 0), |(files, bytes), (_, c)| (files + c.files, bytes + c.bytes));
    watch.progress.phase(Phase::Restore, files, bytes);

    let mut databases = Vec::new();
    let mut linked: Vec<Entry> = Vec::new();
    let mut first_of_group = std::collections::HashMap::new();
    let mut names = folded::Names::default();
    let new_writer = || Writer::new(ChunkReader::new(repository, index), &target, &tally, watch, repository.scratch_folder(), options, id);
    share(options, new_writer, Writer::entry, |batches| {
        let parts = options.selection.roots();
        for (category, root, part) in selected.iter().flat_map(|(category, root)| parts.iter().map(move |part| (category, root, part))) {
            for entry in Entries::within(reader, root.manifest, part) {
                let entry = match entry {
                    Ok(entry) => target.adopt(entry),
                    Err(error) if error.is_damage() => {
                        let what =
                            format!("part of the list of its files cannot be read back ({}); the files in it were not restored", super::in_one_line(&error));
                        tally.problem(watch, category.name().as_bytes(), what);
                        continue;
                    }
                    Err(error) => return Err(unreadable(id, category.name().as_bytes(), error.into())),
                };
                if watch.interrupt.is_raised() {
                    return Err(Error::Interrupted);
                }
                if !options.selection.takes(*category, &entry.path) || links.hold(&entry) {
                    continue;
                }
                names.note(&entry.path);
                let is_database = *category == Category::Database || matches!(entry.content(), Some(Content::Pages(_)));
                if is_database && matches!(entry.kind, Kind::File { .. }) {
                    databases.push(entry);
                    continue;
                }
                if let Some(group) = entry.link_group.filter(|_| matches!(entry.kind, Kind::File { .. })) {
                    if first_of_group.contains_key(&group) {
                        linked.push(entry);
                        continue;
                    }
                    first_of_group.insert(group, entry.path.clone());
                }
                if !batches.push(entry) {
                    return Ok(());
                }
            }
        }
        Ok(())
    })?;

    let mut writer = new_writer();
    for entry in &linked {
        let first = entry.link_group.and_then(|group| first_of_group.get(&group));
        writer.link(entry, first.map(Vec::as_slice))?;
    }
    database::restore_all(&databases, destination, &target, &mut writer, options)?;
    if options.delete {
        let done = delete::delete_others(reader, record, destination, &target, options, &tally, watch)?;
        (report.deleted, report.deleted_paths, report.unknown, report.unknown_paths) = (done.count, done.named, done.unknown, done.unknown_named);
    }
    watch.progress.phase(Phase::Compare, 0, 0);
    drop(writer);
    dirs::finish(reader, selected, &links, options, new_writer)?;
    names.tell(reader, selected, &target, (options, &tally), watch)?;
    if matches!(destination, Destination::InPlace(_)) {
        let rivals = pictures::rivals(reader, selected, &target, (options, &tally), watch)?;
        report.remarks.extend(rivals.words(options));
    }
    report.remarks.extend(target.privileges.words());
    target.sync(matches!(destination, Destination::InPlace(_)) && !options.dry_run)?;

    report.files = tally.files.load(Ordering::Relaxed);
    report.bytes = tally.bytes.load(Ordering::Relaxed);
    report.unchanged = tally.unchanged.load(Ordering::Relaxed);
    report.metadata = tally.metadata.load(Ordering::Relaxed);
    report.problems = tally.problems.into_inner().unwrap_or_default();
    report.problems.extend(links.problems());
    report.problems.sort_by(|a, b| a.path.cmp(&b.path));
    report.problems = obstacle::gathered(std::mem::take(&mut report.problems));
    Ok(())
}

/// Names the path of a snapshot that cannot be read back.
fn unreadable(id: &SnapshotId, path: &[u8], source: Error) -> Error {
    Error::Unreadable { snapshot: short(id), path: display(path), source: Box::new(source) }
}
