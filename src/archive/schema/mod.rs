//! Which tables does a server of some version have, and what may stand in them? Data, made from the
//! server's entity classes.
//!
//! `schemas/<name>.json` holds tables, keys and properties, `schemas/<name>.sql` the DDL as a
//! server's own database has it, in the order of its `sqlite_master`. Source: jellyfin/jellyfin at
//! the tags named in `docs/zip.md`. Others can be added: learnt from a server's own zip and
//! database (`learn`), or read from a file (`file`).

mod column;
mod evidence;
mod file;
mod learn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, PoisonError, RwLock};

pub use column::LearnError;
pub use evidence::each_row;
pub use file::{SCHEMA_BYTES_MAX, SchemaFileError};
pub use learn::Learner;

/// How a property is stored, and how it stands in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `Guid`: TEXT in upper case; in JSON 36 characters in lower case.
    Guid,
    /// `DateTime` in UTC: TEXT `yyyy-MM-dd HH:mm:ss.fffffff`; in JSON ISO 8601 with `Z`.
    Date,
    /// `bool`: INTEGER 0 or 1.
    Bool,
    /// `int` and enums.
    Int,
    /// `long`.
    Long,
    /// `uint`.
    Uint,
    /// `float`: REAL that holds a value of 32 bits.
    Float,
    /// `double`.
    Double,
    /// `string`.
    Text,
    /// `byte[]`: BLOB; in JSON base64.
    Bytes,
    /// `ICollection<long>`: TEXT that holds a JSON array.
    Ticks,
    /// A navigation to one entity: no column; null in JSON.
    Reference,
    /// A navigation to many that its class initialises: no column; `[]` in JSON.
    Collection,
    /// Not learnt, for want of rows with a value: only what every kind of this column would write
    /// alike can be read.
    Unsure(Class),
}

/// How a column of an unsure kind is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// TEXT.
    Text,
    /// INTEGER.
    Integer,
    /// REAL.
    Real,
}

/// A property of an entity, in the order of its class.
#[derive(Clone, Debug)]
pub struct Property {
    /// Its name, which is the column's too.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Whether its column takes NULL.
    pub nullable: bool,
    /// C# `required`: the key must be there.
    pub required: bool,
    /// A text that the entity's constructor does not take empty.
    pub filled: bool,
}

impl Property {
    /// Whether it is a column.
    pub fn is_column(&self) -> bool {
        !matches!(self.kind, Kind::Reference | Kind::Collection)
    }
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name, the `DbSet`'s and the zip entry's.
    pub name: String,
    /// Columns of its primary key.
    pub key: Vec<String>,
    /// Column sets that must be unique.
    pub unique: Vec<Vec<String>>,
    /// Column to the table whose key it holds.
    pub references: BTreeMap<String, String>,
    /// Its properties.
    pub properties: Vec<Property>,
    /// It was learnt from a zip in which the table was empty: what its properties are called in
    /// JSON, and in which order, is not known.
    pub is_unseen: bool,
}

impl Table {
    /// The properties that are columns.
    pub fn columns(&self) -> impl Iterator<Item = &Property> {
        self.properties.iter().filter(|property| property.is_column())
    }

    /// A property by name.
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == name)
    }

    /// Whether its key is one integer that the database hands out.
    pub fn has_row_numbers(&self) -> bool {
        matches!(self.key.as_slice(), [key] if self.property(key).is_some_and(|property| property.kind == Kind::Int))
    }
}

/// One state of the server's database.
#[derive(Clone, Debug)]
pub struct Schema {
    /// A short name: the first version that has it.
    pub name: String,
    /// The versions that have it, for the user.
    pub versions: String,
    /// The lowest version that has it.
    pub first: String,
    /// EF Core migrations, in order.
    pub migrations: Vec<String>,
    /// Ids of the code migrations that a server of any of these versions has done.
    pub code: Vec<String>,
    /// Those that only some of them know.
    pub code_optional: Vec<String>,
    /// Its tables, in the order of the zip.
    pub tables: Vec<Table>,
    /// Statements that make such a database, in order.
    ddl: Vec<String>,
}

/// An index that servers made by 10.11 and older have, and those made by 12.0 lack: 12.0 took it
/// out of an old migration.
const OLD_INDEX: (&str, &str) =
    ("\"IX_CustomItemDisplayPreferences_UserId\"", "20210320181425_AddIndexesAndCollations");

/// Why no schema is known for a database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// It has no history.
    #[error("the database has no migration history, so the server's tables are unknown")]
    NoHistory,
    /// Its history is none that is known.
    #[error("this version of jellyvault does not know the database's schema: {what}")]
    Unknown {
        /// The migration by which it differs.
        what: String,
    },
}

/// A row of `__EFMigrationsHistory`: id and product version.
pub type History = Vec<(String, String)>;

