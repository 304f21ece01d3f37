//! Takes a zip that the browser sends, and imports it. The zip is not trusted: it lies in a folder of
//! its own, for this user alone, and is removed when the import has ended.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use tokio::sync::mpsc::{Receiver, channel};

use crate::source::ScratchFolder;

use super::super::oops::Oops;
use super::super::view::View;
use super::upload_form::{UploadField, UploadForm};

/// The free space is looked at again after so many bytes: a browser need not say how many come.
const SPACE_STEP: u64 = 64 << 20;
/// Parts that wait to be written.
const PARTS: usize = 4;
/// The longest token of a form, in bytes.
const TOKEN_BYTES_MAX: usize = 256;
const NAME_MAX: usize = 100;
/// How a zip begins.
const ZIP_HEAD: &[u8] = b"PK\x03\x04";

/// Imports an uploaded zip.
pub async fn run(view: View, request: Request) -> Result<Response, Oops> {
    let busy = || {
        Oops::new(
            StatusCode::CONFLICT,
            "another zip is being uploaded",
            "Wait until it has arrived, then try again.",
        )
    };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let bytes = length.unwrap_or(0);
    let mut form = UploadForm::new(request).await?;
    let taken = match view.site.uploading.clone().try_acquire_owned() {
        Ok(_turn) => take(&view, bytes, &mut form).await,
        Err(_) => Err(busy()),
    };
    if taken.as_ref().is_err_and(|oops| oops.status != StatusCode::REQUEST_TIMEOUT) {
        form.drop_rest().await;
    }
    let (folder, name) = taken?;
    let arguments = ["import".into(), folder.path.join(&name).into_os_string()];
    // Who types the command has the zip elsewhere, and the folder will be gone.
    let shown = ["import".into(), name.clone().into()];
    let runs = view.site.runs.clone();
    // If another command began meanwhile, the zip is removed, which may take long.
    let start = move || runs.start_with(format!("Import {name}"), &arguments, &shown, folder);
    let run =
        tokio::task::spawn_blocking(start).await.map_err(|_| no_room("its import ended"))??;
    Ok(Redirect::to(&view.to(&format!("/jobs/{run}"))).into_response())
}

/// Checks the form, and takes its zip: the folder that it lies in, and its name there.
async fn take(
    view: &View,
    bytes: u64,
    form: &mut UploadForm,
) -> Result<(ScratchFolder, String), Oops> {
    view.site.runs.check_free()?;
    let mut field = form.next().await?.ok_or_else(no_zip)?;
    if field.name() != Some("token") {
        return Err(Oops::bad("the form is not complete"));
    }
    let mut token = Vec::new();
    while let Some(part) = field.chunk().await? {
        token.extend_from_slice(&part);
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Oops::bad("the form is too large"));
        }
    }
    view.check_form(&String::from_utf8_lossy(&token))?;
    drop(field);
    let mut field = form.next().await?.ok_or_else(no_zip)?;
    let name = field.file_name().unwrap_or_default();
    if name.is_empty() {
        return Err(no_zip());
    }
    let name = file_name(name);
    let folder =
        store(&mut field, (view.site.settings.uploads.clone(), name.clone()), bytes).await?;
    Ok((folder, name))
}

fn no_zip() -> Oops {
    Oops::bad("no zip was chosen")
}

fn no_room(why: &str) -> Oops {
    let what = format!("the zip was not taken: {why}");
    Oops::new(StatusCode::INSUFFICIENT_STORAGE, what, "Free some space, then upload it again.")
}

/// The zip cannot be written.
fn not_written(place: &Path, error: &std::io::Error) -> Oops {
    use std::io::ErrorKind as Kind;
    let why = format!("{}: {error}", place.display());
    if matches!(error.kind(), Kind::StorageFull | Kind::QuotaExceeded) {
        return no_room(&why);
    }
    let todo = "Let the service's user write there, or set XDG_STATE_HOME to another directory and restart the service.";
    Oops::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("the zip was not taken, because it cannot be written to {why}"),
        todo,
    )
}

/// Writes what arrives to a new file in a folder of its own. What does not begin as a zip is refused
/// at once.
async fn store(
    field: &mut UploadField<'_>,
    (place, name): (PathBuf, String),
    bytes: u64,
) -> Result<ScratchFolder, Oops> {
    let (parts, received) = channel(PARTS);
    // Not on the runtime's own thread, because the disk may be slow. If nobody waits for the folder
    // any more, it is removed there, too.
    let writer = tokio::task::spawn_blocking(move || write(&place, &name, bytes, received));
    let mut head = Vec::new();
    while let Some(part) = field.chunk().await? {
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
    let folder = writer.await.map_err(|_| no_room("the writer ended"))??;
    if head == ZIP_HEAD {
        return Ok(folder);
    }
    // What was written may take long to remove.
    tokio::task::spawn_blocking(|| drop(folder));
    Err(Oops::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "this file is not a zip, so nothing was imported",
        "Choose a zip that Jellyfin made: under Dashboard, Backups, or in its folder data/backups.",
    ))
}

fn write(
    place: &Path,
    name: &str,
    bytes: u64,
    mut received: Receiver<Bytes>,
) -> Result<ScratchFolder, Oops> {
    let failed = |error: std::io::Error| not_written(place, &error);
    let folder = ScratchFolder::create(place).map_err(failed)?;
    let check = |bytes| folder.check_space(bytes).map_err(|error| no_room(&error.to_string()));
    check(bytes)?;
    let mut file = File::create_new(folder.path.join(name)).map_err(failed)?;
    let mut unchecked = 0;
    while let Some(part) = received.blocking_recv() {
        file.write_all(&part).map_err(failed)?;
        unchecked += part.len() as u64;
        if unchecked >= SPACE_STEP {
            check(0)?;
            unchecked = 0;
        }
    }
    Ok(folder)
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
