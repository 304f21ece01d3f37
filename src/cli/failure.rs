//! A command that failed: what, on which file or snapshot, why, and what to do.

use std::io::Write;

use jiff::tz::TimeZone;
use serde_json::json;

use crate::manifest::{Catalog, NameError};
use crate::ops::{Error, ErrorKind};
use crate::server::{KeyError, ServerError, ThroughError};
use crate::service::ConfigError;
use crate::source::FindError;
use crate::store;

use super::clean::in_a_line;
use super::{Exit, json as to_json, render};

/// Why a command failed.
pub struct Failure {
    kind: ErrorKind,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    /// Lines below the hint: what there is to choose from.
    choices: Vec<String>,
    exit: Exit,
    /// Whoever read the output went away.
    is_unread: bool,
}

impl Failure {
    /// Whether it is that a directory holds no instance.
    pub fn is_no_instance(&self) -> bool {
        self.kind == ErrorKind::NoSource
    }

    /// What went wrong, in a word.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the user ended it.
    pub fn is_interrupt(&self) -> bool {
        self.kind == ErrorKind::Interrupted
    }

    /// Wrong usage that clap does not see.
    pub fn usage(message: &str, hint: &str) -> Failure {
        Failure {
            kind: ErrorKind::Usage,
            message: message.to_owned(),
            causes: Vec::new(),
            hint: Some(hint.to_owned()),
            choices: Vec::new(),
            exit: Exit::Usage,
            is_unread: false,
        }
    }

    /// It would do harm.
    pub fn refused(message: &str, hint: &str) -> Failure {
        Failure { kind: ErrorKind::Refused, exit: Exit::Failed, ..Failure::usage(message, hint) }
    }

    /// A directory holds no instance.
    pub fn no_source(message: &str, hint: &str) -> Failure {
        Failure { kind: ErrorKind::NoSource, ..Failure::refused(message, hint) }
    }

    /// What was asked for is not there.
    pub fn not_found(message: &str, hint: &str) -> Failure {
        Failure { kind: ErrorKind::NotFound, exit: Exit::Failed, ..Failure::usage(message, hint) }
    }

    /// The same with what there is to choose from, a line each.
    pub fn choosing(self, choices: &str) -> Failure {
        Failure { choices: choices.lines().map(str::to_owned).collect(), ..self }
    }

    /// A repository whose data is there, and whose snapshots are not listed.
    pub fn lost_list() -> Failure {
        Failure {
            kind: ErrorKind::Damaged,
            message: "the repository's list of snapshots is missing, but its data is there".to_owned(),
            causes: Vec::new(),
            hint: Some("Run jellyvault repair: it rebuilds the list of snapshots from the data.".to_owned()),
            choices: Vec::new(),
            exit: Exit::Failed,
            is_unread: false,
        }
    }

    /// The same with other advice.
    pub fn advising(self, hint: &str) -> Failure {
        Failure { hint: Some(hint.to_owned()), ..self }
    }

    /// What failed, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The failure of an answer, after the work was done.
    pub fn but_done(mut self, what: &str) -> Failure {
        self.message = format!("{what}, but the output could not be written");
        self.hint = Some("You do not need to run the command again. Check where standard output goes: the disk may be full.".to_owned());
        self
    }

    /// A repository that this user has used, and that is not there.
    pub fn gone(known: &super::known::Known, path: &std::path::Path, otherwise: &str) -> Failure {
        let last = known.last_used(path).map(|last| last.to_zoned(TimeZone::system()).strftime(" (last used on %Y-%m-%d at %H:%M)").to_string());
        Failure {
            kind: ErrorKind::NoRepository,
            message: format!(
                "the repository {} is missing: it existed before{}",
                std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).display(),
                last.unwrap_or_default()
            ),
            causes: Vec::new(),
            hint: Some(format!("Its disk is probably not mounted. Mount it and try again. {otherwise}")),
            choices: Vec::new(),
            exit: Exit::Failed,
            is_unread: false,
        }
    }

    /// A snapshot's name that does not name one: what is there is listed.
    pub fn name(error: NameError, catalog: &Catalog, zone: &TimeZone) -> Failure {
        let listed = |ids: Vec<&(crate::manifest::SnapshotId, crate::manifest::SnapshotRecord)>| {
            ids.iter()
                .map(|(id, record)| {
                    format!(
                        "{} ({}{})",
                        render::short(id),
                        render::time(record.time_ns, zone),
                        record.label.as_ref().map_or_else(String::new, |l| format!(", {l}"))
                    )
                })
                .collect::<Vec<_>>()
                .join(", ")
        };
        let newest: Vec<_> = catalog.snapshots.iter().rev().take(5).collect();
        let hint = match &error {
            NameError::Empty => "Take a snapshot first: jellyvault snapshot".to_owned(),
            NameError::None { .. } => format!("The newest snapshots are: {}. Run jellyvault list to see all.", listed(newest)),
            NameError::Several { candidates, .. } => {
                let fitting: Vec<_> = catalog.snapshots.iter().filter(|(id, _)| candidates.contains(id)).rev().take(10).collect();
                format!("Type more characters of the id: {}.", fitting.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(", "))
            }
        };
        Failure { hint: Some(hint), ..Failure::from(Error::from(error)) }
    }

    /// The same, told apart from "something differs": as the program diff ends.
    pub fn into_trouble(self) -> Failure {
        Failure { exit: if self.exit == Exit::Failed { Exit::Usage } else { self.exit }, ..self }
    }

    /// What happened, with its causes.
    pub fn in_one_line(&self) -> String {
        [std::slice::from_ref(&self.message), &self.causes].concat().join(": ")
    }

    /// It as JSON.
    pub fn document(&self) -> serde_json::Value {
        let hint = self.hint.as_ref().map(|hint| [std::slice::from_ref(hint), &self.choices].concat().join("\n"));
        json!({"kind": self.kind.word(), "message": self.message, "causes": self.causes, "hint": hint})
    }

    /// Tells it, on standard error or as JSON.
    pub fn report(&self, as_json: bool) -> Exit {
        // A reader of our output who went away has all that they wanted.
        if self.is_unread {
            return Exit::Done;
        }
        if as_json {
            to_json::print(&json!({"error": self.document()}));
            return self.exit;
        }
        super::bar::clear();
        let mut text = format!("Error: {}\n", in_a_line(&self.message));
        self.causes.iter().for_each(|cause| text.push_str(&format!("Caused by: {}\n", in_a_line(cause))));
        self.hint.iter().for_each(|hint| text.push_str(&format!("Hint: {}\n", in_a_line(hint))));
        self.choices.iter().for_each(|choice| text.push_str(&format!("{}\n", in_a_line(choice))));
        // Where standard error is closed the exit code still tells.
        crate::tolerate(std::io::stderr().write_all(text.as_bytes()));
        self.exit
    }
}

