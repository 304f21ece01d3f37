//! How bad it is.

use serde::{Deserialize, Serialize};

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// All is well.
    Good,
    /// Something needs a look.
    Attention,
    /// The server is not protected.
    Bad,
}
