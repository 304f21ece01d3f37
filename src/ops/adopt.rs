//! A copy that was cut off between a snapshot's record and the list.

use crate::manifest::{Catalog, Chain, ListChange};
use crate::store::Repository;

use super::Error;

/// Takes snapshots into a copy's list whose records are there and whose links are not.
///
/// # Errors
/// Where the list cannot be read or written.
pub(super) fn adopt(target: &Repository, there: &Catalog) -> Result<(), Error> {
    let listed = Chain::load(target)?.listed;
    let is_left = there.snapshots.iter().any(|(id, _)| !listed.values().any(|own| own.id == *id));
    if is_left {
        Ok(Chain::change(target, &ListChange { restate: true, ..ListChange::default() })?)
    } else {
        Ok(())
    }
}
