//! `/api/v1`: the same facts for programs, as the command line's documents. `openapi.json`
//! describes it.

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::manifest::{Kind, display};
use crate::ops::documents::SnapshotDocument;
use crate::service::{Job, metrics};

use super::board::Order;
use super::names;
use super::oops::Oops;
use super::pages::{login, snapshot::meant};
use super::posted::Posted;
use super::requests::read;
use super::stories::before;
use super::view::View;

/// What it can do, for programs that make programs of it.
pub const OPENAPI: &str = include_str!("files/openapi.json");
/// Entries of one answer.
const ENTRIES_MAX: usize = 1000;

/// The description.
pub async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// How things stand.
pub async fn status(view: View) -> Json<Value> {
    let shown = view.site.board.shown();
    let next: Vec<_> = shown
        .next
        .iter()
        .map(|(job, time)| json!({"job": job, "time": time.timestamp()}))
        .collect();
    let working = view.site.board.working().map(|working| {
        let of = |(done, expected): (u64, u64)| json!({"done": done, "expected": expected});
        json!({"job": working.job, "began": working.began, "phase": working.far.phase, "files": of(working.far.files), "bytes": of(working.far.bytes)})
    });
    let last = shown.facts.last.as_ref().map(|last| json!({"id": last.id, "time": last.time, "problems": last.problems, "complete": last.is_complete}));
    Json(json!({
        "status": shown.standing, "snapshots": shown.facts.snapshots, "last": last, "last_complete": shown.facts.last_complete,
        "jobs": shown.log, "next": next, "working": working, "repository": view.site.repository.folder,
    }))
}

/// All snapshots, oldest first.
pub async fn snapshots(view: View) -> Result<Json<Value>, Oops> {
    let list = read(&view, |session, _| {
        let all = session.snapshots()?;
        Ok(
            json!({"snapshots": all.iter().map(|(id, record)| SnapshotDocument::of(Some(id), record)).collect::<Vec<_>>()}),
        )
    });
    Ok(Json(list.await?))
}

/// One snapshot.
pub async fn snapshot(view: View, Path(name): Path<String>) -> Result<Json<Value>, Oops> {
    let found = read(&view, move |session, _| {
        let (id, record) = meant(session, &name)?;
        Ok(
            json!({"snapshot": SnapshotDocument::of(Some(&id), &record), "problems": record.problems}),
        )
    });
    Ok(Json(found.await?))
}

/// What happened up to a snapshot since the one before.
pub async fn happened(view: View, Path(name): Path<String>) -> Result<Json<Value>, Oops> {
    let told = read(&view, move |session, view| {
        let (after, all) = (meant(session, &name)?, session.snapshots()?);
        let earlier = before(&all, &after);
        let told =
            earlier.map(|earlier| view.site.stories.told(session, earlier, &after)).transpose()?;
        Ok(
            json!({"snapshot": after.0.to_string(), "before": earlier.map(|earlier| earlier.0.to_string()), "happened": told.as_deref()}),
        )
    });
    Ok(Json(told.await?))
}

/// Where a listing begins.
#[derive(Deserialize)]
pub struct Listing {
    #[serde(default)]
    path: String,
    after: Option<String>,
}

/// What lies in a folder of a snapshot.
pub async fn files(
    view: View,
    Path(name): Path<String>,
    Query(asked): Query<Listing>,
) -> Result<Json<Value>, Oops> {
    let list = read(&view, move |session, _| {
        let snapshot = meant(session, &name)?;
        let after = asked.after.as_deref().map(names::bytes);
        let listed =
            session.list(&snapshot, &names::bytes(&asked.path), after.as_deref(), ENTRIES_MAX)?;
        let entries: Vec<_> = listed
            .entries
            .iter()
            .map(|found| {
                let kind = match found.entry.kind {
                    Kind::File { .. } => "file",
                    Kind::Directory => "directory",
                    Kind::Symlink { .. } => "symlink",
                };
                json!({"path": display(&found.entry.path), "kind": kind, "size": found.entry.size(), "category": found.category, "address": names::path(&found.entry.path)})
            })
            .collect();
        Ok(json!({"entries": entries, "next": listed.next.map(|next| names::path(&next))}))
    });
    Ok(Json(list.await?))
}

/// The jobs that a program with a token may start: they remove nothing and send nothing.
const OF_TOKENS: [Job; 3] = [Job::Snapshot, Job::Check, Job::Drill];

/// Has a job done: `job=snapshot`.
pub async fn run(view: View, posted: Posted) -> Result<Response, Oops> {
    let job = Job::ALL
        .into_iter()
        .find(|job| job.name() == posted.get("job"))
        .ok_or_else(|| Oops::bad("job must be snapshot, check or drill"))?;
    if view.session.is_none() && !OF_TOKENS.contains(&job) {
        return Err(Oops::new(
            StatusCode::FORBIDDEN,
            "a token can start only the jobs snapshot, check and drill",
            "Run other jobs from the page, or on their schedule.",
        ));
    }
    if job.may_remove() {
        login::prove(&view, &posted).await?;
    }
    let sent = view.site.orders.send(Order::Run(vec![job]));
    sent.map_err(|_| {
        Oops::new(StatusCode::SERVICE_UNAVAILABLE, "the service is ending", "Start it again.")
    })?;
    Ok((StatusCode::ACCEPTED, Json(json!({"ordered": job}))).into_response())
}

/// Prometheus' text.
pub async fn metrics_text(view: View) -> Response {
    let shown = view.site.board.shown();
    let Some(standing) = &shown.standing else {
        return (StatusCode::SERVICE_UNAVAILABLE, "not looked yet\n").into_response();
    };
    let text = metrics(&shown.facts, standing, &shown.log, &shown.next, jiff::Timestamp::now());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Whether the service answers: for containers. It says nothing of the server to those who are not
/// signed in.
pub async fn alive() -> &'static str {
    "ok\n"
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_description_is_json_and_names_each_path() {
        let document: serde_json::Value = serde_json::from_str(super::OPENAPI).unwrap();
        let described: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
        let routes: Vec<&str> = super::super::routes::API
            .iter()
            .map(|path| path.strip_prefix("/api/v1").unwrap())
            .collect();
        assert_eq!(described, routes);
    }
}
