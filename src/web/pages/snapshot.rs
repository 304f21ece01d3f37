//! One snapshot: what happened, what it contains, and what can be done with it.

use std::ffi::OsString;

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use crate::figures::{count, short, size};
use crate::manifest::{Chain, SnapshotRecord};
use crate::ops::{self, Session, Snapshot};
use crate::source::Category;

use super::super::oops::Oops;
use super::super::posted::Posted;
use super::super::requests::read;
use super::super::stories::before;
use super::super::view::View;
use super::{login, page, parts, snapshots};

/// The page.
pub async fn show(view: View, Path(name): Path<String>) -> Result<Response, Oops> {
    let (title, main) = read(&view, move |session, view| all_of(session, view, &name)).await?;
    Ok(page(&view, &title, false, main))
}

/// Finds a snapshot by the beginning of its id, a label, or `latest`.
pub fn meant(session: &Session, name: &str) -> Result<Snapshot, Oops> {
    Ok(session.snapshot(name)?)
}

/// Whether a snapshot has a server's database: not so one of a plain folder.
pub fn is_of_a_server(record: &SnapshotRecord) -> bool {
    record.category(Category::Database.name()).is_some()
        && !record.source.directories.contains_key("folder")
}

/// The snapshot that is named; without a name, the newest of a server.
pub fn of_a_server(session: &Session, name: Option<&str>) -> Result<Snapshot, Oops> {
    let Some(name) = name else {
        let newest = session
            .snapshots()?
            .into_iter()
            .rev()
            .find(|(_, record)| is_of_a_server(record) && !record.is_safety());
        return newest.ok_or_else(|| Oops::not_found("there is no snapshot of a server yet"));
    };
    meant(session, name)
}

fn all_of(session: &Session, view: &View, name: &str) -> Result<(String, Markup), Oops> {
    let snapshot = meant(session, name)?;
    let all = session.snapshots()?;
    let is_kept =
        Chain::kept(session.repository()).map_err(ops::Error::from)?.contains(&snapshot.0);
    let earlier = before(&all, &snapshot);
    let told =
        earlier.map(|earlier| view.site.stories.told(session, earlier, &snapshot)).transpose();
    let (id, record) = &snapshot;
    let title = format!(
        "Snapshot of {}",
        parts::taken(record).to_zoned(view.site.zone.clone()).strftime("%-d %B %Y, %H:%M")
    );
    let main = html! {
        h1 { (title) }
        div.row { code { (short(id)) } (snapshots::marks(&snapshot, is_kept)) }
        (actions(view, &snapshot, earlier))
        @if let Some(note) = &record.note { p { (parts::capital(note)) "." } }
        section.card {
            h2 { "What happened since the previous snapshot" }
            @match &told {
                Ok(Some(told)) => (parts::in_full(told)),
                Ok(None) => p { "This snapshot is the first of this server." },
                Err(error) => p { "The two snapshots could not be compared: " (error) ". Run " code { "jellyvault check" } " to see what is damaged." },
            }
        }
        @if !record.problems.is_empty() { (problems(&snapshot)) }
        div.grid { (contents(&snapshot)) (server(&snapshot)) }
        br;
        (manage(view, &snapshot, is_kept))
    };
    Ok((title, main))
}

fn actions(view: &View, (id, _): &Snapshot, earlier: Option<&Snapshot>) -> Markup {
    let path = parts::snapshot_path(id);
    html! {
        div.row.card {
            a.button.first href=(view.to(&format!("/restore?snapshot={}", short(id)))) { "Restore" }
            a.button href=(view.to(&format!("{path}/browse"))) { "Browse files" }
            a.button href=(view.to(&format!("/library?snapshot={}", short(id)))) { "Browse the library" }
            a.button href=(view.to(&format!("/compare/{}/now", short(id)))) { "Compare with the server now" }
            @if let Some((before, _)) = earlier { a.button href=(view.to(&format!("/compare/{}/{}", short(before), short(id)))) { "Compare with the previous snapshot" } }
            a.button href=(view.to(&format!("/export?snapshot={}", short(id)))) { "Zip for Jellyfin" }
        }
    }
}

fn problems((_, record): &Snapshot) -> Markup {
    html! {
        section.card.state.attention {
            h2 { "Problems" }
            ul.happened { @for problem in &record.problems { li { code { (problem.path) } ": " (problem.what) "." } } }
            @if record.problem_count > record.problems.len() as u64 { p { "And " (count(record.problem_count - record.problems.len() as u64)) " more." } }
        }
    }
}

