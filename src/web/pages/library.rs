//! The library as of a snapshot: films, series, people, playlists by their titles, and the pictures
//! of one over time.

use axum::extract::{Path, Query};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use crate::figures::short;
use crate::manifest::{Catalog, Entry, Kind, display, file_name, instance_of};
use crate::ops::{
    Monitor, Session, Snapshot, Titled, Wanted, WantedPaths, all_titled, called_so,
    image_word_of_file, titles,
};

use crate::source::Category;

use super::super::names;
use super::super::oops::Oops;
use super::super::requests::{read, read_much};
use super::super::stories::before;
use super::super::view::View;
use super::small_picture::{self, Shown};
use super::snapshot::of_a_server;
use super::{page, parts, restore};

/// Cards on the page.
const SHOWN: usize = 60;
/// Titles that are sorted where nothing is searched for.
const SORTED_MAX: usize = 20_000;
/// Kinds that are shown where nothing is searched for.
const MAIN_KINDS: [&str; 5] = ["film", "series", "album", "collection", "playlist"];
/// Snapshots with changes to an item that are listed, at most.
const TOLD: usize = 50;

/// The search, and the snapshot to search in.
#[derive(Clone, Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    q: String,
    snapshot: Option<String>,
}

/// The page.
pub async fn show(view: View, Query(asked): Query<Asked>) -> Result<Response, Oops> {
    let wanted = asked.clone();
    let (chooser, list) = read(&view, move |session, view| {
        let snapshot = of_a_server(session, wanted.snapshot.as_deref())?;
        let chooser = snapshot_chooser(session, view, &snapshot)?;
        Ok((chooser, cards(session, view, &wanted, snapshot)?))
    })
    .await?;
    let main = html! {
        h1 { "Library" }
        form.card method="get" role="search" {
            label { "Search for a title, a person or a user" input type="search" name="q" value=(asked.q); }
            (chooser)
            button.first { "Search" }
        }
        (list)
    };
    Ok(page(&view, "Library", false, main))
}

/// The snapshots that can be searched: what is gone from the server is in an older one.
fn snapshot_chooser(session: &Session, view: &View, chosen: &Snapshot) -> Result<Markup, Oops> {
    let mut all = session.snapshots()?;
    all.retain(is_of_the_same(chosen));
    Ok(html! {
        label { "As of the snapshot of"
            select name="snapshot" {
                @for snapshot in restore::choices(&all, chosen) {
                    option value=(short(&snapshot.0)) selected[snapshot.0 == chosen.0] { (restore::words(view, snapshot)) }
                }
            }
        }
    })
}

/// Snapshots of the same server with a database.
fn is_of_the_same(chosen: &Snapshot) -> impl FnMut(&Snapshot) -> bool + use<> {
    let server = instance_of(&chosen.1).to_owned();
    move |(_, record)| {
        instance_of(record) == server && record.category(Category::Database.name()).is_some()
    }
}

fn cards(
    session: &Session,
    view: &View,
    asked: &Asked,
    snapshot: Snapshot,
) -> Result<Markup, Oops> {
    let index = session.repository().index().map_err(crate::ops::Error::from)?;
    let found = if asked.q.trim().is_empty() {
        let mut all = Vec::new();
        all_titled(session.repository(), &index, &snapshot, |titled| {
            if MAIN_KINDS.contains(&titled.kind) && all.len() < SORTED_MAX {
                all.push(titled);
            }
        })?;
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    } else {
        titles(session.repository(), &index, &snapshot, asked.q.trim())?
    };
    let more = found.len().saturating_sub(SHOWN);
    let shown: Vec<(&Titled, Option<Entry>)> = found
        .iter()
        .take(SHOWN)
        .map(|titled| (titled, poster(session, &snapshot, titled)))
        .collect();
    Ok(html! {
        p { "As of the snapshot of " (parts::at(view, parts::taken(&snapshot.1))) "." }
        @if shown.is_empty() { p { "Nothing was found in this snapshot. Try a part of the title. If it was deleted, choose an older snapshot above." } }
        div.posters { @for (titled, poster) in &shown { (card(view, &snapshot, titled, poster.as_ref())) } }
        @if more > 0 { p { "And " (more) " more. Search for a title to find them." } }
    })
}

