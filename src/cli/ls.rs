//! `ls`.

use std::io::Write;

use serde_json::{Value, json};

use crate::manifest::{Entry, Kind, OWNER_UNKNOWN, Time, display, file_name, typed_path};
use crate::ops::documents::{self, with_path};
use crate::ops::{self, Namer, item_in};

use super::clean::cleaned;
use super::context::Context;
use super::failure::Failure;
use super::{Exit, render, titles};

/// SNAPSHOT:PATH taken apart; a time's own colons stay with the snapshot
/// (`2026-11-22T10:00:config`).
pub fn split_place(place: &str) -> (&str, Option<&str>) {
    let clock = place
        .split_at_checked(11)
        .filter(|(date, _)| date.ends_with(['T', ' ']) && date.get(4..5) == Some("-"));
    let skip = if let Some((date, time)) = clock {
        // hh:mm, or hh:mm:ss where digits follow, and a zone.
        date.len()
            + time
                .char_indices()
                .find(|(at, c)| {
                    !(c.is_ascii_digit()
                        || matches!(c, '.' | '+' | '-' | 'Z')
                        || (*c == ':'
                            && time
                                .get(at + 1..at + 3)
                                .is_some_and(|d| d.bytes().all(|b| b.is_ascii_digit()))))
                })
                .map_or(time.len(), |(at, _)| at)
    } else {
        place.find(':').unwrap_or(place.len())
    };
    match place.split_at_checked(skip) {
        Some((name, rest)) if rest.starts_with(':') => (name, rest.get(1..)),
        _ => (place, None),
    }
}

pub fn run(
    context: &Context,
    place: &str,
    recursive: bool,
    item: Option<&str>,
) -> Result<Exit, Failure> {
    let (name, path) = split_place(place);
    let repository = context.open()?;
    let catalog = context.catalog_named(&repository, &[name])?;
    let snapshot = context.resolve(&catalog, name)?;
    // No path is the root of the tree.
    let paths = match item {
        Some(title) => titles::paths(&repository, snapshot, title, None)?,
        None => vec![typed_path(path.unwrap_or(""))],
    };
    let index = repository.index().map_err(ops::Error::from)?;
    let mut namer = None;
    let mut title = |entry: &Entry| {
        if !matches!(entry.kind, Kind::Directory) || item_in(file_name(&entry.path)).is_none() {
            return None;
        }
        // Names beside ids are a help; a database that cannot be read takes none of the listing
        // away.
        let open = || {
            Namer::of_snapshots((&repository, &index), &[snapshot], &std::sync::Arc::default())
                .ok()
                .flatten()
        };
        namer.get_or_insert_with(open).as_mut()?.name(&entry.path).ok().flatten()
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut first = true;
    let json_mode = context.global.json;
    let mut write = |text: &str| {
        // Programs get names exactly, people without orders to their terminal.
        let text = if json_mode { text.into() } else { cleaned(text) };
        out.write_all(text.as_bytes()).map_err(ops::Error::Output)
    };
    // Entries go out as they come: a snapshot may hold a million. An error before the first leaves
    // room for its own document.
    for path in &paths {
        ops::ls(&repository, snapshot, path, recursive || item.is_some(), |category, entry| {
            let title = title(&entry);
            let text = if json_mode {
                format!(
                    "{}{}",
                    if first { "{\"entries\":[" } else { "," },
                    as_json(category, &entry, title)
                )
            } else {
                line(context, &entry, title)
            };
            first = false;
            write(&text)
        })?;
    }
    if json_mode {
        write(if first { "{\"entries\":[]}\n" } else { "]}\n" })?;
    }
    out.flush().map_err(ops::Error::Output)?;
    Ok(Exit::Done)
}

/// Nanoseconds since 1970.
pub fn nanoseconds(time: Time) -> i64 {
    time.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(time.nanos))
}

fn as_json(category: &str, entry: &Entry, title: Option<String>) -> Value {
    let (kind, target) = match &entry.kind {
        Kind::File { .. } => ("file", None),
        Kind::Directory => ("directory", None),
        Kind::Symlink { target } => ("symlink", Some(display(target))),
    };
    let document = json!({
        "kind": kind, "size": entry.size(), "mtime": documents::time(nanoseconds(entry.mtime)),
        "mode": format!("{:04o}", entry.mode), "uid": known(entry.uid), "gid": known(entry.gid), "category": category, "target": target, "title": title,
    });
    with_path(&entry.path, document)
}

/// An owner, where it is known.
pub fn known(id: u32) -> Option<u32> {
    (id != OWNER_UNKNOWN).then_some(id)
}

fn line(context: &Context, entry: &Entry, title: Option<String>) -> String {
    let (kind, end) = match &entry.kind {
        Kind::File { .. } => ('-', String::new()),
        Kind::Directory => ('d', "/".to_owned()),
        Kind::Symlink { target } => ('l', format!(" -> {}", display(target))),
    };
    format!(
        "{kind}{:04o}  {:>10}  {}  {}{end}{}\n",
        entry.mode,
        render::size(entry.size()),
        render::time(nanoseconds(entry.mtime), &context.zone),
        display(&entry.path),
        title.map_or_else(String::new, |title| format!("  ({title})"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_apart_at_the_right_colon() {
        assert_eq!(split_place("latest"), ("latest", None));
        assert_eq!(split_place("latest:config/a:b"), ("latest", Some("config/a:b")));
        assert_eq!(split_place("2026-11-22:config"), ("2026-11-22", Some("config")));
        assert_eq!(split_place("2026-11-22T10:00"), ("2026-11-22T10:00", None));
        assert_eq!(split_place("2026-11-22T10:00:config"), ("2026-11-22T10:00", Some("config")));
        assert_eq!(
            split_place("2026-11-22T10:00:30Z:data/x"),
            ("2026-11-22T10:00:30Z", Some("data/x"))
        );
    }
}
