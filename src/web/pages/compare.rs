//! Two snapshots side by side: what happened in words, posters before and after, settings, files.
//! Or a snapshot with the server as it is now.

use std::collections::BTreeMap;
use std::ffi::OsString;

use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use crate::figures::{count, short, size};
use crate::manifest::{Entry, display, file_name, parent};
use crate::ops::{
    self, Change, ChangeKind, DiffOptions, Monitor, Namer, Session, Snapshot, happened,
    image_word_of_file,
};

use crate::source::Category;

use super::super::names;
use super::super::oops::Oops;
use super::super::requests::read;
use super::super::view::View;
use super::small_picture::{self, Shown};
use super::snapshot::meant;
use super::{page, parts};

/// Pictures that are shown.
const PICTURES: usize = 100;
/// Files that are listed.
const FILES: usize = 500;
/// Names shown of each list, at most.
const NAMED: usize = 30;

/// The two snapshots that were chosen in the list.
#[derive(Deserialize)]
pub struct Chosen {
    from: Option<String>,
    to: Option<String>,
}

/// Redirects to the page that compares them.
pub async fn choose(view: View, Query(chosen): Query<Chosen>) -> Result<Response, Oops> {
    let (Some(from), Some(to)) = (chosen.from, chosen.to) else {
        return Err(Oops::bad("you have to choose two snapshots: one as “from” and one as “to”"));
    };
    Ok(Redirect::to(&view.to(&format!("/compare/{}/{}", names::value(&from), names::value(&to))))
        .into_response())
}

/// The page.
pub async fn show(view: View, Path((from, to)): Path<(String, String)>) -> Result<Response, Oops> {
    let main = if to == "now" {
        with_now(&view, from).await?
    } else {
        read(&view, move |session, view| of_two(session, view, &from, &to)).await?
    };
    Ok(page(&view, "Compare", false, main))
}

/// The comparison with the server as it is now runs as a separate command, because it may copy the
/// live database.
async fn with_now(view: &View, from: String) -> Result<Markup, Oops> {
    let before = read(view, move |session, _| meant(session, &from)).await?;
    let mut arguments: Vec<OsString> =
        ["diff".to_owned(), before.0.to_string()].map(OsString::from).to_vec();
    if before.1.category(Category::Database.name()).is_some() {
        arguments.push("--rows".into());
    }
    let shown = view.site.runs.shown(&arguments);
    let site = view.site.clone();
    let asked = tokio::task::spawn_blocking(move || site.runs.ask(&arguments)).await;
    let outcome =
        asked.map_err(|_| Oops::bad("the snapshot could not be compared with the server"))??;
    if ![0, 3].contains(&outcome.code) {
        return Err(Oops::bad(outcome.words.trim().trim_end_matches('.').to_owned()));
    }
    Ok(html! {
        h1 { "What changed since the snapshot" }
        p { "From the snapshot of " (parts::at(view, parts::taken(&before.1))) " to the server as it is now." }
        section.card { pre tabindex="0" { (outcome.words) } (parts::command(&shown)) }
    })
}

fn of_two(session: &Session, view: &View, from: &str, to: &str) -> Result<Markup, Oops> {
    let (mut before, mut after) = (meant(session, from)?, meant(session, to)?);
    if before.1.time_ns > after.1.time_ns {
        std::mem::swap(&mut before, &mut after);
    }
    let told = happened(session.repository(), &before, &after, NAMED, &Monitor::default())?;
    let diff = session.diff(&before, &after, &DiffOptions::default(), &Monitor::default())?;
    let mut changes: Vec<Change> = Vec::new();
    let (mut pictures, mut number): (BTreeMap<(Vec<u8>, String), Pair>, u64) = (BTreeMap::new(), 0);
    diff.for_each(|change| {
        if change.is_only_a_directorys_time() {
            return Ok(());
        }
        number += 1;
        note_picture(&mut pictures, change);
        if changes.len() < FILES {
            changes.push(change.clone());
        }
        Ok::<_, ops::Error>(())
    })?;
    let index = session.repository().index().map_err(ops::Error::from)?;
    let mut namer = Namer::of_snapshots(
        (session.repository(), &index),
        &[&after, &before],
        &std::sync::Arc::default(),
    )
    .ok()
    .flatten();
    let shown = view
        .site
        .runs
        .shown(&["diff", &short(&before.0), &short(&after.0), "--rows"].map(OsString::from));
    Ok(html! {
        h1 { "What happened between two snapshots" }
        p { "From " (link(view, &before)) " to " (link(view, &after)) "." }
        section.card { h2 { "Summary" } (parts::in_full(&told)) }
        (posters(view, (&before, &after), &pictures, namer.as_mut()))
        section.card {
            h2 { (count(number)) @if number == 1 { " file or folder differs" } @else { " files and folders differ" } }
            @if number > 0 { details { summary { "Show the list" } table.cards {
                thead { tr { th { "Change" } th { "Path" } th.number { "Size" } } }
                tbody { @for change in &changes { (row(change)) } }
            } @if number > changes.len() as u64 { p { "And " (count(number - changes.len() as u64)) " more. The command below lists them all." } } } }
        }
        (parts::command(&shown))
    })
}

