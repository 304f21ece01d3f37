//! `source`: which instance is found, and what a snapshot of it would hold.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::manifest::{Catalog, SnapshotRecord};
use crate::ops::{self, Server, SourceSpec, Survey};
use crate::source::{Instance, MissingPath, Named, Stat};
use crate::store::Repository;

use super::args::SourceArgs;
use super::context::Context;
use super::failure::Failure;
use super::known::Known;
use super::output;
use super::{Exit, gone_source, jellyfin, json as to_json, render, servers};

/// The instance that the arguments mean.
pub fn find(context: &Context, args: &SourceArgs) -> Result<(Instance, SourceSpec), Failure> {
    find_trusting(context, args, Named::default())
}

/// What a snapshot is taken of, beside a repository that remembers it: of a data directory that it
/// knows only the server's marker may be left.
pub fn find_to_capture(
    context: &Context,
    args: &SourceArgs,
    repository: &Repository,
) -> Result<(Instance, SourceSpec), Failure> {
    let failure = match find_or_remembered(context, args, repository) {
        Err(failure) if failure.is_no_instance() => failure,
        found => return found,
    };
    let args = configured(context, args)?;
    let named = args.data_dir().map(PathBuf::as_path);
    if named.is_none() && !may_believe(repository) {
        return Err(failure);
    }
    let place = gone_source::look(context, named, repository, failure)?;
    find_trusting(
        context,
        &SourceArgs { data_dir: Some(place), ..args },
        Named { is_known_place: true, ..Named::default() },
    )
}

/// Refuses a server that nobody named and that is found only because the one whose snapshots are
/// here is away.
pub fn refuse_another(
    context: &Context,
    args: &SourceArgs,
    repository: &Repository,
    spec: &SourceSpec,
) -> Result<(), Failure> {
    match configured(context, args)?.data_dir() {
        Some(_) => Ok(()),
        None => gone_source::refuse_another(context, repository, spec),
    }
}

/// The same beside a repository: places that only a file of the server's user names are taken as
/// well, if an earlier snapshot was taken of them.
pub fn find_known(
    context: &Context,
    args: &SourceArgs,
    repository: &Repository,
) -> Result<(Instance, SourceSpec), Failure> {
    let mut found = find(context, args)?;
    if !found.0.missing.is_empty() {
        // What the settings name is not here, but an earlier command said where it is.
        let then = ops::directories_of(repository, &context.host(), &found.0.program_data)?;
        let place = |what, name| {
            if then.is_empty() || !found.0.missing.iter().any(|missing| missing.what == what) {
                return Ok(None);
            }
            ops::place_that_is_there(repository, &context.host(), &found.0.program_data, name)
        };
        let mut args = args.clone();
        if args.database.is_none() {
            args.database = place(MissingPath::Database, "database")?;
        }
        if args.metadata_dir.is_none() {
            args.metadata_dir = place(MissingPath::Metadata, "metadata")?;
        }
        found = find(context, &args)?;
    }
    if !found.1.layout.has_traps() {
        return Ok(found);
    }
    let known = ops::places_of(repository, &context.host(), &found.0.program_data)?;
    if known.is_empty() {
        Ok(found)
    } else {
        find_trusting(context, args, Named { known, ..Named::default() })
    }
}

/// The same for who names no directory where none is found: the one that the repository's snapshots
/// of this machine were taken of.
pub fn find_or_remembered(
    context: &Context,
    args: &SourceArgs,
    repository: &Repository,
) -> Result<(Instance, SourceSpec), Failure> {
    let args = &configured(context, args)?;
    let why = match find_known(context, args, repository) {
        // Who names a directory means no other.
        Err(failure) if failure.is_no_instance() && args.data_dir().is_none() => failure,
        found => return found,
    };
    let is_here = |record: &SnapshotRecord| {
        record.source.host == context.host()
            && record.source.directories.contains_key("programdata")
    };
    refuse_several_here(context, repository, &is_here)?;
    let is_meant = |record: &SnapshotRecord| is_here(record) && servers::is_meant(context, record);
    let newest = Catalog::newest(repository, is_meant).map_err(ops::Error::from)?;
    let Some((_, record)) = newest else { return Err(why) };
    match of_record(context, repository, &record, args, false)? {
        Some((_, spec)) if spec.server.id.is_some() && spec.server.id != record.server.id => {
            Err(Failure::usage(
                &format!(
                    "{} now belongs to a different server than when the snapshots were taken",
                    record.source.directories.get("programdata").map_or("", String::as_str)
                ),
                "Give the right directory with --data-dir.",
            ))
        }
        Some(found) => Ok(found),
        None => Err(why),
    }
}

