//! What did the parent snapshot hold where this run lies? Leaves of its manifest, with what the
//! scan cache knows of them.

use std::cmp::Ordering;

use crate::manifest::{CategoryRecord, Entry, compare, leaves, read_leaf};
use crate::source::{Category, Fingerprint, Run, ScanCache};
use crate::store::ChunkReader;

use super::super::Error;

/// One category of the parent.
#[derive(Debug, Default)]
pub(in crate::ops) struct OldRuns {
    runs: Vec<Run>,
    next: usize,
}

impl OldRuns {
    /// The parent's runs: from the scan cache, or from the manifest alone where the cache does not
    /// fit it.
    pub(in crate::ops) fn load(
        category: Category,
        record: &CategoryRecord,
        cache: Option<&ScanCache>,
        reader: &mut ChunkReader<'_>,
    ) -> OldRuns {
        if let Some(section) = cache.and_then(|cache| cache.section(category, &record.manifest)) {
            return OldRuns { runs: section.runs.clone(), next: 0 };
        }
        // A parent that cannot be read is no parent: its files are read again, and `check` names
        // the damage.
        let runs = match leaves(reader, record.manifest) {
            Ok(children) if children.is_empty() && record.entries > 0 => {
                vec![Run::untrusted(Vec::new(), record.manifest, record.entries)]
            }
            Ok(children) => children
                .into_iter()
                .map(|child| Run::untrusted(child.first, child.id, child.entries))
                .collect(),
            Err(_) => Vec::new(),
        };
        OldRuns { runs, next: 0 }
    }

    /// The run that begins at this path, if the parent has one. Paths must come in order.
    pub(in crate::ops) fn beginning_at(&mut self, first: &[u8]) -> Option<&Run> {
        while self
            .runs
            .get(self.next)
            .is_some_and(|run| compare(&run.first, first) == Ordering::Less)
        {
            self.next += 1;
        }
        self.runs.get(self.next).filter(|run| run.first == first)
    }

    /// All runs that may hold paths from `first` to `last`.
    pub(in crate::ops) fn overlapping(&self, first: &[u8], last: &[u8]) -> Vec<Run> {
        let start = self
            .runs
            .partition_point(|run| compare(&run.first, first) != Ordering::Greater)
            .saturating_sub(1);
        self.runs
            .iter()
            .skip(start)
            .take_while(|run| compare(&run.first, last) != Ordering::Greater)
            .cloned()
            .collect()
    }
}

/// Entries of the parent in order, each with its fingerprint.
pub(in crate::ops) struct OldEntries {
    entries: std::iter::Peekable<std::vec::IntoIter<(Entry, Fingerprint)>>,
}

impl OldEntries {
    /// Reads the leaves of some runs.
    pub(in crate::ops) fn read(
        runs: &[Run],
        cache: Option<&ScanCache>,
        reader: &mut ChunkReader<'_>,
    ) -> Result<OldEntries, Error> {
        let mut all = Vec::new();
        for run in runs {
            let entries = match read_leaf(reader, &run.leaf) {
                Ok(entries) => entries,
                Err(error) if error.is_damage() => continue,
                Err(error) => return Err(error.into()),
            };
            let known = cache
                .and_then(|cache| cache.fingerprints(run))
                .filter(|known| known.len() == entries.len());
            let known = known.unwrap_or_else(|| vec![Fingerprint::NEVER; entries.len()]);
            all.extend(entries.into_iter().zip(known));
        }
        Ok(OldEntries { entries: all.into_iter().peekable() })
    }

    /// The parent's entry of this path. Paths must come in order.
    pub(in crate::ops) fn take(&mut self, path: &[u8]) -> Option<(Entry, Fingerprint)> {
        while self
            .entries
            .next_if(|(entry, _)| compare(&entry.path, path) == Ordering::Less)
            .is_some()
        {}
        self.entries.next_if(|(entry, _)| entry.path == path)
    }
}
