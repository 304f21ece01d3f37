//! The repository that a snapshot goes into. It is made where there is none, unless there was one.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::backend::MemoryBackend;
use crate::ops::{self, ErrorKind as Taken};
use crate::store::Repository;

use super::context::Context;
use super::encrypt;
use super::failure::Failure;
use super::key_args::EncryptArgs;
use super::known::{Known, jellyfins_directory};

/// How long another first snapshot may take to make the repository.
const MAKING: Duration = Duration::from_secs(3);

/// Opens the repository, or makes one and says where it is and what it will hold.
pub fn open_or_make(
    context: &Context,
    make_anew: bool,
    encrypt: &EncryptArgs,
) -> Result<Repository, Failure> {
    let path = context.repository_path()?;
    let mut known = Known::load();
    let start = Instant::now();
    loop {
        if let Some(repository) = open(context, &path)? {
            if encrypt.encrypt && !repository.config().is_encrypted() {
                return Err(Failure::usage(
                    &format!(
                        "the repository {} exists and is not encrypted, and cannot become so",
                        path.display()
                    ),
                    "Make an encrypted one elsewhere (jellyvault --repo NEW init --encrypt) and copy the snapshots: jellyvault copy --to NEW.",
                ));
            }
            if let Some(file) = &encrypt.recovery_key_file {
                context.say(&format!(
                    "Note: the repository exists already, so no recovery key was written to {}. To add one: jellyvault key add --recovery-key --recovery-key-file {}",
                    file.display(),
                    super::render::argument(file)
                ));
            }
            if !repository.is_locked() {
                return Err(ops::Error::from(crate::store::Error::NoLocks { path }).into());
            }
            known.remember(&path, repository.config().is_encrypted());
            return Ok(context.ready(repository));
        }
        if !make_anew {
            refuse_second(&known, &path)?;
        }
        refuse_inside(context, &path)?;
        match encrypt::init(context, &path, encrypt, 0) {
            Ok(repository) => {
                if let Some(trouble) = &known.trouble {
                    context
                        .say(&format!("Note: jellyvault could not find out whether there was a repository at this path before: {trouble}. If there was one, its disk may not be mounted."));
                }
                known.remember_made(&repository.config().id);
                known.remember(&path, repository.config().is_encrypted());
                tell_new(context, &path, repository.config().is_encrypted());
                return Ok(context.ready(repository));
            }
            // Another snapshot may be making it at this moment.
            Err(failure)
                if [Taken::RepositoryExists, Taken::NotEmpty].contains(&failure.kind())
                    && start.elapsed() < MAKING
                    && is_being_made(&path) =>
            {
                std::thread::sleep(Duration::from_millis(30))
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// The same for a dry run: where there is no repository, one in memory stands for it.
pub fn open_or_imagine(context: &Context) -> Result<Repository, Failure> {
    let path = context.repository_path()?;
    if let Some(repository) = open(context, &path)? {
        return Ok(context.ready(repository));
    }
    refuse_second(&Known::load(), &path)?;
    context.say(&format!(
        "There is no repository at {} yet. The first snapshot will create one.",
        path.display()
    ));
    let memory = MemoryBackend::default();
    Repository::init_on(&memory).map_err(ops::Error::from)?;
    Ok(Repository::open_on(Box::new(memory)).map_err(ops::Error::from)?)
}

/// The repository, if it is there. What killed processes left in it is swept.
fn open(context: &Context, path: &Path) -> Result<Option<Repository>, Failure> {
    match context.with_access(|access| Repository::open_as(path, access)) {
        Ok(repository) => {
            context.refuse_plain(path, &repository)?;
            let tmp = repository.spill_folder();
            drop(repository);
            Repository::sweep(path, tmp).map_err(ops::Error::from)?;
            Ok(Some(
                context
                    .with_access(|access| Repository::open_as(path, access))
                    .map_err(ops::Error::from)?,
            ))
        }
        Err(crate::store::Error::NoRepository { .. }) => Ok(None),
        Err(error) => Err(ops::Error::from(error).into()),
    }
}

/// Where a repository was, a new one is made only for who asks for it.
fn refuse_second(known: &Known, path: &Path) -> Result<(), Failure> {
    if known.last_used(path).is_none() {
        return Ok(());
    }
    Err(Failure::gone(known, path, "If you deleted it and want a new one, add --init."))
}

/// Nobody chose the default place: it must not be where a lost server takes its snapshots along.
pub fn refuse_inside(context: &Context, path: &Path) -> Result<(), Failure> {
    if context.names_repository()? {
        return Ok(());
    }
    let Some(dir) = jellyfins_directory(path) else { return Ok(()) };
    Err(Failure::usage(
        &format!(
            "without --repo, the repository would be {}, inside Jellyfin's own directory {}. It would be lost together with that directory",
            path.display(),
            dir.display()
        ),
        "Choose a directory outside of it, preferably on another disk: --repo /mnt/backup/jellyvault, or set JELLYVAULT_REPO.",
    ))
}

fn tell_new(context: &Context, path: &Path, is_encrypted: bool) {
    context.has_made.set(true);
    let path: PathBuf = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    context.say(&format!("Created a repository at {}.", path.display()));
    if !is_encrypted {
        context.say(&warning(&path));
    }
    if let Some(dir) = jellyfins_directory(&path) {
        context.say(&format!(
            "Note: the repository is inside Jellyfin's own directory {}. If that directory or its disk is lost, the snapshots are lost too.",
            dir.display()
        ));
    }
}

/// Said once, when a repository is made: what it holds, and who can read that.
pub fn warning(path: &Path) -> String {
    let own = rustix::process::geteuid().as_raw();
    if let Some(other) =
        std::fs::metadata(path).ok().map(|facts| facts.uid()).filter(|uid| *uid != own)
    {
        return format!(
            "Note: the directory {} belongs to another user ({other}), who can delete and replace files in it. Use a directory of your own for the repository, unless \
             that user is you on another machine.",
            path.display()
        );
    }
    let holds = "Note: snapshots contain password hashes and access tokens.";
    let is_private = std::fs::metadata(path).is_ok_and(|facts| facts.mode() & 0o077 == 0);
    if is_private {
        return format!(
            "{holds} Only you can read the repository's directory. Do not change its permissions."
        );
    }
    format!(
        "{holds} This file system does not store permissions (as exFAT, NTFS and many network shares): anyone with access to {} can read them. Do not share the disk or the network share.",
        path.display()
    )
}

/// Whether a folder holds nothing but what a repository in the making holds.
fn is_being_made(path: &Path) -> bool {
    let parts = [
        "repo.toml",
        "repo.copy.toml",
        "packs",
        "snapshots",
        "list",
        "tmp",
        "scan",
        "index.redb",
        "newest",
        "keys",
    ];
    let ours =
        |name: &str| name.starts_with(".tmp-") || name.starts_with("lock") || parts.contains(&name);
    std::fs::read_dir(path).is_ok_and(|entries| {
        entries.flatten().all(|entry| entry.file_name().to_str().is_some_and(ours))
    })
}