/// Refuses to choose among the servers of this machine that the repository has snapshots of.
fn refuse_several_here(
    context: &Context,
    repository: &Repository,
    is_here: &dyn Fn(&SnapshotRecord) -> bool,
) -> Result<(), Failure> {
    let is_one = Catalog::has_one_server(repository).map_err(ops::Error::from)?;
    if is_one && context.global.server.is_none() {
        return Ok(());
    }
    let catalog = context.catalog(repository)?;
    servers::refuse_several(context, repository, &catalog, |record| {
        let data = record.source.directories.get("programdata");
        is_here(record) && data.is_some_and(|data| Path::new(data).is_dir())
    })
}

/// The directories that a snapshot of this machine was taken of, where the repository may be
/// believed: one that came from elsewhere does not say what is read or written here.
pub fn of_record(
    context: &Context,
    repository: &Repository,
    record: &SnapshotRecord,
    named: &SourceArgs,
    is_trusted: bool,
) -> Result<Option<(Instance, SourceSpec)>, Failure> {
    if !is_trusted && !may_believe(repository) {
        return Ok(None);
    }
    let data = record.source.directories.get("programdata");
    let Some(data) =
        data.filter(|data| record.source.host == context.host() && Path::new(data).is_dir())
    else {
        return Ok(None);
    };
    let place =
        |named: &Option<PathBuf>, name: &str| match (named, record.source.directories.get(name)) {
            (Some(named), _) => Ok(Some(named.clone())),
            // What was never anywhere is looked for where it usually is.
            (None, None) => Ok(None),
            (None, Some(own)) if Path::new(own).exists() => Ok(Some(PathBuf::from(own))),
            (None, Some(_)) => ops::place_that_is_there(repository, &context.host(), data, name),
        };
    let own = SourceArgs {
        data_dir: Some(PathBuf::from(data)),
        config_dir: place(&named.config_dir, "config")?,
        metadata_dir: place(&named.metadata_dir, "metadata")?,
        database: place(&named.database, "database")?,
        follow_roots: named.follow_roots,
        ..SourceArgs::default()
    };
    Ok(find(context, &own).ok())
}

/// Whether the repository may say what is read here: this user made it, or it belongs to this user
/// or root.
fn may_believe(repository: &Repository) -> bool {
    Known::load().has_made(&repository.config().id) || is_own(repository)
}

/// Whether the repository's folder is of who runs this, or root's.
fn is_own(repository: &Repository) -> bool {
    let crate::store::Location::Folder(folder) = repository.location() else { return true };
    let own = rustix::process::geteuid().as_raw();
    Stat::of_path(folder).is_ok_and(|stat| stat.uid == own || stat.uid == 0)
}

/// What the arguments do not say the configuration may.
fn configured(context: &Context, args: &SourceArgs) -> Result<SourceArgs, Failure> {
    let mut args = args.clone();
    // Who names another directory means another server.
    if args.data_dir().is_none() {
        let server = &context.settings()?.config.server;
        args.data_dir = server.data_dir.clone();
        args.config_dir = args.config_dir.or_else(|| server.config_dir.clone());
        args.metadata_dir = args.metadata_dir.or_else(|| server.metadata_dir.clone());
        args.database = args.database.or_else(|| server.database.clone());
        args.follow_roots |= server.follow_roots;
    }
    Ok(args)
}

fn find_trusting(
    context: &Context,
    args: &SourceArgs,
    trusting: Named,
) -> Result<(Instance, SourceSpec), Failure> {
    let args = &configured(context, args)?;
    let text =
        |path: &Option<std::path::PathBuf>| path.as_ref().map(|p| p.to_string_lossy().into_owned());
    let absolute = |path: &Option<std::path::PathBuf>| -> Result<Option<String>, Failure> {
        let Some(path) = path else { return Ok(None) };
        let found = std::fs::canonicalize(path)
            .map_err(|source| ops::Error::Source { path: path.clone(), source })?;
        Ok(Some(found.to_string_lossy().into_owned()))
    };
    if let Some(dir) = args.data_dir()
        && let Err(source) = std::fs::read_dir(dir)
        && source.kind() == std::io::ErrorKind::PermissionDenied
    {
        // What may not be looked at must not be taken for a directory without Jellyfin's files.
        return Err(ops::Error::Source { path: dir.clone(), source }.into());
    }
    let named = Named {
        data: text(&args.data_dir().cloned()),
        config: absolute(&args.config_dir)?,
        metadata: absolute(&args.metadata_dir)?,
        cache: text(&args.cache_dir),
        log: text(&args.log_dir),
        database: absolute(&args.database)?,
        follow_roots: args.follow_roots,
        ..trusting
    };
    Ok(ops::find_instance(context.platform(), &named, &context.surroundings())?)
}

