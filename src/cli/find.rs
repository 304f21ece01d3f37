//! `find` and `history`.

use std::io::Write;

use serde_json::{Value, json};

use crate::manifest::{Catalog, Kind, SnapshotId, display, file_name, instance_of, typed_path};
use crate::ops::documents::{self, with_path};
use crate::ops::{self, Match, Version, Wanted, WantedPaths, image_word_of_file};
use crate::store::Repository;

use super::args::{FindArgs, HistoryArgs};
use super::context::Context;
use super::failure::Failure;
use super::ls::nanoseconds;
use super::output;
use super::{Exit, json as to_json, render, titles};

pub fn run(context: &Context, args: &FindArgs) -> Result<Exit, Failure> {
    if args.patterns.is_empty() && args.same_as.is_none() {
        return Err(Failure::usage(
            "no search pattern given",
            "Give a title, a path, or a pattern such as *.jpg or metadata/**/poster.*; or a file with --same-as.",
        ));
    }
    let repository = context.open()?;
    let catalog = context.catalog(&repository)?;
    let only = args
        .within
        .as_deref()
        .map(|name| context.resolve_in(&repository, &catalog, name).map(|(id, _)| *id))
        .transpose()?;
    let contents =
        args.same_as.as_ref().map(|file| ops::contents_of_file(&repository, file)).transpose()?;
    let wanted = Wanted { paths: WantedPaths::with_names(&args.patterns)?, contents };
    let found = ops::find(&repository, &catalog, &wanted, only, &context.monitor)?;
    let titled = titled(context, &repository, &catalog, args)?;
    if context.global.json {
        // One after another: a hundred thousand of them as one value would fill the memory.
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        let mut write = |text: &str| out.write_all(text.as_bytes()).map_err(ops::Error::Output);
        write("{\"matches\":[")?;
        for (at, found) in found.matches.iter().enumerate() {
            write(&format!("{}{}", if at == 0 { "" } else { "," }, match_json(found, &catalog)))?;
        }
        let titled: Vec<Value> = titled.iter().map(titles::document).collect();
        write(&format!("],\"titles\":{},\"cut\":{}}}\n", json!(titled), found.is_cut))?;
        out.flush().map_err(ops::Error::Output)?;
    } else {
        let mut out = String::new();
        for titled in &titled {
            out.push_str(&format!("{}\n", titles::words(titled)));
            titled.paths.iter().for_each(|path| out.push_str(&format!("  {}\n", display(path))));
        }
        if found.matches.is_empty() && titled.is_empty() {
            out.push_str(
                "Nothing found. Search for a title (\"Salt Bridge\"), a name (poster.jpg), a pattern (*.jpg, metadata/**/poster.*) or a path in the snapshots (config/users).\n",
            );
        }
        let several = several_sources(&catalog);
        for found in &found.matches {
            out.push_str(&format!(
                "{}{}\n",
                display(&found.path),
                of_source(found, &catalog, several)
            ));
            for version in &found.versions {
                out.push_str(&format!("  {}\n", version_words(context, version, &catalog)));
            }
        }
        output::print(&out)?;
        if let Some(one) = titled.first().filter(|one| !one.paths.is_empty()) {
            let is_alone = titled.iter().filter(|other| other.name == one.name).count() == 1;
            let name = if is_alone { one.name.clone() } else { format!("{:032x}", one.id) };
            context
                .say(&format!("Note: to restore its files, run jellyvault restore SNAPSHOT --in-place --item {name:?}. To restore only its poster, add poster: --item {name:?} poster."));
        }
        let incomplete = incomplete(&catalog, only);
        if found.matches.is_empty() && titled.is_empty() && incomplete > 0 {
            context.say(&format!(
                "Note: {} could not read some paths or left them out (--exclude, --only, --one-file-system). Files there cannot be found. Run jellyvault show \
                 SNAPSHOT to see these paths.",
                render::plural(incomplete, "snapshot", "snapshots")
            ));
        }
        if found.is_cut {
            context.say(
                "Note: more paths match than are shown. Use a narrower pattern, or --in SNAPSHOT.",
            );
        }
    }
    Ok(Exit::Done)
}

/// All pictures that any snapshot has in these folders.
fn pictures_within(
    context: &Context,
    repository: &Repository,
    catalog: &Catalog,
    folders: Vec<Vec<u8>>,
) -> Result<Vec<Match>, Failure> {
    let wanted = Wanted { paths: WantedPaths::of_folders(folders), contents: None };
    let mut found = ops::find(repository, catalog, &wanted, None, &context.monitor)?.matches;
    found.retain(|found| {
        image_word_of_file(&String::from_utf8_lossy(file_name(&found.path))).is_some()
    });
    Ok(found)
}

/// How many of the snapshots that were looked through say nothing of some paths.
fn incomplete(catalog: &Catalog, only: Option<SnapshotId>) -> u64 {
    let looked = catalog.snapshots.iter().filter(|(id, _)| only.is_none_or(|only| only == *id));
    looked
        .filter(|(_, record)| ops::Unknown::of(record).is_ok_and(|unknown| !unknown.is_empty()))
        .count() as u64
}

