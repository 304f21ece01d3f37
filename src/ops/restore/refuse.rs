//! What must not happen to an instance: a database replaced under a running server, a schema newer
//! than the server, paths that are not this server's.

use std::path::Path;

use crate::manifest::{Entries, NOT_IN_ZIP, SnapshotId, SnapshotRecord};
use crate::progress::Interrupt;
use crate::source::{
    self, Category, DATABASE_PATH, DatabaseFacts, Layout, LiveFile, MissingPath, version,
};
use crate::store::{ChunkReader, Location, Repository};

use super::super::ls::short;
use super::super::select::categories;
use super::super::{Error, in_one_line};
use super::holds::has_rows_in;
use super::keep_old::to_be_moved;
use super::other_places::check_directories;
use super::running::{refuse_running, refuse_running_process};
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
    refuse_missing_metadata(record, target, options)?;
    let database = live_database(&layout)?;
    if !options.selection.is_safe_under_a_server() {
        database.as_ref().map_or(Ok(()), refuse_running)?;
        refuse_running_older(&layout)?;
        refuse_running_process(&target.instance)?;
    }
    if !options.selection.touches(Category::Database, DATABASE_PATH) {
        return Ok(remarks);
    }
    if record.has_kept_tables() {
        return Err(Error::Refused {
            what: format!("snapshot {} contains only the tables of a zip, because their schema is unknown. A server cannot open them as a database", short(id)),
            hint: "Write the zip again with jellyvault export and restore it from the dashboard, or learn the schema first: jellyvault schema learn. \
                   To restore only files, use --only."
                .to_owned(),
        });
    }
    let facts = facts_of_target(repository, database.as_ref(), options, &mut remarks, interrupt)?;
    let has_here = |table: &str| !options.force && facts.filled_tables.contains(&table);
    for (table, words) in KEPT_TABLES.iter().filter(|(table, _)| has_here(table)) {
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
    if let Some(what) = record.not_in_zip() {
        remarks.push(format!("{NOT_IN_ZIP}{what}"));
    }
    if record.source.directories.is_empty() && record.source.seen_by_server.is_empty() {
        remarks.push(
            "the snapshot was imported from a zip without its server's directories. They must be the same here, or the next library scan deletes everything"
                .to_owned(),
        );
    }
    // Without a database nothing knows the paths.
    let has_database =
        categories(record).any(|(category, root)| category == Category::Database && root.files > 0);
    if !options.same_directories && has_database {
        let here = layout.directories();
        let seen_here = match target.new_layout {
            Some(layout) if facts.directories.is_empty() => layout.seen_by_server(&here),
            _ => layout.seen_by_server(facts.directories.clone()),
        };
        check_directories(id, record, &here, &seen_here)?;
    }
    Ok(remarks)
}

/// Pictures are not written where the server does not look for them.
fn refuse_missing_metadata(
    record: &SnapshotRecord,
    target: &InstanceTarget,
    options: &RestoreOptions,
) -> Result<(), Error> {
    let has_any = record.category(Category::Metadata.name()).is_some_and(|found| found.files > 0);
    let missing =
        target.instance.missing.iter().find(|missing| missing.what == MissingPath::Metadata);
    match missing.filter(|_| has_any && options.selection.touches(Category::Metadata, b"metadata")) {
        None => Ok(()),
        Some(missing) => Err(Error::Refused {
            what: format!(
                "the server keeps its metadata in {} ({}), which does not exist on this machine. Nothing was changed",
                missing.path,
                missing.what.setting()
            ),
            hint: "If its disk is not mounted, mount it. If it is at another path here (a container's volume), give it with --metadata-dir. \
                   To restore other parts, name them with --only."
                .to_owned(),
        }),
    }
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

/// The same of a server before 10.11.
fn refuse_running_older(layout: &Layout) -> Result<(), Error> {
    let files = OLD_DATABASES.iter().filter_map(|path| layout.live_file(path).ok());
    files.filter(LiveFile::is_file).try_for_each(|file| refuse_running(&file))
}

/// Databases that a server before 10.11 has open while it runs.
const OLD_DATABASES: [&[u8]; 6] = [
    b"data/library.db",
    b"data/authentication.db",
    b"data/displaypreferences.db",
    b"data/activitylog.db",
    b"data/users.db",
    b"data/playback_reporting.db",
];

/// Tables that a restore must not empty, and what they are to people.
const KEPT_TABLES: [(&str, &str); 2] = [("Users", "users"), ("BaseItems", "items")];

/// Refuses to put one server's data into another's.
pub(crate) fn check_server(
    id: &SnapshotId,
    record: &SnapshotRecord,
    target: &InstanceTarget,
) -> Result<(), Error> {
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
pub(super) fn check_repository(
    repository: &Repository,
    destination: &Destination,
    options: &RestoreOptions,
) -> Result<(), Error> {
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
pub(super) fn check_open_databases(
    record: &SnapshotRecord,
    reader: &mut ChunkReader<'_>,
    target: &Target,
    options: &RestoreOptions,
) -> Result<(), Error> {
    for (category, root) in
        categories(record).filter(|(category, _)| *category == Category::Database)
    {
        for entry in Entries::all(reader, root.manifest) {
            // What cannot be read is told when it is restored.
            let Ok(entry) = entry else { break };
            let is_taken =
                entry.content().is_some() && options.selection.takes(category, &entry.path);
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
    let wanted = layout.refused.iter().find(|(root, _)| {
        is_all || options.selection.touches(Category::of(&root.logical), &root.logical)
    });
    wanted.map_or(Ok(()), |(_, why)| Err(trap(why)))
}

/// A private copy, in the repository's folder or, where that cannot be written to, in the system's.
pub(in crate::ops) fn copy_to_look_at(
    database: &LiveFile,
    scratch: &Path,
    interrupt: &Interrupt,
) -> Result<source::DatabaseCopy, String> {
    let copy = source::copy_database(database, scratch, interrupt);
    copy.or_else(|error| match error {
        // Another place for the copy changes nothing where the database itself is the trouble.
        source::CopyError::Restless
        | source::CopyError::Locked
        | source::CopyError::Swapped
        | source::CopyError::Interrupted => Err(in_one_line(&error)),
        error => source::copy_database(database, &std::env::temp_dir(), interrupt)
            .map_err(|_| in_one_line(&error)),
    })
}

/// The settings say where the server has its database: restored with it, they must name the place
/// that it is restored to.
fn check_place_of_database(
    id: &SnapshotId,
    record: &SnapshotRecord,
    target: &InstanceTarget,
    options: &RestoreOptions,
) -> Result<(), Error> {
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
        hint: format!(
            "Give the place with --database {}, or restore without the settings: --only database.",
            place(then.map(Path::new))
        ),
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
        hint: format!(
            "Install Jellyfin {} or newer first. To restore anyway, add --force.",
            snapshot.value
        ),
    })
}
