//! When a repair would give up what is only not there, or not known.

use crate::manifest::Catalog;
use crate::store::{Index, Repository, is_sealed_otherwise, pack_id, pack_name};

use super::super::Error;
use super::super::check::CheckReport;
use super::{RepairOptions, packs};

/// What a later program wrote is not damaged, only not known.
pub(super) fn refuse_newer(repository: &Repository, found: &CheckReport) -> Result<(), Error> {
    let mut newer = Catalog::newer(repository)?;
    for id in &found.damaged_packs {
        if packs::is_newer(repository, id)? {
            newer = Some(pack_name(id));
        }
    }
    match newer {
        None => Ok(()),
        Some(name) => Err(Error::Refused {
            what: format!("{name} was written by a newer jellyvault; nothing was changed"),
            hint: "Install a newer version of jellyvault and repair with it.".to_owned(),
        }),
    }
}

/// What is encrypted with other keys is not damaged, only closed.
pub(super) fn refuse_closed(repository: &Repository, found: &CheckReport) -> Result<(), Error> {
    let backend = repository.backend();
    for id in &found.damaged_packs {
        let listed = backend.list(&pack_name(id)).map_err(crate::store::Error::from)?;
        for file in listed.iter().filter(|file| file.name == pack_name(id)) {
            if is_sealed_otherwise(backend, repository.sealer(), file, id)? {
                return Err(Error::Refused {
                    what: format!("{} is intact, but it is encrypted with keys that this repository does not have; nothing was changed", file.name),
                    hint: "Put the repository's own files keys/ and repo.toml back from a copy of it. If the pack is from another repository, move it out of this one.".to_owned(),
                });
            }
        }
    }
    Ok(())
}

/// Packs that are gone altogether look like a disk that is not there: nothing is given up for that.
pub(super) fn refuse_absence(
    repository: &Repository,
    known: &Index,
    options: &RepairOptions,
) -> Result<(), Error> {
    let here = repository
        .backend()
        .list("packs/")
        .map_err(crate::store::Error::from)?
        .iter()
        .filter(|file| pack_id(&file.name).is_some())
        .count();
    let gone = known.lost().len();
    let is_absent = gone > here || (here == 0 && !Catalog::ids(repository)?.is_empty());
    if !is_absent || options.give_up_missing {
        return Ok(());
    }
    Err(Error::Refused {
        what: match gone {
            0 => "all packs of the repository are missing, but there are snapshots; nothing was changed".to_owned(),
            gone => format!("{gone} packs of the repository are missing and {here} are present; nothing was changed"),
        },
        hint: "Is a disk not mounted, or was the repository copied only in part? Bring the packs back. If they are lost for good: jellyvault repair --give-up-missing."
            .to_owned(),
    })
}
