//! The files of a snapshot: folders with titles beside ids, previews, downloads, and the history of
//! one file.

use axum::extract::{Path, Query};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use crate::figures::{moment, short, size};
use crate::manifest::{Entry, Kind, display, file_name};
use crate::ops::{Monitor, Namer, Session, Snapshot, SnapshotEntry, image_word_of_file};

use super::super::oops::Oops;
use super::super::requests::read;
use super::super::view::View;
use super::super::{download, names};
use super::small_picture::{self, Shown};
use super::snapshot::meant;
use super::{page, parts};

/// Entries on one page.
const SHOWN: usize = 300;
/// Versions of a file that are listed, at most.
const VERSIONS: usize = 50;
/// Text of a file that is shown, in bytes.
const TEXT_BYTES_MAX: u64 = 64 << 10;

/// Where the list continues.
#[derive(Default, Deserialize)]
pub struct Asked {
    after: Option<String>,
}

/// The top folder of a snapshot.
pub async fn top(
    view: View,
    Path(name): Path<String>,
    asked: Query<Asked>,
) -> Result<Response, Oops> {
    show(view, name, String::new(), asked.0).await
}

/// A folder or a file.
pub async fn below(view: View, asked: Query<Asked>) -> Result<Response, Oops> {
    let (name, path) = place(&view, "browse/")?;
    show(view, name, path, asked.0).await
}

/// The snapshot and the path that the address names behind a word; of the path any bytes, as they
/// were sent.
fn place(view: &View, word: &str) -> Result<(String, String), Oops> {
    let found = view.path.strip_prefix("/snapshots/").and_then(|rest| rest.split_once('/'));
    let (name, path) = found
        .and_then(|(name, rest)| Some((name, rest.strip_prefix(word)?)))
        .ok_or_else(|| Oops::not_found("there is no such page"))?;
    let name = String::from_utf8(names::bytes(name))
        .map_err(|_| Oops::not_found("there is no such snapshot"))?;
    Ok((name, path.to_owned()))
}

async fn show(view: View, name: String, path: String, asked: Asked) -> Result<Response, Oops> {
    let (title, main) = read(&view, move |session, view| {
        let snapshot = meant(session, &name)?;
        let path = names::bytes(path.trim_end_matches('/'));
        let found = if path.is_empty() { None } else { session.entry(&snapshot, &path)? };
        let title = if path.is_empty() {
            format!("Files of {}", short(&snapshot.0))
        } else {
            display(file_name(&path))
        };
        let main = match found {
            None if !path.is_empty() => {
                return Err(Oops::not_found(format!(
                    "this snapshot does not contain {}",
                    display(&path)
                )));
            }
            Some(found) if !matches!(found.entry.kind, Kind::Directory) => {
                file(session, view, &snapshot, &found)?
            }
            _ => folder(session, view, &snapshot, &path, asked.after.as_deref())?,
        };
        Ok((title.clone(), html! { h1 { (title) } (trail(view, &snapshot, &path)) (main) }))
    })
    .await?;
    Ok(page(&view, &title, false, main))
}

/// The path, with each part as a link.
fn trail(view: &View, (id, record): &Snapshot, path: &[u8]) -> Markup {
    let base = parts::snapshot_path(id);
    let mut so_far: Vec<u8> = Vec::new();
    let steps: Vec<(String, String)> = path
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty())
        .map(|part| {
            if !so_far.is_empty() {
                so_far.push(b'/');
            }
            so_far.extend_from_slice(part);
            (display(part), view.to(&format!("{base}/browse/{}", names::path(&so_far))))
        })
        .collect();
    html! {
        nav.row aria-label="Path to this folder" {
            a href=(view.to(&base)) { "Snapshot of " (parts::at(view, parts::taken(record))) }
            span { "/" } a href=(view.to(&format!("{base}/browse"))) { "all files" }
            @for (name, link) in &steps { span { "/" } a href=(link) { (name) } }
        }
        br;
    }
}

