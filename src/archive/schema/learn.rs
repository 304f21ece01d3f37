//! A schema that is not known yet, learnt from a server's own zip and database: how each value of a
//! row stands in the one and in the other tells what its property is. What no value tells stays
//! unsure, and is never guessed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use rusqlite::Connection;
use serde::de::Deserializer;

use super::super::lenient::lenient;
use super::column::{Column, LearnError, kinds};
use super::evidence::{Rows, Seen};
use super::file::is_plain;
use super::{Class, Kind, Property, Schema, Table};

/// Learns one schema, table by table.
pub struct Learner<'d> {
    db: &'d Connection,
    near: Option<&'static Schema>,
    near_db: Connection,
    tables: Vec<Drawn>,
}

/// A table as far as it was learnt.
struct Drawn {
    table: Table,
    /// What each property may be.
    candidates: BTreeMap<String, Vec<Kind>>,
}

impl<'d> Learner<'d> {
    /// For a private copy of a database with this history.
    pub fn new(
        db: &'d Connection,
        history: &[(String, String)],
    ) -> Result<Learner<'d>, LearnError> {
        // The known schema that has most of its migrations tells what no row does.
        let near = Schema::all().iter().max_by_key(|schema| {
            schema.migrations.iter().filter(|id| history.iter().any(|(has, _)| has == *id)).count()
        });
        Learner::beside(near, db, history)
    }

    /// The same with another known schema beside it, or none.
    pub fn beside(
        near: Option<&'static Schema>,
        db: &'d Connection,
        history: &[(String, String)],
    ) -> Result<Learner<'d>, LearnError> {
        let near_db = Connection::open_in_memory()?;
        near.into_iter()
            .flat_map(|near| near.ddl(history))
            .try_for_each(|statement| near_db.execute_batch(statement))?;
        Ok(Learner { db, near, near_db, tables: Vec::new() })
    }

    /// Learns a table of the zip.
    pub fn table(&mut self, name: &str, json: impl Read) -> Result<(), LearnError> {
        let unfit = |what: String| LearnError::Unfit { table: name.to_owned(), what };
        if !is_plain(name) {
            return Err(unfit("its name is not a valid name of a table".to_owned()));
        }
        let columns = columns(self.db, name)?;
        if columns.is_empty() {
            return Err(unfit(
                "the zip has this table, but the database does not: they are of different versions"
                    .to_owned(),
            ));
        }
        if let Some(column) = columns.iter().find(|column| !is_plain(&column.name)) {
            return Err(unfit(format!("the column {:?} has an unusual name", column.name)));
        }
        let mut seen = Seen::new(self.db, name, &columns)?;
        let mut deserializer = serde_json::Deserializer::from_reader(lenient(json));
        let read = deserializer.deserialize_seq(Rows(&mut seen)).and_then(|()| deserializer.end());
        if let Some(failure) = seen.failure.take() {
            return Err(failure);
        }
        read.map_err(|error| LearnError::Json { table: name.to_owned(), what: error.to_string() })?;
        let near = self.near.and_then(|near| near.table(name));
        let drawn = match (seen.order.is_empty(), near) {
            (true, Some(near)) if same_columns(&columns, &self::columns(&self.near_db, name)?) => {
                let candidates = near
                    .properties
                    .iter()
                    .map(|property| (property.name.clone(), vec![property.kind]))
                    .collect();
                Drawn { table: near.clone(), candidates }
            }
            (is_empty, near) => {
                self.drawn(name, &columns, near, seen.order, seen.candidates, is_empty)?
            }
        };
        self.tables.push(drawn);
        Ok(())
    }

    fn drawn(
        &self,
        name: &str,
        columns: &[Column],
        near: Option<&Table>,
        order: Vec<String>,
        mut candidates: BTreeMap<String, Vec<Kind>>,
        is_unseen: bool,
    ) -> Result<Drawn, LearnError> {
        let order = if is_unseen {
            columns.iter().map(|column| column.name.clone()).collect()
        } else {
            order
        };
        let is_unchanged = same_columns(columns, &self::columns(&self.near_db, name)?);
        let mut properties = Vec::new();
        for property in order {
            let column = columns.iter().find(|column| column.name == property);
            let known = near.and_then(|near| near.property(&property));
            let (required, filled) =
                known.map_or((false, false), |known| (known.required, known.filled));
            let may_be = candidates
                .entry(property.clone())
                .or_insert_with(|| column.map_or_else(|| vec![Kind::Reference], kinds));
            // A text became a GUID in 12.0 though its column stayed a text: that one is a text in
            // an older version proves nothing where the table changed. What is no GUID and no date
            // can be written all the same.
            let tells = |known: &&Property| {
                (is_unchanged || known.kind != Kind::Text) && may_be.contains(&known.kind)
            };
            if let Some(known) = known.filter(tells) {
                *may_be = vec![known.kind];
            }
            // Row numbers that the database hands out.
            if let Some(column) = column.filter(|column| {
                column.key_at == 1
                    && may_be.contains(&Kind::Int)
                    && column.class == Some(Class::Integer)
            }) && columns.iter().filter(|other| other.key_at > 0).count() == 1
            {
                *candidates.entry(column.name.clone()).or_default() = vec![Kind::Int];
            }
            // The kind is set when all tables are there.
            properties.push(Property {
                name: property,
                kind: Kind::Reference,
                nullable: column.is_none_or(|column| column.nullable),
                required,
                filled,
            });
        }
        let mut key: Vec<&Column> = columns.iter().filter(|column| column.key_at > 0).collect();
        key.sort_by_key(|column| column.key_at);
        let table = Table {
            name: name.to_owned(),
            key: key.into_iter().map(|column| column.name.clone()).collect(),
            unique: unique(self.db, name)?,
            references: references(self.db, name)?,
            properties,
            is_unseen,
        };
        Ok(Drawn { table, candidates })
    }

    /// The schema, of a server of this version. Its tables and statements were held against each
    /// other.
    pub fn finish(self, version: &str, history: &[(String, String)]) -> Result<Schema, LearnError> {
        let resolved: Vec<Table> = self.tables.iter().map(|drawn| self.resolved(drawn)).collect();
        let ids = |code: bool| {
            history
                .iter()
                .filter(move |(_, version)| (version.split('.').count() == 4) == code)
                .map(|(id, _)| id.clone())
        };
        let optional: BTreeSet<&String> =
            self.near.iter().flat_map(|near| &near.code_optional).collect();
        let schema = Schema {
            name: version.to_owned(),
            versions: format!("{version} (learnt from its own zip)"),
            first: version.to_owned(),
            migrations: ids(false).collect(),
            code: ids(true).filter(|id| !optional.contains(id)).collect(),
            code_optional: optional.iter().map(|id| (*id).clone()).collect(),
            tables: resolved,
            ddl: ddl(self.db)?,
        };
        schema.check()?;
        Ok(schema)
    }

    fn resolved(&self, drawn: &Drawn) -> Table {
        let mut table = drawn.table.clone();
        for property in &mut table.properties {
            property.kind = self.kind(drawn, &property.name, 0);
        }
        table
    }

    /// What a property is; a key of another table's rows is what it is there.
    fn kind(&self, drawn: &Drawn, property: &str, depth: usize) -> Kind {
        // A property that no type was seen for has none, and is taken as what it holds below.
        let candidates = drawn.candidates.get(property).map(Vec::as_slice).unwrap_or_default();
        if let [one] = candidates {
            return *one;
        }
        let other = drawn
            .table
            .references
            .get(property)
            .and_then(|name| self.tables.iter().find(|other| other.table.name == *name));
        if let (Some(other), true) = (other, depth < 4)
            && let [key] = other.table.key.as_slice()
        {
            let kind = self.kind(other, key, depth + 1);
            if candidates.contains(&kind) {
                return kind;
            }
        }
        match candidates {
            // They are written alike; the widest holds them all.
            [Kind::Int | Kind::Long | Kind::Uint, ..] if !candidates.contains(&Kind::Bool) => {
                Kind::Long
            }
            [Kind::Bool, ..] => Kind::Unsure(Class::Integer),
            [Kind::Float, ..] => Kind::Unsure(Class::Real),
            _ => Kind::Unsure(Class::Text),
        }
    }
}

