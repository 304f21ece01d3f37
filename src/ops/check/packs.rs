//! Does every pack tell what it holds, and does the index say the same?

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::backend::Listed;
use crate::store::{
    ChunkPlace, Index, PackTrailer, Parity, Questions, Repository, pack_id, pack_name, parity_name,
    parity_pack, read_whole_trailer,
};

use super::super::{Error, Monitor, in_one_line};
use super::{CheckReport, Finding};

pub const INDEX: &str = "index.redb";
/// How long another process may take from a pack to its parity.
const WRITER_TIME: Duration = Duration::from_millis(500);
const WRITER_TRIES: usize = 20;

/// A pack whose table of contents is right.
#[derive(Clone, Debug)]
pub struct PackFile {
    /// Its id.
    pub id: [u8; 16],
    /// Bytes of its file.
    pub bytes: u64,
    /// Its table of contents as the index knows it, where its own is damaged.
    pub trailer: Option<PackTrailer>,
}

/// What is wrong, without the file's name, which is told already.
pub fn reason(error: &crate::store::Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), in_one_line_of)
}

fn in_one_line_of(error: &(dyn std::error::Error + 'static)) -> String {
    in_one_line(error)
}

/// Reads the table of contents of every pack, and holds the index against it; the packs that can be
/// read on.
pub fn check_packs(
    repository: &Repository,
    index: &Index,
    report: &mut CheckReport,
    monitor: &Monitor,
) -> Result<Vec<PackFile>, Error> {
    let listed = repository.backend().list("packs/").map_err(crate::store::Error::from)?;
    let condemned: HashSet<_> = index.condemned().into_iter().collect();
    for id in index.lost() {
        let what = "the pack is missing: its data is lost, unless it can be recovered from another pack, its parity or the source".to_owned();
        report.findings.push(Finding { name: pack_name(id), what });
    }
    let mut agreement = Agreement::with(repository, index);
    let numbers: HashMap<[u8; 16], u32> = match index.packs() {
        Ok(packs) => packs.into_iter().map(|(number, id)| (id, number)).collect(),
        Err(error) => agreement.unreadable(error).map(|()| HashMap::new())?,
    };
    let mut packs = Vec::new();
    for file in &listed {
        let Some(id) = pack_id(&file.name) else { continue };
        if monitor.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        report.packs += 1;
        report.pack_bytes += file.size_bytes;
        if condemned.contains(&id) {
            continue;
        }
        match read_whole_trailer(repository.backend(), repository.sealer(), file, &id) {
            Ok(trailer) => {
                // One that the index does not know came after it was opened.
                if let Some(number) = numbers.get(&id) {
                    agreement.take(*number, &trailer)?;
                }
                packs.push(PackFile { id, bytes: file.size_bytes, trailer: None });
            }
            Err(error) if error.is_damage() || error.unread_file().is_some() => {
                if error.unread_file().is_some() {
                    report.unread.insert(file.name.clone());
                }
                let known = match index.trailer_of(&id) {
                    Ok(known) => known,
                    // An index that is damaged too knows nothing; it is told below.
                    Err(crate::store::Error::IndexDamaged { .. }) => {
                        agreement.fault = Some("it cannot be read");
                        None
                    }
                    Err(error) => return Err(error.into()),
                };
                let what = trailer_words(&error, known.is_some());
                report.findings.push(Finding { name: file.name.clone(), what });
                report.damaged_packs.push(id);
                packs.extend(known.map(|trailer| PackFile {
                    id,
                    bytes: file.size_bytes,
                    trailer: Some(trailer),
                }));
            }
            Err(error) => return Err(error.into()),
        }
    }
    agreement.ask()?;
    check_index(repository, index, &agreement.counts, agreement.fault, report)?;
    check_parity(repository, &listed, &condemned, report)?;
    if !condemned.is_empty() {
        let (count, plural) =
            (condemned.len(), if condemned.len() == 1 { "pack is" } else { "packs are" });
        report.remarks.push(format!(
            "{count} {plural} left over from an interrupted prune; the next prune deletes them"
        ));
    }
    Ok(packs)
}

/// What is wrong with a trailer, and what helps.
fn trailer_words(error: &crate::store::Error, is_known: bool) -> String {
    let help = if is_known {
        "; the index still knows its contents, so jellyvault repair can rewrite it"
    } else {
        ""
    };
    let fault = if error.unread_file().is_some() { "cannot be read" } else { "is damaged" };
    format!("its trailer (table of contents) {fault}: {}{help}", reason(error))
}

/// Holds the index against what packs say of themselves.
struct Agreement<'i> {
    index: &'i Index,
    claims: Questions,
    /// Chunks that the index places in each pack, by the pack's number.
    counts: HashMap<u32, u64>,
    fault: Option<&'static str>,
}

