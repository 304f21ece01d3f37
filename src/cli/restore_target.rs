//! Where a restore goes: the instance that is there, or a new one on a machine that has none.

use std::path::{Path, PathBuf};

use crate::manifest::{Catalog, SnapshotId, SnapshotRecord};
use crate::ops::{self, Destination, InstanceTarget, Owners, Server, SourceSpec};
use crate::source::{Arrangement, Instance, Layout};
use crate::store::Repository;

use super::args::{RestoreArgs, SourceArgs};
use super::context::Context;
use super::failure::Failure;
use super::known::Known;
use super::new_server::{arranged, below, start_words};
use super::{render, source};

/// The snapshot, where it goes, and how a new server is started on it.
pub type Chosen = (SnapshotId, SnapshotRecord, Destination, Option<String>);

/// What the arguments mean.
pub fn choose(
    context: &Context,
    repository: &Repository,
    args: &RestoreArgs,
) -> Result<Chosen, Failure> {
    let resolve = |context: &Context| -> Result<(Catalog, usize), Failure> {
        let catalog = context.catalog_named(repository, &[&args.snapshot.name])?;
        let id = context.resolve(&catalog, &args.snapshot.name)?.0;
        let at = catalog.snapshots.iter().position(|(known, _)| *known == id).unwrap_or_default();
        Ok((catalog, at))
    };
    let taken = |(mut catalog, at): (Catalog, usize)| catalog.snapshots.swap_remove(at);
    if let Some(dir) = &args.to {
        let (id, record) = taken(resolve(context)?);
        refuse_server(dir, args, &repository.config().id)?;
        let (destination, start) = match args.layout {
            Some(arrangement) => {
                refuse_unplaced(&record, args)?;
                let instance = below(dir, arrangement, args)?;
                let start = Some(start_words(arrangement, &instance, dir, &record, args));
                (Destination::Arranged(Box::new(instance), arrangement), start)
            }
            None => (Destination::Directory(dir.clone()), None),
        };
        return Ok((id, record, destination, start));
    }
    let found =
        if args.layout.is_some() { None } else { Some(existing(context, repository, args)) };
    if let Some(Ok(target)) = found {
        if !args.other_server {
            context.mean_server(repository, target.server.id.as_deref())?;
        }
        let (id, record) = taken(resolve(context)?);
        let target = complete(target, &record, args)?;
        let start = start_of_lost(&target.instance, &record, args);
        return Ok((id, record, Destination::InPlace(Box::new(target)), start));
    }
    let (id, record) = taken(resolve(context)?);
    let own = if args.data_dir().is_none() {
        own_directory(context, repository, &record, args)?
    } else {
        None
    };
    if let Some(target) = own {
        return Ok((id, record, Destination::InPlace(Box::new(target)), None));
    }
    let why = found.and_then(Result::err);
    let (mut target, start) = new_instance(&record, args, why)?;
    // A layout says how the directories are arranged, not whose they are.
    let there = || existing(context, repository, args).ok().and_then(|target| target.server.id);
    target.server.id = ops::server_id_of(&target.instance).or_else(there);
    target.spec.server = target.server.clone();
    Ok((id, record, Destination::InPlace(Box::new(target)), Some(start)))
}

/// A server's own directory needs all that `--in-place` looks at: does it run, is it that server,
/// what is replaced. What an earlier restore made is no server's, unless one was started on it.
fn refuse_server(dir: &Path, args: &RestoreArgs, repository: &str) -> Result<(), Failure> {
    let has_database = ["data/jellyfin.db", "data/library.db", "data/data/jellyfin.db"]
        .iter()
        .any(|name| dir.join(name).exists());
    let runs = crate::ops::runs_on(dir);
    if !runs && (!has_database || args.yes || Known::load().has_restored(dir, repository)) {
        return Ok(());
    }
    let what =
        if runs { "a running Jellyfin server uses" } else { "there is a Jellyfin server in" };
    Err(Failure::refused(
        &format!(
            "{what} {}, and --to does not check whether that server is stopped and is the right one; nothing was changed",
            dir.display()
        ),
        &format!(
            "To restore this server, use --in-place --data-dir {0}. To restore to a separate place, give another directory.{1}",
            render::argument(dir),
            if runs { "" } else { " If this is only a copy that may be overwritten, add --yes." }
        ),
    ))
}

