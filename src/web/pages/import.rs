//! Import: backups that Jellyfin made itself become snapshots.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::figures::size;
use crate::manifest::display;

use super::super::oops::Oops;
use super::super::posted::Posted;
use super::super::view::View;
use super::{page, parts};

/// Zips that are listed, at most: the newest.
const SHOWN: usize = 100;

/// A zip in the server's directory of backups.
struct Zip {
    name: String,
    path: PathBuf,
    bytes: u64,
    changed: Timestamp,
}

/// All zips of a directory, the newest first. Links are none: they may lead anywhere.
fn zips(dir: &Path) -> std::io::Result<Vec<Zip>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        // It may have gone since it was listed.
        let Ok(about) = std::fs::symlink_metadata(&path) else { continue };
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        if let Some(name) = name.filter(|name| about.is_file() && name.ends_with(".zip")) {
            let changed = about.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
            let changed = changed.unwrap_or(Timestamp::UNIX_EPOCH);
            found.push(Zip { name, path, bytes: about.len(), changed });
        }
    }
    found.sort_by(|a, b| (b.changed, &b.name).cmp(&(a.changed, &a.name)));
    found.truncate(SHOWN);
    Ok(found)
}

/// The page.
pub async fn show(view: View) -> Result<Response, Oops> {
    let terminal = view.site.runs.shown(&["import", "backup.zip"].map(OsString::from));
    let main = html! {
        h1 { "Import Jellyfin's own backups" }
        p { "Each zip becomes a snapshot with the zip's date. Then you can browse it, compare it, and restore from it. What other snapshots already contain is not stored again. Zips in the server's directory stay where they are." }
        section.card {
            @match &view.site.settings.backups {
                None => p { "The server's directory was not found when the service started, so its backups cannot be listed." },
                Some(dir) => {
                    h2 { "Zips in " code { (display(dir.as_os_str().as_encoded_bytes())) } }
                    @match zips(dir) {
                        Err(error) if error.kind() == std::io::ErrorKind::NotFound => p { "There are none: the server has not made a backup yet." },
                        Err(error) => p { "The directory cannot be read: " (error) },
                        Ok(zips) if zips.is_empty() => p { "There are none." },
                        Ok(zips) => (table(&view, &zips)),
                    }
                }
            }
        }
        section.card {
            h2 { "Upload a zip" }
            form method="post" action=(view.to("/import/upload")) enctype="multipart/form-data" {
                (parts::token(&view))
                label { "A zip that Jellyfin made:" input type="file" name="zip" accept=".zip,application/zip" required; }
                button { "Upload and import" }
            }
            br;
            p.soft { "The uploaded zip is removed when it is imported. To import a zip of this machine without uploading it, run in a terminal: " code { (terminal) } }
        }
    };
    Ok(page(&view, "Import", false, main))
}

fn table(view: &View, zips: &[Zip]) -> Markup {
    html! { table.cards {
        thead { tr { th { "Zip" } th { "Size" } th { "Made" } th { "Import" } } }
        tbody { @for zip in zips { tr {
            td data-label="Zip" { code { (display(zip.name.as_bytes())) } }
            td data-label="Size" { (size(zip.bytes)) }
            td data-label="Made" { (parts::at(view, zip.changed)) }
            td data-label="Import" { (parts::action(view, "/import", &[("zip", &zip.name)], "", "Import this zip")) }
        } } }
    } }
}

/// Imports one of the zips that are listed.
pub async fn run(view: View, posted: Posted) -> Result<Response, Oops> {
    let listed = view.site.settings.backups.as_deref().and_then(|dir| zips(dir).ok());
    let chosen = listed.into_iter().flatten().find(|zip| zip.name == posted.get("zip"));
    let zip = chosen.ok_or_else(|| Oops::not_found("there is no such zip any more"))?;
    let title = format!("Import {}", display(zip.name.as_bytes()));
    let run = view.site.runs.start(title, &["import".into(), zip.path.into_os_string()])?;
    Ok(Redirect::to(&view.to(&format!("/jobs/{run}"))).into_response())
}
