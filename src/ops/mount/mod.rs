//! `mount`: snapshots as directories, for the programs that one already has. Nothing can be written through it.

mod files;
mod inodes;
mod requests;
mod serve;

use std::path::{Path, PathBuf};
use std::time::Duration;

use fuser::{BackgroundSession, Config, MountOption, SessionACL};

use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::store::{Index, IndexMode, Repository};

use self::inodes::Inodes;
use self::requests::FileSystem;
use self::serve::Server;
use super::{Error, Watch};

/// What is mounted.
pub struct MountedSnapshot<'a> {
    /// The name of its directory.
    pub name: String,
    /// The snapshot.
    pub snapshot: &'a (SnapshotId, SnapshotRecord),
}

/// How.
#[derive(Clone, Debug, Default)]
pub struct MountOptions {
    /// Other users may look as well, as far as the files' modes let them.
    pub allow_other: bool,
    /// The one snapshot's tree lies at the top, without a directory of its own.
    pub single: bool,
    /// Threads that read; 0 means four.
    pub threads: usize,
}

/// Readers at once, where the user does not say.
const THREADS: usize = 4;
/// How often it is looked whether the user wants to stop.
const PAUSE: Duration = Duration::from_millis(50);

/// Mounts snapshots at a directory, calls `ready`, and serves until the user interrupts or somebody unmounts it.
pub fn mount(
    repository: &Repository,
    snapshots: &[MountedSnapshot<'_>],
    dir: &Path,
    options: &MountOptions,
    watch: Watch<'_>,
    ready: impl FnOnce(),
) -> Result<(), Error> {
    check(dir)?;
    let index = Index::open(repository, IndexMode::Use)?;
    let inodes = Inodes::new();
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
        // Whoever is not the owner sees what modes let them see. The owner of the repository may see all that is in it.
        mount_options.push(MountOption::DefaultPermissions);
    }
    let mut config = Config::default();
    config.mount_options = mount_options;
    config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
    let threads = if options.threads == 0 { THREADS } else { options.threads };
    std::thread::scope(|scope| {
        let session = fuser::spawn_mount(FileSystem::new(requests), dir, &config).map_err(|source| refused(dir, source))?;
        for _ in 0..threads {
            let (work, inodes, index) = (work.clone(), &inodes, &index);
            scope.spawn(move || {
                let mut server = Server::new(repository, index, snapshots, inodes, options.single);
                work.into_iter().for_each(|request| server.answer(request));
            });
        }
        drop(work);
        ready();
        let ended = wait(session, watch);
        ended.map_err(|source| Error::Mount { path: dir.to_path_buf(), source })
    })
}

/// Waits for the user or for an unmount from outside; unmounts.
fn wait(session: BackgroundSession, watch: Watch<'_>) -> std::io::Result<()> {
    while !watch.interrupt.is_raised() && !session.guard.is_finished() {
        std::thread::sleep(PAUSE);
    }
    if session.guard.is_finished() { session.join() } else { session.umount_and_join() }
}

/// Looks whether it can be mounted there at all.
fn check(dir: &Path) -> Result<(), Error> {
    let refuse = |what: String, hint: &str| Error::Refused { what, hint: hint.to_owned() };
    if !Path::new("/dev/fuse").exists() {
        return Err(refuse(
            "this system has no FUSE (there is no /dev/fuse), so nothing can be mounted".to_owned(),
            "Install fuse3 (Debian, Ubuntu: apt install fuse3), or load the kernel module: modprobe fuse. A container needs --device /dev/fuse --cap-add SYS_ADMIN. Without it: jellyvault ls, cat and restore --to DIR show the same.",
        ));
    }
    let mut entries = std::fs::read_dir(dir).map_err(|source| Error::Target { verb: "mount on", path: dir.to_path_buf(), source })?;
    if entries.next().is_some() {
        return Err(refuse(format!("{} is not empty; what is in it would be hidden", dir.display()), "Name an empty directory."));
    }
    Ok(())
}

fn refused(dir: &Path, source: std::io::Error) -> Error {
    let path: PathBuf = dir.to_path_buf();
    Error::Mount { path, source }
}
