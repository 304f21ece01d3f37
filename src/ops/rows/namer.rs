//! What lies at a path, by name: folders of Jellyfin's are named by the ids of items.

use crate::database::Database;

use super::super::Error;
use super::State;
use super::names::Names;
use super::view::read_id;

/// Names paths by the items of one or two states, the later first.
pub struct Namer<'r> {
    states: Vec<Database<'r>>,
    names: Names,
}

impl<'r> Namer<'r> {
    /// By these states.
    pub fn new(states: &[&State<'r>]) -> Result<Namer<'r>, Error> {
        let opened = states.iter().map(|state| state.open()).collect::<Result<_, _>>()?;
        Ok(Namer { states: opened, names: Names::default() })
    }

    /// The item in whose folder a path lies; nothing where it is in none, or in that of an item that no state has.
    pub fn name(&mut self, path: &[u8]) -> Result<Option<String>, Error> {
        let text = String::from_utf8_lossy(path);
        let Some(id) = text.split('/').find_map(|part| read_id(part.split('.').next().unwrap_or(part))) else { return Ok(None) };
        let mut states: Vec<&mut Database<'r>> = self.states.iter_mut().collect();
        Ok(self.names.item(id, &mut states)?.map(|item| item.name))
    }
}
