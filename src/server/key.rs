//! The API key, which is shown nowhere.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::source::read_regular;

/// The longest file with a key, in bytes.
const FILE_BYTES_MAX: u64 = 4096;
/// The longest key, in characters.
const KEY_CHARS_MAX: usize = 256;

/// A key that the administrator made in the dashboard.
#[derive(Clone)]
pub struct ApiKey(String);

/// Why there is none.
#[derive(Debug, thiserror::Error)]
#[error("the file with the API key of Jellyfin, {}, {what}", path.display())]
pub struct KeyError {
    path: PathBuf,
    what: String,
}

impl ApiKey {
    /// Reads it from a file that holds nothing else.
    ///
    /// # Errors
    /// [`KeyError`], which does not repeat what the file holds.
    pub fn read(path: &Path) -> Result<ApiKey, KeyError> {
        let wrong = |what: String| KeyError { path: path.to_path_buf(), what };
        let bytes = read_regular(path, FILE_BYTES_MAX)
            .map_err(|error| wrong(format!("cannot be read ({error})")))?;
        let text = String::from_utf8_lossy(&bytes);
        let key = text.trim();
        // What would end the header, or the quotes around the key in it, is no part of a key.
        let is_key = !key.is_empty()
            && key.len() <= KEY_CHARS_MAX
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if is_key {
            Ok(ApiKey(key.to_owned()))
        } else {
            Err(wrong(
                "does not hold an API key: it must be one line of letters and digits".to_owned(),
            ))
        }
    }

    /// The value of the header `Authorization`.
    pub(super) fn header(&self) -> String {
        format!("MediaBrowser Token=\"{}\"", self.0)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("(API key)")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_key_is_one_word_of_a_file_and_is_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = |text: &str| {
            let path = dir.path().join("key");
            std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
            ApiKey::read(&path)
        };
        let key = file("deadbeef\n").unwrap();
        assert_eq!(format!("{key:?}"), "(API key)");
        assert_eq!(key.header(), "MediaBrowser Token=\"deadbeef\"");
        for wrong in ["", "two words", "a\"b", "a\nb"] {
            let error = file(wrong).unwrap_err().to_string();
            assert!(
                error.contains("does not hold an API key")
                    && (wrong.is_empty() || !error.contains(wrong)),
                "{error}"
            );
        }
        assert!(
            ApiKey::read(&dir.path().join("none"))
                .unwrap_err()
                .to_string()
                .contains("cannot be read")
        );
    }
}
