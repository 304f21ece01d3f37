//! What of that which people made or collected is gone from one state to the next, by kind.

use std::collections::BTreeMap;

use crate::database::{Lookup, RowChange, Sides, compare_databases};

use super::super::{Error, Monitor};
use super::kinds::{Group, group, kind_of, words};
use super::open::State;
use super::schemas_differ;
use super::view::{PLACEHOLDER, View};

/// Tables in which each row is one thing that people made, and what several are to them.
const TABLES: [(&str, &str); 3] = [
    ("UserData", "watch states"),
    ("Users", "users"),
    ("LinkedChildren", "playlist and collection entries"),
];

/// Things of a kind that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) struct Gone {
    /// Several of the kind.
    pub what: &'static str,
    /// How many are gone, those that came taken off.
    pub count: u64,
    /// How many there were.
    pub of: u64,
    /// Whether they are media of a library.
    pub is_media: bool,
}

/// Counted while two states are compared: how many are gone.
#[derive(Default)]
struct Counted {
    items: BTreeMap<u8, i64>,
    tables: [i64; TABLES.len()],
    upgraded: bool,
}

/// What is gone; nothing after an upgrade, which moves rows from table to table.
pub(in crate::ops) fn gone(
    before: &State<'_>,
    after: &State<'_>,
    monitor: &Monitor,
) -> Result<Vec<Gone>, Error> {
    let (mut own, mut other) = (before.open()?, after.open()?);
    let mut counted = Counted { upgraded: schemas_differ(&own, &other), ..Counted::default() };
    compare_databases(&mut own, &mut other, |sides, change| -> Result<(), Error> {
        if monitor.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        counted.take(sides, &change);
        Ok(())
    })?;
    if counted.upgraded {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    if counted.items.values().any(|count| *count > 0) {
        let mut had = BTreeMap::<u8, u64>::new();
        Lookup::new(&mut own).scan("BaseItems", |table, row| {
            *had.entry(kind(View { table, row: &row })).or_default() += 1;
            true
        })?;
        found.extend(counted.items.iter().filter_map(|(kind, count)| {
            let count = u64::try_from(*count).ok().filter(|count| *count > 0)?;
            let of = had.get(kind).copied().unwrap_or_default();
            let is_media = group(*kind) == Group::Media;
            Some(Gone { what: words(*kind).1, count, of, is_media })
        }));
    }
    for ((table, what), count) in TABLES.into_iter().zip(counted.tables) {
        let Some(count) = u64::try_from(count).ok().filter(|count| *count > 0) else { continue };
        let mut of = 0;
        Lookup::new(&mut own).scan(table, |_, _| {
            of += 1;
            true
        })?;
        found.push(Gone { what, count, of, is_media: false });
    }
    Ok(found)
}

impl Counted {
    fn take(&mut self, sides: Sides<'_>, change: &RowChange) {
        let Some(table) = sides.table() else { return };
        let before =
            sides.before.zip(change.before.as_ref()).map(|(table, row)| View { table, row });
        let after = sides.after.zip(change.after.as_ref()).map(|(table, row)| View { table, row });
        match table.name.as_str() {
            "__EFMigrationsHistory" => self.upgraded = true,
            "BaseItems" => {
                let (before, after) = (before.map(kind), after.map(kind));
                if before != after {
                    self.item(before, 1);
                    self.item(after, -1);
                }
            }
            name => {
                let place = TABLES.iter().position(|(known, _)| *known == name);
                let Some(count) = place.and_then(|at| self.tables.get_mut(at)) else { return };
                // Watch state whose item is gone waits at the placeholder: nobody sees it.
                let is_seen =
                    |row: View<'_>| name != "UserData" || row.id("ItemId") != Some(PLACEHOLDER);
                *count +=
                    i64::from(before.is_some_and(is_seen)) - i64::from(after.is_some_and(is_seen));
            }
        }
    }

    /// People, genres and the server's own folders come and go with the media.
    fn item(&mut self, kind: Option<u8>, step: i64) {
        if let Some(kind) =
            kind.filter(|kind| matches!(group(*kind), Group::Media | Group::List | Group::Library))
        {
            *self.items.entry(kind).or_default() += step;
        }
    }
}

fn kind(row: View<'_>) -> u8 {
    kind_of(&row.text("Type").unwrap_or_default())
}
