//! Parity for every pack, or for none.

use std::collections::HashSet;

use crate::progress::Phase;
use crate::store::{Parity, Repository, pack_id, parity_name, parity_pack};

use super::super::{Error, Monitor};
use super::list;
use super::report::RepairReport;

/// Every pack has whole parity of the share that the settings say, or none has.
pub(super) fn put_parity_right(
    repository: &Repository,
    add: Option<u32>,
    report: &mut RepairReport,
    monitor: &Monitor,
) -> Result<(), Error> {
    let permille = add.unwrap_or(repository.config().parity_permille);
    list::put_copies_right(repository, permille, report)?;
    let listed = repository.backend().list("packs/").map_err(crate::store::Error::from)?;
    let packs: HashSet<_> = listed.iter().filter_map(|file| pack_id(&file.name)).collect();
    let parities: HashSet<_> = listed.iter().filter_map(|file| parity_pack(&file.name)).collect();
    for id in parities.iter().filter(|id| !packs.contains(*id) || permille == 0) {
        repository.backend().remove(&parity_name(id)).map_err(crate::store::Error::from)?;
        report.mended(parity_name(id), "deleted: it belongs to no pack");
    }
    if permille > 0 {
        monitor.progress.phase(Phase::Mend, packs.len() as u64, 0);
        for id in &packs {
            if monitor.interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            monitor.progress.advance(1, 0);
            let is_right = parities.contains(id)
                && add.is_none()
                && Parity::read(repository.backend(), id)
                    .is_ok_and(|parity| parity.damaged_blocks() == 0);
            if !is_right {
                Parity::write(repository.backend(), id, permille)?;
                report.mended(parity_name(id), "parity written");
            }
        }
    }
    Ok(repository.backend().sync().map_err(crate::store::Error::from)?)
}
