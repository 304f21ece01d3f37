//! `diff --rows`: what changed in the database, row by row and in people's words.

mod facts;
mod gather;
mod gone;
mod kinds;
mod library_story;
mod namer;
mod names;
mod news;
mod open;
mod server_story;
mod story;
mod titles;
mod upgrade;
mod users;
mod view;

use serde::{Deserialize, Serialize};

use crate::database::{Compared, Database, RowChange, Sides, TableChange, compare_databases};
use crate::progress::Phase;
use crate::source::DATABASE_PATH;

use self::gather::Gathered;
pub(in crate::ops) use self::gone::{Gone, gone};
use self::names::Names;
pub(in crate::ops) use self::names::item_name;
use self::story::Teller;
pub use self::view::Id;
pub(in crate::ops) use self::view::{PLACEHOLDER, View, stored_id};
use super::{Error, Monitor};

pub use kinds::image_word_of_file;
pub use namer::{Namer, item_in};
pub use names::{KEPT_MAX as NAMES_KEPT_MAX, LIBRARY, LIBRARY_ITEMS};
pub use news::{News, PictureFile, Section};
pub use open::{State, Which, open_state};
pub use titles::{Titled, all_titled, called_so, titles};
pub use upgrade::SETTINGS as UPGRADE_SETTINGS;
pub use view::read_id;

/// Which rows are told one by one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RowsOptions {
    /// Tables; empty means all.
    pub tables: Vec<String>,
    /// Users, by name or id; empty means all.
    pub users: Vec<String>,
    /// Items, by id or part of their name; empty means all.
    pub items: Vec<String>,
    /// Names that are told of a list.
    pub named: usize,
    /// Whether rows are told one by one at all.
    pub single: bool,
}

impl RowsOptions {
    /// Whether only some rows are wanted.
    fn is_filtered(&self) -> bool {
        !(self.tables.is_empty() && self.users.is_empty() && self.items.is_empty())
    }
}

/// A row that is told.
pub struct ToldRow<'a> {
    /// Its table on both sides.
    pub sides: Sides<'a>,
    /// What differs.
    pub change: &'a RowChange,
    /// Whether it is the upgrade's work.
    pub by_upgrade: bool,
    /// The name of the item that it is of.
    pub item: Option<String>,
    /// The name of the user that it is of.
    pub user: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct RowsReport {
    /// What happened, in people's words.
    pub news: Vec<News>,
    /// Tables in which something differs.
    pub tables: Vec<TableChange>,
    /// Tables whose rows were read.
    pub tables_read: Vec<String>,
    /// Whether the migrations differ.
    pub upgraded: bool,
}

/// Compares two states of a database. `each` is told the rows that are wanted, as they come.
pub fn diff_rows(
    before: &State<'_>,
    after: &State<'_>,
    pictures: &[PictureFile],
    options: &RowsOptions,
    monitor: &Monitor,
    mut each: impl FnMut(&ToldRow<'_>) -> Result<(), Error>,
) -> Result<RowsReport, Error> {
    monitor.progress.phase(Phase::Rows, 0, 0);
    let (mut own, mut other) = (before.open()?, after.open()?);
    // Names are looked up while rows are compared: each with its own place in the pages.
    let (mut own_names, mut other_names) = (own.sibling()?, other.sibling()?);
    let mut names = Names::default();
    let wanted = Wanted::of(options, &mut names, &mut own_names, &mut other_names)?;
    let mut gathered = Gathered { upgraded: schemas_differ(&own, &other), ..Gathered::default() };
    let mut taken = Taken::default();
    let mut compared: Compared =
        compare_databases(&mut own, &mut other, |sides, change| -> Result<(), Error> {
            if monitor.interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            monitor.progress.advance(1, 0);
            if !options.single && !options.is_filtered() {
                gathered.take(sides, &change);
                return Ok(());
            }
            let subject = Subject::of(sides, &change);
            if !wanted.takes_table(sides) || !wanted.takes_user(&subject) {
                return Ok(());
            }
            let mut states = [&mut other_names, &mut own_names];
            let item = match (subject.item, &subject.own_name) {
                (_, Some(own)) => Some(own.clone()),
                (Some(id), None) => names.item(id, &mut states)?.map(|item| item.name),
                (None, None) => None,
            };
            if !wanted.takes_item(&subject, item.as_deref()) {
                return Ok(());
            }
            // Who names a table, user or item is told of that alone.
            gathered.take(sides, &change);
            taken.count(sides, &change);
            if !options.single {
                return Ok(());
            }
            let user = match subject.user {
                Some(id) => names.user(id, &mut states)?,
                None => None,
            };
            let by_upgrade = gathered.upgraded && upgrade::is_all_upgrades(sides, &change);
            each(&ToldRow { sides, change: &change, by_upgrade, item, user })
        })?;
    if options.single || options.is_filtered() {
        taken.restrict(&mut compared);
    }
    let upgraded = gathered.upgraded;
    let is_jellyfins = other.table("BaseItems").is_some() || own.table("BaseItems").is_some();
    let teller = Teller {
        names: &mut names,
        before: &mut own_names,
        after: &mut other_names,
        named: options.named,
        news: Vec::new(),
    };
    let news = if is_jellyfins { teller.tell(gathered, &compared, pictures)? } else { Vec::new() };
    Ok(RowsReport { news, tables: compared.tables, tables_read: compared.tables_read, upgraded })
}

/// How many rows of each table passed the filters: added, removed, changed.
#[derive(Default)]
struct Taken(std::collections::BTreeMap<String, [u64; 3]>);

impl Taken {
    fn count(&mut self, sides: Sides<'_>, change: &RowChange) {
        let kind = match (&change.before, &change.after) {
            (None, _) => 0,
            (_, None) => 1,
            _ => 2,
        };
        if let Some(table) = sides.table()
            && let Some(count) = self.0.entry(table.name.clone()).or_default().get_mut(kind)
        {
            *count += 1;
        }
    }

    /// Leaves the tables with such rows, with their numbers.
    fn restrict(&self, compared: &mut Compared) {
        compared.tables.retain_mut(|table| {
            let Some([added, removed, changed]) = self.0.get(&table.name) else { return false };
            (table.added, table.removed, table.changed) = (*added, *removed, *changed);
            true
        });
    }
}

/// The path of the main database in a snapshot.
pub fn main_database() -> &'static [u8] {
    DATABASE_PATH
}

