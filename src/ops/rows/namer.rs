//! What lies at a path, by name: folders of Jellyfin's are named by the ids of items.

use crate::database::Database;

use super::super::Error;
use super::State;
use super::names::Names;
use super::view::{Id, read_id};

/// Decoded extents that are kept: most items are looked up together, in the order in which they lie.
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

    /// Looks up many items that will be asked for, at once.
    pub fn look_up(&mut self, items: Vec<Id>) -> Result<(), Error> {
        let mut states: Vec<&mut Database<'_>> = self.states.iter_mut().collect();
        Ok(self.names.add_items(items, &mut states)?)
    }

    /// What the item is called in whose folder a path lies; nothing where it is in none, or in that of an item that no state has.
    pub fn name(&mut self, path: &[u8]) -> Result<Option<String>, Error> {
        let Some(id) = item_in(path) else { return Ok(None) };
        let mut states: Vec<&mut Database<'_>> = self.states.iter_mut().collect();
        Ok(self.names.item(id, &mut states)?.map(|item| item.name))
    }
}

/// The item in whose folder a path lies.
pub fn item_in(path: &[u8]) -> Option<Id> {
    path.split(|byte| *byte == b'/').find_map(|part| read_id(std::str::from_utf8(part.split(|byte| *byte == b'.').next()?).ok()?))
}
