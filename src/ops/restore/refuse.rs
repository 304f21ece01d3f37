//! What must not happen to an instance: a database replaced under a running server, a schema newer than the server, paths that
//! are not this server's.

use std::path::Path;

use crate::manifest::{Directories, Entries, SnapshotId, SnapshotRecord};
use crate::progress::Interrupt;
use crate::source::{self, Arrangement, Category, DATABASE_PATH, DatabaseFacts, Instance, Layout, LiveFile, Stat, is_open_elsewhere, version};
use crate::store::{ChunkReader, Location, Repository};

use super::super::import::NOT_IN_ZIP;
use super::super::kept_tables::has_kept_tables;
use super::super::ls::short;
use super::super::select::categories;
use super::super::{Error, in_one_line, processes};
use super::holds::has_rows_in;
use super::keep_old::to_be_moved;
use super::target::Target;
use super::trap::trap;
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
    if !options.selection.is_safe_under_a_server() {
        database.as_ref().map_or(Ok(()), refuse_running)?;
        refuse_running_process(&target.instance)?;
    }
    if !options.selection.touches(Category::Database, DATABASE_PATH) {
        return Ok(remarks);
    }
    if has_kept_tables(record) {
        return Err(Error::Refused {
            what: format!("snapshot {} contains only the tables of a zip, because their schema is unknown. A server cannot open them as a database", short(id)),
            hint: "Write the zip again with jellyvault export and restore it from the dashboard, or learn the schema first: jellyvault schema learn. \
                   To restore only files, use --only."
                .to_owned(),
        });
    }
    let facts = facts_of_target(repository, database.as_ref(), options, &mut remarks, interrupt)?;
    for (table, words) in KEPT_TABLES.iter().filter(|(table, _)| facts.is_jellyfins && !options.force && !facts.empty_tables.contains(table)) {
        if !has_rows_in(repository, (id, record), table)? {
            return Err(Error::Refused {
                what: format!(
                    "the database of snapshot {} has no {words}, but the existing database has: it would be replaced by an empty one. Nothing was changed",
                    short(id)
                ),
                hint: "Choose an earlier snapshot: run jellyvault list. To restore the empty database anyway, add --force.".to_owned(),
            });
        }
    }
    check_place_of_database(id, record, target, options)?;
    check_version(id, record, target, &facts, options, &mut remarks)?;
    if let Some(version) = record.server.version.as_ref().filter(|_| record.is_upgrading()) {
        remarks.push(format!(
            "the snapshot was taken in the middle of an upgrade to {0}: start {0} or a later version, which continues the upgrade. No older version can open \
             this database",
            version.value
        ));
    }
    if let Some(import) = record.remarks.iter().find(|remark| remark.starts_with(NOT_IN_ZIP)) {
        remarks.push(import.clone());
    }
    if record.source.directories.is_empty() && record.source.seen_by_server.is_empty() {
        remarks.push(
            "the snapshot was imported from a zip without its server's directories. They must be the same here, or the next library scan deletes everything"
                .to_owned(),
        );
    }
    // Without a database nothing knows the paths.
    let has_database = categories(record).any(|(category, root)| category == Category::Database && root.files > 0);
    if !options.same_directories && has_database {
        let here = layout.directories();
        let seen_here = match target.new_layout {
            Some(layout) if facts.directories.is_empty() => layout.seen_by_server(&here),
            _ => facts.directories.clone(),
        };
        check_directories(id, record, &here, &seen_here)?;
    }
    Ok(remarks)
}

/// The target's own database tells what its server is and where it sees its directories.
fn facts_of_target(
    repository: &Repository,
    database: Option<&LiveFile>,
    options: &RestoreOptions,
    remarks: &mut Vec<String>,
    interrupt: &Interrupt,
) -> Result<DatabaseFacts, Error> {
    match database.map(|file| copy_to_look_at(file, &repository.scratch_folder(), interrupt)) {
        Some(Ok(copy)) => Ok(source::read_facts(&copy.path, interrupt).unwrap_or_else(|error| {
            remarks.push(format!(
                "the version and directories in the existing database could not be read ({error}), so they were not compared with the snapshot's"
            ));
            DatabaseFacts::default()
        })),
        Some(Err(why)) if options.force => {
            remarks.push(format!("the existing database could not be read ({why}), so its version and directories were not compared with the snapshot's"));
            Ok(DatabaseFacts::default())
        }
        Some(Err(why)) => Err(Error::Refused {
            what: format!("the existing database could not be read ({why}), so it is unknown whether the snapshot fits this server"),
            hint: "Free some space for a copy of it on the repository's disk or in the system's temporary directory, or continue with --force.".to_owned(),
        }),
        None => Ok(DatabaseFacts::default()),
    }
}