fn columns(db: &Connection, table: &str) -> Result<Vec<Column>, LearnError> {
    let mut statement =
        db.prepare_cached("SELECT name, upper(type), \"notnull\", pk FROM pragma_table_info(?1)")?;
    let rows = statement.query_map([table], |row| {
        Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?, row.get(3)?))
    })?;
    rows.map(|row| {
        let (name, declared, is_filled, key_at): (String, String, bool, i64) = row?;
        let class = match declared.as_str() {
            "TEXT" => Some(Class::Text),
            "INTEGER" => Some(Class::Integer),
            "REAL" => Some(Class::Real),
            "BLOB" => None,
            other => {
                return Err(LearnError::Unfit {
                    table: table.to_owned(),
                    what: format!("the column {name} is of the type {other:?}"),
                });
            }
        };
        Ok(Column { name, class, nullable: !is_filled && key_at == 0, key_at })
    })
    .collect()
}

fn same_columns(a: &[Column], b: &[Column]) -> bool {
    let facts = |columns: &[Column]| {
        columns
            .iter()
            .map(|column| (column.name.clone(), column.class, column.nullable, column.key_at))
            .collect::<Vec<_>>()
    };
    facts(a) == facts(b)
}

fn unique(db: &Connection, table: &str) -> rusqlite::Result<Vec<Vec<String>>> {
    let mut statement = db.prepare("SELECT name FROM pragma_index_list(?1) WHERE \"unique\" AND origin <> 'pk' AND NOT partial ORDER BY name")?;
    let names: Vec<String> =
        statement.query_map([table], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let columns = |index: &String| -> rusqlite::Result<Vec<Option<String>>> {
        db.prepare_cached("SELECT name FROM pragma_index_info(?1) ORDER BY seqno")?
            .query_map([index], |row| row.get(0))?
            .collect()
    };
    let sets = names.iter().map(columns).collect::<rusqlite::Result<Vec<_>>>()?;
    // One over an expression is nothing that a row can be looked up by.
    Ok(sets.into_iter().filter_map(|set| set.into_iter().collect()).collect())
}

fn references(db: &Connection, table: &str) -> rusqlite::Result<BTreeMap<String, String>> {
    let sql = "SELECT \"from\", \"table\" FROM pragma_foreign_key_list(?1) AS f WHERE (SELECT count(*) FROM pragma_foreign_key_list(?1) WHERE id = f.id) = 1";
    db.prepare(sql)?.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// The statements of a database, in the order of its schema table.
fn ddl(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND type IN ('table', 'index') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid";
    db.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}
