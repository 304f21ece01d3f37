//! When nothing may go, because it is not known what snapshots need.

use std::collections::HashSet;

use crate::manifest::{Catalog, Chain, SnapshotId};
use crate::store::Repository;

use super::super::{Error, in_one_line, ls};

/// Snapshots whose records are gone though nothing forgot them may come back: what they need must
/// not go.
pub(super) fn refuse_if_records_are_gone(
    repository: &Repository,
    catalog: &Catalog,
    has_packs: bool,
) -> Result<(), Error> {
    let chain = Chain::load(repository)?;
    let here: HashSet<SnapshotId> = Catalog::ids(repository)?.into_iter().collect();
    let gone: Vec<_> = chain.listed.keys().filter(|id| !here.contains(id)).map(ls::short).collect();
    if !gone.is_empty() {
        return Err(Error::Refused {
            what: format!(
                "nothing was deleted: records of snapshots are missing that forget did not delete ({}), so it is unknown which data they use",
                gone.join(", ")
            ),
            hint: "Restore the directory snapshots of the repository. Or run jellyvault repair, which restores records that have a second copy and gives up the others. Then prune again."
                .to_owned(),
        });
    }
    if chain.is_broken() {
        return Err(Error::Refused {
            what: "nothing was deleted: part of the list of snapshots is missing or damaged, so it is unknown which snapshots there were".to_owned(),
            hint: "Restore the directory list of the repository, or run jellyvault repair. Then prune again.".to_owned(),
        });
    }
    if catalog.snapshots.is_empty() && has_packs && chain.is_empty() {
        return Err(Error::Refused {
            what: "nothing was deleted: there are packs but no snapshots, and no record that snapshots were forgotten".to_owned(),
            hint: "Are the directories snapshots and list of the repository in place? If there never was a snapshot, take one first.".to_owned(),
        });
    }
    Ok(())
}

/// What a snapshot needs whose record cannot be read is not known: nothing may go.
pub(super) fn damaged_record(name: &str, error: &crate::store::Error) -> Error {
    Error::Refused {
        what: format!("nothing was deleted: {name} cannot be read ({}), so it is unknown which data that snapshot uses", in_one_line(error)),
        hint: "Run jellyvault repair, which repairs the record or gives up the snapshot. Then prune again.".to_owned(),
    }
}
