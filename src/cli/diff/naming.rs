//! What people call what lies at a path, where a database tells it.

use std::sync::Arc;

use crate::ops::{self, Id, NAMES_KEPT_MAX, Namer, Recipes, State};
use crate::store::{Index, Repository};

use super::super::context::Context;
use super::super::failure::Failure;
use super::Comparison;
use super::sides::Side;

/// Items that are looked up together.
const ITEMS_AT_ONCE: usize = 256;

/// Opens what names paths, and looks up all items that come, as far as they are kept.
pub fn open_and_look_up<'c>(
    sides: [&Side<'_>; 2],
    stored: (&'c Repository, &'c Index, &Arc<Recipes>),
    items: impl IntoIterator<Item = Id>,
) -> Result<Option<Namer<'c>>, Failure> {
    let Some(mut namer) = namer_of_snapshots(sides, stored)? else { return Ok(None) };
    let mut items = items.into_iter().take(NAMES_KEPT_MAX).peekable();
    while items.peek().is_some() {
        namer.look_up(items.by_ref().take(ITEMS_AT_ONCE).collect())?;
    }
    Ok(Some(namer))
}

/// Names by the databases of the snapshots among these sides. A live one is not copied for that alone.
fn namer_of_snapshots<'c>(
    sides: [&Side<'_>; 2],
    (repository, index, recipes): (&'c Repository, &'c Index, &Arc<Recipes>),
) -> Result<Option<Namer<'c>>, Failure> {
    let mut states: Vec<State<'c>> = Vec::new();
    for side in sides.into_iter().filter(|side| !side.is_live()) {
        states.extend(side.database(repository, index, ops::main_database())?.map(|state| state.sharing(recipes)));
    }
    Ok(if states.is_empty() { None } else { Some(Namer::new(&states.iter().collect::<Vec<_>>())?) })
}

/// Names paths as long as the database can be read.
pub struct Naming<'c> {
    context: &'c Context,
    namer: Option<Namer<'c>>,
}

impl<'c> Naming<'c> {
    /// Over a comparison.
    pub fn of(comparison: &Comparison<'c>) -> Naming<'c> {
        let opened = match (&comparison.states, comparison.namer.take()) {
            (Some((before, after)), _) => Namer::new(&[after, before]).map(Some).map_err(Failure::from),
            (None, Some(opened)) => opened,
            (None, None) => namer_of_snapshots([&comparison.after, &comparison.before], (comparison.repository, comparison.index, &Arc::default())),
        };
        let mut naming = Naming { context: comparison.context, namer: None };
        match opened {
            Ok(namer) => naming.namer = namer,
            Err(failure) => naming.give_up(&failure),
        }
        naming
    }

    pub fn name(&mut self, path: &[u8]) -> Option<String> {
        match self.namer.as_mut()?.name(path) {
            Ok(name) => name,
            Err(error) => {
                self.give_up(&error.into());
                None
            }
        }
    }

    /// The files are told all the same, by their paths.
    fn give_up(&mut self, failure: &Failure) {
        self.namer = None;
        self.context.say(&format!("Note: the names of items are not shown, because the database cannot be read: {}.", failure.in_one_line()));
    }
}