/// The instance that is there.
fn existing(
    context: &Context,
    repository: &Repository,
    args: &RestoreArgs,
) -> Result<InstanceTarget, Failure> {
    let (instance, spec) = source::find_known(context, &named(args), repository)?;
    let server = spec.server.clone();
    Ok(InstanceTarget { instance, spec, server, new_layout: None })
}

pub fn named(args: &RestoreArgs) -> SourceArgs {
    SourceArgs {
        data_dir: args.data_dir().cloned(),
        config_dir: args.config_dir.clone(),
        metadata_dir: args.metadata_dir.clone(),
        database: args.database.clone(),
        follow_roots: args.follow_roots,
        ..SourceArgs::default()
    }
}

/// The directories that the snapshot was taken of, where they are this server's still.
fn own_directory(
    context: &Context,
    repository: &Repository,
    record: &SnapshotRecord,
    args: &RestoreArgs,
) -> Result<Option<InstanceTarget>, Failure> {
    let Some((instance, spec)) =
        source::of_record(context, repository, record, &named(args), args.trust_repository)?
    else {
        return Ok(None);
    };
    let server = spec.server.clone();
    if spec.server.id.is_some() && spec.server.id != record.server.id {
        return Err(Failure::usage(
            &format!(
                "{} now belongs to a different server than when the snapshot was taken; nothing was changed",
                instance.program_data
            ),
            "To overwrite that server anyway, give its directory: --data-dir DIR --other-server.",
        ));
    }
    Ok(spec.server.id.is_some().then_some(InstanceTarget {
        instance,
        spec,
        server,
        new_layout: None,
    }))
}

/// An instance of which parts are missing gets the directories that one of its kind has.
fn complete(
    mut target: InstanceTarget,
    record: &SnapshotRecord,
    args: &RestoreArgs,
) -> Result<InstanceTarget, Failure> {
    if target.instance.config.is_none() {
        let arrangement =
            Arrangement::of(&record.source.directories).unwrap_or(Arrangement::Docker);
        let data = PathBuf::from(&target.instance.program_data);
        let dir = if arrangement == Arrangement::LinuxServer {
            data.parent().unwrap_or(&data).to_path_buf()
        } else {
            data
        };
        target.instance.config = arranged(arrangement, &dir, args)?.config;
        target.spec.layout = Layout::of(&target.instance);
    }
    Ok(target)
}

/// How the server is started that lost its database, where the snapshot tells how it kept its
/// directories.
fn start_of_lost(
    instance: &Instance,
    record: &SnapshotRecord,
    args: &RestoreArgs,
) -> Option<String> {
    let is_lost = instance.database.as_ref().is_some_and(|database| !Path::new(database).exists());
    let arrangement = Arrangement::of(&record.source.directories).filter(|_| is_lost)?;
    let data = Path::new(&instance.program_data);
    let dir = if arrangement == Arrangement::LinuxServer { data.parent()? } else { data };
    Some(start_words(arrangement, instance, dir, record, args))
}

