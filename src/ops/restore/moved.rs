//! What was moved aside.

use std::path::Path;

use crate::source::LiveFile;

/// Something that was moved aside.
#[derive(Clone, Debug)]
pub struct Moved {
    pub(super) from: LiveFile,
    pub(super) to: LiveFile,
}

impl Moved {
    /// Where it was, and where it is.
    pub fn paths(&self) -> (&Path, &Path) {
        (self.from.shown(), self.to.shown())
    }
}