/// Tables that a restore must not empty, and what they are to people.
const KEPT_TABLES: [(&str, &str); 2] = [("Users", "users"), ("BaseItems", "items")];

/// Refuses to put one server's data into another's.
pub(crate) fn check_server(id: &SnapshotId, record: &SnapshotRecord, target: &InstanceTarget) -> Result<(), Error> {
    match (&record.server.id, &target.server.id) {
        (Some(own), Some(there)) if !own.eq_ignore_ascii_case(there) => Err(Error::Refused {
            what: format!(
                "snapshot {} is of the server with the id {own}, but {} belongs to the server {there}; nothing was changed",
                short(id),
                target.instance.program_data
            ),
            hint: "Choose a snapshot of that server (jellyvault list shows the server of each). To overwrite the server anyway, add --other-server.".to_owned(),
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
        Destination::Directory(dir) if !options.is_private && real(dir).starts_with(&folder) => Err(Error::Refused {
            what: format!("{} is inside the repository. A restore to it would destroy the repository", dir.display()),
            hint: "Give another directory with --to.".to_owned(),
        }),
        Destination::InPlace(target) if options.keep_old => match to_be_moved(target, options)?.into_iter().find(|file| folder.starts_with(real(file.shown())))
        {
            Some(moved) => Err(Error::Refused {
                what: format!("--keep-old would rename {}, and with it the repository {}", moved.shown().display(), folder.display()),
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

/// A private copy, in the repository's folder or, where that cannot be written to, in the system's.
pub(in crate::ops) fn copy_to_look_at(database: &LiveFile, scratch: &Path, interrupt: &Interrupt) -> Result<source::DatabaseCopy, String> {
    let copy = source::copy_database(database, scratch, interrupt);
    copy.or_else(|error| match error {
        // Another place for the copy changes nothing where the database itself is the trouble.
        source::CopyError::Restless | source::CopyError::Locked | source::CopyError::Swapped | source::CopyError::Interrupted => Err(in_one_line(&error)),
        error => source::copy_database(database, &std::env::temp_dir(), interrupt).map_err(|_| in_one_line(&error)),
    })
}

/// Refuses where a server runs on these directories: it may have its database closed, or none yet, at this very moment.
pub(in crate::ops) fn refuse_running_process(instance: &Instance) -> Result<(), Error> {
    let Some(server) = processes::server_of(Path::new(&instance.program_data)) else { return Ok(()) };
    Err(Error::Refused {
        what: format!("{} is using {}. Files that a running server keeps in memory must not be replaced", server.words(), instance.program_data),
        hint: STOP_IT.to_owned(),
    })
}

const STOP_IT: &str = "Stop Jellyfin first (systemctl stop jellyfin, or docker stop). While the server runs, only metadata, trickplay, subtitles and \
                       attachments can be restored (--only).";

pub(in crate::ops) fn refuse_running(database: &LiveFile) -> Result<(), Error> {
    let holder = process_with_open(database);
    if holder.is_none() && !is_open_elsewhere(database) {
        return Ok(());
    }
    let who = holder.map_or_else(|| "a running server".to_owned(), |(id, name)| format!("{name} (process {id})"));
    Err(Error::Refused {
        what: format!("{who} has the database {} open. Files that a running server keeps in memory must not be replaced", database.shown().display()),
        hint: STOP_IT.to_owned(),
    })
}

/// A process that has the file open, as far as this user may see. A server may have lost its locks and still write.
pub(super) fn process_with_open(file: &LiveFile) -> Option<(u32, String)> {
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

/// The settings say where the server has its database: restored with it, they must name the place that it is restored to.
fn check_place_of_database(id: &SnapshotId, record: &SnapshotRecord, target: &InstanceTarget, options: &RestoreOptions) -> Result<(), Error> {
    let usual = Path::new(&target.instance.data).join("jellyfin.db");
    let here = target.instance.database.as_deref().map(Path::new).filter(|here| *here != usual);
    let then = record.source.directories.get("database");
    let takes_settings = options.selection.touches(Category::Config, b"config/database.xml");
    if !takes_settings || record.source.directories.is_empty() || here.is_some() == then.is_some() {
        return Ok(());
    }
    let place = |other: Option<&Path>| other.unwrap_or(&usual).display().to_string();
    Err(Error::Refused {
        what: format!(
            "the settings in snapshot {} say that the database is at {}, but it would be restored to {}, where the server would not find it",
            short(id),
            place(then.map(Path::new)),
            place(here)
        ),
        hint: format!("Give the place with --database {}, or restore without the settings: --only database.", place(then.map(Path::new))),
    })
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
        remarks.push("the snapshot does not contain its server's version. Start the same version as at that time, or a newer one".to_owned());
        return Ok(());
    };
    let lower_bound = facts.code_migration.as_ref().map(version::from_history);
    let Some(installed) = target.server.version.clone().or(lower_bound) else {
        remarks.push(format!("the version of the installed server is unknown. Start {} or a newer version with this database", snapshot.value));
        return Ok(());
    };
    let (has, needs) = (version::parse(&installed.value), version::parse(&snapshot.value));
    if has >= needs {
        if has > needs {
            remarks.push(format!(
                "the snapshot is of Jellyfin {0}, and the installed server is {1}. When you start {1}, it upgrades the database, and {0} can no longer open it. To go back to {0}, install \
                 that version before you start the server",
                snapshot.value, installed.value
            ));
        }
        return Ok(());
    }
    if !installed.exact {
        remarks.push(format!(
            "the existing database was last written by {} or a later version, but this snapshot needs {} or newer. Check the installed version before you start the server",
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
            "the installed server is {} (known from {}), but snapshot {} is of {}. An older server cannot read a newer database",
            installed.value,
            installed.how,
            short(id),
            snapshot.value
        ),
        hint: format!("Install Jellyfin {} or newer first. To restore anyway, add --force.", snapshot.value),
    })
}

/// What to know of a snapshot that is laid out for a server of another kind than its own: the paths in its database stay as they are.
pub(super) fn other_layout(record: &SnapshotRecord, layout: Arrangement) -> Option<String> {
    let is_container = is_of_a_container(record);
    let own = Arrangement::of(&record.source.directories)?;
    let is_same = match layout {
        Arrangement::Docker | Arrangement::LinuxServer => is_container && own == layout,
        Arrangement::Debian => !is_container && own == layout,
        Arrangement::Portable => !is_container && own == Arrangement::Docker,
    };
    let seen = record.source.seen_by_server.get("metadata").or(record.source.directories.get("metadata")).map_or("…", String::as_str);
    (!is_same).then(|| {
        format!(
            "the database still contains the paths of the snapshot's server (its metadata is at {seen}). A server with its directories at any other path deletes \
             everything at its first library scan. Start a server with these files only if it sees the same paths, or restore again with --map-layout, which \
             changes them"
        )
    })
}

/// Whether its server saw its directories elsewhere than this machine does.
fn is_of_a_container(record: &SnapshotRecord) -> bool {
    record.source.seen_by_server.iter().any(|(name, seen)| record.source.directories.get(name).is_some_and(|dir| dir != seen))
}

/// Refuses an instance whose directories are not those of the snapshot.
pub(in crate::ops) fn check_directories(id: &SnapshotId, record: &SnapshotRecord, here: &Directories, seen_here: &Directories) -> Result<(), Error> {
    let seen_then = &record.source.seen_by_server;
    let both: Vec<_> = seen_then.iter().filter_map(|(name, then)| Some((name, then, seen_here.get(name)?))).collect();
    let differing = |pairs: Vec<(&String, &String, &String)>| {
        pairs.into_iter().find(|(_, then, now)| then.trim_end_matches('/') != now.trim_end_matches('/')).map(|(n, a, b)| (n.clone(), a.clone(), b.clone()))
    };
    // A container sees its own directories, wherever the volume lies on this machine.
    let is_container = is_of_a_container(record);
    let difference = if both.is_empty() && seen_here.is_empty() && is_container {
        None
    } else if both.is_empty() {
        let then = &record.source.directories;
        let pairs = ["config", "data", "metadata", "programdata", "root"]
            .iter()
            .filter_map(|name| Some((then.get_key_value(*name)?, seen_here.get(*name).or(here.get(*name))?)));
        differing(pairs.map(|((name, then), now)| (name, then, now)).collect())
    } else {
        differing(both)
    };
    let Some((name, then, now)) = difference else { return Ok(()) };
    Err(Error::Refused {
        what: format!(
            "snapshot {} is of a server whose {name} directory was {then}, but here it is {now}. The paths in the database would be wrong, and the next library scan would delete everything",
            short(id)
        ),
        hint: "To change the paths to those of this server, add --map-layout (with export: --exact --map-layout); --dry-run shows what would change. If the server does see the \
               same directories as before (a container with the same volumes), add --same-directories. To restore only the files, use --to DIR."
            .to_owned(),
    })
}
