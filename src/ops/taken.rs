//! Which snapshots came into a copy at some time: one that is not there any more was forgotten
//! there, and stays so.

use std::collections::BTreeSet;

use crate::backend::{Span, write_new};
use crate::limits::RECORD_BYTES_MAX;
use crate::manifest::SnapshotId;
use crate::store::{Error, Repository};

const NAME: &str = "synced";
const HEADER: &str = "# The snapshots that were copied here, also those that were forgotten since. Without this file the latter come back.\n";

pub(super) struct Taken(BTreeSet<String>);

impl Taken {
    /// Reads the file of a copy. Lines that are no ids are of no meaning.
    pub(super) fn read(target: &Repository) -> Result<Taken, Error> {
        match target.backend().read(NAME, Span::Whole { limit: RECORD_BYTES_MAX }) {
            Ok(bytes) => Ok(Taken(
                String::from_utf8_lossy(&bytes)
                    .lines()
                    .filter(|line| !line.starts_with('#'))
                    .map(str::to_owned)
                    .collect(),
            )),
            Err(crate::backend::Error::Missing { .. } | crate::backend::Error::TooLarge { .. }) => {
                Ok(Taken(BTreeSet::new()))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn has(&self, id: &SnapshotId) -> bool {
        self.0.contains(&id.to_string())
    }

    /// Notes one, and writes the file.
    pub(super) fn add(&mut self, target: &Repository, id: SnapshotId) -> Result<(), Error> {
        self.0.insert(id.to_string());
        let lines: String = self.0.iter().map(|id| format!("{id}\n")).collect();
        Ok(write_new(target.backend(), NAME, format!("{HEADER}{lines}").as_bytes())?)
    }
}
