//! What to do about an error: the hint below what failed.

use crate::ops::{Error, ErrorKind};
use crate::source::FindError;
use crate::store;

/// What to do about it.
pub(super) fn hint(error: &Error) -> Option<String> {
    let text = match error {
        Error::Find(FindError::None { looked }) => format!("Give Jellyfin's data directory: --data-dir /path/to/data. Searched in: {}.", looked.join("; ")),
        Error::Find(FindError::Several { found }) => {
            let list: Vec<String> = found.iter().map(|(path, how)| format!("{path} ({how})")).collect();
            format!("Give the directory of the one you mean: {}.", list.join("; "))
        }
        Error::Find(FindError::NotOne { looked, .. }) => {
            format!("None of these exists: {}. Give the directory that contains data, metadata and root. For any other directory use --plain DIR.", looked.join(", "))
        }
        Error::Find(FindError::Nearby { found, .. }) => format!("Use {found} instead. For any other directory use --plain DIR."),
        Error::Find(FindError::Missing { .. }) => "Check the path: it must be a directory that this user can access.".to_owned(),
        Error::EmptySource { .. } => "No snapshot was taken, because it would record every file as deleted. Is the disk mounted? Is this the right \
            directory, and can this user read it?"
            .to_owned(),
        Error::Refused { hint, .. } => hint.clone(),
        Error::StillInUse { .. } => "End them (for example a mount) and run the same command again: data that was already written is used. To wait longer, add for example --wait 2h.".to_owned(),
        Error::NoPath { .. } | Error::OnNeitherSide { .. } => "Run jellyvault ls SNAPSHOT to see its files. Paths begin with config, data, metadata, plugins, root, or \
            programdata (everything else in Jellyfin's data directory)."
            .to_owned(),
        Error::WatchState { source, .. } if source.sqlite_error_code() == Some(rusqlite::ErrorCode::ReadOnly) => "This user cannot write to the database. Run as the user that Jellyfin runs as, or as root.".to_owned(),
        Error::WatchState { source, .. } if source.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => "Nothing was changed, because a row of the snapshot conflicts with the database. Try another snapshot.".to_owned(),
        Error::WatchState { source: rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..), .. } => "Nothing was changed, because a row of this user in the database contains a value of an unexpected type.".to_owned(),
        Error::NoTable { tables, .. } => format!("The database has these tables: {tables}."),
        Error::NoUser { users, .. } => format!("The database has these users: {users}."),
        Error::Rows(error) if error.is_damage() => return hint_of_rows(),
        Error::Rows(_) => "Is there free space in the system's temporary directory? Set TMPDIR to use another one.".to_owned(),
        Error::WatchState { .. } => "Stop Jellyfin, check that the disk is not full, and run the same command again.".to_owned(),
        Error::Mount { source, .. } if source.kind() == std::io::ErrorKind::NotFound => "Mounting needs the program fusermount3 from the package fuse3 (Debian, Ubuntu: apt install fuse3), or root.".to_owned(),
        Error::Mount { .. } => "Is the directory in use? Is this user allowed to mount? --allow-other needs user_allow_other in /etc/fuse.conf. A container needs --device /dev/fuse --cap-add SYS_ADMIN.".to_owned(),
        Error::InNoSnapshot { .. } => "Run jellyvault find '*NAME*' to search all snapshots by name. Paths begin with config, data, metadata, plugins, root, or \
            programdata (everything else in Jellyfin's data directory)."
            .to_owned(),
        Error::HalfDone { source, .. } => return Some(hint(source).unwrap_or_else(|| "Fix the cause and run the same command again: it continues where it stopped.".to_owned())),
        Error::Interrupted => "Nothing was damaged. The next run uses the data that was already stored.".to_owned(),
        Error::NotAFile { .. } => "Use jellyvault ls to list a directory, and jellyvault restore to restore it.".to_owned(),
        Error::Glob { .. } => "A pattern is a name such as *.bif, or a path such as metadata/People/**.".to_owned(),
        Error::Store(error) | Error::Manifest(crate::manifest::Error::Store(error)) => return store_hint(error),
        Error::Unreadable { source, .. } => return hint_of_damage(source),
        Error::Source { source, .. } if source.kind() == std::io::ErrorKind::NotFound => "Check the path: it does not exist.".to_owned(),
        Error::Source { .. } => "Run as the user that Jellyfin runs as, or as root.".to_owned(),
        Error::Target { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => "The disk is full. Free some space and run the same command again: files that are up to date are not written again.".to_owned(),
        Error::Target { source, .. } if source.kind() == std::io::ErrorKind::NotFound => "Check the path: it does not exist.".to_owned(),
        Error::Target { .. } => "Check that it is a directory, and that this user can write to it.".to_owned(),
        Error::Mend(crate::archive::MendError::Lacks { .. }) => "Its tables cannot be exported. Use export --exact, which does not need them, or restore --in-place, which restores the database unchanged.".to_owned(),
        Error::Mend(_) => "If the disk is not full, the database is damaged. Choose an older snapshot, or restore the database unchanged with restore --to DIR.".to_owned(),
        Error::Zip { source, .. } if matches!(**source, crate::archive::ZipError::Io(_)) => "Check that this user can read the file.".to_owned(),
        Error::Zip { .. } => "The zip was not imported. Is it a backup made by Jellyfin, and was it copied completely?".to_owned(),
        Error::NotABackup { .. } => "The zip was not imported. Give a backup made by Jellyfin 10.11 or newer (Dashboard, Backups; stored in data/backups), or a zip made by jellyvault export.".to_owned(),
        Error::Load { .. } => "The zip was not imported. If the disk is not full, the zip is damaged: use another one.".to_owned(),
        Error::Output(_) => "Check where standard output goes: the disk may be full.".to_owned(),
        Error::ReadBack { .. } => "The zip was not kept. The disk may be failing: try another disk.".to_owned(),
        _ => return None,
    };
    Some(text)
}