pub fn history(context: &Context, args: &HistoryArgs) -> Result<Exit, Failure> {
    let repository = context.open()?;
    let catalog = context.catalog(&repository)?;
    let latest = || context.resolve_in(&repository, &catalog, "latest");
    let one = |path: Vec<u8>| {
        let found = ops::history(&repository, &catalog, &path, &context.monitor)?;
        Ok::<_, Failure>((path, found))
    };
    let (path, found) = match (args.item.as_slice(), &args.path) {
        ([title, picture], _) => one(titles::picture(&repository, latest()?, title, picture)?)?,
        ([title], _) => {
            let folders = titles::paths(&repository, latest()?, title, None)?;
            let path = folders.first().cloned().unwrap_or_default();
            (path, pictures_within(context, &repository, &catalog, folders)?)
        }
        (_, path) => one(typed_path(path.as_deref().unwrap_or_default()))?,
    };
    if found.is_empty() {
        return Err(ops::Error::InNoSnapshot { path: display(&path) }.into());
    }
    if context.global.json {
        let versions: Vec<Value> = found
            .iter()
            .flat_map(|found| {
                events(found, &catalog).into_iter().map(|event| event_json(&event, found, &catalog))
            })
            .collect();
        to_json::print(&with_path(&path, json!({"versions": versions})));
        return Ok(Exit::Done);
    }
    let several = several_sources(&catalog);
    let mut out = String::new();
    for found in &found {
        out.push_str(&format!("{}{}\n", display(&found.path), of_source(found, &catalog, several)));
        let rows: Vec<Vec<String>> = events(found, &catalog)
            .iter()
            .map(|event| event_row(context, event, &catalog))
            .collect();
        out.push_str(&render::table(&rows, &[3]));
    }
    output::print(&out)?;
    Ok(Exit::Done)
}

/// `poster.jpg` is no title, and the whole library need not be read for it.
fn is_file_name(words: &str) -> bool {
    let Some((stem, end)) = words.rsplit_once('.') else { return false };
    !stem.is_empty()
        && !words.contains(' ')
        && (2..=4).contains(&end.len())
        && end.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// What is called so in the snapshot that is named, or in the newest: of plain words, not of a path
/// or a pattern.
fn titled(
    context: &Context,
    repository: &Repository,
    catalog: &Catalog,
    args: &FindArgs,
) -> Result<Vec<ops::Titled>, Failure> {
    let words = args.patterns.iter().filter(|words| {
        args.same_as.is_none() && !words.contains(['/', '*', '?', '[', '{']) && !is_file_name(words)
    });
    let name = args.within.as_deref().unwrap_or("latest");
    let snapshot = match context.resolve_in(repository, catalog, name) {
        Ok(snapshot) => snapshot,
        // Snapshots of several servers: paths are found in all of them, titles in one that is
        // named.
        Err(failure) if args.within.is_some() => return Err(failure),
        Err(_) => return Ok(Vec::new()),
    };
    let mut found = Vec::new();
    for words in words {
        // A database that cannot be read has no titles; paths are found all the same.
        match titles::find(repository, snapshot, words) {
            Ok(titled) => found.extend(titled),
            Err(failure) => {
                context.say(&format!("Note: titles were not searched: {}.", failure.message()))
            }
        }
    }
    Ok(found)
}

/// Something that happened to a path, and the snapshot that shows it first.
struct Event<'v> {
    change: &'static str,
    at: usize,
    version: Option<&'v Version>,
}

/// When a path appeared, changed and vanished.
fn events<'v>(found: &'v Match, catalog: &Catalog) -> Vec<Event<'v>> {
    let mut events: Vec<Event<'_>> = Vec::new();
    let mut before: Option<&Version> = None;
    for version in &found.versions {
        let follows = before.filter(|before| before.until == Some(version.first));
        let change = match follows {
            None if before.is_some() => "back",
            None if is_unknown_before(found, version.first, catalog) => "known",
            None => "appeared",
            Some(before) if ops::same_content(&before.entry, &version.entry) => "metadata",
            Some(_) => "changed",
        };
        events.push(Event { change, at: version.first, version: Some(version) });
        if let Some(until) =
            version.until.filter(|until| !found.versions.iter().any(|next| next.first == *until))
        {
            events.push(Event { change: "vanished", at: until, version: None });
        }
        if let Some(at) = version.unknown_since {
            events.push(Event { change: "unknown", at, version: None });
        }
        before = Some(version);
    }
    events
}

fn event_row(context: &Context, event: &Event<'_>, catalog: &Catalog) -> Vec<String> {
    let (id, time, label) = named(context, catalog, event.at);
    let word = match event.change {
        "appeared"
            if event.at == event.version.map_or(0, |version| version.first)
                && is_first(catalog, event.at) =>
        {
            "present in the first snapshot"
        }
        "appeared" => "added",
        "known" => "present; the previous snapshot could not read it or left it out",
        "back" => "added again",
        "changed" => "changed",
        "metadata" => "same content; time, mode or owner changed",
        "unknown" => "unknown: this snapshot could not read it or does not include it",
        _ => "removed",
    };
    // Where the file is gone it has neither.
    let size = event.version.map(|version| render::size(version.entry.size())).unwrap_or_default();
    let modified = event
        .version
        .map(|version| {
            format!("of {}", render::time(nanoseconds(version.entry.mtime), &context.zone))
        })
        .unwrap_or_default();
    [format!("  {id}"), time, word.to_owned(), size, modified, label].to_vec()
}