fn folder(
    session: &Session,
    view: &View,
    snapshot: &Snapshot,
    path: &[u8],
    after: Option<&str>,
) -> Result<Markup, Oops> {
    let after = after.map(names::bytes);
    let listed = session.list(snapshot, path, after.as_deref(), SHOWN)?;
    let index = session.repository().index().map_err(crate::ops::Error::from)?;
    // Titles are optional: if the database cannot be read, files are listed without them.
    let mut namer = Namer::of_snapshots(
        (session.repository(), &index),
        &[snapshot],
        &std::sync::Arc::default(),
    )
    .ok()
    .flatten();
    let mut title = |entry: &Entry| match entry.kind {
        Kind::Directory => namer.as_mut()?.name(file_name(&entry.path)).ok().flatten(),
        _ => None,
    };
    let base = parts::snapshot_path(&snapshot.0);
    let rows: Vec<(String, Option<String>, &SnapshotEntry)> = listed
        .entries
        .iter()
        .map(|found| {
            (
                view.to(&format!("{base}/browse/{}", names::path(&found.entry.path))),
                title(&found.entry),
                found,
            )
        })
        .collect();
    let pictures: Vec<_> =
        rows.iter().filter(|(_, _, found)| is_picture(&found.entry)).take(60).collect();
    Ok(html! {
        @if rows.is_empty() { p { "This folder is empty." } }
        div.row {
            a.button href=(view.to(&format!("{base}/zip/{}", names::path(path)))) { "Download the folder as a zip" }
            @if !path.is_empty() { a.button href=(view.to(&format!("/restore?snapshot={}&path={}", short(&snapshot.0), names::value(&names::path(path))))) { "Restore this folder" } }
        }
        br;
        @if !pictures.is_empty() { div.posters { @for (link, _, found) in &pictures {
            figure { a href=(link) { (small_picture::img(view, &snapshot.0, &found.entry, &display(file_name(&found.entry.path)), Shown::Card)) }
                figcaption { (display(file_name(&found.entry.path))) } }
        } } br; }
        @if !rows.is_empty() { section.card { table.cards {
            thead { tr { th { "Name" } th { "Title" } th.number { "Size" } th { "Changed" } } }
            tbody { @for (link, title, found) in &rows { tr {
                td data-label="Name" { a href=(link) { (display(file_name(&found.entry.path))) @if matches!(found.entry.kind, Kind::Directory) { "/" } } }
                td data-label="Title" { @if let Some(title) = title { (title) } }
                td.number data-label="Size" { @if matches!(found.entry.kind, Kind::File { .. }) { (size(found.entry.size())) } }
                td data-label="Changed" { (parts::at(view, changed(&found.entry))) }
            } } }
        } } }
        @if let Some(next) = listed.next {
            a.button href=(view.to(&format!("{base}/browse/{}?after={}", names::path(path), names::value(&names::path(&next))))) { "Show more files" }
        }
    })
}

fn changed(entry: &Entry) -> jiff::Timestamp {
    moment(
        entry
            .mtime
            .seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(i64::from(entry.mtime.nanos)),
    )
}

fn is_picture(entry: &Entry) -> bool {
    let name = String::from_utf8_lossy(file_name(&entry.path)).into_owned();
    matches!(entry.kind, Kind::File { .. }) && image_word_of_file(&name).is_some()
}