pub fn run(context: &Context, args: &SourceArgs) -> Result<Exit, Failure> {
    let (instance, spec) = match find(context, args) {
        // Where a repository is, its snapshots tell.
        Err(failure) if failure.is_no_instance() => context
            .open()
            .ok()
            .map_or(Err(failure), |repository| find_to_capture(context, args, &repository))?,
        found => found?,
    };
    let survey = ops::survey(&spec, 0, &context.monitor)?;
    let exit = if survey.problems.is_empty() { Exit::Done } else { Exit::Problems };
    let asked = jellyfin::ask(context, &spec.server);
    if context.global.json {
        to_json::print(&document(&instance, &spec.server, &survey, asked.as_ref()));
        return Ok(exit);
    }
    let mut out = instance_words(&instance, &spec.server);
    match &asked {
        None => {}
        Some(Ok(server)) => {
            out.push_str(&format!(
                "\n{}; {}. It sees its directories as:\n\n",
                server.name_words(),
                server.activity_words()
            ));
            let rows: Vec<_> = server
                .directories()
                .map(|(what, path)| vec![format!("  {what}"), path.to_owned()])
                .collect();
            out.push_str(&render::table(&rows, &[]));
        }
        Some(Err(failure)) => context.say(&format!("Note: {}", failure.in_one_line())),
    }
    out.push_str(&content_words(&survey));
    output::print(&out)?;
    for problem in &survey.problems {
        context.say(&format!("Problem: {}: {}", problem.path, problem.what));
    }
    Ok(exit)
}

/// The database, where it is a file that is there.
fn database_of(instance: &Instance) -> Option<&String> {
    instance.database.as_ref().filter(|path| std::path::Path::new(path).is_file())
}

fn document(
    instance: &Instance,
    server: &Server,
    survey: &Survey,
    asked: Option<&Result<jellyfin::Facts, Failure>>,
) -> Value {
    let version = server.version.as_ref();
    let database = database_of(instance);
    let categories: Map<String, Value> = survey
        .categories
        .iter()
        .map(|(name, (files, bytes))| ((*name).to_owned(), json!({"files": files, "bytes": bytes})))
        .collect();
    let paths = json!({
        "data": instance.program_data, "inner_data": instance.data, "config": instance.config, "metadata": instance.metadata,
        "metadata_default": instance.metadata_default, "root": instance.root, "plugins": instance.plugins, "database": database, "log": instance.log,
    });
    json!({
        "instance": {"how": instance.how, "version": version.map(|v| &v.value), "version_how": version.map(|v| &v.how), "id": server.id, "database_plugin": instance.database_plugin, "paths": paths},
        "categories": categories, "problems": survey.problems, "jellyfin": jellyfin::document(asked),
    })
}

/// Where the instance is, and of which version.
fn instance_words(instance: &Instance, server: &Server) -> String {
    let version = server.version.as_ref();
    let none = || "not found".to_owned();
    let mut out = format!("Found a Jellyfin instance by {}.\n\n", instance.how);
    let rows = [
        ("Data", Some(instance.program_data.clone())),
        ("Configuration", instance.config.clone()),
        ("Database", database_of(instance).cloned()),
        ("Metadata", Some(instance.metadata.clone())),
        ("Plugins", Some(instance.plugins.clone())),
        (
            "Version",
            Some(version.map_or_else(
                || "not known yet (a snapshot reads it from the database)".to_owned(),
                |v| format!("{} (known from {})", v.value, v.how),
            )),
        ),
    ];
    out.push_str(&render::table(
        &rows.map(|(name, value)| vec![format!("  {name}"), value.unwrap_or_else(none)]),
        &[],
    ));
    out
}

/// What of it a snapshot would contain.
fn content_words(survey: &Survey) -> String {
    let mut out = "\nA snapshot would contain:\n\n".to_owned();
    let total =
        survey.categories.values().fold((0, 0), |(f, b), (files, bytes)| (f + files, b + bytes));
    let rows =
        survey.categories.iter().map(|(name, counts)| (*name, *counts)).chain([("total", total)]);
    let rows: Vec<_> = rows
        .map(|(name, (files, bytes))| {
            vec![format!("  {name}"), render::count(files), render::size(bytes)]
        })
        .collect();
    out.push_str(&render::table(
        &[vec![vec!["  CATEGORY".into(), "FILES".into(), "SIZE".into()]], rows].concat(),
        &[1, 2],
    ));
    out
}