/// Whether the snapshot before one of the same server says nothing of a path.
fn is_unknown_before(found: &Match, at: usize, catalog: &Catalog) -> bool {
    let Some((_, record)) = ops::snapshot_at(catalog, at) else { return false };
    let before = catalog
        .snapshots
        .iter()
        .take(at)
        .rev()
        .find(|(_, other)| instance_of(other) == instance_of(record));
    before.is_some_and(|(_, before)| {
        ops::Unknown::of(before).is_ok_and(|unknown| unknown.holds_of(found.category, &found.path))
    })
}

/// Whether a snapshot is the first of its source: what it has may be older than it.
fn is_first(catalog: &Catalog, at: usize) -> bool {
    let Some((_, record)) = ops::snapshot_at(catalog, at) else { return false };
    catalog.snapshots.iter().position(|(_, other)| instance_of(other) == instance_of(record))
        == Some(at)
}

fn event_json(event: &Event<'_>, found: &Match, catalog: &Catalog) -> Value {
    let mut document = json!({"change": event.change, "snapshot": snapshot_json(catalog, event.at), "category": found.category.name(), "source": source_json(found, catalog)});
    if let (Some(version), Value::Object(map)) = (event.version, &mut document) {
        map.insert("last".to_owned(), snapshot_json(catalog, version.last));
        map.insert("kind".to_owned(), json!(kind(version)));
        map.insert("size".to_owned(), json!(version.entry.size()));
        map.insert("mtime".to_owned(), json!(documents::time(nanoseconds(version.entry.mtime))));
    }
    document
}

fn match_json(found: &Match, catalog: &Catalog) -> Value {
    let versions: Vec<Value> = found
        .versions
        .iter()
        .map(|version| {
            json!({
                "first": snapshot_json(catalog, version.first), "last": snapshot_json(catalog, version.last), "gone_in": version.until.map(|at| snapshot_json(catalog, at)),
                "unknown_since": version.unknown_since.map(|at| snapshot_json(catalog, at)),
                "kind": kind(version), "size": version.entry.size(), "mtime": documents::time(nanoseconds(version.entry.mtime)),
            })
        })
        .collect();
    with_path(
        &found.path,
        json!({"category": found.category.name(), "source": source_json(found, catalog), "versions": versions}),
    )
}

fn kind(version: &Version) -> &'static str {
    match version.entry.kind {
        Kind::File { .. } => "file",
        Kind::Directory => "directory",
        Kind::Symlink { .. } => "symlink",
    }
}

fn snapshot_json(catalog: &Catalog, at: usize) -> Value {
    ops::snapshot_at(catalog, at)
        .map_or(Value::Null, |(id, record)| json!({"id": id.to_string(), "time": documents::time(record.time_ns), "label": record.label}))
}

fn source_json(found: &Match, catalog: &Catalog) -> Value {
    ops::snapshot_at(catalog, found.source).map_or(
        Value::Null,
        |(_, record)| json!({"host": record.source.host, "directories": record.source.directories}),
    )
}

fn several_sources(catalog: &Catalog) -> bool {
    let mut keys: Vec<&str> =
        catalog.snapshots.iter().map(|(_, record)| instance_of(record)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.len() > 1
}

/// Which source it is of, where there are several.
fn of_source(found: &Match, catalog: &Catalog, several: bool) -> String {
    let Some((_, record)) = ops::snapshot_at(catalog, found.source).filter(|_| several) else {
        return String::new();
    };
    let directories = &record.source.directories;
    let place = directories
        .get("programdata")
        .or_else(|| directories.get("folder"))
        .map_or("an imported zip", String::as_str);
    format!("  (of {place} on {})", record.source.host)
}

fn named(context: &Context, catalog: &Catalog, at: usize) -> (String, String, String) {
    ops::snapshot_at(catalog, at).map_or_else(Default::default, |(id, record)| {
        let label = record.label.as_ref().map_or_else(String::new, |label| format!("“{label}”"));
        (render::short(id), render::time(record.time_ns, &context.zone), label)
    })
}

fn version_words(context: &Context, version: &Version, catalog: &Catalog) -> String {
    let (first, time, _) = named(context, catalog, version.first);
    let (last, last_time, _) = named(context, catalog, version.last);
    let what = match &version.entry.kind {
        Kind::File { size, .. } => render::size(*size),
        Kind::Directory => "directory".to_owned(),
        Kind::Symlink { target } => format!("link to {}", display(target)),
    };
    let span = if version.first == version.last {
        format!("in {first} ({time})")
    } else {
        format!("from {first} ({time}) to {last} ({last_time})")
    };
    format!(
        "{what:>10}  of {}  {span}",
        render::time(nanoseconds(version.entry.mtime), &context.zone)
    )
}
