//! A command that failed: what, on which file or snapshot, why, and what to do.

use std::io::Write;

use jiff::tz::TimeZone;
use serde_json::json;

use crate::manifest::{Catalog, NameError};
use crate::ops::Error;
use crate::source::FindError;
use crate::store;

use super::clean::in_a_line;
use super::context::Context;
use super::{Exit, json as to_json, render};

/// Why a command failed.
pub struct Failure {
    kind: &'static str,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    exit: Exit,
}

impl Failure {
    /// Whether it is that a directory holds no instance.
    pub fn is_no_instance(&self) -> bool {
        self.kind == "no-source"
    }

    /// Wrong usage that clap does not see.
    pub fn usage(message: &str, hint: &str) -> Failure {
        Failure { kind: "usage", message: message.to_owned(), causes: Vec::new(), hint: Some(hint.to_owned()), exit: Exit::Usage }
    }

    /// What failed, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The failure of an answer, after the work was done.
    pub fn but_done(mut self, what: &str) -> Failure {
        self.message = format!("{what}, but the answer could not be written");
        self.hint = Some("Nothing needs to be done again. See what standard output leads to: a full disk, perhaps.".to_owned());
        self
    }

    /// A repository that this user has used, and that is not there.
    pub fn gone(known: &super::known::Known, path: &std::path::Path, otherwise: &str) -> Failure {
        let last = known.last_used(path).map(|last| last.to_zoned(TimeZone::system()).strftime(" on %Y-%m-%d at %H:%M").to_string());
        Failure {
            kind: "no-repository",
            message: format!(
                "the repository {} is gone: it was there{}, and nothing is there now",
                std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).display(),
                last.unwrap_or_default()
            ),
            causes: Vec::new(),
            hint: Some(format!("Most likely its disk is not mounted: mount it and try again. {otherwise}")),
            exit: Exit::Failed,
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
            NameError::Empty => "Take one first: jellyvault snapshot".to_owned(),
            NameError::None { .. } => format!("The newest are: {}. jellyvault list shows all.", listed(newest)),
            NameError::Several { candidates, .. } => {
                let fitting: Vec<_> = catalog.snapshots.iter().filter(|(id, _)| candidates.contains(id)).rev().take(10).collect();
                format!("Type more of its id: {}.", fitting.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(", "))
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
        json!({"kind": self.kind, "message": self.message, "causes": self.causes, "hint": self.hint})
    }

    /// Tells it, on standard error or as JSON.
    pub fn report(&self, context: &Context) -> Exit {
        // A reader of our output who went away has all that they wanted.
        if self.kind == "io" && self.causes.iter().any(|cause| cause.contains("Broken pipe")) {
            return Exit::Done;
        }
        if context.global.json {
            to_json::print(&json!({"error": self.document()}));
            return self.exit;
        }
        super::bar::clear();
        let mut text = format!("Error: {}\n", in_a_line(&self.message));
        self.causes.iter().for_each(|cause| text.push_str(&format!("Caused by: {}\n", in_a_line(cause))));
        self.hint.iter().for_each(|hint| text.push_str(&format!("Hint: {}\n", in_a_line(hint))));
        // Where standard error is closed the exit code still tells.
        crate::tolerate(std::io::stderr().write_all(text.as_bytes()));
        self.exit
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let mut causes = Vec::new();
        let mut next: Option<&dyn std::error::Error> = std::error::Error::source(&error);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        let exit = match &error {
            Error::Interrupted => Exit::Interrupted,
            Error::Glob { .. } | Error::NotAFile { .. } => Exit::Usage,
            _ => Exit::Failed,
        };
        Failure { kind: error.kind(), message: error.to_string(), causes, hint: hint(&error), exit }
    }
}

/// What to do about it.
fn hint(error: &Error) -> Option<String> {
    let text = match error {
        Error::Find(FindError::None { looked }) => format!("Name its data directory (jellyvault snapshot /path/of/data, or --data-dir). Looked for it in: {}.", looked.join("; ")),
        Error::Find(FindError::Several { found }) => {
            let list: Vec<String> = found.iter().map(|(path, how)| format!("{path} ({how})")).collect();
            format!("Name the one that you mean: {}.", list.join("; "))
        }
        Error::Find(FindError::NotOne { looked, .. }) => {
            format!("None of these is there: {}. Name the directory that holds data, metadata and root; for any other folder use --plain DIR.", looked.join(", "))
        }
        Error::Find(FindError::Nearby { found, .. }) => format!("Name {found} instead; for a folder of any kind use --plain DIR."),
        Error::Find(FindError::Missing { .. }) => "Check the path; it must be a directory that this user can see.".to_owned(),
        Error::EmptySource { .. } => "A snapshot of nothing would look like one of everything gone, so none was taken. Is the disk mounted? Is this the right directory, and may this user read it?".to_owned(),
        Error::Refused { hint, .. } => hint.clone(),
        Error::NoPath { .. } | Error::OnNeitherSide { .. } => "jellyvault ls SNAPSHOT shows what is there; paths begin with config, data, metadata, plugins, root, or programdata (whatever else lies in Jellyfin's data directory).".to_owned(),
        Error::WatchState { source, .. } if source.sqlite_error_code() == Some(rusqlite::ErrorCode::ReadOnly) => "This user may not write to it: run as the user that Jellyfin runs as, or as root.".to_owned(),
        Error::WatchState { source, .. } if source.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => "A row of the snapshot does not fit the database; nothing was changed. Another snapshot may.".to_owned(),
        Error::WatchState { source: rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..), .. } => "A row of this user in the database holds what no server writes there; nothing was changed.".to_owned(),
        Error::NoTable { tables, .. } => format!("Its tables are: {tables}."),
        Error::NoUser { users, .. } => format!("Its users are: {users}."),
        Error::Rows(error) if error.is_damage() => return hint_of_rows(),
        Error::Rows(_) => "Is there room in the system's temporary directory? It can be named by TMPDIR.".to_owned(),
        Error::WatchState { .. } => "Stop Jellyfin, look whether the disk is full, and run the same command again.".to_owned(),
        Error::Mount { source, .. } if source.kind() == std::io::ErrorKind::NotFound => "Mounting needs the program fusermount3 of the package fuse3 (Debian, Ubuntu: apt install fuse3), or root.".to_owned(),
        Error::Mount { .. } => "Is the directory free, and may this user mount? --allow-other needs user_allow_other in /etc/fuse.conf; a container needs --device /dev/fuse --cap-add SYS_ADMIN.".to_owned(),
        Error::InNoSnapshot { .. } => "jellyvault find '*NAME*' looks for names in all snapshots; paths begin with config, data, metadata, plugins, root, or programdata (whatever else lies in Jellyfin's data directory).".to_owned(),
        Error::HalfDone { source, .. } => return Some(hint(source).unwrap_or_else(|| "Put that right, and run the same command again: it continues where it stopped.".to_owned())),
        Error::Interrupted => "Nothing is broken: what was stored is used by the next run.".to_owned(),
        Error::NotAFile { .. } => "jellyvault ls lists directories; jellyvault restore brings them back.".to_owned(),
        Error::Glob { .. } => "Patterns are names such as *.bif or paths such as metadata/People/**.".to_owned(),
        Error::Store(error) | Error::Manifest(crate::manifest::Error::Store(error)) => return store_hint(error),
        Error::Unreadable { source, .. } => return hint_of_damage(source),
        Error::Source { source, .. } if source.kind() == std::io::ErrorKind::NotFound => "Check the path: nothing is there.".to_owned(),
        Error::Source { .. } => "Run as the user that Jellyfin runs as, or as root.".to_owned(),
        Error::Target { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => "The disk is full. Make room and run the same command again: what is right already is not written twice.".to_owned(),
        Error::Target { source, .. } if source.kind() == std::io::ErrorKind::NotFound => "Check the path: nothing is there.".to_owned(),
        Error::Target { .. } => "Check that it is a directory that this user may write to.".to_owned(),
        Error::Mend(crate::archive::MendError::Lacks { .. }) => "Its tables cannot be written. export --exact needs none of them; restore --in-place brings it back as it is.".to_owned(),
        Error::Mend(_) => "If the disk is not full, the database is damaged: choose an older snapshot, or have it as it is with restore --to DIR.".to_owned(),
        Error::Zip { source, .. } if matches!(**source, crate::archive::ZipError::Io(_)) => "Check that this user may read it.".to_owned(),
        Error::Zip { .. } => "It was not imported. Is it a backup that Jellyfin made, and was it copied whole?".to_owned(),
        Error::NotABackup { .. } => "It was not imported. Name a zip that Jellyfin 10.11 or newer made (Dashboard, Backups; they lie in data/backups), or one of jellyvault export.".to_owned(),
        Error::Load { .. } => "It was not imported. If the disk is not full, the zip is damaged: take another one.".to_owned(),
        Error::ReadBack { .. } => "It was not kept. The disk may be failing: try another one.".to_owned(),
        _ => return None,
    };
    Some(text)
}

fn hint_of_rows() -> Option<String> {
    Some("Part of the database, or of the repository that holds it, is damaged. The files can still be compared: leave out --rows. jellyvault restore --to DIR --only database brings the database itself.".to_owned())
}

fn hint_of_damage(error: &Error) -> Option<String> {
    if error.kind() == "index-damaged" {
        return hint(error);
    }
    matches!(error.kind(), "damaged").then(|| {
        "Part of the repository is damaged or missing. Other files and snapshots may be whole: jellyvault check --read-data tells which, jellyvault repair mends what can be mended. Look at the disk."
            .to_owned()
    })
}

fn store_hint(error: &store::Error) -> Option<String> {
    let text = match error {
        store::Error::NoRepository { .. } => "Name the repository with --repo PATH or JELLYVAULT_REPO. The first jellyvault snapshot makes one.",
        store::Error::NoSettings { .. } => {
            "Run jellyvault repair: it writes new settings and brings back every snapshot that the data tells of. If you have a copy of repo.toml, put it back instead."
        }
        store::Error::Exists { .. } => "Use it as it is, or name another folder.",
        store::Error::NotEmpty { .. } => "Name an empty folder, or one that does not exist yet.",
        store::Error::Newer { .. } => "Install a newer jellyvault. Nothing was changed.",
        store::Error::IndexDamaged { .. } => "Run the same command again. Look at the disk: something changed a file on it.",
        store::Error::NoLocks { .. } => {
            "Reading commands work. To write all the same, make sure that no other jellyvault, on any machine, works with this repository, and add --no-lock. \
             Better: keep the repository on a file system with locks (a local disk, or NFS with its lock daemon)."
        }
        store::Error::Busy { .. } => "Wait until it is done and try again.",
        store::Error::Backend(e) if e.is_disk_full() => {
            "The repository's disk is full. Make room and run the same command again: no snapshot was harmed, and what was written already is used. jellyvault prune frees what no snapshot needs; it works on a full disk."
        }
        store::Error::Local { .. } | store::Error::Backend(crate::backend::Error::Io { .. }) => {
            "Check that the repository's folder may be read and written by this user, and that its disk is well."
        }
        e if e.is_damage() => {
            "Part of the repository is damaged or missing. Other files and snapshots may be whole: jellyvault check --read-data tells which, jellyvault repair mends what can be mended. Look at the disk."
        }
        _ => return None,
    };
    Some(text.to_owned())
}