fn link(view: &View, (id, record): &Snapshot) -> Markup {
    html! { a href=(view.to(&parts::snapshot_path(id))) { (parts::at(view, parts::taken(record))) " " code { (short(id)) } } }
}

fn row(change: &Change) -> Markup {
    let (class, word) = match change.kind {
        ChangeKind::Added => ("new", "new"),
        ChangeKind::Removed => ("gone", "removed"),
        ChangeKind::Modified => ("other", "changed"),
        ChangeKind::Moved => ("other", "moved"),
        ChangeKind::Metadata => ("other", "permissions or times"),
    };
    let bytes = |entry: &Option<crate::manifest::Entry>| {
        entry.as_ref().map_or_else(|| "–".to_owned(), |entry| size(entry.size()))
    };
    html! { tr {
        td data-label="Change" { span class=(class) { (word) } }
        td data-label="Path" { (display(change.path())) }
        td.number data-label="Size" { (bytes(&change.before)) " → " (bytes(&change.after)) }
    } }
}

/// One picture before and after.
type Pair = [Option<Entry>; 2];

/// Notes a picture by its folder and by what it shows: `poster.jpg` may have become `poster.png`.
fn note_picture(pictures: &mut BTreeMap<(Vec<u8>, String), Pair>, change: &Change) {
    let name = String::from_utf8_lossy(file_name(change.path())).into_owned();
    if change.kind == ChangeKind::Metadata || pictures.len() > PICTURES {
        return;
    }
    let Some(word) = image_word_of_file(&name).filter(|_| change.path().starts_with(b"metadata"))
    else {
        return;
    };
    let key = (
        parent(change.path()).unwrap_or_default().to_vec(),
        if word == "image" { name } else { word.to_owned() },
    );
    let pair = pictures.entry(key).or_default();
    for (slot, entry) in pair.iter_mut().zip([&change.before, &change.after]) {
        if let Some(entry) = entry {
            *slot = Some(entry.clone());
        }
    }
}

fn posters(
    view: &View,
    (before, after): (&Snapshot, &Snapshot),
    pictures: &BTreeMap<(Vec<u8>, String), Pair>,
    mut namer: Option<&mut Namer<'_>>,
) -> Markup {
    let mut title = |folder: &[u8]| {
        let named = namer.as_mut().and_then(|namer| namer.name(folder).ok().flatten());
        named.unwrap_or_else(|| display(file_name(folder)))
    };
    let src = |snapshot: &Snapshot, entry: &Entry| {
        let path = names::path(&entry.path);
        view.to(&format!("{}/picture/{path}", parts::snapshot_path(&snapshot.0)))
    };
    let img = |snapshot: &Snapshot, entry: &Entry, alt: String| {
        small_picture::img(view, &snapshot.0, entry, &alt, Shown::Beside)
    };
    html! {
        @if !pictures.is_empty() {
            section.card {
                h2 { "Pictures" }
                p.soft.small { "Before on the left, after on the right. Use the arrow keys to move from one picture to the next." }
                @for (number, ((folder, word), [old, new])) in pictures.iter().take(PICTURES).enumerate() {
                    @let name = title(folder);
                    @let back = old.as_ref().map(|entry| view.to(&format!("/restore?snapshot={}&path={}&replace=1", short(&before.0), names::value(&names::path(&entry.path)))));
                    article.pair tabindex="-1" aria-label=(format!("{word} of {name}")) {
                        figure {
                            @match old { Some(old) => (img(before, old, format!("{word} of {name}, before"))), None => p.soft { "There was no picture." } }
                            figcaption { (name) ", before" @if let Some(back) = back { ". " a href=(back) aria-label=(format!("Bring this one back: {word} of {name}")) { "Bring this one back" } } }
                        }
                        figure {
                            @match new { Some(new) => (img(after, new, format!("{word} of {name}, after"))), None => p.soft { "The picture was removed." } }
                            figcaption { (name) ", after" }
                        }
                        @if let (Some(old), Some(new)) = (old, new) { (over(number, &name, &src(before, old), &src(after, new))) }
                    }
                }
                @if pictures.len() > PICTURES { p { "More pictures changed than are shown here. See the list of files below." } }
            }
        }
    }
}

/// Both pictures, one over the other, with a slider that fades between them. Needs JavaScript.
fn over(number: usize, name: &str, before: &str, after: &str) -> Markup {
    html! {
        details.over hidden data-script {
            summary { "One over the other" }
            div.stack { img loading="lazy" alt="" src=(before); img id=(format!("fade-{number}")) loading="lazy" alt="" src=(after); }
            input type="range" min="0" max="100" value="100" data-fade=(format!("fade-{number}")) aria-label=(format!("{name}: fade from before to after"));
        }
    }
}