/// The first poster among an item's own folders.
fn poster(session: &Session, snapshot: &Snapshot, titled: &Titled) -> Option<Entry> {
    let pictures = |folder: &Vec<u8>| session.list(snapshot, folder, None, 100).ok();
    let is_poster = |path: &[u8]| {
        image_word_of_file(&String::from_utf8_lossy(file_name(path))) == Some("poster")
    };
    let listed = titled
        .paths
        .iter()
        .filter(|path| path.starts_with(b"metadata") || path.starts_with(b"config/users"))
        .filter_map(pictures);
    let found: Vec<Entry> =
        listed.flat_map(|listed| listed.entries).map(|found| found.entry).collect();
    let profile = |entry: &&Entry| file_name(&entry.path).starts_with(b"profile");
    found
        .iter()
        .find(|entry| is_poster(&entry.path))
        .or_else(|| found.iter().find(profile))
        .cloned()
}

fn card(view: &View, snapshot: &Snapshot, titled: &Titled, poster: Option<&Entry>) -> Markup {
    let link = view.to(&format!("/library/{:032x}?snapshot={}", titled.id, short(&snapshot.0)));
    html! {
        figure {
            a href=(link) {
                @match poster { Some(poster) => (small_picture::img(view, &snapshot.0, poster, "", Shown::Card)), None => span.blank.soft { "no picture" } }
                (titled.name)
            }
            figcaption.soft { (titled.kind) @if let Some(year) = titled.year { ", " (year) } }
        }
    }
}