/// An instance on a machine that has none, and how its server is started.
fn new_instance(
    record: &SnapshotRecord,
    args: &RestoreArgs,
    why: Option<Failure>,
) -> Result<(InstanceTarget, String), Failure> {
    let directories = &record.source.directories;
    let told = Arrangement::of(directories);
    let Some(dir) = args.data_dir() else {
        let layout = told.map_or_else(
            || " --layout docker (or linuxserver, debian, portable)".to_owned(),
            |told| {
                format!(". The server gets the layout it had, {told}; --layout gives it another")
            },
        );
        let hint = format!(
            "To restore it for a new server, give the directory: jellyvault restore {} --in-place --data-dir DIR{layout}.",
            render::argument(Path::new(&args.snapshot.name))
        );
        return Err(match why {
            Some(why) if why.is_no_instance() => why.advising_also(&hint),
            Some(why) => why,
            None => Failure::usage("no data directory for the new server given", &hint),
        });
    };
    if args.layout.is_none() && !is_free(dir) {
        let other = Failure::usage(
            &format!(
                "{} is not empty and does not look like a Jellyfin data directory; nothing was changed",
                dir.display()
            ),
            "Give an empty directory. To restore here anyway, give the layout: --layout docker, linuxserver, debian or portable.",
        );
        return Err(match why {
            Some(why) if why.is_no_instance() => other,
            Some(why) => why,
            None => other,
        });
    }
    let Some(arrangement) = args.layout.or(told) else {
        return Err(Failure::usage(
            "the snapshot does not record the layout of its server's directories",
            "Give the layout: --layout docker, linuxserver, debian or portable.",
        ));
    };
    refuse_unplaced(record, args)?;
    let instance = arranged(arrangement, dir, args)?;
    let start = start_words(arrangement, &instance, dir, record, args);
    let spec = SourceSpec {
        layout: Layout::of(&instance),
        how: instance.how.clone(),
        server: Server::default(),
        problems: Vec::new(),
        expects_database: false,
    };
    Ok((
        InstanceTarget { instance, spec, server: Server::default(), new_layout: args.layout },
        start,
    ))
}

/// What lay outside the usual places must be given a place, or its files would have none.
fn refuse_unplaced(record: &SnapshotRecord, args: &RestoreArgs) -> Result<(), Failure> {
    let database = record.source.own_database_path().filter(|_| args.database.is_none());
    let metadata = record.source.own_metadata_path().filter(|_| args.metadata_dir.is_none());
    for (name, option, then) in
        [("metadata", "--metadata-dir", metadata), ("database", "--database", database)]
    {
        if let Some(then) = then {
            return Err(Failure::usage(
                &format!(
                    "the snapshot's {name} was in a separate place ({then}), and no path for it was given; nothing was changed"
                ),
                &match record.source.seen_by_server.contains_key(name) {
                    true => format!(
                        "Give the path with {option}. The server expects it at {then}, because its settings in the snapshot say so."
                    ),
                    false => format!("Give the path with {option}."),
                },
            ));
        }
    }
    Ok(())
}

/// Whether a directory is missing, or has nothing in it that somebody could miss.
fn is_free(dir: &Path) -> bool {
    match std::fs::read_dir(dir) {
        Ok(entries) => entries.flatten().all(|entry| {
            entry.file_name() == "lost+found"
                || entry.file_name().to_string_lossy().starts_with(".jellyfin-")
        }),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// `--owner` and `--no-owner`.
pub fn owners(args: &RestoreArgs) -> Result<Owners, Failure> {
    let wrong = || {
        Failure::usage(
            "--owner needs UID:GID, for example 1000:1000, or keep",
            "Run id jellyfin to see the numbers of the user jellyfin.",
        )
    };
    match args.owner.as_deref() {
        _ if args.no_owner => Ok(Owners::Own),
        None => Ok(Owners::Target),
        Some("keep") => Ok(Owners::Keep),
        Some(text) => {
            let (uid, gid) = text.split_once(':').ok_or_else(wrong)?;
            Ok(Owners::Set(uid.parse().map_err(|_| wrong())?, gid.parse().map_err(|_| wrong())?))
        }
    }
}

/// The instance that is there, or that the repository's snapshots were taken of.
pub fn target_of(
    context: &Context,
    repository: &Repository,
    args: &RestoreArgs,
) -> Result<InstanceTarget, Failure> {
    let (instance, spec) = source::find_or_remembered(context, &named(args), repository)?;
    let server = spec.server.clone();
    Ok(InstanceTarget { instance, spec, server, new_layout: None })
}

/// The directories that were named, for a command that undoes this one.
pub fn same_target(args: &RestoreArgs) -> String {
    let named = [
        ("--data-dir", args.data_dir()),
        ("--config-dir", args.config_dir.as_ref()),
        ("--metadata-dir", args.metadata_dir.as_ref()),
        ("--database", args.database.as_ref()),
    ];
    named
        .into_iter()
        .filter_map(|(option, path)| Some(format!(" {option} {}", render::argument(path?))))
        .collect()
}
