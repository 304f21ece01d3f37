//! `mount`: snapshots as directories, for the programs that one already has. Nothing can be written
//! through it.

mod answer;
mod attributes;
mod by_title;
mod inodes;
mod requests;
mod serve;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fuser::{BackgroundSession, Config, MountOption, SessionACL};

use serde::{Deserialize, Serialize};

use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::store::Repository;

use self::by_title::Titles;
use self::inodes::Inodes;
use self::requests::FileSystem;
use self::serve::{Mounted, Server};
use super::{Error, Monitor, in_one_line};
use crate::progress::Problem;

/// What is mounted.
pub struct MountedSnapshot<'a> {
    /// The name of its directory.
    pub name: String,
    /// The snapshot.
    pub snapshot: &'a (SnapshotId, SnapshotRecord),
}

/// How.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MountOptions {
    /// Other users may look as well, as far as the files' modes let them.
    pub allow_other: bool,
    /// The one snapshot's tree lies at the top, without a directory of its own.
    pub single: bool,
    /// Each snapshot has a folder `titles` with links by what things are called.
    pub titles: bool,
    /// Threads that read; 0 means four.
    pub threads: usize,
}

/// What the user should know while it is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It can be looked at.
    Ready,
    /// It is taken away, but somebody still has a file of it open.
    Busy,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct MountReport {
    /// What could not be read back, each path once, the first 1,000.
    pub problems: Vec<Problem>,
    /// All of them, counted.
    pub problem_count: u64,
}

/// Paths that could not be read back.
#[derive(Default)]
pub(super) struct Damage(Mutex<BTreeMap<String, String>>);

/// Damaged paths that are told.
const TOLD_MAX: usize = 1000;

impl Damage {
    pub(super) fn note(&self, path: String, error: &Error) {
        // A thread that panicked while it noted something took nothing from the list.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(path).or_insert_with(|| in_one_line(error));
    }

    fn report(self) -> MountReport {
        let all = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let problem_count = all.len() as u64;
        let problems = all
            .into_iter()
            .take(TOLD_MAX)
            .map(|(path, why)| Problem { path, what: format!("it could not be read ({why})") })
            .collect();
        MountReport { problems, problem_count }
    }
}

/// After so many pauses it is said that a mount is in use.
const BUSY_AFTER: u32 = 6;

/// Readers at once, where the user does not say.
const THREADS: usize = 4;
/// How often it is looked whether the user wants to stop.
const PAUSE: Duration = Duration::from_millis(50);

/// Mounts snapshots at a directory, calls `ready`, and serves until the user interrupts or somebody
/// unmounts it.
pub fn mount(
    repository: &Repository,
    snapshots: &[MountedSnapshot<'_>],
    dir: &Path,
    options: &MountOptions,
    monitor: &Monitor,
    tell: impl Fn(Moment),
) -> Result<MountReport, Error> {
    check(dir)?;
    let index = repository.index()?;
    let (inodes, damage) = (Inodes::new(), Damage::default());
    let titles = options.titles.then(Titles::default);
    let (requests, work) = crossbeam_channel::unbounded();
    let mut mount_options = vec![
        MountOption::RO,
        MountOption::NoSuid,
        MountOption::NoDev,
        MountOption::NoExec,
        MountOption::FSName("jellyvault".to_owned()),
        MountOption::Subtype("jellyvault".to_owned()),
    ];
    if options.allow_other {
        // Whoever is not the owner sees what modes let them see. The owner of the repository may
        // see all that is in it.
        mount_options.push(MountOption::DefaultPermissions);
    }
    let mut config = Config::default();
    config.mount_options = mount_options;
    config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
    let threads = if options.threads == 0 { THREADS } else { options.threads };
    let served: Result<(), Error> = std::thread::scope(|scope| {
        let session = fuser::spawn_mount(FileSystem::new(requests), dir, &config)
            .map_err(|source| refused(dir, source))?;
        for _ in 0..threads {
            let (work, mounted) = (
                work.clone(),
                Mounted {
                    repository,
                    index: &index,
                    snapshots,
                    inodes: &inodes,
                    damage: &damage,
                    titles: titles.as_ref(),
                },
            );
            scope.spawn(move || {
                let mut server = Server::new(mounted, options.single);
                work.into_iter().for_each(|request| server.answer(request));
            });
        }
        drop(work);
        tell(Moment::Ready);
        wait(session, dir, monitor, &tell)
            .map_err(|source| Error::Mount { path: dir.to_path_buf(), source })
    });
    served?;
    Ok(damage.report())
}

/// Waits for the user or for an unmount from outside. A user's Ctrl-C takes the directory free at
/// once; whoever still has a file open keeps it until they let go.
fn wait(
    session: BackgroundSession,
    dir: &Path,
    monitor: &Monitor,
    tell: &impl Fn(Moment),
) -> std::io::Result<()> {
    while !monitor.interrupt.is_raised() && !session.guard.is_finished() {
        std::thread::sleep(PAUSE);
    }
    if !session.guard.is_finished() {
        detach(dir)?;
        for round in 0u32.. {
            if session.guard.is_finished() {
                break;
            }
            if round == BUSY_AFTER {
                tell(Moment::Busy);
            }
            std::thread::sleep(PAUSE);
        }
    }
    session.join()
}

/// Takes the mount out of the tree, in use or not.
fn detach(dir: &Path) -> std::io::Result<()> {
    match rustix::mount::unmount(dir, rustix::mount::UnmountFlags::DETACH) {
        Ok(()) => Ok(()),
        Err(error) => {
            // Whoever is not root may do it through the helper that mounted it.
            let helped = |helper: &str| {
                std::process::Command::new(helper)
                    .args(["-u", "-z"])
                    .arg(dir)
                    .status()
                    .is_ok_and(|status| status.success())
            };
            if helped("fusermount3") || helped("fusermount") { Ok(()) } else { Err(error.into()) }
        }
    }
}

/// Looks whether it can be mounted there at all.
fn check(dir: &Path) -> Result<(), Error> {
    let refuse = |what: String, hint: &str| Error::Refused { what, hint: hint.to_owned() };
    if !Path::new("/dev/fuse").exists() {
        return Err(refuse(
            "this system does not support FUSE (/dev/fuse does not exist), so nothing can be mounted".to_owned(),
            "Install fuse3 (Debian, Ubuntu: apt install fuse3), or load the kernel module: modprobe fuse. A container needs --device /dev/fuse --cap-add SYS_ADMIN. Without FUSE, use jellyvault ls, cat and restore --to DIR.",
        ));
    }
    let mut entries = std::fs::read_dir(dir).map_err(|source| {
        match rustix::io::Errno::from_io_error(&source) {
            Some(rustix::io::Errno::NOTCONN) => refuse(
                format!("{} is a mount whose program has ended", dir.display()),
                "Unmount it with umount (or fusermount3 -u), then mount again.",
            ),
            _ => Error::Target { verb: "mount on", path: dir.to_path_buf(), source },
        }
    })?;
    if entries.next().is_some() {
        return Err(refuse(
            format!("{} is not empty, and its contents would be hidden", dir.display()),
            "Give an empty directory.",
        ));
    }
    Ok(())
}

fn refused(dir: &Path, source: std::io::Error) -> Error {
    let path: PathBuf = dir.to_path_buf();
    Error::Mount { path, source }
}