fn hint_of_rows() -> Option<String> {
    Some("Part of the database, or of the repository, is damaged. Leave out --rows to compare the files only. Run jellyvault restore SNAPSHOT --to DIR --only database to get the database file itself.".to_owned())
}

fn hint_of_damage(error: &Error) -> Option<String> {
    if error.kind() == ErrorKind::IndexDamaged {
        return hint(error);
    }
    if error.unread_file().is_some() {
        return Some(NOT_READ.to_owned());
    }
    (error.kind() == ErrorKind::Damaged).then(|| {
        "Part of the repository is damaged or missing. Run jellyvault check --read-data to see which files and snapshots are affected, then jellyvault repair. Check the disk, for example with smartctl."
            .to_owned()
    })
}

/// Bytes that the disk does not give may be intact: nothing is done that counts on their loss.
const NOT_READ: &str = "Nothing that a snapshot needs was removed: what cannot be read may be intact. Check that the disk is connected and that this user can \
                        read the repository's directory, then run the same command again. If the disk is failing, copy the repository to a healthy one first.";

/// Whether a directory stands where a file belongs.
fn is_in_the_way(error: &store::Error) -> bool {
    let error: &dyn std::error::Error = error;
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::IsADirectory)
    })
}

fn store_hint(error: &store::Error) -> Option<String> {
    let text = match error {
        store::Error::NoRepository { .. } => {
            "Give the repository's path with --repo PATH or JELLYVAULT_REPO. The first jellyvault snapshot creates a repository."
        }
        store::Error::Locked => {
            "Run the command in a terminal, which asks for the passphrase, or give it with --passphrase-file FILE, --passphrase-command COMMAND, JELLYVAULT_PASSPHRASE_FILE, or [encryption] in the configuration file."
        }
        store::Error::KeysLost | store::Error::WrongPassphrase { tried: 0, .. } => {
            "Nothing was changed. Put the folder keys/ back from a copy of the repository. Without a key nobody can read it."
        }
        store::Error::WrongPassphrase { is_recovery_key: true, .. } => {
            "Nothing was changed. Check each group of the recovery key, and that it is this repository's (jellyvault key list shows its keys)."
        }
        store::Error::WrongPassphrase { .. } | store::Error::Key { .. } => {
            "Nothing was changed. Check the passphrase, and that it is this repository's (jellyvault key list shows its keys). If it is lost, use the recovery key: jellyvault key recover."
        }
        store::Error::NoSecret { .. } => {
            "Nothing was changed. Correct this, then run the same command again."
        }
        store::Error::Forged { .. } => {
            "Nothing was changed. Delete repo.toml, then run jellyvault repair: it takes the settings from repo.copy.toml. If it says the same again, delete repo.copy.toml as well, then run it once more: it takes them from the keys."
        }
        store::Error::NoCache { .. } => {
            "Nothing was changed. Set XDG_CACHE_HOME to a directory that this user can write to, then run the same command again."
        }
        store::Error::NoSettings { .. } => {
            "If you have a copy of repo.toml, put it back. Otherwise run jellyvault repair: it writes new settings and recovers every snapshot it can find in the data."
        }
        store::Error::Exists { .. } => "Use the existing repository, or give another directory.",
        store::Error::NotEmpty { .. } => "Give an empty directory, or one that does not exist yet.",
        store::Error::Newer { .. } => "Nothing was changed. Install a newer version of jellyvault.",
        store::Error::IndexDamaged { .. } => {
            "Run the same command again. Check the disk: a file on it was changed or corrupted."
        }
        store::Error::NoLocks { .. } => {
            "Commands that only read still work. To write anyway, make sure that no other jellyvault uses this repository, on any machine, and add --no-lock. \
             It is better to keep the repository on a file system that supports locks (a local disk, or NFS with its lock daemon)."
        }
        store::Error::Busy { .. } => "Wait until it has finished, then try again.",
        store::Error::Backend(e) if e.is_disk_full() => {
            "The repository's disk is full. No snapshot was damaged. Free some space (jellyvault prune works on a full disk) and run the same command again: data that was already written is used."
        }
        e if is_in_the_way(e) => {
            "A directory has the name of that file. Move the directory elsewhere, then run the same command again."
        }
        e if e.unread_file().is_some() => NOT_READ,
        store::Error::Local { .. } | store::Error::Backend(crate::backend::Error::Io { .. }) => {
            "Check that this user can read and write the repository's directory, and that its disk is healthy."
        }
        e if e.is_damage() => {
            "Part of the repository is damaged or missing. Run jellyvault check --read-data to see which files and snapshots are affected, then jellyvault repair. Check the disk, for example with smartctl."
        }
        _ => return None,
    };
    Some(text.to_owned())
}
