//! One index for all that a program asks of a repository at a time.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Error, Index};

/// The index that was opened last.
#[derive(Default)]
pub(super) struct SharedIndex(Mutex<Option<Arc<Index>>>);

/// An index that is lent, or one of which its reader has a share.
#[derive(Clone)]
pub(super) enum IndexRef<'r> {
    Lent(&'r Index),
    Shared(Arc<Index>),
}

impl std::ops::Deref for IndexRef<'_> {
    type Target = Index;

    fn deref(&self) -> &Index {
        match self {
            IndexRef::Lent(index) => index,
            IndexRef::Shared(index) => index,
        }
    }
}

impl SharedIndex {
    /// The index; opens it where that was not done since it was forgotten.
    pub(super) fn get(
        &self,
        open: impl FnOnce() -> Result<Index, Error>,
    ) -> Result<Arc<Index>, Error> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = &*shared {
            return Ok(index.clone());
        }
        let index = Arc::new(open()?);
        *shared = Some(index.clone());
        Ok(index)
    }

    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
