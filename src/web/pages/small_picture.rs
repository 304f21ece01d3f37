//! Small pictures for cards and comparisons. Their address names their content, so that a browser
//! keeps them, whichever snapshot they are shown from.

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use crate::manifest::{Entry, SnapshotId};
use crate::ops::ContentKey;

use super::super::download::{PICTURE_PATIENCE, picture_kind};
use super::super::names;
use super::super::oops::Oops;
use super::super::requests::read;
use super::super::small::{WIDTHS, smaller};
use super::super::view::View;
use super::parts;

/// Larger files are sent as they are.
const BYTES_MAX: usize = 32 << 20;

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
    let Some(key) = ContentKey::of(entry) else {
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
    if let Some(known) = view.site.smalls.get(&key) {
        return Ok(answer("image/jpeg", known));
    }
    let busy = || {
        Oops::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many pictures are being made",
            "Wait a moment, then reload this page.",
        )
    };
    // One at a time: each takes much memory, and pages come first.
    let turn = tokio::time::timeout(PICTURE_PATIENCE, view.site.drawing.clone().acquire_owned());
    let turn = turn.await.map_err(|_| busy())?.map_err(|_| busy())?;
    let made = read(&view, move |session, view| {
        let _turn = turn;
        let bytes = session.read_content(&content, BYTES_MAX)?.ok_or_else(gone)?;
        Ok(match smaller(&bytes, width) {
            Some(small) => {
                let small = Bytes::from(small);
                view.site.smalls.keep(key, small.clone());
                Some(("image/jpeg", small))
            }
            None => picture_kind(&bytes).map(|kind| (kind, Bytes::from(bytes))),
        })
    })
    .await?;
    let (kind, bytes) = made.ok_or_else(|| {
        Oops::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "this is not a picture that browsers can show safely",
            "Download the file.",
        )
    })?;
    Ok(answer(kind, bytes))
}

fn answer(kind: &'static str, bytes: Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "private, max-age=31536000, immutable"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ];
    (headers, bytes).into_response()
}
