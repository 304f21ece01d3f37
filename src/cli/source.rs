//! `source`: which instance is found, and what a snapshot of it would hold.

use serde_json::{Map, Value, json};

use crate::ops::{self, SourceSpec};
use crate::source::{Instance, Named};
use crate::store::Repository;

use super::args::SourceArgs;
use super::context::Context;
use super::failure::Failure;
use super::{Exit, json as to_json, render};

/// The instance that the arguments mean.
pub fn find(context: &Context, args: &SourceArgs) -> Result<(Instance, SourceSpec), Failure> {
    find_trusting(context, args, Vec::new())
}

/// The same beside a repository: places that only a file of the server's user names are taken as well, if an earlier snapshot was taken of them.
pub fn find_known(context: &Context, args: &SourceArgs, repository: &Repository) -> Result<(Instance, SourceSpec), Failure> {
    let found = find(context, args)?;
    if !found.1.layout.has_traps() {
        return Ok(found);
    }
    let known = ops::places_of(repository, &context.host(), &found.0.program_data)?;
    if known.is_empty() { Ok(found) } else { find_trusting(context, args, known) }
}

fn find_trusting(context: &Context, args: &SourceArgs, known: Vec<String>) -> Result<(Instance, SourceSpec), Failure> {
    let text = |path: &Option<std::path::PathBuf>| path.as_ref().map(|p| p.to_string_lossy().into_owned());
    let absolute = |path: &Option<std::path::PathBuf>| -> Result<Option<String>, Failure> {
        let Some(path) = path else { return Ok(None) };
        let found = std::fs::canonicalize(path).map_err(|source| ops::Error::Source { path: path.clone(), source })?;
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
        known,
        ..Named::default()
    };
    Ok(ops::find_instance(context.platform(), &named, &context.surroundings())?)
}

pub fn run(context: &Context, args: &SourceArgs) -> Result<Exit, Failure> {
    let (instance, spec) = find(context, args)?;
    let survey = ops::survey(&spec, 0, context.watch())?;
    let version = spec.server.version.as_ref();
    let database = instance.database.as_ref().filter(|path| std::path::Path::new(path).is_file());
    let exit = if survey.problems.is_empty() { Exit::Done } else { Exit::Problems };
    if context.global.json {
        let categories: Map<String, Value> =
            survey.categories.iter().map(|(name, (files, bytes))| ((*name).to_owned(), json!({"files": files, "bytes": bytes}))).collect();
        let paths = json!({
            "data": instance.program_data, "inner_data": instance.data, "config": instance.config, "metadata": instance.metadata,
            "metadata_default": instance.metadata_default, "root": instance.root, "plugins": instance.plugins, "database": database, "log": instance.log,
        });
        to_json::print(&json!({
            "instance": {"how": instance.how, "version": version.map(|v| &v.value), "version_how": version.map(|v| &v.how), "id": spec.server.id, "database_plugin": instance.database_plugin, "paths": paths},
            "categories": categories, "problems": to_json::problems(&survey.problems),
        }));
        return Ok(exit);
    }
    let none = || "not found".to_owned();
    let mut out = format!("Found a Jellyfin instance by {}.\n\n", instance.how);
    let rows = [
        ("Data", Some(instance.program_data.clone())),
        ("Configuration", instance.config.clone()),
        ("Database", database.cloned()),
        ("Metadata", Some(instance.metadata.clone())),
        ("Plugins", Some(instance.plugins.clone())),
        ("Version", version.map(|v| format!("{} (known from {})", v.value, v.how))),
    ];
    out.push_str(&render::table(&rows.map(|(name, value)| vec![format!("  {name}"), value.unwrap_or_else(none)]), &[]));
    out.push_str("\nA snapshot of it would hold:\n\n");
    let total = survey.categories.values().fold((0, 0), |(f, b), (files, bytes)| (f + files, b + bytes));
    let rows = survey.categories.iter().map(|(name, counts)| (*name, *counts)).chain([("in all", total)]);
    let rows: Vec<_> = rows.map(|(name, (files, bytes))| vec![format!("  {name}"), render::count(files), render::size(bytes)]).collect();
    out.push_str(&render::table(&[vec![vec!["  CATEGORY".into(), "FILES".into(), "SIZE".into()]], rows].concat(), &[1, 2]));
    render::print(&out)?;
    for problem in &survey.problems {
        context.say(&format!("Problem: {}: {}", problem.path, problem.what));
    }
    Ok(exit)
}
