//! A picture of an item, set through the running server: it shows it at once, by a new tag.

use base64::Engine;

use crate::ops::Id;

use super::client::Sent;
use super::error::ServerError;
use super::jellyfin::{Jellyfin, written};

/// The largest picture that is sent, in bytes: a limit of Jellyfin's own web server is 30 MB of
/// text.
const PICTURE_BYTES_MAX: usize = 20 << 20;

/// A picture that the server has of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    /// What it shows, in the interface's word: `Primary`.
    pub kind: String,
    /// What browsers tell one picture from the next by.
    pub tag: String,
    /// Where the server keeps it, as it sees it.
    pub path: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct PictureReport {
    /// What the picture shows, in the interface's word.
    pub kind: &'static str,
    /// Its type.
    pub content_type: &'static str,
    /// Its size.
    pub bytes: usize,
    /// The tag of the picture that was shown before.
    pub tag_before: Option<String>,
    /// The tag by which it is shown now; nothing after a dry run.
    pub tag: Option<String>,
    /// Where the server keeps the picture that was shown before.
    pub path_before: Option<String>,
}

/// How.
#[derive(Clone, Copy, Debug)]
pub struct PictureOptions {
    /// The interface's word for what it shows.
    pub kind: &'static str,
    /// Say what would be done, change nothing.
    pub dry_run: bool,
}

/// The interface's word for one of ours; nothing for pictures of which an item has several, or that
/// are a user's.
pub fn kind_of_word(word: &str) -> Option<&'static str> {
    Some(match word {
        "poster" => "Primary",
        "logo" => "Logo",
        "thumbnail" => "Thumb",
        "banner" => "Banner",
        "art" => "Art",
        "disc" => "Disc",
        _ => return None,
    })
}

/// The type of a picture by its first bytes; nothing where the server would not show it.
fn content_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// Sets a picture of an item.
///
/// # Errors
/// [`crate::ops::Error::Refused`] for what is no picture or an item that the server does not have,
/// else what the server says.
pub fn restore_picture(
    jellyfin: &Jellyfin,
    item: Id,
    bytes: &[u8],
    options: PictureOptions,
) -> Result<PictureReport, super::ThroughError> {
    let refused = |what: &str, hint: &str| crate::ops::Error::Refused {
        what: what.to_owned(),
        hint: hint.to_owned(),
    };
    let as_file =
        "Nothing was changed. Restore it as a file: leave out --through-server and add --in-place.";
    let content_type = content_type(bytes).ok_or_else(|| {
        refused(
            "the picture is not a JPEG, PNG, GIF or WebP file, and the server takes no other",
            as_file,
        )
    })?;
    if bytes.len() > PICTURE_BYTES_MAX {
        return Err(refused("the picture is larger than the server takes", as_file).into());
    }
    jellyfin.require_changes()?;
    let missing = || {
        refused(
            "the server does not have this item now",
            "Nothing was changed. If its media came back, run a library scan first.",
        )
    };
    let before = match jellyfin.pictures(item) {
        Err(error) if error.is_missing() => return Err(missing().into()),
        pictures => one(pictures?, options.kind),
    };
    let (tag_before, path_before) =
        before.map_or((None, None), |picture| (Some(picture.tag), picture.path));
    let mut report = PictureReport {
        kind: options.kind,
        content_type,
        bytes: bytes.len(),
        tag_before,
        tag: None,
        path_before,
    };
    if options.dry_run {
        return Ok(report);
    }
    jellyfin.set_picture(item, options.kind, (bytes, content_type))?;
    report.tag = one(jellyfin.pictures(item)?, options.kind).map(|picture| picture.tag);
    if report.tag.is_none() {
        return Err(jellyfin
            .client
            .invalid("setting a picture", "the item has no such picture afterwards")
            .into());
    }
    Ok(report)
}

fn one(pictures: Vec<Picture>, kind: &str) -> Option<Picture> {
    pictures.into_iter().find(|picture| picture.kind == kind)
}

impl Jellyfin {
    /// The pictures of an item.
    pub(super) fn pictures(&self, item: Id) -> Result<Vec<Picture>, ServerError> {
        const DOING: &str = "asking for the pictures of an item";
        let pictures = self
            .client
            .document(DOING, &format!("/Items/{}/Images", written(item)), &Sent::Get)?
            .parts();
        let pictures = pictures.ok_or_else(|| self.client.invalid(DOING, "it is not a list"))?;
        let picture = pictures.iter().filter_map(|picture| {
            Some(Picture {
                kind: picture.name("ImageType")?,
                tag: picture.name("ImageTag").unwrap_or_default(),
                path: picture.name("Path"),
            })
        });
        Ok(picture.collect())
    }

    pub(super) fn set_picture(
        &self,
        item: Id,
        kind: &str,
        (bytes, content_type): (&[u8], &'static str),
    ) -> Result<(), ServerError> {
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        let path = format!("/Items/{}/Images/{kind}", written(item));
        self.client.ask("setting a picture", &path, &Sent::Text(&text, content_type)).map(drop)
    }

    /// Gives an item a poster where it has none; whether it got one.
    pub(super) fn add_cover(&self, item: Id, bytes: &[u8]) -> Result<bool, ServerError> {
        let Some(content_type) = content_type(bytes).filter(|_| bytes.len() <= PICTURE_BYTES_MAX)
        else {
            return Ok(false);
        };
        self.set_picture(item, "Primary", (bytes, content_type))?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_a_picture_is_told_by_its_bytes() {
        assert_eq!(content_type(b"\xff\xd8\xff\xe0rest"), Some("image/jpeg"));
        assert_eq!(content_type(b"\x89PNG\r\n\x1a\n"), Some("image/png"));
        assert_eq!(content_type(b"RIFF\0\0\0\0WEBPVP8 "), Some("image/webp"));
        assert_eq!((content_type(b"<svg onload=alert(1)>"), content_type(b"")), (None, None));
    }
}
