//! New ids for old ones, in every spelling that Jellyfin uses.

use crate::archive::{Guid, push_guid, read_guid};

/// Characters of a GUID with dashes (.NET's `D`) and without (`N`).
const DASHED: usize = 36;
const PLAIN: usize = 32;

/// The ids that change: pairs of old and new, in the order of the old ones. A million of them take
/// 32 MB.
#[derive(Debug, Default)]
pub(super) struct NewIds(Vec<(Guid, Guid)>);

impl NewIds {
    /// Of pairs, each old id once.
    pub(super) fn new(mut pairs: Vec<(Guid, Guid)>) -> NewIds {
        pairs.sort_unstable();
        pairs.dedup_by_key(|(old, _)| *old);
        NewIds(pairs)
    }

    pub(super) fn get(&self, old: &Guid) -> Option<&Guid> {
        let at = self.0.binary_search_by(|(known, _)| known.cmp(old)).ok()?;
        self.0.get(at).map(|(_, new)| new)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Guid, &Guid)> {
        self.0.iter().map(|(old, new)| (old, new))
    }

    /// Whether a new id is an old one of another item: then rows cannot be changed one after
    /// another.
    pub(super) fn overlap(&self) -> bool {
        self.0.iter().any(|(_, new)| self.get(new).is_some())
    }

    /// An id as a database column holds it.
    pub(super) fn of_column(&self, text: &str) -> Option<String> {
        let spelt =
            matches!(text.len(), DASHED | PLAIN).then(|| self.of_spelling(text, true)).flatten();
        spelt.or_else(|| self.in_text(text))
    }

    /// A text with all ids in it replaced: whole ones, and dashed ones that digits follow (keys of
    /// episodes). Nothing where none of them changes.
    pub(super) fn in_text(&self, text: &str) -> Option<String> {
        let bytes = text.as_bytes();
        if self.0.is_empty() || bytes.len() < PLAIN {
            return None;
        }
        let (mut out, mut copied, mut at) = (String::new(), 0, 0);
        while at + PLAIN <= bytes.len() {
            let is_start = at == 0 || !bytes.get(at - 1).is_some_and(u8::is_ascii_alphanumeric);
            let found = if is_start { self.at(text, at) } else { None };
            match found {
                Some((len, new)) => {
                    out.push_str(text.get(copied..at)?);
                    out.push_str(&new);
                    at += len;
                    copied = at;
                }
                None => at += 1,
            }
        }
        if copied == 0 {
            return None;
        }
        out.push_str(text.get(copied..)?);
        Some(out)
    }

    /// The id that begins at a place: its length, and the new one.
    fn at(&self, text: &str, at: usize) -> Option<(usize, String)> {
        if let Some(dashed) = text.get(at..at + DASHED)
            && let Some(new) = self.of_spelling(dashed, false)
        {
            return Some((DASHED, new));
        }
        let plain = text.get(at..at + PLAIN)?;
        let goes_on = text.as_bytes().get(at + PLAIN).is_some_and(u8::is_ascii_alphanumeric);
        if goes_on { None } else { Some((PLAIN, self.of_spelling(plain, false)?)) }
    }

    /// The new id in the spelling of the old one; one without letters tells its case by nothing.
    fn of_spelling(&self, text: &str, upper_by_default: bool) -> Option<String> {
        let is_bare = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        let new = self.get(&read_guid(text).filter(|_| is_bare)?)?;
        let upper = text.bytes().any(|byte| byte.is_ascii_uppercase())
            || (upper_by_default && !text.bytes().any(|byte| byte.is_ascii_lowercase()));
        let mut out = Vec::with_capacity(DASHED);
        push_guid(&mut out, new, upper);
        Some(
            out.into_iter()
                .filter(|byte| text.len() == DASHED || *byte != b'-')
                .map(char::from)
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> NewIds {
        let guid = |text| read_guid(text).unwrap();
        NewIds::new(vec![(
            guid("0b6b5585-1baa-cee5-a4a5-813b55440a2c"),
            guid("11111111-2222-3333-4444-5555555555ab"),
        )])
    }

    #[test]
    fn an_id_is_replaced_in_its_own_spelling() {
        let in_text = |text: &str| ids().in_text(text);
        assert_eq!(
            in_text("0B6B5585-1BAA-CEE5-A4A5-813B55440A2C").as_deref(),
            Some("11111111-2222-3333-4444-5555555555AB")
        );
        assert_eq!(
            in_text("0b6b5585-1baa-cee5-a4a5-813b55440a2c001004").as_deref(),
            Some("11111111-2222-3333-4444-5555555555ab001004")
        );
        assert_eq!(
            in_text("0b6b55851baacee5a4a5813b55440a2c-001").as_deref(),
            Some("1111111122223333444455555555 55ab-001".replace(' ', "").as_str())
        );
        let list = "a,0b6b5585-1baa-cee5-a4a5-813b55440a2c|0b6b55851baacee5a4a5813b55440a2c";
        assert_eq!(
            in_text(list).as_deref(),
            Some("a,11111111-2222-3333-4444-5555555555ab|111111112222333344445555555555ab")
        );
    }

    #[test]
    fn what_only_looks_like_an_id_stays() {
        for text in [
            "",
            "x0b6b55851baacee5a4a5813b55440a2c",
            "0b6b55851baacee5a4a5813b55440a2c0",
            "0b6b55851baacee5a4a5813b55440a2",
            "ä0b6b5585-1baa-cee5",
        ] {
            assert_eq!(ids().in_text(text), None, "{text}");
        }
        assert_eq!(
            ids().of_column("0B6B5585-1BAA-CEE5-A4A5-813B55440A2C").as_deref(),
            Some("11111111-2222-3333-4444-5555555555AB")
        );
        assert!(!ids().overlap());
    }
}