/// The causes of an error.
fn causes_of(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(error.source(), |error| error.source()).map(ToString::to_string).collect()
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Failure {
        Failure::refused(&error.to_string(), "Create an API key in the dashboard (Dashboard, API Keys) and write it to this file, readable by this user.")
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Failure {
        let kind = if error.is_passing() { ErrorKind::Io } else { ErrorKind::Refused };
        Failure { kind, ..Failure::refused(&error.to_string(), error.hint()) }
    }
}

impl From<ThroughError> for Failure {
    fn from(error: ThroughError) -> Failure {
        let again = "Run the same command again: it does what is left.";
        let halfway = |hint: String| Failure { kind: ErrorKind::Io, causes: causes_of(&error), ..Failure::refused(&error.to_string(), &hint) };
        match error {
            ThroughError::Halfway { ref source, .. } if matches!(**source, ThroughError::Ops(Error::Interrupted)) => {
                Failure { kind: ErrorKind::Interrupted, exit: Exit::Interrupted, ..halfway(again.to_owned()) }
            }
            ThroughError::Server(error) => error.into(),
            ThroughError::Ops(error) => error.into(),
            ThroughError::Halfway { safety: Some(safety), .. } => {
                halfway(format!("{again} Snapshot {} has the state before; jellyvault restore with --watch-state takes it from there.", render::short(&safety)))
            }
            _ => halfway(again.to_owned()),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        let hint = "Correct it, then run jellyvault config check. jellyvault config example writes a commented example.";
        Failure::usage(&error.to_string(), hint)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let (mut causes, mut is_unread) = (Vec::new(), false);
        let mut next: Option<&dyn std::error::Error> = std::error::Error::source(&error);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            is_unread |= cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
            next = cause.source();
        }
        let exit = match &error {
            error if error.kind() == ErrorKind::Interrupted => Exit::Interrupted,
            Error::Glob { .. } | Error::NotAFile { .. } => Exit::Usage,
            _ => Exit::Failed,
        };
        Failure { kind: error.kind(), message: error.to_string(), causes, hint: hint(&error), choices: Vec::new(), exit, is_unread }
    }
}

/// What to do about it.
fn hint(error: &Error) -> Option<String> {
    let text = match error {
                Error::Find(FindError::None { looked }) => format!("Give Jellyfin's data directory: jellyvault snapshot /path/to/data, or --data-dir. Searched in: {}.", looked.join("; ")),
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

fn store_hint(error: &store::Error) -> Option<String> {
    let text = match error {
        store::Error::NoRepository { .. } => {
            "Give the repository's path with --repo PATH or JELLYVAULT_REPO. The first jellyvault snapshot creates a repository."
        }
        store::Error::Locked => {
            "Run the command in a terminal, which asks for the passphrase, or give it with --passphrase-file FILE, --passphrase-command COMMAND, JELLYVAULT_PASSPHRASE_FILE, or [encryption] in the configuration file."
        }
        store::Error::WrongPassphrase { tried: 0, .. } => {
            "Nothing was changed. Put the folder keys/ back from a copy of the repository. Without a key nobody can read it."
        }
        store::Error::WrongPassphrase { is_recovery_key: true, .. } => {
            "Nothing was changed. Check each group of the recovery key, and that it is this repository's (jellyvault key list shows its keys)."
        }
        store::Error::WrongPassphrase { .. } | store::Error::Key { .. } => {
            "Nothing was changed. Check the passphrase, and that it is this repository's (jellyvault key list shows its keys). If it is lost, use the recovery key: jellyvault key recover."
        }
        store::Error::NoSettings { .. } => {
            "If you have a copy of repo.toml, put it back. Otherwise run jellyvault repair: it writes new settings and recovers every snapshot it can find in the data."
        }
        store::Error::Exists { .. } => "Use the existing repository, or give another directory.",
        store::Error::NotEmpty { .. } => "Give an empty directory, or one that does not exist yet.",
        store::Error::Newer { .. } => "Nothing was changed. Install a newer version of jellyvault.",
        store::Error::IndexDamaged { .. } => "Run the same command again. Check the disk: a file on it was changed or corrupted.",
        store::Error::NoLocks { .. } => {
            "Commands that only read still work. To write anyway, make sure that no other jellyvault uses this repository, on any machine, and add --no-lock. \
             It is better to keep the repository on a file system that supports locks (a local disk, or NFS with its lock daemon)."
        }
        store::Error::Busy { .. } => "Wait until it has finished, then try again.",
        store::Error::Backend(e) if e.is_disk_full() => {
            "The repository's disk is full. No snapshot was damaged. Free some space (jellyvault prune works on a full disk) and run the same command again: data that was already written is used."
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
