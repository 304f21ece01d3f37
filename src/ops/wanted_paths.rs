//! Which paths does the user mean? Paths with all below them, and patterns.

use crate::manifest::{file_name, is_within};
use crate::source::Globs;

use super::Error;

/// Paths and patterns; none means all.
#[derive(Clone, Debug, Default)]
pub struct WantedPaths {
    paths: Vec<Vec<u8>>,
    globs: Globs,
    is_limited: bool,
    named: Vec<Vec<u8>>,
    names: Vec<Vec<u8>>,
}

impl WantedPaths {
    /// `texts` as they were typed and as the bytes they stand for: what has `*`, `?`, `[` or `{` is
    /// a pattern (one without `/` for names, one with `/` for whole paths), anything else a path
    /// with all below it.
    pub fn new(texts: &[(String, Vec<u8>)]) -> Result<WantedPaths, Error> {
        let is_glob = |text: &str| text.contains(['*', '?', '[', '{']);
        let mut globs = Vec::new();
        for (text, _) in texts.iter().filter(|(text, _)| is_glob(text)) {
            Globs::new(std::slice::from_ref(text))
                .map_err(|source| Error::Glob { glob: text.clone(), source })?;
            globs.push(text.clone());
        }
        let globs_set =
            Globs::new(&globs).map_err(|source| Error::Glob { glob: globs.join(", "), source })?;
        // A name with such characters may be meant as it is, too.
        let paths = texts.iter().map(|(_, path)| path.clone()).collect();
        Ok(WantedPaths {
            paths,
            globs: globs_set,
            is_limited: !texts.is_empty(),
            named: texts
                .iter()
                .filter(|(text, _)| !is_glob(text))
                .map(|(_, path)| path.clone())
                .collect(),
            names: Vec::new(),
        })
    }

    /// These with all below them, whether they are there or not; none means that nothing is wanted.
    pub fn of_folders(paths: Vec<Vec<u8>>) -> WantedPaths {
        WantedPaths { paths, is_limited: true, ..WantedPaths::default() }
    }

    /// Whether not all are meant.
    pub fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// The folders that all wanted paths lie in; nothing where they may lie anywhere.
    pub fn folders(&self) -> Option<&[Vec<u8>]> {
        let is_known = self.is_limited && self.globs.is_empty() && self.names.is_empty();
        is_known.then_some(self.paths.as_slice())
    }

    /// Paths that were named as they are: they should be somewhere.
    pub fn named(&self) -> &[Vec<u8>] {
        &self.named
    }

    /// The same, and a name without a folder means every file of that name.
    pub fn with_names(mut self) -> WantedPaths {
        self.names = self.named.iter().filter(|path| !path.contains(&b'/')).cloned().collect();
        self
    }

    /// Whether a path is meant.
    pub fn take(&self, path: &[u8]) -> bool {
        !self.is_limited
            || self.paths.iter().any(|wanted| is_within(path, wanted))
            || self.globs.fit(path)
            || self.names.iter().any(|name| file_name(path) == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_takes_all_below_it_and_a_pattern_what_it_fits() {
        let wanted = |texts: &[&str]| {
            WantedPaths::new(
                &texts.iter().map(|t| ((*t).to_owned(), t.as_bytes().to_vec())).collect::<Vec<_>>(),
            )
            .unwrap()
        };
        assert!(wanted(&[]).take(b"anything") && WantedPaths::default().take(b"anything"));
        assert!(wanted(&["config"]).take(b"config/system.xml"));
        assert!(!wanted(&["config"]).take(b"config2/system.xml"));
        assert!(wanted(&["poster.*"]).take(b"metadata/library/ab/x/poster.jpg"));
        assert!(wanted(&["metadata/**/poster.*"]).take(b"metadata/library/ab/x/poster.jpg"));
        assert!(!wanted(&["poster.*"]).take(b"metadata/poster.jpg/x"));
        assert!(wanted(&["metadata/[ab].jpg"]).take(b"metadata/[ab].jpg"));
        assert!(WantedPaths::new(&[("[".to_owned(), b"[".to_vec())]).is_err());
    }
}