impl<'i> Agreement<'i> {
    fn with(repository: &Repository, index: &'i Index) -> Agreement<'i> {
        Agreement { index, claims: Questions::new(repository), counts: HashMap::new(), fault: None }
    }

    /// Takes what a pack says, which has this number in the index.
    fn take(&mut self, number: u32, trailer: &PackTrailer) -> Result<(), Error> {
        match self.index.extents_of(number) {
            Ok(rows) if rows == trailer.extents => {}
            Ok(_) => self.fault = Some("it gives another position for data than the pack"),
            Err(error) => return self.unreadable(error),
        }
        self.counts.insert(number, 0);
        for chunk in &trailer.chunks {
            if self.claims.push(
                chunk.id,
                ChunkPlace {
                    pack: number,
                    extent: chunk.extent,
                    offset: chunk.offset,
                    len: chunk.len,
                },
            ) {
                self.ask()?;
            }
        }
        Ok(())
    }

    /// Asks the index for all that packs say they hold.
    fn ask(&mut self) -> Result<(), Error> {
        let (counts, fault) = (&mut self.counts, &mut self.fault);
        let outcome = self.claims.answer(self.index, |_, claimed, found| match found {
            Some(found) if found.pack == claimed.pack => {
                if found != claimed {
                    *fault = Some("it gives another position for a chunk than the pack");
                }
                *counts.entry(found.pack).or_default() += 1;
            }
            // Another pack holds it too.
            Some(_) => {}
            None => *fault = Some("it lacks chunks of known packs"),
        });
        outcome.or_else(|error| self.unreadable(error))
    }

    /// An index that cannot be read is told, not an end.
    fn unreadable(&mut self, error: crate::store::Error) -> Result<(), Error> {
        match error {
            crate::store::Error::Local { .. } | crate::store::Error::IndexDamaged { .. } => {
                self.fault = Some("it cannot be read")
            }
            error => return Err(error.into()),
        }
        Ok(())
    }
}

fn check_index(
    repository: &Repository,
    index: &Index,
    of_packs: &HashMap<u32, u64>,
    mut fault: Option<&'static str>,
    report: &mut CheckReport,
) -> Result<(), Error> {
    let Some(place) = repository.index_place() else { return Ok(()) };
    let is_there = place.disk.size(&place.path).is_ok_and(|bytes| bytes > 0);
    if is_there && !index.has_file() && !index.is_busy() && index.lost().is_empty() {
        fault = Some("it cannot be read");
    }
    let mut of_index: HashMap<u32, u64> = HashMap::new();
    match index.for_each_chunk(|_, place| {
        *of_index.entry(place.pack).or_default() += 1;
        Ok(())
    }) {
        // Packs whose own table is damaged cannot be compared. One of which the index places
        // nothing has no count.
        Ok(())
            if fault.is_none()
                && of_packs.iter().any(|(number, count)| {
                    of_index.get(number).copied().unwrap_or_default() != *count
                }) =>
        {
            fault = Some("it lists chunks that no pack contains");
        }
        Ok(()) => {}
        Err(_) => fault = Some("it cannot be read"),
    }
    if let Some(fault) = fault {
        let what = format!(
            "the index is damaged: {fault}. No data is lost; jellyvault repair rebuilds it from the packs"
        );
        report.findings.push(Finding { name: INDEX.to_owned(), what });
    }
    Ok(())
}

/// Parity files: there where they should be, whole tables, of their packs.
fn check_parity(
    repository: &Repository,
    listed: &[Listed],
    condemned: &HashSet<[u8; 16]>,
    report: &mut CheckReport,
) -> Result<(), Error> {
    let packs: HashSet<_> = listed
        .iter()
        .filter_map(|file| pack_id(&file.name))
        .filter(|id| !condemned.contains(id))
        .collect();
    let with_parity: HashSet<_> =
        listed.iter().filter_map(|file| parity_pack(&file.name)).collect();
    for id in &with_parity {
        if !packs.contains(id) {
            continue;
        }
        match Parity::read(repository.backend(), id) {
            Ok(parity) if parity.damaged_blocks() > 0 => {
                let what = format!(
                    "{} of its parity blocks are damaged (this says nothing about the pack itself). jellyvault repair rewrites them",
                    parity.damaged_blocks()
                );
                report.findings.push(Finding { name: parity_name(id), what });
            }
            Ok(_) => {}
            Err(error) if error.is_damage() => {
                report.findings.push(Finding { name: parity_name(id), what: in_one_line(&error) })
            }
            Err(error) => return Err(error.into()),
        }
    }
    if repository.config().parity_permille > 0 {
        let mut lacking: HashSet<_> = packs.difference(&with_parity).copied().collect();
        // A capture that runs beside writes a pack's parity a moment after the pack.
        for _ in 0..WRITER_TRIES {
            if lacking.is_empty() || repository.is_alone()? {
                break;
            }
            std::thread::sleep(WRITER_TIME);
            let listed = repository.backend().list("packs/").map_err(crate::store::Error::from)?;
            let here: HashSet<_> =
                listed.iter().filter_map(|file| parity_pack(&file.name)).collect();
            let packs: HashSet<_> = listed.iter().filter_map(|file| pack_id(&file.name)).collect();
            lacking.retain(|id| packs.contains(id) && !here.contains(id));
        }
        for id in &lacking {
            let what = "the pack has no parity; jellyvault repair adds it".to_owned();
            report.findings.push(Finding { name: parity_name(id), what });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{SnapshotOptions, SourceSpec, snapshot};
    use crate::store::IndexMode;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the source of the test")]
    fn a_pack_that_comes_while_it_looks_is_no_fault_of_the_index() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        std::fs::create_dir(&source).unwrap();
        let monitor = Monitor::default();
        let repository = Repository::init(&dir.path().join("repository")).unwrap();
        let capture = |text: &str| {
            std::fs::write(source.join("file"), text).unwrap();
            snapshot(
                &repository,
                &SourceSpec::plain(&source).unwrap(),
                &SnapshotOptions::default(),
                &monitor,
            )
            .unwrap()
        };
        capture("first");
        let index = Index::open(&repository, IndexMode::Use).unwrap();
        capture("second");
        let mut report = CheckReport::default();
        let packs = check_packs(&repository, &index, &mut report, &monitor).unwrap();
        assert_eq!((packs.len(), report.findings.len()), (2, 0), "{:?}", report.findings);
        // One that the index knows and has wrong chunks of is.
        let known = index.packs().unwrap()[0];
        let listed = repository
            .backend()
            .list("packs/")
            .unwrap()
            .into_iter()
            .find(|file| file.name == pack_name(&known.1))
            .unwrap();
        let mut trailer =
            read_whole_trailer(repository.backend(), repository.sealer(), &listed, &known.1)
                .unwrap();
        let agreement = |trailer: &PackTrailer| {
            let mut agreement = Agreement::with(&repository, &index);
            agreement.take(known.0, trailer).unwrap();
            agreement.ask().unwrap();
            (agreement.counts[&known.0], agreement.fault.is_some())
        };
        assert_eq!(agreement(&trailer), (trailer.chunks.len() as u64, false));
        trailer.chunks[0].len += 1;
        assert!(agreement(&trailer).1);
        trailer.chunks[0].len -= 1;
        trailer.extents[0].stored_bytes += 1;
        assert!(agreement(&trailer).1);
    }
}
