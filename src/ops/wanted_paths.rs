//! Which paths does the user mean? Paths with all below them, and patterns.

use serde::{Deserialize, Serialize};

use crate::manifest::{file_name, is_within, typed_path};
use crate::source::Globs;

use super::Error;

/// Paths and patterns; none means all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Asked", into = "Asked")]
pub struct WantedPaths {
    asked: Asked,
    paths: Vec<Vec<u8>>,
    globs: Globs,
    is_limited: bool,
    named: Vec<Vec<u8>>,
    names: Vec<Vec<u8>>,
}

/// What was asked for, from which the rest follows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Asked {
    Texts(Vec<String>),
    Names { names: Vec<String> },
    Folders { folders: Vec<Vec<u8>> },
}

impl Default for Asked {
    fn default() -> Asked {
        Asked::Texts(Vec::new())
    }
}

impl TryFrom<Asked> for WantedPaths {
    type Error = Error;

    fn try_from(asked: Asked) -> Result<WantedPaths, Error> {
        match asked {
            Asked::Texts(texts) => WantedPaths::new(&texts),
            Asked::Names { names } => WantedPaths::with_names(&names),
            Asked::Folders { folders } => Ok(WantedPaths::of_folders(folders)),
        }
    }
}

impl From<WantedPaths> for Asked {
    fn from(wanted: WantedPaths) -> Asked {
        wanted.asked
    }
}

impl WantedPaths {
    /// As they were typed: what has `*`, `?`, `[` or `{` is a pattern (one without `/` for names,
    /// one with `/` for whole paths), anything else a path with all below it, in which `\xNN`
    /// stands for a byte.
    ///
    /// # Errors
    /// If one is no pattern.
    pub fn new(texts: &[String]) -> Result<WantedPaths, Error> {
        let globs: Vec<String> =
            texts.iter().filter(|text| text.contains(['*', '?', '[', '{'])).cloned().collect();
        for glob in &globs {
            Globs::new(std::slice::from_ref(glob))
                .map_err(|source| Error::Glob { glob: glob.clone(), source })?;
        }
        let named = texts.iter().filter(|text| !globs.contains(text));
        Ok(WantedPaths {
            asked: Asked::Texts(texts.to_vec()),
            named: named.map(|text| typed_path(text)).collect(),
            // A name with such characters may be meant as it is, too.
            paths: texts.iter().map(|text| typed_path(text)).collect(),
            is_limited: !texts.is_empty(),
            globs: Globs::new(&globs)
                .map_err(|source| Error::Glob { glob: globs.join(", "), source })?,
            names: Vec::new(),
        })
    }

    /// The same, and a name without a folder means every file of that name.
    ///
    /// # Errors
    /// If one is no pattern.
    pub fn with_names(texts: &[String]) -> Result<WantedPaths, Error> {
        let wanted = WantedPaths::new(texts)?;
        let names = wanted.named.iter().filter(|path| !path.contains(&b'/')).cloned().collect();
        Ok(WantedPaths { asked: Asked::Names { names: texts.to_vec() }, names, ..wanted })
    }

    /// These with all below them, whether they are there or not; none means that nothing is wanted.
    pub fn of_folders(paths: Vec<Vec<u8>>) -> WantedPaths {
        let asked = Asked::Folders { folders: paths.clone() };
        WantedPaths { asked, paths, is_limited: true, ..WantedPaths::default() }
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
            WantedPaths::new(&texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>())
                .unwrap()
        };
        assert!(wanted(&[]).take(b"anything") && WantedPaths::default().take(b"anything"));
        assert!(wanted(&["config"]).take(b"config/system.xml"));
        assert!(!wanted(&["config"]).take(b"config2/system.xml"));
        assert!(wanted(&["poster.*"]).take(b"metadata/library/ab/x/poster.jpg"));
        assert!(wanted(&["metadata/**/poster.*"]).take(b"metadata/library/ab/x/poster.jpg"));
        assert!(!wanted(&["poster.*"]).take(b"metadata/poster.jpg/x"));
        assert!(wanted(&["metadata/[ab].jpg"]).take(b"metadata/[ab].jpg"));
        assert!(WantedPaths::new(&["[".to_owned()]).is_err());
    }

    #[test]
    fn written_down_and_read_again_they_mean_the_same() {
        let texts = ["config", "poster.*", "system.xml"].map(str::to_owned);
        for wanted in [
            WantedPaths::default(),
            WantedPaths::of_folders(Vec::new()),
            WantedPaths::of_folders(vec![b"config".to_vec()]),
            WantedPaths::new(&texts).unwrap(),
            WantedPaths::with_names(&texts).unwrap(),
        ] {
            let read: WantedPaths =
                serde_json::from_str(&serde_json::to_string(&wanted).unwrap()).unwrap();
            for path in ["config/system.xml", "metadata/poster.jpg", "root/a.xml", "system.xml"] {
                assert_eq!(wanted.take(path.as_bytes()), read.take(path.as_bytes()), "{path}");
            }
            assert_eq!((wanted.folders(), wanted.named()), (read.folders(), read.named()));
        }
        assert!(serde_json::from_str::<WantedPaths>(r#"["["]"#).is_err());
    }
}