/// All that are known. What is added lives as long as the program: schemas are few.
static SCHEMAS: LazyLock<RwLock<&'static [Schema]>> = LazyLock::new(|| {
    let files = [
        (include_str!("../schemas/10.11.0.json"), include_str!("../schemas/10.11.0.sql")),
        (include_str!("../schemas/10.11.10.json"), include_str!("../schemas/10.11.10.sql")),
        (include_str!("../schemas/12.0-rc5.json"), include_str!("../schemas/12.0-rc5.sql")),
        (include_str!("../schemas/12.0.json"), include_str!("../schemas/12.0.sql")),
    ];
    // A test reads them all: what is compiled in cannot be malformed.
    let known: Vec<Schema> =
        files.into_iter().filter_map(|(json, ddl)| file::read_known(json, ddl).ok()).collect();
    RwLock::new(Vec::leak(known))
});

impl Schema {
    /// All that are known, oldest first.
    pub fn all() -> &'static [Schema] {
        *SCHEMAS.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes another one known, unless one with these migrations is known already; whether it was
    /// new.
    pub fn add(schema: Schema) -> bool {
        let mut known = SCHEMAS.write().unwrap_or_else(PoisonError::into_inner);
        if known.iter().any(|own| own.migrations == schema.migrations) {
            return false;
        }
        let mut all = known.to_vec();
        all.push(schema);
        // Later ones have all migrations of earlier ones.
        all.sort_by_key(|schema| {
            (schema.migrations.iter().max().cloned(), schema.migrations.len())
        });
        *known = Vec::leak(all);
        true
    }

    /// The one that a migration history names.
    pub fn of(history: &[(String, String)]) -> Result<&'static Schema, SchemaError> {
        if history.is_empty() {
            return Err(SchemaError::NoHistory);
        }
        // A server's own version has four parts (10.11.6.0), EF Core's three (9.0.11).
        let ours: BTreeSet<&str> = history
            .iter()
            .filter(|(_, version)| version.split('.').count() < 4)
            .map(|(id, _)| id.as_str())
            .collect();
        let has_all = |schema: &&Schema| {
            schema.migrations.iter().all(|id| history.iter().any(|(has, _)| has == id))
        };
        let Some(schema) = Schema::all().iter().rev().find(has_all) else {
            let newest = ours.last().copied().unwrap_or("no EF Core migration");
            return Err(SchemaError::Unknown {
                what: format!("its newest migration is {newest}, and earlier ones are missing"),
            });
        };
        let strange: Vec<&str> = ours
            .into_iter()
            .filter(|id| !schema.migrations.iter().any(|known| known == id))
            .collect();
        match strange.last() {
            None => Ok(schema),
            Some(newest) => Err(SchemaError::Unknown {
                what: format!(
                    "it has the migration {newest}, which came after {}",
                    schema.versions
                ),
            }),
        }
    }

    /// A table by name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// The statements that make such a database, for one that was made by the servers of this
    /// history.
    pub fn ddl(&self, history: &[(String, String)]) -> impl Iterator<Item = &str> {
        let (index, migration) = OLD_INDEX;
        let made_by_old = history.iter().any(|(id, version)| {
            id == migration
                && version.split('.').next().and_then(|part| part.parse().ok()).unwrap_or(0) < 10
        });
        self.ddl
            .iter()
            .map(String::as_str)
            .filter(move |statement| made_by_old || !statement.contains(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_reads_and_its_ddl_has_its_columns() {
        assert_eq!(
            Schema::all().iter().map(|schema| schema.tables.len()).collect::<Vec<_>>(),
            [29, 29, 30, 30]
        );
        for schema in Schema::all() {
            let db = rusqlite::Connection::open_in_memory().unwrap();
            let history: History =
                schema.migrations.iter().map(|id| (id.clone(), "9.0.0".to_owned())).collect();
            assert_eq!(Schema::of(&history).unwrap().name, schema.name);
            schema.ddl(&history).for_each(|statement| db.execute_batch(statement).unwrap());
            for table in &schema.tables {
                for column in table.columns() {
                    let nullable: i64 = db
                        .query_row("SELECT \"notnull\" = 0 AND pk = 0 FROM pragma_table_info(?1) WHERE name = ?2", [&table.name, &column.name], |row| {
                            row.get(0)
                        })
                        .unwrap();
                    assert_eq!(nullable == 1, column.nullable, "{} {}", table.name, column.name);
                }
                assert!(
                    table
                        .key
                        .iter()
                        .chain(table.unique.iter().flatten())
                        .chain(table.references.keys())
                        .all(|name| table.property(name).is_some())
                );
            }
        }
    }

    #[test]
    fn a_history_with_a_migration_from_the_future_or_a_gap_names_no_schema() {
        let mut history: History =
            Schema::all()[1].migrations.iter().map(|id| (id.clone(), "9.0.0".to_owned())).collect();
        history.push(("20270101000000_CodeOnly".to_owned(), "10.11.12.0".to_owned()));
        assert_eq!(Schema::of(&history).unwrap().name, "10.11.10");
        history.push(("20270101000000_AddMore".to_owned(), "10.0.1".to_owned()));
        assert!(Schema::of(&history).unwrap_err().to_string().contains("20270101000000_AddMore"));
        history.remove(0);
        assert!(matches!(Schema::of(&history), Err(SchemaError::Unknown { .. })));
        assert!(matches!(Schema::of(&[]), Err(SchemaError::NoHistory)));
    }
}
