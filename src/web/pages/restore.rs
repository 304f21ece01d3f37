//! Restore: choose what, see the plan, then restore. Plan and restore run the command that the page
//! shows. Also the zip for Jellyfin's dashboard.

use std::ffi::OsString;

use axum::extract::Query;
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use crate::figures::short;
use crate::manifest::{display, instance_of};
use crate::ops::{ExportKind, Session, Snapshot, called_so, read_id, source_name, users_of};
use crate::source::Category;

use super::super::oops::Oops;
use super::super::posted::Posted;
use super::super::requests::read;
use super::super::run::Outcome;
use super::super::view::View;
use super::super::{download, names};
use super::restore_command::{arguments, list_of, what};
use super::snapshot::{is_of_a_server, meant, of_a_server};
use super::{login, page, parts};

/// What the link to the page has chosen already.
#[derive(Clone, Default, Deserialize)]
pub struct Asked {
    snapshot: Option<String>,
    path: Option<String>,
    replace: Option<String>,
    /// The id of the item that the path is a picture of.
    item: Option<String>,
    /// A playlist or a collection: `playlist:ID`.
    list: Option<String>,
}

/// Categories that can be restored while Jellyfin runs.
const OF_RUNNING: [Category; 4] =
    [Category::Metadata, Category::Trickplay, Category::Subtitles, Category::Attachments];

/// The page that asks.
pub async fn show(view: View, Query(asked): Query<Asked>) -> Result<Response, Oops> {
    let main = read(&view, move |session, view| form(session, view, &asked)).await?;
    Ok(page(&view, "Restore", false, main))
}

fn form(session: &Session, view: &View, asked: &Asked) -> Result<Markup, Oops> {
    let all = session.snapshots()?;
    let chosen = match &asked.snapshot {
        Some(name) => Some(meant(session, name)?),
        None => all
            .iter()
            .rev()
            .find(|(_, record)| record.is_complete() && is_of_a_server(record))
            .or(all.last())
            .cloned(),
    };
    let Some(chosen) = chosen else {
        return Ok(html! { h1 { "Restore" } p { "There is no complete snapshot yet." } });
    };
    let is_one_of_many =
        all.iter().any(|(_, record)| instance_of(record) != instance_of(&chosen.1));
    let path = asked.path.as_ref().map(|path| display(&names::bytes(path)));
    let (id, record) = &chosen;
    // The running server takes pictures by their item, where there is a key to ask it with.
    let has_key = view.site.loaded.config.jellyfin.api_key_file.is_some();
    let item = asked.item.as_deref().filter(|item| has_key && read_id(item).is_some());
    let list = match asked.list.as_deref().filter(|list| has_key && list_of(list).is_some()) {
        Some(list) => Some((list, name_of(session, &chosen, list)?)),
        None => None,
    };
    let users = users_of(session.repository(), &chosen)?;
    Ok(html! {
        h1 { "Restore" }
        p { "You first see what would be done. Nothing is changed until you confirm." }
        form method="post" action=(view.to("/restore/plan")) {
            (parts::token(view))
            fieldset { legend { "Which snapshot" }
                select name="snapshot" aria-label="Snapshot" {
                    @for snapshot in choices(&all, &chosen) { option value=(short(&snapshot.0)) selected[snapshot.0 == *id] { (words(view, snapshot)) @if is_one_of_many { ", " (source_name(&snapshot.1)) } } }
                }
            }
            fieldset { legend { "What to restore" }
                @if let Some(path) = &path {
                    @if let Some(item) = item {
                        label.line { input type="radio" name="what" value="picture" checked; "This picture, set through the running server, which shows it at once: " code { (path) } }
                        input type="hidden" name="item" value=(item);
                    }
                    label.line { input type="radio" name="what" value="paths" checked[item.is_none()]; @if item.is_some() { "This picture as a file: " } @else { "Only this: " } code { (path) } }
                    input type="hidden" name="path" value=(path);
                    label.line { input type="checkbox" name="replace" value="1" checked[asked.replace.is_some()]; "Also delete newer pictures that Jellyfin would show instead" }
                }
                @if let Some((list, name)) = &list {
                    label.line { input type="radio" name="what" value="list" checked; "Through the running server, with its entries and cover: " strong { (name) } }
                    input type="hidden" name="list" value=(list);
                    input type="hidden" name="name" value=(name);
                }
                label.line { input type="radio" name="what" value="categories" checked[path.is_none() && list.is_none()]; "Only these categories:" }
                div.row {
                    @for name in record.categories.keys() {
                        label.line { input type="checkbox" name="category" value=(name) checked[name == Category::Metadata.name()]; (name) }
                    }
                }
                p.small.soft { "While Jellyfin is running, only " (running_words()) " can be restored. For anything else, stop Jellyfin first." }
                @if !users.is_empty() {
                    label.line { input type="radio" name="what" value="watch-state"; "Only the watch state (watched, position, favourites, ratings) of one user:" }
                    select name="user" aria-label="User" { @for user in &users { option value=(user) { (user) } } }
                    p.small.soft { @if has_key { "It is set through the server while it runs, or written into the database of a server that is stopped." } @else { "Stop Jellyfin first." } }
                }
                label.line { input type="radio" name="what" value="all"; "Everything: the whole server as it was at that time" }
            }
            fieldset { legend { "Options" }
                label.line { input type="checkbox" name="delete" value="1"; "Also delete files that are not in the snapshot; of a watch state, also what was watched since" }
                label.line { input type="checkbox" name="keep" value="1"; "First rename the existing directories, so that you can go back to them (only with “Everything”)" }
            }
            button.first { "Show what would be done" }
        }
        br;
        section.card { h2 { "Other ways to restore" }
            p { "To get files without touching the server, " a href=(view.to(&format!("{}/browse", parts::snapshot_path(id)))) { "browse the snapshot" } " and download them. "
                "To restore with Jellyfin's dashboard, " a href=(view.to(&format!("/export?snapshot={}", short(id)))) { "download a zip for Jellyfin" } ". "
                "To restore from a backup that Jellyfin made itself, first " a href=(view.to("/import")) { "import it" } ". " }
        }
    })
}

