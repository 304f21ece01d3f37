//! The style sheet, the script and the icon: in the program, under names that change with what is
//! in them.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::oops::Oops;

/// A file of the page.
pub struct Asset {
    /// Its name, with the beginning of its hash.
    pub name: String,
    bytes: &'static [u8],
    kind: &'static str,
}

impl Asset {
    fn new(stem: &str, end: &str, bytes: &'static [u8], kind: &'static str) -> Asset {
        let hash: String = blake3::hash(bytes).to_hex().chars().take(12).collect();
        Asset { name: format!("{stem}-{hash}.{end}"), bytes, kind }
    }
}

/// How it looks.
pub static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("style", "css", include_bytes!("files/style.css"), "text/css; charset=utf-8")
});
/// What makes it live.
pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("page", "js", include_bytes!("files/page.js"), "text/javascript; charset=utf-8")
});
/// What stands in the tab.
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", include_bytes!("files/icon.svg"), "image/svg+xml"));

/// Answers with one of them.
pub async fn asset(Path(name): Path<String>) -> Result<Response, Oops> {
    let found = [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.name == name);
    let asset = found.ok_or_else(|| Oops::not_found("there is no such file"))?;
    Ok((
        [
            (header::CONTENT_TYPE, asset.kind),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ],
        asset.bytes,
    )
        .into_response())
}
