//! What happened to the server itself, in words: devices, keys, its own book-keeping, an upgrade.

use crate::database::{Compared, Error};

use super::super::clean::clean_name;
use super::gather::Gathered;
use super::news::Section;
use super::story::Teller;
use super::users::counted;

impl Teller<'_, '_> {
    pub(super) fn server(&mut self, gathered: &Gathered) -> Result<(), Error> {
        for ((user, _), (before, after)) in &gathered.devices {
            let Some((_, device, app, _)) = after.as_ref().or(before.as_ref()) else { continue };
            let what = match (before, after) {
                (None, _) => "new device",
                (_, None) => "device removed",
                (Some((.., token)), Some((.., other))) if token != other => "signed in again on",
                (Some(before), Some(after)) if before == after => continue,
                _ => "device changed",
            };
            let who = match user {
                Some(user) => self.user(*user)?,
                None => String::new(),
            };
            self.add(Section::Users, &who, format!("{what} “{device}” ({app})"), 1, Vec::new());
        }
        let only = |own: &[(String, u64)], other: &[(String, u64)]| -> Vec<String> {
            own.iter().filter(|key| !other.contains(key)).map(|(name, _)| name.clone()).collect()
        };
        let (gone, came) =
            (only(&gathered.keys.0, &gathered.keys.1), only(&gathered.keys.1, &gathered.keys.0));
        for (names, what) in [(came, "new"), (gone, "gone")] {
            if !names.is_empty() {
                self.add(
                    Section::Server,
                    "",
                    format!("{} {what}", counted(names.len() as u64, ("API key", "API keys"))),
                    names.len() as u64,
                    names,
                );
            }
        }
        if gathered.activities > 0 {
            self.add(
                Section::Server,
                "",
                format!(
                    "{} in the activity log",
                    counted(gathered.activities, ("new entry", "new entries"))
                ),
                gathered.activities,
                Vec::new(),
            );
        }
        let refreshed = gathered
            .items
            .values()
            .filter(|news| news.refreshed && news.fields == 0 && !news.came && !news.gone)
            .count() as u64;
        if refreshed > 0 {
            self.add(
                Section::Server,
                "",
                format!(
                    "{} refreshed by the server without changes",
                    counted(refreshed, ("item", "items"))
                ),
                refreshed,
                Vec::new(),
            );
        }
        for (table, count) in &gathered.unreadable {
            let what = format!(
                "table {table}: {} with an invalid id, so the item or user is unknown (--table {table} shows them)",
                counted(*count, ("row", "rows"))
            );
            self.add(Section::Server, "", what, *count, Vec::new());
        }
        for (table, count) in &gathered.others {
            self.add(
                Section::Server,
                "",
                format!("table {table}: {} changed", counted(*count, ("row", "rows"))),
                *count,
                Vec::new(),
            );
        }
        Ok(())
    }

    pub(super) fn upgrade(&mut self, gathered: &Gathered, compared: &Compared) {
        let migrations = gathered.migrations.len() as u64;
        if let Some(last) = gathered.migrations.iter().max() {
            self.add(
                Section::Upgrade,
                "",
                format!(
                    "{} applied, the last one is {last}",
                    counted(migrations, ("migration", "migrations"))
                ),
                migrations,
                Vec::new(),
            );
        }
        if gathered.undone_migrations > 0 {
            let what = format!(
                "{} undone: the later state is of an older version",
                counted(gathered.undone_migrations, ("migration is", "migrations are"))
            );
            self.add(Section::Upgrade, "", what, gathered.undone_migrations, Vec::new());
        }
        // Statistics of SQLite's own come and go without any upgrade.
        for table in compared.tables.iter().filter(|table| !table.name.starts_with("sqlite_")) {
            let own = clean_name(&table.name);
            if table.is_new {
                self.add(
                    Section::Upgrade,
                    "",
                    format!("new table {own} with {}", counted(table.added, ("row", "rows"))),
                    table.added,
                    Vec::new(),
                );
            }
            if table.is_gone {
                self.add(
                    Section::Upgrade,
                    "",
                    format!("table {own} removed with {}", counted(table.removed, ("row", "rows"))),
                    table.removed,
                    Vec::new(),
                );
            }
            for (columns, what) in [(&table.new_columns, "new"), (&table.gone_columns, "gone")] {
                if !columns.is_empty() {
                    let count = columns.len() as u64;
                    self.add(
                        Section::Upgrade,
                        "",
                        format!(
                            "table {own}: {} {what}: {}",
                            counted(count, ("column", "columns")),
                            clean_name(&columns.join(", "))
                        ),
                        count,
                        Vec::new(),
                    );
                }
            }
        }
        for ((table, column), rows) in
            gathered.by_upgrade.iter().filter(|((_, column), _)| !column.is_empty())
        {
            self.add(
                Section::Upgrade,
                "",
                format!("{table}.{column} rewritten in {}", counted(*rows, ("row", "rows"))),
                *rows,
                Vec::new(),
            );
        }
    }
}