/// The name of a playlist or a collection.
fn name_of(session: &Session, snapshot: &Snapshot, list: &str) -> Result<String, Oops> {
    let index = session.repository().index().map_err(crate::ops::Error::from)?;
    let found = list_of(list).map(|(_, id)| called_so(session.repository(), &index, snapshot, id));
    let named = found.transpose()?.and_then(|found| found.into_iter().next());
    Ok(named.ok_or_else(|| Oops::not_found("this snapshot has no such list"))?.name)
}

fn running_words() -> String {
    OF_RUNNING.map(Category::name).join(", ")
}

/// The newest ones, and the one that is chosen.
pub fn choices<'s>(all: &'s [Snapshot], chosen: &'s Snapshot) -> Vec<&'s Snapshot> {
    let mut shown: Vec<&Snapshot> = all.iter().rev().take(200).collect();
    if !shown.iter().any(|snapshot| snapshot.0 == chosen.0) {
        shown.push(chosen);
    }
    shown
}

pub fn words(view: &View, (id, record): &Snapshot) -> String {
    let time = parts::taken(record)
        .to_zoned(view.site.zone.clone())
        .strftime("%Y-%m-%d %H:%M")
        .to_string();
    let version = record
        .server
        .version
        .as_ref()
        .map(|version| format!(", Jellyfin {}", version.value))
        .unwrap_or_default();
    let label = record.label.as_ref().map(|label| format!(", {label}")).unwrap_or_default();
    format!("{time}{version}{label} ({})", short(id))
}

async fn chosen(view: &View, posted: &Posted) -> Result<(Snapshot, Vec<OsString>), Oops> {
    let name = posted.get("snapshot").to_owned();
    let snapshot = read(view, move |session, _| meant(session, &name)).await?;
    let arguments = arguments(&snapshot, posted)?;
    Ok((snapshot, arguments))
}

/// Shows what would be done.
pub async fn plan(view: View, posted: Posted) -> Result<Response, Oops> {
    let (snapshot, own) = chosen(&view, &posted).await?;
    let mut dry = own.clone();
    dry.push("--dry-run".into());
    let site = view.site.clone();
    let outcome = tokio::task::spawn_blocking(move || site.runs.ask(&dry))
        .await
        .map_err(|_| Oops::bad("the restore could not be planned"))??;
    let since = since(&view, &snapshot, &posted).await?;
    let main = html! {
        h1 { "What would be done" }
        p { "Restore " strong { (what(&posted)) } " from the snapshot of " (words(&view, &snapshot)) ", into the server. Nothing has been changed so far." }
        section.card.state.(state(&outcome)) { pre tabindex="0" { (outcome.words) } }
        @if let Some(since) = since {
            section.card { h2 { "What would be undone" }
                p { "Since this snapshot, this changed on the server. After the restore it is as it was before:" }
                pre tabindex="0" { (since) }
            }
        }
        @let is_possible = outcome.code == 0 || outcome.code == 3;
        @if !is_possible {
            p { "This cannot be done as it is. The text above says why, and what to do." }
            p { "If the only reason is that Jellyfin is running, you can let jellyvault restore at the next start of Jellyfin." }
        }
        form method="post" action=(view.to("/restore/run")) {
            (parts::token(&view))
            @for name in ["snapshot", "what", "path", "replace", "delete", "keep", "user", "item", "list", "name"] {
                @if posted.has(name) { input type="hidden" name=(name) value=(posted.get(name)); }
            }
            @for category in posted.all("category") { input type="hidden" name="category" value=(category); }
            (parts::proof(&view))
            div.row {
                @if is_possible { button.danger { "Restore now" } }
                @if !["picture", "list"].contains(&posted.get("what")) { button name="arm" value="1" { "Restore at the next start of Jellyfin" } }
                a.button href=(view.to("/restore")) { "Cancel" }
            }
            p.small.soft { "For the next start, jellyfin.service must have jellyvault's drop-in. The documentation of the service says how to install it." }
        }
        (parts::command(&view.site.runs.shown(&own)))
    };
    Ok(page(&view, "What would be done", false, main))
}

