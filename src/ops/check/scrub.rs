//! A check by who has no key, on the machine that keeps an encrypted copy: is every file as it was
//! written?

use crate::backend::{Backend, Error as BackendError, Span};
use crate::limits::RECORD_BYTES_MAX;
use crate::progress::Phase;
use crate::store::encryption::KeySlots;
use crate::store::{
    Error as StoreError, PackFault, RecordKind, is_record_as_written, pack_id, parity_pack,
    settings_without_key, verify_pack,
};

use super::super::{Error, Monitor};
use super::{CheckReport, Finding};

const NEEDS_KEY: &str = "to find out what is lost and to repair it, run jellyvault check and jellyvault repair with the passphrase";

/// Verifies the files of an encrypted repository without opening it. Whether all that snapshots
/// need is there cannot be told so.
///
/// # Errors
/// [`Error::Refused`] where it is not encrypted; else where files cannot be listed or read.
pub fn scrub(backend: &dyn Backend, monitor: &Monitor) -> Result<CheckReport, Error> {
    let keys = KeySlots::load(backend)?;
    if keys.slots.is_empty() && keys.damaged.is_empty() {
        return Err(Error::Refused {
            what: "the repository is not encrypted, or its keys are missing".to_owned(),
            hint: "A repository that is not encrypted is checked without a key anyway: leave out --without-key.".to_owned(),
        });
    }
    let mut report = CheckReport::default();
    let mut found = |name: String, what: String| report.findings.push(Finding { name, what });
    for finding in super::keys::damaged(&keys, "") {
        found(finding.name, finding.what);
    }
    settings(backend, &keys, &mut found)?;
    records(backend, &mut found)?;
    let listed = backend.list("packs/").map_err(StoreError::from)?;
    let packs: Vec<_> =
        listed.iter().filter_map(|file| Some((file, pack_id(&file.name)?))).collect();
    let bytes = packs.iter().map(|(file, _)| file.size_bytes).sum();
    monitor.progress.phase(Phase::Read, packs.len() as u64, bytes);
    let mut unread = Vec::new();
    for (file, id) in &packs {
        if monitor.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        match verify_pack(backend, file, id, |bytes| monitor.progress.advance(0, bytes)) {
            Ok(()) => {}
            Err(PackFault::Damaged(what)) => {
                found(file.name.clone(), format!("{what}; {NEEDS_KEY}"))
            }
            Err(PackFault::Unread(error)) => {
                found(file.name.clone(), super::super::in_one_line(&error));
                unread.push(file.name.clone());
            }
        }
        monitor.progress.advance(1, 0);
    }
    for id in listed
        .iter()
        .filter_map(|file| parity_pack(&file.name))
        .filter(|id| !packs.iter().any(|(_, own)| own == id))
    {
        found(
            crate::store::parity_name(&id),
            "there is parity of a pack that is missing".to_owned(),
        );
    }
    report.unread.extend(unread);
    (report.packs, report.pack_bytes) = (packs.len() as u64, bytes);
    (report.read.packs, report.read.bytes, report.read.of_packs, report.read.of_bytes) =
        (report.packs, bytes, report.packs, bytes);
    report.findings.sort();
    Ok(report)
}

/// Both files of the settings: whether they are as they were written, and agree. What the key proves
/// of them is not told so.
fn settings(
    backend: &dyn Backend,
    keys: &KeySlots,
    found: &mut impl FnMut(String, String),
) -> Result<(), Error> {
    let read = settings_without_key(backend)?;
    for (name, what) in read.damaged {
        found(name.to_owned(), format!("{what}; {NEEDS_KEY}"));
    }
    for finding in read.config.iter().flat_map(|config| super::keys::foreign(keys, &config.id)) {
        found(finding.name, finding.what);
    }
    Ok(())
}

/// Records of snapshots and links of their list.
fn records(backend: &dyn Backend, found: &mut impl FnMut(String, String)) -> Result<(), Error> {
    for (folder, kind, digits) in [
        ("snapshots/", RecordKind::Snapshot, 32),
        ("copies/", RecordKind::Snapshot, 32),
        ("list/", RecordKind::Link, 16),
    ] {
        for name in backend.names(folder).map_err(StoreError::from)? {
            let stem = name.trim_start_matches(folder).split('.').next().unwrap_or_default();
            let Some(id) = u128::from_str_radix(stem, 16).ok().filter(|_| stem.len() == digits)
            else {
                continue;
            };
            let id = if digits == 32 {
                id.to_be_bytes().to_vec()
            } else {
                (id as u64).to_be_bytes().to_vec()
            };
            match backend.read(&name, Span::Whole { limit: RECORD_BYTES_MAX }) {
                Ok(bytes) if is_record_as_written(kind, &id, &bytes) => {}
                Ok(_) => found(name, format!("it is damaged; {NEEDS_KEY}")),
                // Forgotten meanwhile.
                Err(BackendError::Missing { .. }) => {}
                Err(error) => return Err(StoreError::from(error).into()),
            }
        }
    }
    Ok(())
}