/// One item.
pub async fn item(
    view: View,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Oops> {
    let (title, main) = read_much(&view, move |session, view| {
        of_item(session, view, &id, asked.snapshot.as_deref())
    })
    .await?;
    Ok(page(&view, &title, false, main))
}

fn of_item(
    session: &Session,
    view: &View,
    id: &str,
    name: Option<&str>,
) -> Result<(String, Markup), Oops> {
    let snapshot = of_a_server(session, name)?;
    let index = session.repository().index().map_err(crate::ops::Error::from)?;
    let wanted =
        crate::ops::read_id(id).ok_or_else(|| Oops::not_found("this is not the id of an item"))?;
    let found = called_so(session.repository(), &index, &snapshot, id)?
        .into_iter()
        .find(|titled| titled.id == wanted);
    let titled = found.ok_or_else(|| Oops::not_found("this snapshot has no such item"))?;
    let catalog = session.catalog()?;
    let main = html! {
        h1 { (titled.name) }
        p { (parts::capital(titled.kind)) @if let Some(year) = titled.year { ", " (year) } ". As of the snapshot of " (parts::at(view, parts::taken(&snapshot.1))) "." }
        @if let Some(media) = &titled.media { p.small { "Media: " code { (media) } } }
        (list(view, &snapshot, &titled))
        (pictures(session, view, &catalog, &titled)?)
        (story(view, &catalog, &titled))
        (folders(session, view, &snapshot, &titled)?)
    };
    Ok((titled.name.clone(), main))
}

/// A playlist or a collection is more than its files: its entries are in the database.
fn list(view: &View, snapshot: &Snapshot, titled: &Titled) -> Markup {
    let has_key = view.site.loaded.config.jellyfin.api_key_file.is_some();
    let (kind, id) = (titled.kind, format!("{:032x}", titled.id));
    html! { @if ["playlist", "collection"].contains(&kind) { section.card {
        h2 { "Bring this " (kind) " back" }
        @if has_key {
            p { "With its entries and cover, while Jellyfin is running. If the " (kind) " still exists, the entries that it lost are added." }
            a.button.first href=(view.to(&format!("/restore?snapshot={}&list={kind}:{id}", short(&snapshot.0)))) { "Restore this " (kind) }
        } @else {
            p { "Its entries are in the database, so its files alone bring back an empty " (kind) ". With an API key in the section [jellyfin] of the configuration, you can restore it here." }
        }
    } } }
}

/// All pictures that any snapshot has of it, each version with its time.
fn pictures(
    session: &Session,
    view: &View,
    catalog: &Catalog,
    titled: &Titled,
) -> Result<Markup, Oops> {
    let own = titled
        .paths
        .iter()
        .filter(|path| path.starts_with(b"metadata") || path.starts_with(b"config/users"))
        .cloned()
        .collect();
    let wanted = Wanted { paths: WantedPaths::of_folders(own), contents: None };
    let found = session.find(catalog, &wanted, None, &Monitor::default())?;
    let versions = found
        .matches
        .iter()
        .flat_map(|found| found.versions.iter().map(move |version| (found, version)));
    let mut shown: Vec<_> = versions
        .filter(|(found, version)| {
            let name = String::from_utf8_lossy(file_name(&found.path)).into_owned();
            matches!(version.entry.kind, Kind::File { .. })
                && image_word_of_file(&name).is_some()
                && !found.path.windows(10).any(|part| part == b"/chapters/")
        })
        .collect();
    shown.sort_by_key(|(_, version)| std::cmp::Reverse((version.last, version.first)));
    shown.truncate(SHOWN);
    Ok(html! {
        section.card {
            h2 { "Pictures over time" }
            @if shown.is_empty() { p.soft { "No snapshot has a picture of this item." } }
            div.posters { @for (found, version) in shown {
                @if let (Some((last, record)), Some((_, first))) = (catalog.snapshots.get(version.last), catalog.snapshots.get(version.first)) {
                    figure {
                        (small_picture::img(view, last, &version.entry, &display(file_name(&found.path)), Shown::Card))
                        figcaption {
                            (display(file_name(&found.path))) ", from " (parts::at(view, parts::taken(first)))
                            @if version.until.is_some() { " to " (parts::at(view, parts::taken(record))) } @else { " until now" }
                            br;
                            a href=(view.to(&format!("/restore?snapshot={}&path={}&replace=1&item={:032x}", short(last), names::value(&names::path(&found.path)), titled.id))) { "Bring this one back" }
                        }
                    }
                }
            } }
        }
    })
}

/// What happened to an item, from the comparisons that are already done.
fn story(view: &View, catalog: &Catalog, titled: &Titled) -> Markup {
    let all = &catalog.snapshots;
    let told = all.iter().rev().filter_map(|after| {
        let told = view.site.stories.of(&after.0, &before(all, after)?.0)?;
        let lines: Vec<_> = told
            .news
            .iter()
            .filter(|line| {
                line.names.iter().any(|name| is_about(name, &titled.name))
                    || line.about == titled.name
            })
            .cloned()
            .collect();
        (!lines.is_empty()).then_some((after, lines))
    });
    let told: Vec<_> = told.take(TOLD).collect();
    html! {
        section.card {
            h2 { "What happened" }
            @if told.is_empty() { p.soft { "No snapshot shows a change to this item." } }
            ul.plain { @for ((id, record), lines) in told { @for line in lines {
                li { a href=(view.to(&parts::snapshot_path(id))) { (parts::at(view, parts::taken(record))) } ": " @if !line.about.is_empty() { (line.about) ": " } (line.what) }
            } } }
        }
    }
}

/// Whether a name in the news is that of an item, or of a picture of it: `poster of Salt Bridge 6`.
fn is_about(name: &str, title: &str) -> bool {
    name == title || name.strip_suffix(title).is_some_and(|before| before.ends_with(" of "))
}

fn folders(
    session: &Session,
    view: &View,
    snapshot: &Snapshot,
    titled: &Titled,
) -> Result<Markup, Oops> {
    let mut there = Vec::new();
    for path in &titled.paths {
        if session.entry(snapshot, path)?.is_some() {
            there.push(path);
        }
    }
    Ok(html! {
        section.card {
            h2 { "Files" }
            @if there.is_empty() { p.soft { "The snapshot has no files of this item." } }
            ul.plain { @for path in &there {
                li.row.between {
                    a href=(view.to(&format!("{}/browse/{}", parts::snapshot_path(&snapshot.0), names::path(path)))) { (display(path)) }
                    a.button href=(view.to(&format!("/restore?snapshot={}&path={}", short(&snapshot.0), names::value(&names::path(path))))) { "Restore" }
                }
            } }
        }
    })
}
