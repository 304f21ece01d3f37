//! Values of the configuration that may be one text or a list of them.

use serde::{Deserialize, Serialize};

/// One text, or several.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a text in quotes, or a list of such texts")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn all(&self) -> Vec<String> {
        match self {
            OneOrMany::One(one) => vec![one.clone()],
            OneOrMany::Many(many) => many.clone(),
        }
    }

    /// The same with each text changed.
    pub fn map(&self, change: &impl Fn(&str) -> String) -> OneOrMany {
        match self {
            OneOrMany::One(one) => OneOrMany::One(change(one)),
            OneOrMany::Many(many) => {
                OneOrMany::Many(many.iter().map(|text| change(text)).collect())
            }
        }
    }
}
