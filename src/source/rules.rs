//! What is left out of a scan, and why.

use std::collections::HashSet;

use globset::{Glob, GlobSet, GlobSetBuilder};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::manifest::file_name;

use super::category::Category;
use super::scratch::PREFIX as SCRATCH_PREFIX;
use super::stat::Stat;

/// What is captured and what is not.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// A Jellyfin instance: its own rules hold. Otherwise a plain folder: everything is captured.
    pub is_instance: bool,
    /// Directories that are never entered, by (device, inode): other roots, cache, logs, the
    /// repository.
    pub closed: HashSet<(u64, u64)>,
    /// Categories that are wanted; empty means all.
    pub categories: Vec<Category>,
    /// Do not enter other file systems.
    pub one_file_system: bool,
    /// What the user left out; set by [`Rules::exclude`].
    pub globs: Globs,
    /// Take what the server makes anew all the time ([`GENERATED`]).
    pub takes_generated: bool,
    /// Whether the temporary files of a killed restore are told.
    pub takes_leftovers: bool,
    /// Whether some of it was met and left out.
    pub has_left_generated: Arc<AtomicBool>,
}

/// Globs for names and for whole paths.
#[derive(Clone, Debug, Default)]
pub struct Globs {
    on_names: GlobSet,
    on_paths: GlobSet,
    /// Each as it was given, with its set and whether something fitted it.
    given: Arc<[(String, bool, AtomicBool)]>,
}

impl Globs {
    /// One without `/` holds for names, one with `/` for whole logical paths.
    pub fn new(globs: &[String]) -> Result<Globs, globset::Error> {
        let (mut names, mut paths) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for glob in globs {
            let set = if glob.contains('/') { &mut paths } else { &mut names };
            set.add(Glob::new(glob.trim_start_matches('/'))?);
        }
        let given = globs
            .iter()
            .map(|glob| (glob.clone(), glob.contains('/'), AtomicBool::new(false)))
            .collect();
        Ok(Globs { on_names: names.build()?, on_paths: paths.build()?, given })
    }

    /// Those that nothing fitted until now: a typing error, perhaps.
    pub fn unused(&self) -> impl Iterator<Item = &str> {
        self.given
            .iter()
            .filter(|(_, _, used)| !used.load(Ordering::Relaxed))
            .map(|(glob, ..)| glob.as_str())
    }

    fn note(&self, is_path: bool, fitting: &[usize]) {
        let set = self.given.iter().filter(|(_, on_path, _)| *on_path == is_path);
        set.enumerate()
            .filter(|(number, _)| fitting.contains(number))
            .for_each(|(_, (_, _, used))| used.store(true, Ordering::Relaxed));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.on_names.is_empty() && self.on_paths.is_empty()
    }

    /// Whether one of them holds for a path.
    pub fn fit(&self, path: &[u8]) -> bool {
        let as_path = |bytes| Path::new(OsStr::from_bytes(bytes));
        // An empty set still takes the path apart before it says no.
        let fits = |set: &GlobSet, is_path, bytes| {
            let fits = !set.is_empty() && set.is_match(as_path(bytes));
            if fits {
                self.note(is_path, &set.matches(as_path(bytes)));
            }
            fits
        };
        // Each is asked, so that each knows that it was of use.
        fits(&self.on_names, false, file_name(path)) | fits(&self.on_paths, true, path)
    }
}

impl Rules {
    /// Sets the globs of `--exclude`.
    pub fn exclude(&mut self, globs: &[String]) -> Result<(), globset::Error> {
        self.globs = Globs::new(globs)?;
        Ok(())
    }

    /// Whether a category is wanted.
    pub fn wants(&self, category: Category) -> bool {
        self.categories.is_empty() || self.categories.contains(&category)
    }

    /// The category of a path.
    pub fn category(&self, path: &[u8]) -> Category {
        if self.is_instance { Category::of(path) } else { Category::Other }
    }

    /// Whether a path is left out, with all below it.
    pub fn leaves_out(&self, path: &[u8], stat: &Stat) -> bool {
        if self.globs.fit(path) {
            return true;
        }
        if stat.is_dir() && self.closed.contains(&(stat.dev, stat.ino)) {
            return true;
        }
        let is_left_over = file_name(path).starts_with(RESTORE_PREFIX)
            && !(self.takes_leftovers && stat.is_file() && is_temporary(file_name(path)));
        if is_left_over
            || file_name(path) == UNFINISHED.as_bytes()
            || (stat.is_dir() && file_name(path).starts_with(SCRATCH_PREFIX.as_bytes()))
        {
            return true;
        }
        if !self.is_instance {
            return is_sqlite_side_name(path);
        }
        if !self.takes_generated && is_generated(path) {
            self.has_left_generated.store(true, Ordering::Relaxed);
            return true;
        }
        let leads_elsewhere = matches!(
            path,
            b"data" | b"plugins" | b"programdata" | b"metadata" | b"config" | b"root"
        );
        NEVER.contains(&path)
            || is_kept_old(path)
            || is_sqlite_side_name(path)
            || (stat.is_dir() && !leads_elsewhere && !self.wants_below(path))
    }

    /// The same for a linked folder, which is a root of its own: it is closed to a walk that comes
    /// upon it in another way.
    pub fn leaves_out_linked(&self, path: &[u8]) -> bool {
        self.globs.fit(path) || NEVER.contains(&path) || !self.wants_below(path)
    }

    /// Whether anything below a directory can be wanted.
    fn wants_below(&self, path: &[u8]) -> bool {
        let category = Category::of(path);
        self.wants(category)
            || (category.may_hold_sqlite() && self.wants(Category::Database))
            || path == b"data"
    }
}

