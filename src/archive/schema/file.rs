//! A schema as a file: those that are compiled in, and those that are added without a release
//! (`docs/zip.md`, "Schemas").

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{Class, Kind, Property, Schema, Table};

/// Longest schema file that is read, in bytes: those of real servers have some 40 KiB.
pub const SCHEMA_BYTES_MAX: u64 = 4 << 20;

/// Why a file is no schema.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaFileError {
    /// It is no JSON of this form.
    #[error("it is not a schema file of jellyvault ({0})")]
    Malformed(String),
    /// A name that could not stand in a statement.
    #[error(
        "{0:?} is not a valid name of a table or column: only letters, digits and _ are allowed"
    )]
    Name(String),
    /// Something else than tables and indexes.
    #[error("it contains the statement {0:?}; a schema file may only create tables and indexes")]
    Statement(String),
    /// SQLite does not take a statement.
    #[error("SQLite does not accept its statements")]
    Sqlite(#[from] rusqlite::Error),
    /// Its parts do not fit each other.
    #[error("its tables do not match its statements: {0}")]
    Unfit(String),
}

#[derive(Serialize, Deserialize)]
struct RawSchema {
    name: String,
    versions: String,
    first: String,
    migrations: Vec<String>,
    code: Vec<String>,
    code_optional: Vec<String>,
    tables: Vec<RawTable>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ddl: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct RawTable {
    name: String,
    key: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unique: Vec<Vec<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    references: BTreeMap<String, String>,
    /// `Name type[?] [required] [ignored] [filled]`
    properties: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unseen: bool,
}

/// One that is compiled in, with its statements in a file of their own.
pub(super) fn read_known(json: &str, ddl: &str) -> Result<Schema, SchemaFileError> {
    let mut raw: RawSchema = serde_json::from_str(json)
        .map_err(|error| SchemaFileError::Malformed(error.to_string()))?;
    raw.ddl = ddl
        .split(";\n")
        .map(|statement| statement.trim().trim_end_matches(';').to_owned())
        .filter(|statement| !statement.is_empty())
        .collect();
    schema(raw)
}

impl Schema {
    /// Reads a schema file and tries its statements.
    pub fn from_file(text: &[u8]) -> Result<Schema, SchemaFileError> {
        let raw: RawSchema = serde_json::from_slice(text)
            .map_err(|error| SchemaFileError::Malformed(error.to_string()))?;
        let schema = schema(raw)?;
        schema.check()?;
        Ok(schema)
    }

    /// The text of its file.
    pub fn to_file(&self) -> Result<String, SchemaFileError> {
        let table = |table: &Table| RawTable {
            name: table.name.clone(),
            key: table.key.clone(),
            unique: table.unique.clone(),
            references: table.references.clone(),
            properties: table.properties.iter().map(property_line).collect(),
            unseen: table.is_unseen,
        };
        let raw = RawSchema {
            name: self.name.clone(),
            versions: self.versions.clone(),
            first: self.first.clone(),
            migrations: self.migrations.clone(),
            code: self.code.clone(),
            code_optional: self.code_optional.clone(),
            tables: self.tables.iter().map(table).collect(),
            ddl: self.ddl.clone(),
        };
        serde_json::to_string_pretty(&raw)
            .map(|text| text + "\n")
            .map_err(|error| SchemaFileError::Malformed(error.to_string()))
    }

