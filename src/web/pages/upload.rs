//! Takes a zip that the browser sends, and imports it. The zip is not trusted: it lies in a folder of
//! its own, for this user alone, and is removed when the import has ended.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use tokio::sync::mpsc::channel;

use crate::source::ScratchFolder;

use super::super::oops::Oops;
use super::super::view::View;

/// A browser that sends nothing for this long is disconnected.
const PATIENCE: Duration = Duration::from_secs(60);
/// So long the rest of a refused zip is read, because browsers show no answer before they have sent
/// all of it.
const REFUSED_PATIENCE: Duration = Duration::from_secs(600);
/// Parts that wait to be written.
const PARTS: usize = 4;
/// The longest token of a form, in bytes.
const TOKEN_BYTES_MAX: usize = 256;
const NAME_MAX: usize = 100;
/// How a zip begins.
const ZIP_HEAD: &[u8] = b"PK\x03\x04";

/// Imports an uploaded zip.
pub async fn run(view: View, headers: HeaderMap, mut form: Multipart) -> Result<Response, Oops> {
    let busy = || {
        Oops::new(
            StatusCode::CONFLICT,
            "another zip is being uploaded",
            "Wait until it has arrived, then try again.",
        )
    };
    let _turn = view.site.uploading.clone().try_acquire_owned().map_err(|_| busy())?;
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let bytes = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    let taken = take(&view, bytes, &mut form).await;
    if taken.is_err() {
        // If the browser stays silent, it gets no answer.
        crate::tolerate(tokio::time::timeout(REFUSED_PATIENCE, drop_rest(&mut form)).await);
    }
    let (folder, name) = taken?;
    let arguments = ["import".into(), folder.path.join(&name).into_os_string()];
    let run = view.site.runs.start_with(format!("Import {name}"), &arguments, folder)?;
    Ok(Redirect::to(&view.to(&format!("/jobs/{run}"))).into_response())
}

async fn drop_rest(form: &mut Multipart) {
    while let Ok(Some(mut field)) = form.next_field().await {
        while let Ok(Some(_)) = field.chunk().await {}
    }
}

/// Checks the form, and takes its zip: the folder that it lies in, and its name there.
async fn take(
    view: &View,
    bytes: u64,
    form: &mut Multipart,
) -> Result<(ScratchFolder, String), Oops> {
    view.site.runs.check_free()?;
    let mut field = next(form).await?;
    if field.name() != Some("token") {
        return Err(Oops::bad("the form is not complete"));
    }
    let mut token = Vec::new();
    while let Some(part) = chunk(&mut field).await? {
        token.extend_from_slice(&part);
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Oops::bad("the form is too large"));
        }
    }
    view.check_form(&String::from_utf8_lossy(&token))?;
    drop(field);
    let mut field = next(form).await?;
    let name = field.file_name().unwrap_or_default();
    if name.is_empty() {
        return Err(no_zip());
    }
    let name = file_name(name);
    let place = view.site.settings.uploads.clone();
    let folder = tokio::task::spawn_blocking(move || folder_for(&place, bytes)).await;
    let folder = folder.map_err(|_| no_room("its folder cannot be made"))??;
    store(&mut field, folder.path.join(&name)).await?;
    Ok((folder, name))
}

fn folder_for(place: &Path, bytes: u64) -> Result<ScratchFolder, Oops> {
    let folder = ScratchFolder::create(place)
        .map_err(|error| no_room(&format!("{}: {error}", place.display())))?;
    folder.check_space(bytes).map_err(|error| no_room(&error.to_string()))?;
    Ok(folder)
}

fn no_room(why: &str) -> Oops {
    let what = format!("the zip was not taken: {why}");
    Oops::new(StatusCode::INSUFFICIENT_STORAGE, what, "Free some space, then upload it again.")
}

/// The next field of the form.
async fn next(form: &mut Multipart) -> Result<Field<'_>, Oops> {
    let field = tokio::time::timeout(PATIENCE, form.next_field()).await.map_err(|_| too_slow())?;
    field.map_err(|error| cut_off(&error))?.ok_or_else(no_zip)
}

async fn chunk(field: &mut Field<'_>) -> Result<Option<axum::body::Bytes>, Oops> {
    let part = tokio::time::timeout(PATIENCE, field.chunk()).await.map_err(|_| too_slow())?;
    part.map_err(|error| cut_off(&error))
}

fn no_zip() -> Oops {
    Oops::bad("no zip was chosen")
}

fn too_slow() -> Oops {
    Oops::bad("the upload stopped arriving, so nothing was imported")
}

fn cut_off(error: &MultipartError) -> Oops {
    Oops::bad(format!("the upload was cut off, so nothing was imported: {}", error.body_text()))
}

/// Writes what arrives to a new file. What does not begin as a zip is refused at once.
async fn store(field: &mut Field<'_>, path: PathBuf) -> Result<(), Oops> {
    let (parts, mut received) = channel::<axum::body::Bytes>(PARTS);
    // Not on the runtime's own thread, because the disk may be slow.
    let writer = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
        let mut file = File::create_new(path)?;
        while let Some(part) = received.blocking_recv() {
            file.write_all(&part)?;
        }
        Ok(())
    });
    let mut head = Vec::new();
    while let Some(part) = chunk(field).await? {
        if head.len() < ZIP_HEAD.len() {
            head.extend(part.iter().take(ZIP_HEAD.len() - head.len()));
            if !ZIP_HEAD.starts_with(&head) {
                break;
            }
        }
        // The writer stops early only if it failed.
        if parts.send(part).await.is_err() {
            break;
        }
    }
    drop(parts);
    let failed = |error: std::io::Error| no_room(&error.to_string());
    let written = writer.await.map_err(|_| failed(std::io::ErrorKind::Other.into()))?;
    written.map_err(failed)?;
    if head != ZIP_HEAD {
        return Err(Oops::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "this file is not a zip, so nothing was imported",
            "Choose a zip that Jellyfin made: under Dashboard, Backups, or in its folder data/backups.",
        ));
    }
    Ok(())
}

/// The file's name, as every system accepts it.
fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = last.strip_suffix(".zip").unwrap_or(last);
    let plain: String = stem
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_. ()".contains(c) { c } else { '_' })
        .take(NAME_MAX)
        .collect();
    format!("{}.zip", if plain.trim_matches([' ', '.']).is_empty() { "backup" } else { &plain })
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_of_files_are_harmless() {
        for (name, plain) in [
            ("jellyfin-backup-20251129.zip", "jellyfin-backup-20251129.zip"),
            ("C:\\Users\\ana\\a b.zip", "a b.zip"),
            ("../../etc/passwd", "passwd.zip"),
            ("", "backup.zip"),
            ("..", "backup.zip"),
            ("ö\u{202e}\n.zip", "___.zip"),
        ] {
            assert_eq!(file_name(name), plain);
        }
        assert_eq!(file_name(&"x".repeat(5000)).len(), 104);
    }
}
