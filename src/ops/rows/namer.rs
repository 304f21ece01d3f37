//! What lies at a path, by name: folders of Jellyfin's are named by the ids of items.

use std::sync::Arc;

use crate::database::Database;
use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::source::DATABASE_PATH;
use crate::store::{Index, Repository};

use super::super::Error;
use super::super::recipes::Recipes;
use super::names::{LIBRARY, Names};
use super::view::{Id, read_id};
use super::{State, Which, open_state};

/// Decoded extents that are kept: most items are looked up together, in the order in which they
/// lie.
const KEPT_EXTENTS: usize = 4;

/// Names paths by the items of one or two states, the later first.
pub struct Namer<'r> {
    states: Vec<Database<'r>>,
    names: Names,
}

impl<'r> Namer<'r> {
    /// By these states.
    pub fn new(states: &[&State<'r>]) -> Result<Namer<'r>, Error> {
        let mut opened: Vec<Database<'r>> = Vec::new();
        for state in states {
            opened.push(state.open_keeping(KEPT_EXTENTS, opened.last())?);
        }
        Ok(Namer { states: opened, names: Names::default() })
    }

    /// By the databases of some snapshots, the later first; nothing where they have none.
    pub fn of_snapshots(
        (repository, index): (&'r Repository, &'r Index),
        snapshots: &[&(SnapshotId, SnapshotRecord)],
        recipes: &Arc<Recipes>,
    ) -> Result<Option<Namer<'r>>, Error> {
        let open = |path| -> Result<Vec<State<'r>>, Error> {
            let opened = snapshots.iter().map(|snapshot| {
                Ok(open_state(repository, index, &Which::Snapshot(snapshot), path)?
                    .map(|state| state.sharing(recipes)))
            });
            opened.filter_map(Result::transpose).collect()
        };
        let (states, libraries) = (open(DATABASE_PATH)?, open(LIBRARY)?);
        if states.is_empty() && libraries.is_empty() {
            return Ok(None);
        }
        let mut namer = Namer::new(&states.iter().collect::<Vec<_>>())?;
        libraries.iter().try_for_each(|library| namer.add_library(library))?;
        Ok(Some(namer))
    }

    /// Names by a library from before 10.11, too.
    pub fn add_library(&mut self, library: &State<'_>) -> Result<(), Error> {
        Ok(self.names.add_library(&mut library.open()?)?)
    }

    /// Looks up many items that will be asked for, at once.
    pub fn look_up(&mut self, items: Vec<Id>) -> Result<(), Error> {
        let mut states: Vec<&mut Database<'_>> = self.states.iter_mut().collect();
        Ok(self.names.add_items(items, &mut states)?)
    }

    /// What the item is called in whose folder a path lies; nothing where it is in none, or in that
    /// of an item that no state has.
    pub fn name(&mut self, path: &[u8]) -> Result<Option<String>, Error> {
        let Some(id) = item_in(path) else { return Ok(None) };
        let mut states: Vec<&mut Database<'_>> = self.states.iter_mut().collect();
        Ok(self.names.item(id, &mut states)?.map(|item| item.name))
    }
}

/// The item in whose folder a path lies.
pub fn item_in(path: &[u8]) -> Option<Id> {
    path.split(|byte| *byte == b'/').find_map(|part| {
        read_id(std::str::from_utf8(part.split(|byte| *byte == b'.').next()?).ok()?)
    })
}