fn contents((_, record): &Snapshot) -> Markup {
    html! {
        section.card {
            h2 { "Contents" }
            table.cards {
                thead { tr { th { "Category" } th.number { "Files" } th.number { "Size" } } }
                tbody {
                    @for (name, category) in &record.categories {
                        tr { td data-label="Category" { (name) } td.number data-label="Files" { (count(category.files)) } td.number data-label="Size" { (size(category.bytes)) } }
                    }
                }
            }
            @if !record.excluded.is_empty() { p.small.soft { "Left out: " (record.excluded.join(", ")) } }
        }
    }
}

fn server((_, record): &Snapshot) -> Markup {
    html! {
        section.card {
            h2 { "Server" }
            @match &record.server.version {
                Some(version) => p { "Jellyfin " (version.value) @if !version.exact { " or newer" } " " span.soft { "(" (version.how) ")" } },
                None => p { "The Jellyfin version is not known." },
            }
            @if let Some(name) = &record.server.id { p.small { "Server id " code { (name) } } }
            p.small { "Machine: " (record.source.host) ". Directories: " @for (number, dir) in record.source.directories.values().enumerate() { @if number > 0 { ", " } code { (dir) } } }
            p.small.soft { (size(record.bytes.source)) " in " (count(record.files.total)) " files. This snapshot read " (size(record.bytes.read)) " and added " (size(record.bytes.new_stored)) " to the repository." }
        }
    }
}

fn manage(view: &View, (id, record): &Snapshot, is_kept: bool) -> Markup {
    let path = parts::snapshot_path(id);
    html! {
        @if !record.is_complete() {
            section.card {
                h2 { "Was this on purpose?" }
                p { "This snapshot lacks something that earlier ones contain, so it does not count as a complete one. If you removed it on purpose, accept that: jellyvault takes a snapshot that counts as complete without it." }
                (parts::action(view, "/accept-loss", &[], "", "It was on purpose: accept it"))
            }
        }
        section.card {
            h2 { "Protect or remove" }
            div.row {
                @if is_kept { (parts::proved_action(view, &format!("{path}/keep"), &[("off", "1")], "", "Remove the protection")) }
                @else { (parts::action(view, &format!("{path}/keep"), &[], "", "Protect this snapshot")) }
            }
            @if !is_kept {
                details {
                    summary { "Remove this snapshot" }
                    p { "The snapshot is removed at once and cannot be brought back. The next retention job frees the space that only this snapshot uses."
                        @if record.label.is_some() { " This snapshot has a label, so it was probably meant to be kept." } }
                    form method="post" action=(view.to(&format!("{path}/forget"))) {
                        (parts::token(view)) (parts::proof(view))
                        button.danger { "Remove the snapshot " (short(id)) }
                    }
                }
            }
        }
    }
}

/// Protects a snapshot, or removes the protection.
pub async fn keep(view: View, Path(name): Path<String>, posted: Posted) -> Result<Response, Oops> {
    let is_kept = !posted.has("off");
    if !is_kept {
        login::prove(&view, &posted).await?;
    }
    let id = read(&view, move |session, _| {
        let (id, _) = meant(session, &name)?;
        session.keep(&[id], is_kept)?;
        Ok(id)
    })
    .await?;
    // Removing the protection also dismisses the alarm about a sudden loss, so the status may
    // change.
    crate::tolerate(view.site.orders.send(super::super::board::Order::Look));
    Ok(Redirect::to(&view.to(&parts::snapshot_path(&id))).into_response())
}

/// Takes a snapshot that counts as complete without what is gone.
pub async fn accept_loss(view: View, _posted: Posted) -> Result<Response, Oops> {
    let arguments = ["snapshot", "--accept-loss"].map(OsString::from);
    let run = view.site.runs.start("Accept what is gone".to_owned(), &arguments)?;
    crate::tolerate(view.site.orders.send(super::super::board::Order::Look));
    Ok(Redirect::to(&view.to(&format!("/jobs/{run}"))).into_response())
}

/// Removes a snapshot.
pub async fn forget(
    view: View,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Oops> {
    login::prove(&view, &posted).await?;
    let id = read(&view, move |session, _| Ok(meant(session, &name)?.0)).await?;
    let arguments: Vec<OsString> =
        ["forget".to_owned(), id.to_string()].map(OsString::from).to_vec();
    let run = view.site.runs.start(format!("Remove the snapshot {}", short(&id)), &arguments)?;
    Ok(Redirect::to(&view.to(&format!("/jobs/{run}"))).into_response())
}
