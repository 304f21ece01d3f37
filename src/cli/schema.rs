//! `schema`: which tables a server of some version has; what is compiled in, and what was added.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::archive::{SCHEMA_BYTES_MAX, Schema};
use crate::backend::CacheFile;
use crate::manifest::SnapshotId;
use crate::ops::{self, LearntSchema};
use crate::store::Repository;

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::schema_args::{LearnArgs, SchemaCommand};
use super::{Exit, json as to_json, render, source};

/// Schemas for everybody on the machine.
const OF_MACHINE: &str = "/etc/jellyvault/schemas";
/// Columns that are named; more say nothing new.
const NAMED_MAX: usize = 12;
/// Files of a folder that are read at most.
const FILES_MAX: usize = 100;

/// Makes the schemas known that were added; what is wrong with a file is said, and the others
/// count.
pub fn load_added(context: &Context) {
    for folder in own_folder().into_iter().chain([PathBuf::from(OF_MACHINE)]) {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        let mut files: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
            .collect();
        files.sort();
        for file in files.iter().take(FILES_MAX) {
            match read(file) {
                Ok(schema) => drop(Schema::add(schema)),
                Err(why) => context
                    .say(&format!("Note: the schema file {} was not used: {why}.", file.display())),
            }
        }
    }
}

/// The user's own folder of schemas.
fn own_folder() -> Option<PathBuf> {
    let base =
        std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || {
        std::env::var_os("HOME")
            .map(PathBuf::from)
            .or_else(|| rustix::process::geteuid().is_root().then(|| PathBuf::from("/root")))
    };
    base.or_else(|| home().map(|home| home.join(".config")))
        .map(|base| base.join("jellyvault/schemas"))
}

fn read(file: &Path) -> Result<Schema, String> {
    let facts = std::fs::metadata(file).map_err(|error| error.to_string())?;
    if !facts.is_file() || facts.len() > SCHEMA_BYTES_MAX {
        return Err("not a regular file, or too large for a schema".to_owned());
    }
    let text = std::fs::read(file).map_err(|error| error.to_string())?;
    Schema::from_file(&text).map_err(|error| error.to_string())
}

pub fn run(context: &Context, command: SchemaCommand) -> Result<Exit, Failure> {
    match command {
        SchemaCommand::List => list(context),
        SchemaCommand::Learn(args) => learn(context, &args),
        SchemaCommand::Add { file } => add(context, &file),
        SchemaCommand::Show { name } => show(&name),
    }
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let newest = |schema: &Schema| schema.migrations.iter().max().cloned().unwrap_or_default();
    if context.global.json {
        let all: Vec<_> = Schema::all()
            .iter()
            .map(|schema| json!({"name": schema.name, "versions": schema.versions, "tables": schema.tables.len(), "newest_migration": newest(schema)}))
            .collect();
        to_json::print(&json!({"schemas": all}));
        return Ok(Exit::Done);
    }
    let rows = Schema::all().iter().map(|schema| {
        vec![
            schema.name.clone(),
            schema.versions.clone(),
            schema.tables.len().to_string(),
            newest(schema),
        ]
    });
    let head = vec![
        "NAME".to_owned(),
        "JELLYFIN".to_owned(),
        "TABLES".to_owned(),
        "NEWEST MIGRATION".to_owned(),
    ];
    output::print(&render::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), &[2]))?;
    Ok(Exit::Done)
}

fn show(name: &str) -> Result<Exit, Failure> {
    let found = Schema::all().iter().find(|schema| schema.name == name);
    let schema = found.ok_or_else(|| {
        Failure::usage(
            &format!("there is no schema {name:?}"),
            "Run jellyvault schema list to see the names.",
        )
    })?;
    output::print(&text_of(schema)?)?;
    Ok(Exit::Done)
}

fn text_of(schema: &Schema) -> Result<String, Failure> {
    let hint = "This is a bug in jellyvault. Please report it with the schema's name.";
    schema.to_file().map_err(|why| {
        Failure::usage(
            &format!("the schema {} could not be written as a file: {why}", schema.name),
            hint,
        )
    })
}

fn add(context: &Context, file: &Path) -> Result<Exit, Failure> {
    let schema = read(file).map_err(|why| {
        Failure::usage(
            &format!("{} was not added: {why}", file.display()),
            "A schema file is written by jellyvault schema show, on a machine that knows the schema.",
        )
    })?;
    let name = schema.name.clone();
    let Some(kept) = keep(schema)? else {
        return tell_known(context, &name);
    };
    let built = build(context)?;
    if context.global.json {
        to_json::print(
            &json!({"schema": name, "file": kept.to_string_lossy(), "built": ids(&built)}),
        );
    } else if !context.global.quiet {
        let words =
            format!("Added the schema {name} ({}).\n{}", kept.display(), built_words(&built));
        output::print_done(&words, "the schema was added")?;
    }
    Ok(Exit::Done)
}

fn tell_known(context: &Context, name: &str) -> Result<Exit, Failure> {
    if context.global.json {
        to_json::print(&json!({"schema": name, "file": null, "built": []}));
    } else if !context.global.quiet {
        output::print(&format!("The schema {name} is already known. Nothing was added.\n"))?;
    }
    Ok(Exit::Done)
}