    /// Holds names and statements against what they may be, and against each other.
    pub(super) fn check(&self) -> Result<(), SchemaFileError> {
        if self.migrations.is_empty()
            || self.name.is_empty()
            || self.first.is_empty()
            || self.tables.is_empty()
        {
            return Err(SchemaFileError::Malformed(
                "it has no version, no migrations or no tables".to_owned(),
            ));
        }
        let names = self.tables.iter().flat_map(|table| {
            std::iter::once(&table.name)
                .chain(table.properties.iter().map(|property| &property.name))
        });
        if let Some(name) = names.into_iter().find(|name| !is_plain(name)) {
            return Err(SchemaFileError::Name(name.clone()));
        }
        let db = Connection::open_in_memory()?;
        for statement in &self.ddl {
            let is_allowed = ["CREATE TABLE ", "CREATE INDEX ", "CREATE UNIQUE INDEX "]
                .iter()
                .any(|start| statement.starts_with(start));
            if !is_allowed || statement.contains(';') {
                return Err(SchemaFileError::Statement(statement.chars().take(60).collect()));
            }
            db.execute_batch(statement)?;
        }
        self.tables.iter().try_for_each(|table| check_table(&db, table))
    }
}

fn check_table(db: &Connection, table: &Table) -> Result<(), SchemaFileError> {
    let unfit = |what: String| Err(SchemaFileError::Unfit(format!("{}: {what}", table.name)));
    let mut statement =
        db.prepare_cached("SELECT name, \"notnull\" = 0 AND pk = 0 FROM pragma_table_info(?1)")?;
    let columns: BTreeMap<String, bool> = statement
        .query_map([&table.name], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for property in table.columns() {
        match columns.get(&property.name) {
            None => return unfit(format!("there is no column {}", property.name)),
            Some(nullable) if *nullable != property.nullable => {
                return unfit(format!(
                    "the column {} differs in whether NULL is allowed",
                    property.name
                ));
            }
            Some(_) => {}
        }
    }
    let named =
        table.key.iter().chain(table.unique.iter().flatten()).chain(table.references.keys());
    match named.into_iter().find(|name| table.property(name).is_none()) {
        Some(name) => unfit(format!("there is no property {name}")),
        None => Ok(()),
    }
}

/// Whether a name can stand in a statement without a thought.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 100
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn schema(raw: RawSchema) -> Result<Schema, SchemaFileError> {
    let tables = raw.tables.into_iter().map(table).collect::<Result<_, _>>()?;
    Ok(Schema {
        name: raw.name,
        versions: raw.versions,
        first: raw.first,
        migrations: raw.migrations,
        code: raw.code,
        code_optional: raw.code_optional,
        tables,
        ddl: raw.ddl,
    })
}

fn table(raw: RawTable) -> Result<Table, SchemaFileError> {
    let read = |line: &String| {
        property(line)
            .ok_or_else(|| SchemaFileError::Malformed(format!("{line:?} is not a property")))
    };
    let properties = raw.properties.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Table {
        name: raw.name,
        key: raw.key,
        unique: raw.unique,
        references: raw.references,
        properties,
        is_unseen: raw.unseen,
    })
}

/// Words for kinds, in files.
const KINDS: [(&str, Kind); 16] = [
    ("guid", Kind::Guid),
    ("date", Kind::Date),
    ("bool", Kind::Bool),
    ("int", Kind::Int),
    ("long", Kind::Long),
    ("uint", Kind::Uint),
    ("float", Kind::Float),
    ("double", Kind::Double),
    ("text", Kind::Text),
    ("bytes", Kind::Bytes),
    ("ticks", Kind::Ticks),
    ("null", Kind::Reference),
    ("list", Kind::Collection),
    ("unsure-text", Kind::Unsure(Class::Text)),
    ("unsure-integer", Kind::Unsure(Class::Integer)),
    ("unsure-real", Kind::Unsure(Class::Real)),
];

fn property(line: &str) -> Option<Property> {
    let mut words = line.split(' ');
    let (name, kind) = (words.next()?.to_owned(), words.next()?);
    let (required, filled) = words.fold((false, false), |(required, filled), word| {
        (required || word == "required", filled || word == "filled")
    });
    let (_, found) = KINDS.into_iter().find(|(word, _)| *word == kind.trim_end_matches('?'))?;
    Some(Property { name, kind: found, nullable: kind.ends_with('?'), required, filled })
}

fn property_line(property: &Property) -> String {
    let word =
        KINDS.iter().find(|(_, kind)| *kind == property.kind).map_or("text", |(word, _)| word);
    let flag = |is: bool, word: &'static str| if is { word } else { "" };
    format!(
        "{} {word}{}{}{}",
        property.name,
        flag(property.nullable, "?"),
        flag(property.required, " required"),
        flag(property.filled, " filled")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_schema_comes_back_from_its_file() {
        for schema in Schema::all() {
            let again = Schema::from_file(schema.to_file().unwrap().as_bytes()).unwrap();
            assert_eq!(again.to_file().unwrap(), schema.to_file().unwrap(), "{}", schema.name);
            assert_eq!(
                (again.tables.len(), again.ddl.len()),
                (schema.tables.len(), schema.ddl.len())
            );
        }
    }

    #[test]
    fn a_file_that_could_do_harm_or_does_not_fit_is_refused() {
        let text = Schema::all()[0].to_file().unwrap();
        let with = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            Schema::from_file(text.replacen(from, to, 1).as_bytes()).unwrap_err().to_string()
        };
        assert!(
            with("\"name\": \"ActivityLogs\"", "\"name\": \"Activity\\\" Logs\"")
                .contains("letters, digits")
        );
        assert!(with("CREATE INDEX", "CREATE TRIGGER").contains("tables and indexes"));
        assert!(with("CREATE INDEX", "DROP TABLE x; CREATE INDEX").contains("tables and indexes"));
        assert!(with("\"Overview text?\"", "\"Overview text\"").contains("NULL"));
        assert!(with("\"Overview text?\"", "\"Overview colour\"").contains("not a property"));
        assert!(with("\"Overview text?\"", "\"Overvieu text?\"").contains("no column"));
        for text in ["", "{}", "[]", "\u{0}"] {
            assert!(Schema::from_file(text.as_bytes()).is_err(), "{text}");
        }
    }
}