/// What a restore that was killed left behind.
const RESTORE_PREFIX: &[u8] = b".jellyvault-";

/// Whether a name is one that a restore gives to a file that it is writing: two numbers, or one and
/// the name of a database.
fn is_temporary(name: &[u8]) -> bool {
    let rest = name.strip_prefix(RESTORE_PREFIX).unwrap_or_default();
    let (first, second) =
        rest.iter().position(|byte| *byte == b'-').map_or((rest, &[][..]), |at| rest.split_at(at));
    !first.is_empty() && first.iter().all(u8::is_ascii_hexdigit) && second.len() > 1
}

/// The file in the data directory of a server whose paths were changed halfway. Its name is what a
/// server's log shows: Jellyfin 10.11 and later do not start where there is a marker that they do
/// not know.
pub const UNFINISHED: &str = ".jellyfin-unfinished-move-see-jellyvault-move-undo";

/// The server's own backups: each holds all of it again.
const NEVER: [&[u8]; 2] = [b"data/backups", b"data/SQLiteBackups"];

/// What the server makes anew all the time out of what a snapshot holds, so that keeping each
/// version would cost more than all else.
///
/// `splashscreen.png`: painted at every library scan from posters at random, some 4 MB, twice a day
/// by default. One that the user uploaded has another name (`splashscreen-upload`) and is kept.
pub const GENERATED: [&str; 1] = ["data/splashscreen.png"];

/// Whether a path is one of [`GENERATED`].
pub fn is_generated(path: &[u8]) -> bool {
    GENERATED.iter().any(|generated| generated.as_bytes() == path)
}

/// Side files of a database: their content is in the copy that is captured; beside another file
/// they destroy it.
fn is_sqlite_side_name(path: &[u8]) -> bool {
    let name = file_name(path);
    [b"-wal".as_slice(), b"-shm", b"-journal"].into_iter().any(|end| {
        name.strip_suffix(end).is_some_and(|stem| {
            [b".db".as_slice(), b".sqlite", b".sqlite3", b".db.old"]
                .into_iter()
                .any(|kind| stem.ends_with(kind))
        })
    })
}

/// What `restore --keep-old` moved aside (`NAME.bak-20261122T101500`): it holds the old state, not
/// the source's.
fn is_kept_old(path: &[u8]) -> bool {
    let name = file_name(path);
    name.windows(5)
        .rposition(|part| part == b".bak-")
        .and_then(|at| name.get(at + 5..))
        .is_some_and(|stamp| {
            stamp.len() == 15
                && stamp
                    .iter()
                    .enumerate()
                    .all(|(at, b)| if at == 8 { *b == b'T' } else { b.is_ascii_digit() })
        })
}

/// Markers that the server puts into directories whose content is never worth keeping.
pub(super) const PASSING_MARKERS: [&[u8]; 3] =
    [b".jellyfin-cache", b".jellyfin-log", b".jellyfin-transcode"];

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(mode: u32) -> Stat {
        let time = crate::manifest::Time::default();
        Stat {
            mode,
            uid: 0,
            gid: 0,
            nlink: 1,
            size: 0,
            blocks: 0,
            mtime: time,
            ctime: time,
            ino: 7,
            dev: 1,
            mount: 0,
        }
    }

    #[test]
    fn the_temporary_files_of_a_restore_are_known() {
        for name in [".jellyvault-7cdf4500571f39ec-16", ".jellyvault-4711-jellyfin.db"] {
            assert!(is_temporary(name.as_bytes()), "{name}");
        }
        for name in
            [".jellyvault-", ".jellyvault-notes", ".jellyvault-7cdf", ".jellyvault-ab-", "7cdf-1"]
        {
            assert!(!is_temporary(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn what_the_contract_says_is_never_captured_is_left_out() {
        let rules = Rules { is_instance: true, ..Rules::default() };
        for path in [
            "data/backups",
            "data/SQLiteBackups",
            "data/jellyfin.db-wal",
            "data/jellyfin.db-shm",
            "plugins/x/y.db-journal",
            "config/x.db-wal",
            "config/users.bak-20261122T101500",
        ] {
            assert!(rules.leaves_out(path.as_bytes(), &stat(0o100_644)), "{path}");
        }
        for path in ["data/trickplay/backups", "config/x-wal", "data/keep-wal", "data/jellyfin.db"]
        {
            assert!(!rules.leaves_out(path.as_bytes(), &stat(0o100_644)), "{path}");
        }
    }

    #[test]
    fn globs_hold_for_names_or_for_whole_paths() {
        let mut rules = Rules { is_instance: true, ..Rules::default() };
        rules.exclude(&["*.bif".into(), "/data/trickplay/ab/**".into()]).unwrap();
        assert!(rules.leaves_out(b"metadata/x/y.bif", &stat(0o100_644)));
        assert!(rules.leaves_out(b"data/trickplay/ab/c/0.jpg", &stat(0o100_644)));
        assert!(!rules.leaves_out(b"data/trickplay/cd/c/0.jpg", &stat(0o100_644)));
    }

    #[test]
    fn directories_of_unwanted_categories_are_not_entered() {
        let rules =
            Rules { is_instance: true, categories: vec![Category::Database], ..Rules::default() };
        assert!(rules.leaves_out(b"metadata/library", &stat(0o040_755)));
        assert!(rules.leaves_out(b"data/trickplay", &stat(0o040_755)));
        assert!(!rules.leaves_out(b"plugins/reports", &stat(0o040_755)));
        assert!(!rules.leaves_out(b"data", &stat(0o040_755)));
    }
}