/// Makes a schema known, now and from now on: the file that holds it; nothing where it was known.
fn keep(schema: Schema) -> Result<Option<PathBuf>, Failure> {
    let (text, name) = (text_of(&schema)?, schema.name.clone());
    if !Schema::add(schema) {
        return Ok(None);
    }
    let folder = own_folder().unwrap_or_else(|| PathBuf::from(OF_MACHINE));
    let safe: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' })
        .collect();
    let file = folder.join(format!("{}.json", safe.trim_start_matches('.')));
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| CacheFile::begin(&file))
        .and_then(|mut new| new.append(text.as_bytes()).and(new.finish()));
    written.map_err(|source| ops::Error::Target { verb: "write", path: file.clone(), source })?;
    Ok(Some(file))
}

fn learn(context: &Context, args: &LearnArgs) -> Result<Exit, Failure> {
    let repository = context.open();
    let scratch = context.global.scratch_dir.clone();
    let scratch = scratch.unwrap_or_else(|| {
        repository.as_ref().map_or_else(|_| std::env::temp_dir(), Repository::scratch_folder)
    });
    let (zip, learnt) = if let Some(name) = &args.snapshot {
        let repository = repository?;
        let catalog = context.catalog_named(&repository, &[name])?;
        let snapshot = context.resolve(&catalog, name)?;
        let zip = args.zip.clone().ok_or_else(|| {
            Failure::usage(
                "no zip to learn from given",
                "Give it: jellyvault schema learn ZIP --snapshot SNAPSHOT.",
            )
        })?;
        let database = ops::database_of(&repository, snapshot)?;
        let learnt = ops::learn_schema(&zip, &database.path, &scratch, &context.monitor)?;
        (zip, learnt)
    } else {
        let (instance, _) = source::find(context, &args.source())?;
        let copy = ops::copy_of_live(&instance, &scratch, &context.monitor.interrupt)?;
        let zip = match &args.zip {
            Some(zip) => zip.clone(),
            None => ops::zip_of_history(&Path::new(&instance.data).join("backups"), &copy.path, &context.monitor.interrupt).ok_or_else(|| {
                Failure::usage(
                    &format!("there is no backup made by this version of the server in {}/backups", instance.data),
                    "Create one in Jellyfin (Dashboard, Backups, with the database), then run the command again; or give a zip.",
                )
            })?,
        };
        let learnt = ops::learn_schema(&zip, &copy.path, &scratch, &context.monitor)?;
        (zip, learnt)
    };
    let name = learnt.schema.name.clone();
    let Some(file) = keep(learnt.schema.clone())? else { return tell_known(context, &name) };
    let built = build(context)?;
    if context.global.json {
        to_json::print(&json!({
            "schema": name, "file": file.to_string_lossy(), "zip": zip.to_string_lossy(), "tables": learnt.tables, "same": learnt.same, "changed": learnt.changed,
            "unsure": learnt.unsure, "built": ids(&built),
        }));
    } else if !context.global.quiet {
        output::print_done(&words(&zip, &file, &learnt, &built), "the schema was added")?;
    }
    Ok(Exit::Done)
}

/// Databases of snapshots that waited for a schema; none where there is no repository.
fn build(context: &Context) -> Result<Vec<(SnapshotId, SnapshotId)>, Failure> {
    let Ok(repository) = context.open() else { return Ok(Vec::new()) };
    Ok(ops::build_known(&repository, &context.monitor)?)
}

fn ids(built: &[(SnapshotId, SnapshotId)]) -> Vec<serde_json::Value> {
    built
        .iter()
        .map(|(old, new)| json!({"snapshot": old.to_string(), "replaced_by": new.to_string()}))
        .collect()
}

pub fn built_words(built: &[(SnapshotId, SnapshotId)]) -> String {
    built
        .iter()
        .map(|(old, new)| {
            format!(
                "Built a database from the tables of snapshot {}: it is now snapshot {}.\n",
                render::short(old),
                render::short(new)
            )
        })
        .collect()
}

fn words(
    zip: &Path,
    file: &Path,
    learnt: &LearntSchema,
    built: &[(SnapshotId, SnapshotId)],
) -> String {
    let mut out = format!(
        "Learned the tables of Jellyfin {} from {}: {} of {} match the database byte for byte.\n",
        learnt.schema.first,
        zip.display(),
        learnt.same,
        render::plural(learnt.tables as u64, "table", "tables")
    );
    if !learnt.changed.is_empty() {
        out.push_str(&format!(
            "The server changed these tables after it made the zip: {}.\n",
            learnt.changed.join(", ")
        ));
    }
    if !learnt.unsure.is_empty() {
        out.push_str(&format!(
            "No value showed the type of these columns: {}{}. If export finds an ambiguous value there, it reports it; then learn again from a newer zip.\n",
            learnt.unsure.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", "),
            if learnt.unsure.len() > NAMED_MAX { format!(" and {} more", learnt.unsure.len() - NAMED_MAX) } else { String::new() },
        ));
    }
    out.push_str(&format!("Saved in {}. jellyvault uses it from now on.\n", file.display()));
    out + &built_words(built)
}
