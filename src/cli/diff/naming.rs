//! What people call what lies at a path, where a database tells it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::ops::{self, Id, NAMES_KEPT_MAX, Namer, Recipes, State};
use crate::store::{Index, Repository};

use super::super::context::Context;
use super::super::failure::Failure;
use super::Comparison;
use super::sides::Side;

/// Items that are looked up together, at least, but for the last ones.
const ITEMS_AT_ONCE: usize = 256;

/// Hands items over to who looks them up, many at a time: each time, a thread may have to be woken.
pub struct Items {
    to: Sender<Vec<Id>>,
    waiting: Vec<Id>,
}

impl Items {
    pub fn new() -> (Items, Receiver<Vec<Id>>) {
        let (to, items) = channel();
        (Items { to, waiting: Vec::new() }, items)
    }

    pub fn add(&mut self, item: Id) {
        // One folder has many files.
        if self.waiting.last() != Some(&item) {
            self.waiting.push(item);
        }
        if self.waiting.len() >= ITEMS_AT_ONCE {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        // Nobody listens where there is no database to be read.
        crate::tolerate(self.to.send(std::mem::take(&mut self.waiting)));
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        self.hand_over();
    }
}

/// Opens what names paths, and looks up all items that come, as far as they are kept.
pub fn open_and_look_up<'c>(
    sides: [&Side<'_>; 2],
    stored: (&'c Repository, &'c Index, &Arc<Recipes>),
    items: Receiver<Vec<Id>>,
) -> Result<Option<Namer<'c>>, Failure> {
    let Some(mut namer) = namer_of_snapshots(sides, stored)? else { return Ok(None) };
    let mut room = NAMES_KEPT_MAX;
    while let Ok(mut together) = items.recv() {
        // What has come meanwhile is looked up in one go: pages of the same extents are decoded
        // once.
        together.extend(items.try_iter().flatten());
        together.truncate(room);
        room -= together.len();
        namer.look_up(together)?;
    }
    Ok(Some(namer))
}

/// Names by the databases of the snapshots among these sides. A live one is not copied for that
/// alone.
fn namer_of_snapshots<'c>(
    sides: [&Side<'_>; 2],
    (repository, index, recipes): (&'c Repository, &'c Index, &Arc<Recipes>),
) -> Result<Option<Namer<'c>>, Failure> {
    let snapshots: Vec<_> = sides.into_iter().filter_map(Side::snapshot).collect();
    Ok(Namer::of_snapshots((repository, index), &snapshots, recipes)?)
}

fn with_libraries<'c>(
    namer: Result<Namer<'c>, ops::Error>,
    libraries: Option<&(State<'_>, State<'_>)>,
) -> Result<Option<Namer<'c>>, ops::Error> {
    let mut namer = namer?;
    if let Some((before, after)) = libraries {
        [after, before].into_iter().try_for_each(|library| namer.add_library(library))?;
    }
    Ok(Some(namer))
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
            (Some((before, after)), _) => {
                with_libraries(Namer::new(&[after, before]), comparison.library.as_ref())
                    .map_err(Failure::from)
            }
            (None, Some(opened)) => opened,
            (None, None) => namer_of_snapshots(
                [&comparison.after, &comparison.before],
                (comparison.repository, comparison.index, &comparison.recipes),
            ),
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
        self.context.say(&format!(
            "Note: the names of items are not shown, because the database cannot be read: {}.",
            failure.in_one_line()
        ));
    }
}
