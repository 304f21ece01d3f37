//! What must not happen to an instance: a database replaced under a running server, a schema newer than the server, paths that
//! are not this server's.

use std::path::Path;

use crate::manifest::{Directories, Entries, SnapshotId, SnapshotRecord};
use crate::progress::Interrupt;
use crate::source::{self, Category, DATABASE_PATH, DatabaseFacts, Layout, LiveFile, Stat, is_open_elsewhere, version};
use crate::store::{ChunkReader, Index, IndexMode, Location, Repository};

use super::super::import::NOT_IN_ZIP;
use super::super::kept_tables::has_kept_tables;
use super::super::ls::short;
use super::super::rows::{Which, open_state};
use super::super::select::{categories, lookup};
use super::super::{Error, in_one_line};
use super::keep_old::to_be_moved;
use super::target::Target;
use super::{Destination, InstanceTarget, RestoreOptions};

/// Refuses, or says what the user should know.
pub(super) fn check(
    repository: &Repository,
    id: &SnapshotId,
    record: &SnapshotRecord,
    target: &InstanceTarget,
    options: &RestoreOptions,
    interrupt: &Interrupt,
) -> Result<Vec<String>, Error> {
    if !options.other_server {
        check_server(id, record, target)?;
    }
    let layout = Layout::of(&target.instance);
    let mut remarks = Vec::new();
    refuse_traps(&layout, options)?;
    let database = live_database(&layout)?;
    if !options.selection.is_safe_under_a_server()
        && let Some(file) = &database
    {
        refuse_running(file)?;
    }
    if !options.selection.touches(Category::Database, DATABASE_PATH) {
        return Ok(remarks);
    }
    if has_kept_tables(record) {
        return Err(Error::Refused {
            what: format!(
                "snapshot {} holds the tables of a zip as they are, because their schema is not known; they are no database that a server opens",
                short(id)
            ),
            hint: "Make the zip again with jellyvault export and restore it from the dashboard, or learn the schema first: jellyvault schema learn. \
                   Files alone can be restored with --only."
                .to_owned(),
        });
    }
    // The target's own database tells what its server is and where it sees its directories.
    let facts = match database.as_ref().map(|file| copy_to_look_at(file, &repository.scratch_folder(), interrupt)) {
        Some(Ok(copy)) => source::read_facts(&copy.path, interrupt).unwrap_or_else(|error| {
            remarks
                .push(format!("the database that is there does not tell its version and directories ({error}), so they were not compared with the snapshot's"));
            DatabaseFacts::default()
        }),
        Some(Err(why)) if options.force => {
            remarks.push(format!(
                "the database that is there could not be looked at ({why}), so its version and directories were not compared with the snapshot's"
            ));
            DatabaseFacts::default()
        }
        Some(Err(why)) => {
            return Err(Error::Refused {
                what: format!("the database that is there could not be looked at ({why}), so it is not known whether the snapshot fits its server"),
                hint: "Make room for a copy of it in the repository's folder or in the system's temporary directory, or go on with --force.".to_owned(),
            });
        }
        None => DatabaseFacts::default(),
    };
    let has_users = facts.is_jellyfins && !facts.empty_tables.contains(&"Users");
    if has_users && !options.force && !has_users_in(repository, (id, record))? {
        return Err(Error::Refused {
            what: format!(
                "the database of snapshot {} has no users, and the one that is there has: it would be replaced by an empty one. Nothing was changed",
                short(id)
            ),
            hint: "Choose an earlier snapshot: jellyvault list. To restore the empty database all the same: --force.".to_owned(),
        });
    }
    check_version(id, record, target, &facts, options, &mut remarks)?;
    if let Some(import) = record.remarks.iter().find(|remark| remark.starts_with(NOT_IN_ZIP)) {
        remarks.push(import.clone());
    }
    if record.source.directories.is_empty() && record.source.seen_by_server.is_empty() {
        remarks.push(
            "the snapshot came from a zip that does not tell its server's directories: they must be the same here, or the next library scan deletes everything"
                .to_owned(),
        );
    }
    if !options.same_directories {
        check_directories(id, record, &layout.directories(), &facts.directories)?;
    }
    Ok(remarks)
}

/// Whether the snapshot's database has users, or may have: one that cannot be read is told when it is restored.
fn has_users_in(repository: &Repository, snapshot: (&SnapshotId, &SnapshotRecord)) -> Result<bool, Error> {
    let index = Index::open(repository, IndexMode::Use)?;
    let mut reader = ChunkReader::new(repository, &index);
    let entry = match lookup(&mut reader, snapshot.1, DATABASE_PATH) {
        Ok(Some(found)) => found.entry,
        // Without a database nothing is replaced.
        Ok(None) => return Ok(true),
        Err(error) if error.kind() == "damaged" => return Ok(true),
        Err(error) => return Err(error),
    };
    if entry.size() == 0 {
        return Ok(false);
    }
    let state = open_state(repository, &index, &Which::Snapshot(&(*snapshot.0, snapshot.1.clone())), DATABASE_PATH);
    match state.and_then(|state| state.map_or(Ok(true), |state| state.has_rows("Users", 0))) {
        Ok(has) => Ok(has),
        Err(error) if error.kind() == "damaged" => Ok(true),
        Err(error) => Err(error),
    }
}

