//! An answer of the server, read without trust: keys in any case, values of any type, texts that
//! may hold anything.

use serde_json::Value;

use crate::ops::{Id, clean_name, read_id};

/// Texts that are used and not shown (ids, secrets, paths) may be so long, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// A value of an answer. Jellyfin writes its keys in PascalCase; for a moment while it starts, in
/// camelCase.
#[derive(Clone, Debug)]
pub(super) struct Answer(Value);

impl Answer {
    /// Reads it. The parser refuses values that are nested deeply.
    pub(super) fn read(bytes: &[u8]) -> Option<Answer> {
        serde_json::from_slice(bytes).ok().map(Answer)
    }

    fn get(&self, key: &str) -> Option<&Value> {
        let object = self.0.as_object()?;
        object.get(key).or_else(|| {
            object.iter().find(|(own, _)| own.eq_ignore_ascii_case(key)).map(|(_, value)| value)
        })
    }

    /// What a key holds.
    pub(super) fn inner(&self, key: &str) -> Option<Answer> {
        self.get(key).cloned().map(Answer)
    }

    /// A text as it is.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.get(key)?.as_str().filter(|text| text.len() <= TEXT_BYTES_MAX).map(str::to_owned)
    }

    /// A text as it may be shown.
    pub(super) fn name(&self, key: &str) -> Option<String> {
        self.text(key).map(|text| clean_name(&text)).filter(|text| !text.trim().is_empty())
    }

    /// An id.
    pub(super) fn id(&self, key: &str) -> Option<Id> {
        read_id(self.get(key)?.as_str()?)
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.get(key)?.as_bool()
    }

    pub(super) fn integer(&self, key: &str) -> Option<i64> {
        self.get(key)?.as_i64()
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.get(key)?.as_f64()
    }

    /// Whether the answer as a whole is `true`.
    pub(super) fn is_true(&self) -> bool {
        self.0 == Value::Bool(true)
    }

    /// Whether it is a list or an object.
    pub(super) fn is_object(&self) -> bool {
        self.0.is_object()
    }

    /// The parts of a list; nothing where it is none.
    pub(super) fn parts(self) -> Option<Vec<Answer>> {
        match self.0 {
            Value::Array(parts) => Some(parts.into_iter().map(Answer).collect()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_any_shape_is_read_without_harm() {
        let answer = Answer::read(br#"{"id": "326f01089c1e4d48bc3353ea15450caa", "Name": "a\u001b[31mb", "Version": 12, "IsPaused": "yes"}"#).unwrap();
        assert_eq!(answer.id("Id"), read_id("326f0108-9c1e-4d48-bc33-53ea15450caa"));
        assert_eq!(answer.name("Name").unwrap(), "a\u{fffd}[31mb");
        assert_eq!(
            (
                answer.text("Version"),
                answer.flag("IsPaused"),
                answer.integer("Id"),
                answer.number("None")
            ),
            (None, None, None, None)
        );
        assert!(answer.parts().is_none());
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        assert!(
            Answer::read(&deep).is_none()
                && Answer::read(b"{\"Id\":").is_none()
                && Answer::read(b"<html>").is_none()
        );
        assert!(
            Answer::read(b"true").unwrap().is_true()
                && !Answer::read(b"\"true\"").unwrap().is_true()
        );
    }
}
