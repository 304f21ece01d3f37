//! Small pictures for cards and comparisons. Their address names their content, so that a browser
//! keeps them, whichever snapshot they are shown from.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::manifest::{Entry, SnapshotId};
use crate::ops::{ContentKey, Error};

use super::super::download::{PICTURE_PATIENCE, picture_kind, sent};
use super::super::names;
use super::super::oops::Oops;
use super::super::requests::read;
use super::super::small::{FILE_BYTES_MAX, Small, WIDTHS, smaller};
use super::super::view::View;
use super::parts;

/// How wide pictures are on a page, in the words of `sizes`.
#[derive(Clone, Copy)]
pub enum Shown {
    /// A card among others.
    Card,
    /// One of two that are compared.
    Beside,
}

impl Shown {
    fn sizes(self) -> &'static str {
        match self {
            Shown::Card => "(max-width: 40rem) 45vw, 12rem",
            Shown::Beside => "(max-width: 40rem) 45vw, 24rem",
        }
    }
}

/// A picture of a snapshot, as wide as it is shown. If its content has no name, it is sent whole.
pub fn img(view: &View, snapshot: &SnapshotId, entry: &Entry, alt: &str, shown: Shown) -> Markup {
    let whole = || {
        view.to(&format!("{}/picture/{}", parts::snapshot_path(snapshot), names::path(&entry.path)))
    };
    let is_small_file = entry.size() <= FILE_BYTES_MAX as u64;
    let Some(key) = ContentKey::of(entry).filter(|_| is_small_file) else {
        return html! { img loading="lazy" alt=(alt) src=(whole()); };
    };
    let of_width = |width: u32| view.to(&format!("/pictures/{width}/{key}"));
    let set = WIDTHS.map(|width| format!("{} {width}w", of_width(width))).join(", ");
    html! { img loading="lazy" alt=(alt) src=(of_width(WIDTHS[1])) srcset=(set) sizes=(shown.sizes()); }
}

/// A picture of this width by its content.
pub async fn show(view: View, Path((width, name)): Path<(u32, String)>) -> Result<Response, Oops> {
    let gone = || Oops::not_found("no snapshot has this picture any more");
    let content: ContentKey = name.parse().map_err(|()| gone())?;
    if !WIDTHS.contains(&width) {
        return Err(Oops::not_found("pictures do not come in this width"));
    }
    let key = (name, width);
    let known = view.site.smalls.get(&key);
    if let Some(Small::Made(bytes)) = known {
        return Ok((headers("image/jpeg"), bytes).into_response());
    }
    // Those that are sent whole are few at a time, because a slow browser keeps one in memory. Those
    // that are made small come one by one: each takes much memory, and pages come first.
    let place = turn(&view.site.pictures).await?;
    let drawing = if known.is_none() { Some(turn(&view.site.drawing).await?) } else { None };
    let (small, bytes) = read(&view, move |session, view| {
        let _drawing = drawing;
        let bytes = session.read_content(&content, FILE_BYTES_MAX)?.ok_or_else(gone)?;
        let small = known.unwrap_or_else(|| smaller(&bytes, width));
        view.site.smalls.keep(key, small.clone());
        Ok((small, bytes))
    })
    .await?;
    if let Small::Made(bytes) = small {
        return Ok((headers("image/jpeg"), bytes).into_response());
    }
    let kind = picture_kind(&bytes).ok_or_else(|| {
        Oops::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "this is not a picture that browsers can show safely",
            "Download the file.",
        )
    })?;
    let body = sent(&view, place, move |_, out| out.write_all(&bytes).map_err(Error::Output));
    Ok((headers(kind), body).into_response())
}

/// Waits for a place among those who want the same.
async fn turn(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Oops> {
    let busy = || {
        Oops::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many pictures are being sent",
            "Wait a moment, then reload this page.",
        )
    };
    let turn = tokio::time::timeout(PICTURE_PATIENCE, places.clone().acquire_owned()).await;
    turn.map_err(|_| busy())?.map_err(|_| busy())
}

fn headers(kind: &'static str) -> [(HeaderName, &'static str); 3] {
    [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "private, max-age=31536000, immutable"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ]
}