/// Whether the tables themselves differ: then a migration ran between the two states.
fn schemas_differ(own: &Database<'_>, other: &Database<'_>) -> bool {
    let shape = |database: &Database<'_>| -> Vec<(String, Vec<String>)> {
        let tables = database.tables.iter().filter(|table| !table.name.starts_with("sqlite_"));
        tables
            .map(|table| {
                (
                    table.name.clone(),
                    table.columns.iter().map(|column| column.name.clone()).collect(),
                )
            })
            .collect()
    };
    shape(own) != shape(other)
}

/// Whom and what a row is about.
#[derive(Default)]
struct Subject {
    item: Option<Id>,
    user: Option<Id>,
    /// Its name, where the row is the item's own.
    own_name: Option<String>,
}

impl Subject {
    fn of(sides: Sides<'_>, change: &RowChange) -> Subject {
        let row =
            sides.after.zip(change.after.as_ref()).or(sides.before.zip(change.before.as_ref()));
        let Some(view) = row.map(|(table, row)| View { table, row }) else {
            return Subject::default();
        };
        let item = match view.table.name.as_str() {
            "BaseItems" => view.id("Id"),
            "LinkedChildren" => view.id("ParentId"),
            _ => view.id("ItemId"),
        };
        let user = if view.table.name == "Users" { view.id("Id") } else { view.id("UserId") };
        let own_name = (view.table.name == "BaseItems").then(|| item_name(view).name);
        Subject { item: item.filter(|id| *id != 0), user: user.filter(|id| *id != 0), own_name }
    }
}

/// Filters, with users' names made ids.
struct Wanted<'o> {
    tables: &'o [String],
    users: Option<Vec<Id>>,
    items: &'o [String],
}

impl<'o> Wanted<'o> {
    fn of<'r>(
        options: &'o RowsOptions,
        names: &mut Names,
        before: &mut Database<'r>,
        after: &mut Database<'r>,
    ) -> Result<Wanted<'o>, Error> {
        for table in &options.tables {
            if before.table(table).is_none() && after.table(table).is_none() {
                let all: Vec<_> = after.tables.iter().map(|table| table.name.clone()).collect();
                return Err(Error::NoTable { table: table.clone(), tables: all.join(", ") });
            }
        }
        let mut users = Vec::new();
        for wanted in &options.users {
            let known = users.len();
            let mut all = Vec::new();
            for database in [&mut *after, &mut *before] {
                crate::database::Lookup::new(database).scan("Users", |table, row| {
                    let view = View { table, row: &row };
                    let name = view.text("Username").unwrap_or_default();
                    if let Some(id) = view.id("Id").filter(|id| {
                        name.to_lowercase() == wanted.to_lowercase() || read_id(wanted) == Some(*id)
                    }) {
                        users.push(id);
                    }
                    all.push(name);
                    true
                })?;
            }
            if users.len() == known {
                all.sort();
                all.dedup();
                return Err(Error::NoUser { user: wanted.clone(), users: all.join(", ") });
            }
        }
        // What was looked up before the comparison may have changed hands.
        *names = Names::default();
        Ok(Wanted {
            tables: &options.tables,
            users: (!options.users.is_empty()).then_some(users),
            items: &options.items,
        })
    }

    fn takes_table(&self, sides: Sides<'_>) -> bool {
        self.tables.is_empty()
            || sides.table().is_some_and(|table| {
                self.tables.iter().any(|wanted| wanted.eq_ignore_ascii_case(&table.name))
            })
    }

    fn takes_user(&self, subject: &Subject) -> bool {
        self.users
            .as_ref()
            .is_none_or(|users| subject.user.is_some_and(|user| users.contains(&user)))
    }

    fn takes_item(&self, subject: &Subject, name: Option<&str>) -> bool {
        self.items.is_empty()
            || self.items.iter().any(|wanted| {
                subject.item.is_some() && read_id(wanted) == subject.item
                    || name.is_some_and(|name| name.to_lowercase().contains(&wanted.to_lowercase()))
            })
    }
}
