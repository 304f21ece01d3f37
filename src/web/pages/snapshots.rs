//! The list of snapshots, day by day, each with one line about what happened.

use axum::extract::Query;
use axum::response::Response;
use jiff::civil::Date;
use maud::{Markup, html};
use serde::Deserialize;

use crate::figures::{count, short, size};
use crate::manifest::{Chain, SnapshotId, instance_of};
use crate::ops::{self, Session, Snapshot, last_of_version, source_name};

use super::super::names;
use super::super::oops::Oops;
use super::super::requests::read;
use super::super::stories::before;
use super::super::view::View;
use super::{page, parts};

/// Snapshots on one page.
const SHOWN: usize = 60;

/// The search, and where the page begins.
#[derive(Clone, Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    changes: String,
    #[serde(default)]
    skip: usize,
}

/// The page.
pub async fn show(view: View, Query(asked): Query<Asked>) -> Result<Response, Oops> {
    let wanted = asked.clone();
    let list = read(&view, move |session, view| list(session, view, &wanted)).await?;
    let main = html! {
        h1 { "Snapshots" }
        form.card method="get" role="search" {
            label { "Search for a title, a user, a label or a version" input type="search" name="q" value=(asked.q); }
            label.line { input type="checkbox" name="changes" value="1" checked[!asked.changes.is_empty()]; "Only snapshots in which something changed" }
            button { "Search" }
        }
        (list)
    };
    Ok(page(&view, "Snapshots", asked.skip == 0, main))
}

fn is_wanted(view: &View, all: &[Snapshot], snapshot: &Snapshot, asked: &Asked) -> bool {
    let (id, record) = snapshot;
    let told = before(all, snapshot).and_then(|before| view.site.stories.of(id, &before.0));
    if !asked.changes.is_empty() && told.as_ref().is_some_and(|told| told.is_empty()) {
        return false;
    }
    let text = asked.q.trim().to_lowercase();
    let has = |own: Option<&str>| own.is_some_and(|own| own.to_lowercase().contains(&text));
    let version = record.server.version.as_ref().map(|version| version.value.as_str());
    text.is_empty()
        || told.is_some_and(|told| told.mentions(&text))
        || has(record.label.as_deref())
        || has(record.note.as_deref())
        || has(version)
        || id.to_string().starts_with(&text)
}

fn list(session: &Session, view: &View, asked: &Asked) -> Result<Markup, Oops> {
    let all = session.snapshots()?;
    let kept = Chain::kept(session.repository()).map_err(ops::Error::from)?;
    let wanted: Vec<&Snapshot> =
        all.iter().rev().filter(|snapshot| is_wanted(view, &all, snapshot, asked)).collect();
    let day_of = |snapshot: &Snapshot| -> Date {
        parts::taken(&snapshot.1).to_zoned(view.site.zone.clone()).date()
    };
    let shown: Vec<&Snapshot> = wanted.iter().copied().skip(asked.skip).take(SHOWN).collect();
    let mut day = None;
    let link = |skip: usize| {
        view.to(&format!(
            "/snapshots?q={}&changes={}&skip={skip}",
            names::value(&asked.q),
            names::value(&asked.changes)
        ))
    };
    Ok(html! {
        @if all.is_empty() { p { "There is no snapshot yet. Take the first one on the overview." } }
        @else if wanted.is_empty() { p { "No snapshot matches. Try a part of a title, a user name or a label." } }
        form method="get" action=(view.to("/compare")) {
            @for snapshot in &shown {
                @if day.replace(day_of(snapshot)) != Some(day_of(snapshot)) { h2.day { (day_of(snapshot).strftime("%A, %-d %B %Y")) } }
                (entry(view, &all, snapshot, kept.contains(&snapshot.0)))
            }
            @if shown.len() > 1 { div.row { button { "Compare the two that are chosen" } span.soft.small { "Choose one as “from” and one as “to”." } } }
        }
        div.row {
            @if asked.skip > 0 { a.button href=(link(asked.skip.saturating_sub(SHOWN))) { "Newer" } }
            @if wanted.len() > asked.skip.saturating_add(SHOWN) { a.button href=(link(asked.skip.saturating_add(SHOWN))) { "Older" } }
            span.soft { (count(wanted.len() as u64)) " of " (count(all.len() as u64)) " snapshots" }
        }
    })
}

fn entry(view: &View, all: &[Snapshot], snapshot: &Snapshot, is_kept: bool) -> Markup {
    let is_one_of_many =
        all.iter().any(|(_, record)| instance_of(record) != instance_of(&snapshot.1));
    let (id, record) = snapshot;
    let at = all.iter().position(|(known, _)| known == id);
    let last_of = at.and_then(|at| last_of_version(all, at));
    let before = before(all, snapshot);
    let told = before.and_then(|before| view.site.stories.of(id, &before.0));
    let words = match (before, &told) {
        (None, _) => "the first of this server".to_owned(),
        (Some(_), Some(told)) => parts::in_short(told, 4),
        (Some(_), None) => "still comparing this snapshot with the previous one".to_owned(),
    };
    let time = parts::taken(record).to_zoned(view.site.zone.clone()).strftime("%H:%M").to_string();
    html! {
        article.card {
            div.row.between {
                div.row {
                    a href=(view.to(&parts::snapshot_path(id))) { strong { (parts::clock(view, parts::taken(record))) } " " code { (short(id)) } }
                    (marks(snapshot, is_kept))
                    @if let Some(version) = last_of { span.badge { "last of " (version) } }
                    @if is_one_of_many { span.badge { (source_name(&snapshot.1)) } }
                }
                div.row {
                    (choice("from", id, &time)) (choice("to", id, &time))
                    span.soft.small { (size(record.bytes.new_stored)) " added" }
                }
            }
            p { (parts::capital(&words)) "." }
        }
    }
}

/// The badges of a snapshot: its label, protection, upgrade and problems.
pub fn marks(snapshot: &Snapshot, is_kept: bool) -> Markup {
    let record = &snapshot.1;
    html! {
        @if let Some(label) = &record.label { span.badge { (label) } }
        @if is_kept { span.badge.good { "protected" } }
        @if record.is_upgrading() { span.badge.attention { "during an upgrade" } }
        @if record.is_safety() { span.badge { "before a restore" } }
        @if !record.is_complete() { span.badge.bad { "incomplete" } }
        @else if record.problem_count > 0 { span.badge.attention { (count(record.problem_count)) @if record.problem_count == 1 { " problem" } @else { " problems" } } }
    }
}

fn choice(name: &str, id: &SnapshotId, time: &str) -> Markup {
    html! { label.line.small { input type="radio" name=(name) value=(short(id)) aria-label=(format!("{name} {time}")); (name) } }
}