fn file(
    session: &Session,
    view: &View,
    snapshot: &Snapshot,
    found: &SnapshotEntry,
) -> Result<Markup, Oops> {
    let (base, path) = (parts::snapshot_path(&snapshot.0), &found.entry.path);
    let link = |verb: &str| view.to(&format!("{base}/{verb}/{}", names::path(path)));
    if let Kind::Symlink { target } = &found.entry.kind {
        return Ok(
            html! { section.card { p { "A symbolic link to " code { (display(target)) } "." } } },
        );
    }
    let text = text_of(session, snapshot, &found.entry)?;
    let catalog = session.catalog()?;
    let versions = session.history(&catalog, path, &Monitor::default()).unwrap_or_default();
    let versions: Vec<_> =
        versions.iter().flat_map(|one| one.versions.iter()).rev().take(VERSIONS).collect();
    Ok(html! {
        section.card {
            p { (size(found.entry.size())) ", changed " (parts::at(view, changed(&found.entry))) ", category " (found.category) "." }
            div.row {
                a.button.first href=(link("file")) { "Download" }
                a.button href=(view.to(&format!("/restore?snapshot={}&path={}", short(&snapshot.0), names::value(&names::path(path))))) { "Restore this file" }
            }
            br;
            @if is_picture(&found.entry) { img.preview alt=(format!("Preview of {}", display(file_name(path)))) src=(link("picture")); }
            @if let Some(text) = text { pre tabindex="0" { (text) } }
        }
        section.card {
            h2 { "History of this file" }
            ul.plain { @for version in versions { (version_line(view, &catalog.snapshots, version, path)) } }
        }
    })
}

fn version_line(
    view: &View,
    all: &[Snapshot],
    version: &crate::ops::Version,
    path: &[u8],
) -> Markup {
    let (Some((first, record)), Some(last)) = (all.get(version.first), all.get(version.last))
    else {
        return html! {};
    };
    let link = view.to(&format!("{}/browse/{}", parts::snapshot_path(first), names::path(path)));
    html! {
        li {
            a href=(link) { "From " (parts::at(view, parts::taken(record))) " to " (parts::at(view, parts::taken(&last.1))) } ": " (size(version.entry.size()))
            @if let Some((_, gone)) = version.until.and_then(|until| all.get(until)) { span.soft { "; changed or removed in the snapshot of " (parts::at(view, parts::taken(gone))) } }
        }
    }
}

/// The text of a small text file, with secrets hidden; `None` for other files.
fn text_of(session: &Session, snapshot: &Snapshot, entry: &Entry) -> Result<Option<String>, Oops> {
    use std::io::Read;
    if entry.size() > TEXT_BYTES_MAX || is_picture(entry) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    session
        .read(snapshot, &entry.path)?
        .read_to_end(&mut bytes)
        .map_err(|error| Oops::from(crate::ops::Error::Output(error)))?;
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    Ok(text.map(|text| crate::ops::lines_without_secrets(&display(&entry.path), &text).join("\n")))
}

/// Downloads a file.
pub async fn download(view: View) -> Result<Response, Oops> {
    let (name, path) = place(&view, "file/")?;
    let path = names::bytes(&path);
    let snapshot = read(&view, move |session, _| meant(session, &name)).await?;
    download::file(&view, snapshot, path).await
}

/// Shows a picture.
pub async fn picture(view: View) -> Result<Response, Oops> {
    let (name, path) = place(&view, "picture/")?;
    let path = names::bytes(&path);
    let is_fixed = name.len() >= 8 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let snapshot = read(&view, move |session, _| meant(session, &name)).await?;
    download::picture(&view, snapshot, path, is_fixed).await
}

/// Downloads all files as a zip.
pub async fn zip_all(view: View, Path(name): Path<String>) -> Result<Response, Oops> {
    let snapshot = read(&view, move |session, _| meant(session, &name)).await?;
    download::folder(&view, snapshot, Vec::new()).await
}

/// Downloads a folder as a zip.
pub async fn zip(view: View) -> Result<Response, Oops> {
    let (name, path) = place(&view, "zip/")?;
    let path = names::bytes(&path);
    let snapshot = read(&view, move |session, _| {
        let snapshot = meant(session, &name)?;
        let found = session.entry(&snapshot, &path)?;
        found
            .filter(|found| matches!(found.entry.kind, Kind::Directory))
            .ok_or_else(|| Oops::not_found("this snapshot has no such folder"))?;
        Ok((snapshot, path))
    })
    .await?;
    download::folder(&view, snapshot.0, snapshot.1).await
}
