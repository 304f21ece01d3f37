//! Files of snapshots for the browser. Their content is not trusted: pictures, recognized by their
//! bytes, are shown in the page; all else is a download.

use std::io::{Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::figures::short;
use crate::manifest::{Kind, file_name};
use crate::ops::{Error, ExportKind, ExportOptions, Monitor, Session, Snapshot};

use super::names;
use super::oops::Oops;
use super::view::View;

/// Bytes that are sent at once.
const PART_BYTES: usize = 256 << 10;
/// Parts that wait for the browser.
const PARTS: usize = 4;
/// A browser that reads nothing for this long is disconnected.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes that tell what kind of picture it is.
const HEAD_BYTES: u64 = 64;
/// Who waits longer than this for the turn of a picture is told to come back.
pub const PICTURE_PATIENCE: Duration = Duration::from_secs(20);
/// Entries of a folder's zip, at most.
const ZIP_ENTRIES_MAX: usize = 200_000;

/// The body of an answer, received from a thread.
struct Parts(Receiver<std::io::Result<Bytes>>);

impl Stream for Parts {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// Writes to the browser. Fails once the browser has disconnected.
struct ToBrowser {
    parts: Sender<std::io::Result<Bytes>>,
    handle: Handle,
    buffer: Vec<u8>,
}

impl ToBrowser {
    fn send(&self, part: std::io::Result<Bytes>) -> std::io::Result<()> {
        // The timeout needs the runtime's clock, so it is created inside the runtime.
        let sent = self
            .handle
            .block_on(async { tokio::time::timeout(PATIENCE, self.parts.send(part)).await });
        match sent {
            Ok(Ok(())) => Ok(()),
            _ => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Write for ToBrowser {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PART_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let part = std::mem::take(&mut self.buffer);
        self.send(Ok(part.into()))
    }
}

/// An answer whose bytes a thread writes as the browser takes them.
async fn streamed(
    view: &View,
    name: &str,
    bytes: Option<u64>,
    work: impl FnOnce(&Session, &mut dyn Write) -> Result<(), Error> + Send + 'static,
) -> Result<Response, Oops> {
    let busy = || {
        Oops::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many downloads are running",
            "Wait until one of them is done, then try again.",
        )
    };
    let place = view.site.downloads.clone().try_acquire_owned().map_err(|_| busy())?;
    let mut response = (disposition(name), sent(view, place, work)).into_response();
    if let Some(bytes) = bytes {
        response.headers_mut().insert(header::CONTENT_LENGTH, bytes.into());
    }
    Ok(response)
}

/// The bytes that a thread writes; the place is given back when they are sent.
pub(super) fn sent(
    view: &View,
    place: OwnedSemaphorePermit,
    work: impl FnOnce(&Session, &mut dyn Write) -> Result<(), Error> + Send + 'static,
) -> Body {
    let (parts, received) = channel(PARTS);
    let (repository, handle) = (view.site.repository.clone(), Handle::current());
    // Not one of the runtime's threads, because a slow browser would block it for long.
    std::thread::spawn(move || {
        let _place = place;
        let mut out = ToBrowser { parts, handle, buffer: Vec::new() };
        let done = repository.open().and_then(|session| work(&session, &mut out));
        let done = done.map_err(std::io::Error::other).and_then(|()| out.flush());
        if let Err(error) = done {
            // The answer is then too short or the connection ends early, so the browser reports a
            // failed download.
            crate::tolerate(out.send(Err(error)));
        }
    });
    Body::from_stream(Parts(received))
}

/// Writes all of a file.
fn copy(
    session: &Session,
    snapshot: &Snapshot,
    path: &[u8],
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut file = session.read(snapshot, path)?;
    let mut part = vec![0; PART_BYTES];
    loop {
        let count = file.read(&mut part).map_err(Error::Output)?;
        if count == 0 {
            return Ok(());
        }
        out.write_all(part.get(..count).unwrap_or_default()).map_err(Error::Output)?;
    }
}

/// The headers of a download, with a file name that every system accepts.
fn disposition(name: &str) -> [(HeaderName, String); 2] {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_. ()".contains(c) { c } else { '_' })
        .collect();
    let value =
        format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", names::value(name));
    [
        (header::CONTENT_DISPOSITION, value),
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
    ]
}

/// Downloads a file of a snapshot.
pub async fn file(view: &View, snapshot: Snapshot, path: Vec<u8>) -> Result<Response, Oops> {
    let (name, found) =
        (String::from_utf8_lossy(file_name(&path)).into_owned(), (snapshot.clone(), path.clone()));
    let size = super::requests::read(view, move |session, _| {
        Ok(session.read(&found.0, &found.1)?.entry().size())
    })
    .await?;
    streamed(view, &name, Some(size), move |session, out| copy(session, &snapshot, &path, out))
        .await
}

/// Downloads a folder of a snapshot as a zip, which is made while it is sent.
pub async fn folder(view: &View, snapshot: Snapshot, folder: Vec<u8>) -> Result<Response, Oops> {
    let last = String::from_utf8_lossy(file_name(&folder)).into_owned();
    let name =
        format!("{}-{}.zip", if last.is_empty() { "snapshot" } else { &last }, short(&snapshot.0));
    streamed(view, &name, None, move |session, out| zip_folder(session, &snapshot, &folder, out))
        .await
}

fn zip_folder(
    session: &Session,
    snapshot: &Snapshot,
    folder: &[u8],
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut zip = rawzip::ZipArchiveWriter::new(out);
    let mut waiting = vec![folder.to_vec()];
    let (mut part, mut count) = (vec![0; PART_BYTES], 0);
    let failed = |error: rawzip::Error| Error::Output(std::io::Error::other(error));
    while let Some(folder_now) = waiting.pop() {
        for found in session.list(snapshot, &folder_now, None, usize::MAX)?.entries {
            let entry = found.entry;
            count += 1;
            match &entry.kind {
                _ if count > ZIP_ENTRIES_MAX => {
                    return Err(Error::Output(std::io::Error::other(
                        "the folder has too many files for one zip",
                    )));
                }
                Kind::Directory => waiting.push(entry.path),
                // Links are left out, because not every system can read them from a zip.
                Kind::Symlink { .. } => {}
                Kind::File { .. } => {
                    let below =
                        entry.path.strip_prefix(folder).map_or(entry.path.as_slice(), |below| {
                            below.strip_prefix(b"/").unwrap_or(below)
                        });
                    let name = String::from_utf8_lossy(below).into_owned();
                    let mut file = session.read(snapshot, &entry.path)?;
                    let (mut writer, config) = zip
                        .new_file(&name)
                        .compression_method(rawzip::CompressionMethod::STORE)
                        .start()
                        .map_err(failed)?;
                    let mut data = config.wrap(&mut writer);
                    loop {
                        let read = file.read(&mut part).map_err(Error::Output)?;
                        if read == 0 {
                            break;
                        }
                        data.write_all(part.get(..read).unwrap_or_default())
                            .map_err(Error::Output)?;
                    }
                    let (_, descriptor) = data.finish().map_err(failed)?;
                    writer.finish(descriptor).map_err(failed)?;
                }
            }
        }
    }
    zip.finish().map_err(failed)?;
    Ok(())
}

/// Downloads a zip that Jellyfin restores. It is made and read back whole before its first byte is
/// sent, as on the command line.
pub async fn export(view: &View, snapshot: Snapshot, kind: ExportKind) -> Result<Response, Oops> {
    let name = format!("jellyfin-backup-{}.zip", short(&snapshot.0));
    streamed(view, &name, None, move |session, mut out| {
        let options = ExportOptions { kind, ..ExportOptions::default() };
        session.export_into(&snapshot, &mut out, &options, &Monitor::default()).map(drop)
    })
    .await
}

/// A picture of a snapshot, shown in the page.
pub async fn picture(
    view: &View,
    snapshot: Snapshot,
    path: Vec<u8>,
    is_fixed: bool,
) -> Result<Response, Oops> {
    let busy = || {
        Oops::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many pictures are being sent",
            "Wait a moment, then reload this page.",
        )
    };
    let place = tokio::time::timeout(PICTURE_PATIENCE, view.site.pictures.clone().acquire_owned())
        .await
        .map_err(|_| busy())?
        .map_err(|_| busy())?;
    let wanted = (snapshot.clone(), path.clone());
    let (kind, bytes) = super::requests::read(view, move |session, _| {
        let file = session.read(&wanted.0, &wanted.1)?;
        let (bytes, mut head) = (file.entry().size(), Vec::new());
        file.take(HEAD_BYTES)
            .read_to_end(&mut head)
            .map_err(|error| Oops::from(Error::Output(error)))?;
        Ok((picture_kind(&head), bytes))
    })
    .await?;
    let kind = kind.ok_or_else(|| {
        Oops::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "this is not a picture that browsers can show safely",
            "Download the file.",
        )
    })?;
    // The content of a path in a snapshot never changes, so browsers may keep it; but `latest` is
    // another snapshot tomorrow.
    let cache = if is_fixed { "private, max-age=31536000, immutable" } else { "no-store" };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
    ];
    Ok((headers, sent(view, place, move |session, out| copy(session, &snapshot, &path, out)))
        .into_response())
}

/// The type of a picture, if browsers cannot take its bytes for anything else. SVG is left out,
/// because it can contain scripts.
pub fn picture_kind(bytes: &[u8]) -> Option<&'static str> {
    let is_webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    let is_avif = bytes.get(4..8) == Some(b"ftyp")
        && bytes.get(8..12).is_some_and(|brand| [b"avif".as_slice(), b"avis"].contains(&brand));
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        _ if is_webp => Some("image/webp"),
        _ if is_avif => Some("image/avif"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::picture_kind;

    #[test]
    fn only_pictures_are_shown() {
        assert_eq!(picture_kind(b"\xff\xd8\xff\xe0x"), Some("image/jpeg"));
        assert_eq!(picture_kind(b"RIFF\0\0\0\0WEBPVP8 "), Some("image/webp"));
        for other in [
            b"<svg xmlns='http://www.w3.org/2000/svg'>".as_slice(),
            b"<html>",
            b"",
            b"\xff\xd8",
            b"GIF8",
            b"RIFF\0\0\0\0WAVE",
        ] {
            assert_eq!(picture_kind(other), None);
        }
    }
}