/// Refuses to put one server's data into another's.
pub(in crate::ops) fn check_server(id: &SnapshotId, record: &SnapshotRecord, target: &InstanceTarget) -> Result<(), Error> {
    match (&record.server.id, &target.server.id) {
        (Some(own), Some(there)) if !own.eq_ignore_ascii_case(there) => Err(Error::Refused {
            what: format!(
                "snapshot {} is of the server with the id {own}, but the data in {} belongs to the server {there}; nothing was changed",
                short(id),
                target.instance.program_data
            ),
            hint: "Choose a snapshot of that server: jellyvault list shows whose each one is. To replace the one server by the other all the same: --other-server."
                .to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Refuses to write into the repository, and to move it away.
pub(super) fn check_repository(repository: &Repository, destination: &Destination, options: &RestoreOptions) -> Result<(), Error> {
    let Location::Folder(folder) = repository.location() else { return Ok(()) };
    // Both exist, or nothing can lie in the other.
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = real(folder);
    match destination {
        Destination::Directory(dir) if real(dir).starts_with(&folder) => Err(Error::Refused {
            what: format!("{} lies in the repository itself; restoring there would destroy it", dir.display()),
            hint: "Name another directory with --to.".to_owned(),
        }),
        Destination::InPlace(target) if options.keep_old => match to_be_moved(target, options)?.into_iter().find(|file| folder.starts_with(real(file.shown())))
        {
            Some(moved) => Err(Error::Refused {
                what: format!("--keep-old would move {} aside, and with it the repository {}", moved.shown().display(), folder.display()),
                hint: "Move the repository out of Jellyfin's directories first, or leave out --keep-old. Nothing was changed.".to_owned(),
            }),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Refuses to restore databases over ones that a process has open, before anything else is written.
pub(super) fn check_open_databases(record: &SnapshotRecord, reader: &mut ChunkReader<'_>, target: &Target, options: &RestoreOptions) -> Result<(), Error> {
    for (category, root) in categories(record).filter(|(category, _)| *category == Category::Database) {
        for entry in Entries::all(reader, root.manifest) {
            // What cannot be read is told when it is restored.
            let Ok(entry) = entry else { break };
            let is_taken = entry.content().is_some() && options.selection.takes(category, &entry.path);
            if let Some(file) = target.live(&entry.path).filter(|file| is_taken && file.is_file()) {
                refuse_running(&file)?;
            }
        }
    }
    Ok(())
}

/// The database that is there. One behind a link or in a place that could be a trap is refused.
pub(in crate::ops) fn live_database(layout: &Layout) -> Result<Option<LiveFile>, Error> {
    match layout.live_file(DATABASE_PATH) {
        Ok(file) => Ok(Some(file).filter(LiveFile::is_file)),
        Err(error) if error.is_untrusted() => Err(trap(&error.to_string())),
        // Whatever else there is shows when it is written to.
        Err(_) => Ok(None),
    }
}

/// Refuses to write where somebody else could have prepared the way.
fn refuse_traps(layout: &Layout, options: &RestoreOptions) -> Result<(), Error> {
    let is_all = options.selection.is_all();
    let wanted = layout.refused.iter().find(|(root, _)| is_all || options.selection.touches(Category::of(&root.logical), &root.logical));
    wanted.map_or(Ok(()), |(_, why)| Err(trap(why)))
}

pub(super) fn trap(why: &str) -> Error {
    Error::Refused {
        what: format!("{why}. As root nothing is written through it; nothing was changed"),
        hint: "If it is right, name the place: --config-dir, --metadata-dir or --database; or make the link root's own (chown -h root); or follow links with --follow-roots. \
               Or run this as the server's user."
            .to_owned(),
    }
}

/// A private copy, in the repository's folder or, where that cannot be written to, in the system's.
pub(in crate::ops) fn copy_to_look_at(database: &LiveFile, scratch: &Path, interrupt: &Interrupt) -> Result<source::DatabaseCopy, String> {
    let copy = source::copy_database(database, scratch, interrupt);
    copy.or_else(|error| source::copy_database(database, &std::env::temp_dir(), interrupt).map_err(|_| in_one_line(&error)))
}

pub(in crate::ops) fn refuse_running(database: &LiveFile) -> Result<(), Error> {
    let holder = process_with_open(database);
    if holder.is_none() && !is_open_elsewhere(database) {
        return Ok(());
    }
    let who = holder.map_or_else(|| "a running server".to_owned(), |(id, name)| format!("{name} (process {id})"));
    Err(Error::Refused {
        what: format!("{who} has the database {} open; files that the server keeps in memory must not be replaced under it", database.shown().display()),
        hint: "Stop Jellyfin first (systemctl stop jellyfin, or docker stop). Under a running server only metadata, trickplay, subtitles and attachments can be restored (--only).".to_owned(),
    })
}

/// A process that has the file open, as far as this user may see. A server may have lost its locks and still write.
fn process_with_open(file: &LiveFile) -> Option<(u32, String)> {
    let wanted = file.stat().ok()?;
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(id) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if id == std::process::id() {
            continue;
        }
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else { continue };
        for file in files.flatten() {
            if Stat::of_path(&file.path()).is_ok_and(|has| (has.dev, has.ino) == (wanted.dev, wanted.ino)) {
                let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some((id, name.trim().to_owned()));
            }
        }
    }
    None
}

fn check_version(
    id: &SnapshotId,
    record: &SnapshotRecord,
    target: &InstanceTarget,
    facts: &DatabaseFacts,
    options: &RestoreOptions,
    remarks: &mut Vec<String>,
) -> Result<(), Error> {
    let Some(snapshot) = &record.server.version else {
        remarks.push("the snapshot does not know its server's version: start the same version as then, or a newer one".to_owned());
        return Ok(());
    };
    let lower_bound = facts.code_migration.as_ref().map(version::from_history);
    let Some(installed) = target.server.version.clone().or(lower_bound) else {
        remarks.push(format!("the version of the installed server is not known: start {} or a newer one with this database", snapshot.value));
        return Ok(());
    };
    let (has, needs) = (version::parse(&installed.value), version::parse(&snapshot.value));
    if has >= needs {
        if has > needs {
            remarks.push(format!(
                "the snapshot is of Jellyfin {0}, and the server here is {1}. Started as it is, {1} upgrades the database, and {0} cannot open it any more. To go back to {0}, install \
                 that version before you start the server",
                snapshot.value, installed.value
            ));
        }
        return Ok(());
    }
    if !installed.exact {
        remarks.push(format!(
            "the database here was last written by {} or a later version; this snapshot needs {} or newer: make sure of it before you start the server",
            installed.value, snapshot.value
        ));
        return Ok(());
    }
    if options.force {
        remarks.push(format!("the server ({}) is older than the snapshot's ({}): it may not start with this database", installed.value, snapshot.value));
        return Ok(());
    }
    Err(Error::Refused {
        what: format!(
            "the server here is {} (known from {}), but snapshot {} is of {}: an older server cannot read a newer database",
            installed.value,
            installed.how,
            short(id),
            snapshot.value
        ),
        hint: format!("Install Jellyfin {} or newer first. Where you know better, --force goes on.", snapshot.value),
    })
}

/// Refuses an instance whose directories are not those of the snapshot.
pub(in crate::ops) fn check_directories(id: &SnapshotId, record: &SnapshotRecord, here: &Directories, seen_here: &Directories) -> Result<(), Error> {
    let seen_then = &record.source.seen_by_server;
    let both: Vec<_> = seen_then.iter().filter_map(|(name, then)| Some((name, then, seen_here.get(name)?))).collect();
    let differing = |pairs: Vec<(&String, &String, &String)>| {
        pairs.into_iter().find(|(_, then, now)| then.trim_end_matches('/') != now.trim_end_matches('/')).map(|(n, a, b)| (n.clone(), a.clone(), b.clone()))
    };
    // A container sees its own directories, wherever the volume lies on this machine.
    let is_container = seen_then.iter().any(|(name, seen)| record.source.directories.get(name).is_some_and(|dir| dir != seen));
    let difference = if both.is_empty() && seen_here.is_empty() && is_container {
        None
    } else if both.is_empty() {
        let then = &record.source.directories;
        let pairs = ["config", "data", "metadata", "programdata", "root"].iter().filter_map(|name| Some((then.get_key_value(*name)?, here.get(*name)?)));
        differing(pairs.map(|((name, then), now)| (name, then, now)).collect())
    } else {
        differing(both)
    };
    let Some((name, then, now)) = difference else { return Ok(()) };
    Err(Error::Refused {
        what: format!(
            "snapshot {} was taken of a server whose {name} directory was {then}, but here it is {now}: the paths inside the database would not fit, and the next library scan would delete everything",
            short(id)
        ),
        hint: "Give the server the same directories as then. If it does see the same ones (a container with the same volumes), say so with --same-directories; to have the files only, use --to DIR.".to_owned(),
    })
}