/// What happened on the server since a snapshot, where the whole of it or the database would come
/// back.
async fn since(view: &View, snapshot: &Snapshot, posted: &Posted) -> Result<Option<String>, Oops> {
    let database = Category::Database.name();
    let brings_database = posted.get("what") == "all"
        || (posted.get("what") == "categories"
            && posted.all("category").any(|name| name == database));
    if !brings_database || snapshot.1.category(database).is_none() {
        return Ok(None);
    }
    let asked: Vec<OsString> =
        ["diff", &snapshot.0.to_string(), "--rows", "--stat"].map(OsString::from).to_vec();
    let site = view.site.clone();
    let outcome = tokio::task::spawn_blocking(move || site.runs.ask(&asked))
        .await
        .map_err(|_| Oops::bad("the snapshot could not be compared with the server"))??;
    // A server that is not there has nothing to lose; the plan says what else is wrong.
    Ok(Some(outcome.words).filter(|_| matches!(outcome.code, 0 | 3)))
}

fn state(outcome: &Outcome) -> &'static str {
    match outcome.code {
        0 => "good",
        3 => "attention",
        _ => "bad",
    }
}

/// Restores.
pub async fn run(view: View, posted: Posted) -> Result<Response, Oops> {
    login::prove(&view, &posted).await?;
    let (snapshot, mut own) = chosen(&view, &posted).await?;
    let mut title = format!("Restore {} from {}", what(&posted), short(&snapshot.0));
    if posted.has("arm") {
        own.push("--arm".into());
        title.push_str(" at the next start of Jellyfin");
    }
    let run = view.site.runs.start(title, &own)?;
    Ok(Redirect::to(&view.to(&format!("/jobs/{run}"))).into_response())
}

/// Cancels the restore that waits for the next start of Jellyfin.
pub async fn disarm(view: View, _posted: Posted) -> Result<Response, Oops> {
    let run = view
        .site
        .runs
        .start("Cancel the armed restore".to_owned(), &["armed", "--cancel"].map(OsString::from))?;
    Ok(Redirect::to(&view.to(&format!("/jobs/{run}"))).into_response())
}

/// Asks which zip.
pub async fn export(view: View, Query(asked): Query<Asked>) -> Result<Response, Oops> {
    let main = read(&view, move |session, view| {
        let snapshot = of_a_server(session, asked.snapshot.as_deref())?;
        let link = |kind: &str| view.to(&format!("{}/export/{kind}", parts::snapshot_path(&snapshot.0)));
        let has_database = snapshot.1.category(Category::Database.name()).is_some();
        Ok(html! {
            h1 { "A zip for Jellyfin's dashboard" }
            p { "From the snapshot of " (words(view, &snapshot)) ". jellyvault makes and checks the zip before the download begins. This can take some minutes." }
            @if !has_database { p { "This snapshot has no database, so jellyvault cannot make a zip from it." } }
            @else { div.grid {
                section.card { h2 { "Like Jellyfin's own backup" } p { "For the Jellyfin version of the snapshot, and for newer versions with the same tables." } a.button.first href=(link("tables")) { "Download the zip" } }
                section.card { h2 { "The database exactly as it was" } p { "For the same Jellyfin version, or a newer one, which then upgrades the database." } a.button href=(link("exact")) { "Download the exact zip" } }
            } }
            p.soft.small { "In a terminal, " code { (view.site.runs.shown(&["export", &short(&snapshot.0), "backup.zip"].map(OsString::from))) } " also says which Jellyfin versions can restore the zip." }
        })
    })
    .await?;
    Ok(page(&view, "Zip for Jellyfin", false, main))
}

/// Downloads a zip.
pub async fn zip(
    view: View,
    method: Method,
    axum::extract::Path((name, kind)): axum::extract::Path<(String, String)>,
) -> Result<Response, Oops> {
    if method == Method::HEAD {
        // Making a zip takes minutes: nobody gets one for its headers.
        return Ok(().into_response());
    }
    let kind = [ExportKind::Tables, ExportKind::Exact]
        .into_iter()
        .find(|known| known.word() == kind)
        .ok_or_else(|| Oops::not_found("there is no such zip"))?;
    let snapshot = read(&view, move |session, _| meant(session, &name)).await?;
    download::export(&view, snapshot, kind).await
}
