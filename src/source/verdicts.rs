//! Which files are SQLite databases? As seen when their stats had these fingerprints, which hold
//! their paths too.

use crate::store::{Bytes, Truncated, push_varint};

use super::stat::Fingerprint;

/// What was found out about files that might be databases: 16 bytes each, in order once all are
/// there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    databases: Vec<Fingerprint>,
    others: Vec<Fingerprint>,
}

impl Verdicts {
    /// Notes what a file is.
    pub fn note(&mut self, fingerprint: Fingerprint, is_database: bool) {
        if is_database { &mut self.databases } else { &mut self.others }.push(fingerprint);
    }

    /// What a file is, where that is known. Only of verdicts that were read.
    pub fn of(&self, fingerprint: &Fingerprint) -> Option<bool> {
        let is_in = |list: &[Fingerprint]| list.binary_search(fingerprint).is_ok();
        if is_in(&self.others) { Some(false) } else { is_in(&self.databases).then_some(true) }
    }

    /// Two lists, each sorted: databases, all others.
    pub(super) fn encode(mut self, out: &mut Vec<u8>) {
        for list in [&mut self.databases, &mut self.others] {
            list.sort_unstable();
            push_varint(out, list.len() as u64);
            out.extend(list.iter().flat_map(|fingerprint| fingerprint.0));
        }
    }

    pub(super) fn decode(at: &mut Bytes<'_>) -> Result<Verdicts, Truncated> {
        let mut list = || {
            let count = at.length(at.0.len())?;
            (0..count).map(|_| Ok(Fingerprint(at.array()?))).collect::<Result<Vec<_>, Truncated>>()
        };
        Ok(Verdicts { databases: list()?, others: list()? })
    }
}
