//! What a Jellyfin server does with its backup zip, modelled from the reference and the schemas
//! alone: the judge of `archive`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read, Write};
use std::path::Path;

use rusqlite::types::Value as Sql;
use serde_json::{Map, Value, json};

use super::support::servers;
use super::zip_tables::{of_10_11_6, pairs};

macro_rules! schemas {
    ($($name:literal)*) => {
        [$((include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/archive/schemas/", $name, ".json")),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/archive/schemas/", $name, ".sql")))),*]
    };
}
/// Descriptor and DDL of every schema that a server has.
const SCHEMAS: [(&str, &str); 4] = schemas!("10.11.0" "10.11.10" "12.0-rc5" "12.0");
const PLACEHOLDER: &str = "00000000-0000-0000-0000-000000000001";
const NO_GUID: &str = "00000000-0000-0000-0000-000000000000";

type Entries = BTreeMap<String, Vec<u8>>;
type Found = Vec<String>;
/// What is inserted: a table and its columns' values.
type Row = (String, Vec<(String, Sql)>);

fn judge(of: &str, faults: &[(bool, &str)], found: &mut Found) {
    found.extend(faults.iter().filter(|(wrong, _)| *wrong).map(|(_, why)| format!("{of}: {why}")));
}

/// What a server would choke on or lose when it restores this zip of tables; empty when nothing.
pub fn violations(zip: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let entries = entries(zip, false, &mut found);
    check_manifest(&entries, true, &mut found);
    if let Some((schema, ddl)) = check_history(&entries, &mut found) {
        let before = found.len();
        let rows = check_tables(&entries, &schema, &mut found);
        if found.len() == before {
            restore(ddl, &rows, schema["tables"].to_string().contains("OwnerId guid"), &mut found)
                .unwrap_or_else(|e| found.push(format!("database: {e}")));
        }
    }
    found
}

/// The same for an exact zip (Data/jellyfin.db page for page, Options.Database false, no Database/
/// entries).
pub fn violations_of_exact(zip: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let entries = entries(zip, true, &mut found);
    check_manifest(&entries, false, &mut found);
    found.extend(
        entries
            .keys()
            .filter(|name| name.starts_with("Database/"))
            .map(|name| format!("{name}: tables beside the database itself")),
    );
    match entries.get("Data/jellyfin.db").map(|bytes| integrity(bytes)) {
        None => found.push("Data/jellyfin.db: is missing".into()),
        Some(Err(e)) => found.push(format!("Data/jellyfin.db: {e}")),
        Some(Ok((verdict, history))) => judge(
            "Data/jellyfin.db",
            &[(verdict != "ok", &verdict), (history == 0, "has no migrations")],
            &mut found,
        ),
    }
    found
}

fn integrity(database: &[u8]) -> rusqlite::Result<(String, u32)> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("db"), database).unwrap();
    let db = rusqlite::Connection::open(dir.path().join("db"))?;
    let verdict = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    Ok((verdict, db.query_row("SELECT count(*) FROM __EFMigrationsHistory", [], |row| row.get(0))?))
}

/// Reads all entries; 4.1 rules 5 to 7. The central directory is walked by hand, as the library
/// keeps one entry of each name.
fn entries(zip: &Path, exact: bool, found: &mut Found) -> Entries {
    let bytes = std::fs::read(zip).unwrap();
    let mut archive = match zip::ZipArchive::new(Cursor::new(&bytes)) {
        Ok(archive) => archive,
        Err(e) => {
            found.push(format!("zip: {e}"));
            return Entries::new();
        }
    };
    found.extend(
        archive.validate_header_consistency().err().map(|e| format!("zip: local headers: {e}")),
    );
    let mut names = BTreeSet::new();
    let mut rest = &bytes[usize::try_from(archive.central_directory_start()).unwrap()..];
    while rest.starts_with(b"PK\x01\x02") {
        let word = |at: usize| u16::from_le_bytes([rest[at], rest[at + 1]]);
        let (flags, method, mode) = (word(8), word(10), word(40));
        let raw = &rest[46..46 + usize::from(word(28))];
        let name = String::from_utf8_lossy(raw).into_owned();
        let faults = [
            (
                std::str::from_utf8(raw).is_err() || (!raw.is_ascii() && flags & 1 << 11 == 0),
                "its name is not marked as UTF-8",
            ),
            (flags & 1 != 0, "is encrypted"),
            (method != 0 && method != 8, "is neither stored nor deflated"),
            (word(34) != 0, "is in another part of a split zip"),
            (mode & 0o170_000 != 0 && mode & 0o170_000 != 0o100_000, "is no regular file"),
            (mode & 0o777 != 0 && mode & 0o600 != 0o600, "a server may not read and write it"),
            (name.ends_with('/'), "is a directory"),
            (
                name.contains(['\\', '\0'])
                    || name
                        .split('/')
                        .any(|part| ["", ".", ".."].contains(&part) || part.len() > 255),
                "is no valid name",
            ),
            (!names.insert(name.clone()), "is a duplicate"),
            (forbidden(&name, exact), "must not be in a zip, or not there"),
        ];
        judge(&name, &faults, found);
        rest = &rest[46 + usize::from(word(28)) + usize::from(word(30)) + usize::from(word(32))..];
    }
    for name in &names {
        let mut parents = name.match_indices('/').map(|(at, _)| &name[..at]);
        judge(
            name,
            &[(
                parents.any(|parent| names.contains(parent)),
                "a file is where its directory must be",
            )],
            found,
        );
    }
    let mut contents: Vec<_> = archive
        .file_names_raw()
        .map(|name| (String::from_utf8_lossy(name).into_owned(), Vec::new()))
        .collect();
    for (at, (name, content)) in contents.iter_mut().enumerate() {
        let read = archive
            .by_index(at)
            .map_err(std::io::Error::from)
            .and_then(|mut entry| entry.read_to_end(content));
        found.extend(read.err().map(|e| format!("{name}: cannot be read: {e}")));
    }
    contents.into_iter().collect()
}

/// Rule 6, and names under which restore looks for nothing.
fn forbidden(name: &str, exact: bool) -> bool {
    let marker = name.rsplit('/').next().is_some_and(|file| file.starts_with(".jellyfin-"));
    let known = name == "manifest.json"
        || ["Config/", "Data/", "Root/", "Database/"].iter().any(|prefix| name.starts_with(prefix));
    let database =
        ["Data/jellyfin.db", "Data/library.db"].iter().any(|prefix| name.starts_with(prefix))
            && !(exact && name == "Data/jellyfin.db");
    let backups = name.starts_with("Data/backups/") || name.starts_with("Data/SQLiteBackups/");
    !known
        || database
        || backups
        || (marker
            && !["Config/.jellyfin-config", "Data/.jellyfin-data", "Root/.jellyfin-root"]
                .contains(&name))
}

/// Strict JSON: minified as the server's own, and no key twice.
fn read_json(entries: &Entries, name: &str, found: &mut Found) -> Option<Value> {
    fn keys(value: &Value) -> usize {
        match value {
            Value::Array(list) => list.iter().map(keys).sum(),
            Value::Object(map) => map.len() + map.values().map(keys).sum::<usize>(),
            _ => 0,
        }
    }
    let Some(bytes) = entries.get(name) else {
        found.push(format!("{name}: is missing"));
        return None;
    };
    let value: Value =
        serde_json::from_slice(bytes).map_err(|e| found.push(format!("{name}: {e}"))).ok()?;
    let (mut inside, mut escaped, mut colons, mut spaces) = (false, false, 0, 0);
    for byte in bytes {
        match byte {
            b'"' if !escaped => inside = !inside,
            b':' if !inside => colons += 1,
            byte if !inside && byte.is_ascii_whitespace() => spaces += 1,
            _ => {}
        }
        escaped = inside && !escaped && *byte == b'\\';
    }
    judge(
        name,
        &[(spaces > 0, "is not minified"), (colons != keys(&value), "an object has a key twice")],
        found,
    );
    Some(value)
}

/// Rule 8 and section 2.3.
fn check_manifest(entries: &Entries, database: bool, found: &mut Found) {
    let Some(manifest) = read_json(entries, "manifest.json", found) else { return };
    let has = |value: &Value, keys: &[&str]| {
        value.as_object().is_some_and(|map| {
            map.len() == keys.len() && keys.iter().all(|key| map.contains_key(*key))
        })
    };
    let (options, tables) = (&manifest["Options"], manifest["DatabaseTables"].as_array());
    let offset = manifest["DateCreated"]
        .as_str()
        .and_then(after_seconds)
        .map(|rest| rest.replace(|c: char| c.is_ascii_digit(), "0"));
    let four = has(options, &["Metadata", "Trickplay", "Subtitles", "Database"])
        && options.as_object().unwrap().values().all(Value::is_boolean);
    let faults = [
        (
            !has(
                &manifest,
                &[
                    "ServerVersion",
                    "BackupEngineVersion",
                    "DateCreated",
                    "DatabaseTables",
                    "Options",
                ],
            ),
            "has other keys than the five",
        ),
        (
            !manifest["ServerVersion"].as_str().is_some_and(has_four_parts),
            "ServerVersion has not four parts",
        ),
        (manifest["BackupEngineVersion"] != "0.2.0", "BackupEngineVersion is not 0.2.0"),
        (
            !offset.is_some_and(|offset| ["Z", "+00:00", "-00:00"].contains(&&*offset)),
            "DateCreated is no date with an offset",
        ),
        (
            !tables.is_some_and(|names| names.iter().all(Value::is_string)),
            "DatabaseTables is no list of names",
        ),
        (!four, "Options are not four bools"),
        (options["Database"] != database, "Options.Database is wrong for this kind of zip"),
    ];
    judge("manifest.json", &faults, found);
}

fn has_four_parts(version: &str) -> bool {
    version.split('.').count() == 4
        && version.split('.').all(|part| part.parse::<i32>().is_ok_and(|number| number >= 0))
}

/// Rule 9: the schema whose EF migrations the zip names, else the one that comes nearest. EF
/// compares ids without their case.
fn check_history(entries: &Entries, found: &mut Found) -> Option<(Value, &'static str)> {
    let history = read_json(entries, "Database/HistoryRow.json", found)?;
    let (mut ids, mut ef) = (BTreeSet::new(), BTreeSet::new());
    judge("HistoryRow", &[(!history.is_array(), "is no array")], found);
    for row in history.as_array()? {
        let (Some(id), Some(version), Some(2)) = (
            row["MigrationId"].as_str(),
            row["ProductVersion"].as_str(),
            row.as_object().map(Map::len),
        ) else {
            found.push(format!("HistoryRow: {row} is no row"));
            continue;
        };
        let named = id.find('_') == Some(14)
            && id[..14].bytes().all(|byte| byte.is_ascii_digit())
            && version.contains('.');
        judge(
            "HistoryRow",
            &[(!named || !ids.insert(id), &format!("{id} is no migration, or there twice"))],
            found,
        );
        if !has_four_parts(version) {
            ef.insert(id.to_lowercase());
        }
    }
    let known = SCHEMAS.map(|(text, ddl)| {
        let schema: Value = serde_json::from_str(text).unwrap();
        let expected: BTreeSet<_> = schema["migrations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_str().unwrap().to_lowercase())
            .collect();
        (expected.symmetric_difference(&ef).cloned().collect::<Vec<_>>(), schema, ddl)
    });
    let (different, schema, ddl) =
        known.into_iter().min_by_key(|(different, ..)| different.len())?;
    let why =
        format!("not the EF migrations of any schema; of {} differ {different:?}", schema["name"]);
    judge("HistoryRow", &[(!different.is_empty(), &why)], found);
    Some((schema, ddl))
}

/// Rules 10, 14 and 15: every row as System.Text.Json reads it into its entity.
fn check_tables(entries: &Entries, schema: &Value, found: &mut Found) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut unread: BTreeSet<&str> =
        entries.keys().filter_map(|name| name.strip_prefix("Database/")).collect();
    unread.remove("HistoryRow.json");
    for table in schema["tables"].as_array().unwrap() {
        let name = table["name"].as_str().unwrap();
        unread.remove(&*format!("{name}.json"));
        match read_json(entries, &format!("Database/{name}.json"), found) {
            Some(Value::Array(list)) => {
                for (number, row) in list.iter().enumerate() {
                    let before = found.len();
                    match row {
                        Value::Object(row) => read_row(table, row, &mut rows, found),
                        _ => found.push("is no object".into()),
                    }
                    found[before..]
                        .iter_mut()
                        .for_each(|why| *why = format!("{name} row {number}: {why}"));
                }
            }
            Some(_) => found.push(format!("{name}: is no array")),
            None => {}
        }
    }
    found.extend(unread.iter().map(|name| format!("Database/{name}: no table of this schema")));
    rows
}

fn read_row(table: &Value, row: &Map<String, Value>, rows: &mut Vec<Row>, found: &mut Found) {
    let name = table["name"].as_str().unwrap();
    let mut columns = Vec::new();
    let mut avatar = None;
    let mut unknown: BTreeSet<&String> = row.keys().collect();
    for property in table["properties"].as_array().unwrap() {
        let words: Vec<&str> = property.as_str().unwrap().split(' ').collect();
        let (key, kind, is) =
            (words[0], words[1].trim_end_matches('?'), |word: &str| words[2..].contains(&word));
        let (nullable, navigation) = (words[1].ends_with('?'), matches!(kind, "list" | "null"));
        unknown.remove(&key.to_owned());
        let value = match row.get(key) {
            None if key == "NormalizedUsername" => {
                row.get("Username").and_then(Value::as_str).map(upper)
            }
            None if !is("required") && (nullable || navigation || is("ignored")) => Some(Sql::Null),
            None => {
                found.push(format!("key {key} is missing"));
                continue;
            }
            Some(Value::Object(image)) if name == "Users" && key == "ProfileImage" => {
                avatar = Some(image);
                Some(Sql::Null)
            }
            Some(Value::Null) => (nullable || navigation).then_some(Sql::Null),
            Some(value) => cell(kind, value),
        };
        // EF makes up the only key where it is zero, unless it is another table's.
        let made = table["key"] == json!([key]) && table["references"].get(key).is_none();
        let wrong = |value: &Sql| matches!(value, Sql::Text(text) if (is("filled") && text.is_empty()) || (made && text == NO_GUID));
        match value.filter(|value| !wrong(value)) {
            Some(_) if is("ignored") && kind == "uint" => {
                columns.push((key.to_owned(), Sql::Integer(0)))
            }
            Some(_) if is("ignored") || navigation => {}
            Some(value) => columns.push((key.to_owned(), value)),
            None => found.push(format!(
                "{key} is no valid {}: {}",
                words[1],
                row.get(key).unwrap_or(&Value::Null)
            )),
        }
    }
    found.extend(unknown.iter().map(|key| format!("key {key} is unknown")));
    if let Some(image) = avatar {
        let column = |key: &str, kind: &str| Some((key.to_owned(), cell(kind, image.get(key)?)?));
        let user = columns
            .iter()
            .filter(|(key, _)| key == "Id")
            .map(|(_, id)| ("UserId".to_owned(), id.clone()));
        match (column("Path", "text"), column("LastModified", "date")) {
            (Some(path), Some(date)) => {
                rows.push(("ImageInfos".into(), user.chain([path, date]).collect()))
            }
            _ => found.push("ProfileImage has no valid Path and LastModified".into()),
        }
    }
    rows.push((name.to_owned(), columns));
}

/// `ToUpperInvariant`: letters of which one letter comes.
fn upper(text: &str) -> Sql {
    Sql::Text(
        text.chars()
            .map(
                |c| {
                    if c.to_uppercase().count() == 1 { c.to_uppercase().next().unwrap() } else { c }
                },
            )
            .collect(),
    )
}

/// What a JSON value is in the database; nothing where its CLR type cannot be read from it.
fn cell(kind: &str, value: &Value) -> Option<Sql> {
    let guid = |text: &&str| {
        text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| {
                if [8, 13, 18, 23].contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() }
            })
    };
    let base64 = |text: &&str| {
        let filled = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
        text.len().is_multiple_of(4)
            && filled.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
    };
    Some(match kind {
        "guid" => Sql::Text(value.as_str().filter(guid)?.to_uppercase()),
        "date" => {
            Sql::Text(value.as_str().filter(|text| after_seconds(text) == Some("Z"))?.to_owned())
        }
        "bool" => Sql::Integer(value.as_bool()?.into()),
        "int" => Sql::Integer(i32::try_from(value.as_i64()?).ok()?.into()),
        "uint" => Sql::Integer(u32::try_from(value.as_i64()?).ok()?.into()),
        "long" => Sql::Integer(value.as_i64()?),
        "float" => Sql::Real(value.as_f64().filter(|number| (*number as f32).is_finite())?),
        "double" => Sql::Real(value.as_f64().filter(|number| number.is_finite())?),
        "text" => Sql::Text(value.as_str()?.to_owned()),
        "bytes" => Sql::Text(value.as_str().filter(base64)?.to_owned()),
        "ticks" => value
            .as_array()
            .filter(|ticks| ticks.iter().all(Value::is_i64))
            .map(|_| Sql::Text(value.to_string()))?,
        "list" => value.as_array().filter(|list| list.is_empty()).map(|_| Sql::Null)?,
        _ => return None,
    })
}

/// What follows a date and a time of day in ISO 8601: the offset. Nothing where they are none.
fn after_seconds(text: &str) -> Option<&str> {
    if text.get(..19)?.replace(|c: char| c.is_ascii_digit(), "0") != "0000-00-00T00:00:00" {
        return None;
    }
    let number = |from: usize| text[from..from + 2].parse::<usize>().ok();
    let (century, year, month, day) = (number(0)?, number(2)?, number(5)?, number(8)?);
    let leap = if year == 0 { century % 4 == 0 } else { year % 4 == 0 };
    let days = [0, 31, 28 + usize::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let valid = century + year > 0
        && day > 0
        && day <= *days.get(month)?
        && number(11)? < 24
        && number(14)? < 60
        && number(17)? < 60;
    let rest = valid.then(|| &text[19..])?;
    let Some(fraction) = rest.strip_prefix('.') else { return Some(rest) };
    let offset = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    (1..=7).contains(&(fraction.len() - offset.len())).then_some(offset)
}

/// Rules 11 to 13 and 16: all rows in one transaction, foreign keys checked at its end.
fn restore(ddl: &str, rows: &[Row], owners: bool, found: &mut Found) -> rusqlite::Result<()> {
    let db = rusqlite::Connection::open_in_memory()?;
    db.execute_batch(&format!(
        "{ddl}; PRAGMA foreign_keys = ON; BEGIN; PRAGMA defer_foreign_keys = ON;"
    ))?;
    for (table, columns) in rows {
        let names: Vec<_> = columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let marks = vec!["?"; names.len()].join(",");
        let mut insert =
            db.prepare(&format!("INSERT INTO \"{table}\" ({}) VALUES ({marks})", names.join(",")))?;
        if let Err(e) =
            insert.execute(rusqlite::params_from_iter(columns.iter().map(|(_, value)| value)))
        {
            found.push(format!("{table}: {e}: {:?}", columns.first()));
        }
    }
    let mut orphans = db.prepare(
        "SELECT \"table\", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2",
    )?;
    for orphan in orphans.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, u32>(2)?))
    })? {
        let (table, parent, count) = orphan?;
        found.push(format!("{table}: FOREIGN KEY of {count} rows finds nothing in {parent}"));
    }
    let placeholders: u32 = db.query_row(
        &format!(
            "SELECT count(*) FROM BaseItems WHERE Id = '{PLACEHOLDER}' AND Type = 'PLACEHOLDER'"
        ),
        [],
        |row| row.get(0),
    )?;
    judge("BaseItems", &[(placeholders == 0, "the placeholder is missing")], found);
    let owner = if owners { "OwnerId" } else { "NULL" };
    let mut items = db.prepare(&format!("SELECT Id, ParentId, {owner} FROM BaseItems"))?;
    let mut above: BTreeMap<String, [Option<String>; 2]> = items
        .query_map([], |row| Ok((row.get(0)?, [row.get(1)?, row.get(2)?])))?
        .collect::<Result<_, _>>()?;
    loop {
        let free: BTreeSet<_> = above
            .iter()
            .filter(|(_, to)| !to.iter().flatten().any(|id| above.contains_key(id)))
            .map(|(id, _)| id.clone())
            .collect();
        above.retain(|id, _| !free.contains(id));
        if free.is_empty() {
            break;
        }
    }
    found.extend(above.keys().next().map(|id| {
        format!(
            "BaseItems: {} rows in or below a cycle of ParentId or OwnerId, as {id}",
            above.len()
        )
    }));
    if found.is_empty() { db.execute_batch("COMMIT") } else { Ok(()) }
}

#[test]
fn a_server_takes_its_own_zips() {
    for (_, zip) in pairs() {
        assert_eq!(violations(&zip), Found::new(), "{}", zip.display());
    }
    // What 10.11.11 was seen to take: rows of 10.11.6 under its own migrations.
    let old = entries(&of_10_11_6().1, false, &mut Found::new());
    let cases = [
        ("", Edit("/HistoryRow", |rows| add_migrations(rows, 2))),
        ("HistoryRow: not the EF migrations", Edit("/HistoryRow", |rows| add_migrations(rows, 1))),
    ];
    assert_each(violations, &old, &cases);
}

fn add_migrations(rows: &mut Value, count: usize) {
    for id in
        ["20260522092303_AddNormalizedUsername", "20260524120336_AddUniqueNormalizedUsernameIndex"]
            .iter()
            .take(count)
    {
        rows.as_array_mut().unwrap().push(json!({"MigrationId": id, "ProductVersion": "9.0.16"}));
    }
}

/// One change to a sound zip: of a table's or the manifest's JSON, of an entry, of the zip's bytes.
enum Change {
    Edit(&'static str, fn(&mut Value)),
    Entry(&'static str, Option<&'static str>),
    Bytes(fn(&mut Vec<u8>)),
}
use Change::{Bytes, Edit, Entry};

/// What is found after a change.
fn found(judge: fn(&Path) -> Found, entries: &Entries, change: &Change) -> Found {
    let mut entries = entries.clone();
    match change {
        Edit(name, edit) => {
            let content = entries
                .iter_mut()
                .find(|(path, _)| path.ends_with(&format!("{name}.json")))
                .unwrap()
                .1;
            let mut value = serde_json::from_slice(content).unwrap();
            edit(&mut value);
            *content = value.to_string().into();
        }
        Entry(name, None) => drop(entries.remove(*name)),
        Entry(name, Some(content)) => drop(entries.insert((*name).into(), (*content).into())),
        Bytes(_) => {}
    }
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in &entries {
        writer.start_file(name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    let mut bytes = writer.finish().unwrap().into_inner();
    if let Bytes(edit) = change {
        edit(&mut bytes);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, bytes).unwrap();
    judge(file.path())
}

fn assert_each(judge: fn(&Path) -> Found, sound: &Entries, cases: &[(&str, Change)]) {
    for (word, change) in cases {
        let found = found(judge, sound, change);
        assert!(
            if word.is_empty() {
                found.is_empty()
            } else {
                found.iter().any(|why| why.contains(word))
            },
            "{word}: {found:?}"
        );
    }
}

/// Changes the name of one entry, or a byte before its name in the central directory.
fn patch(bytes: &mut [u8], name: &[u8], before: usize, flip: u8) {
    let old = b"Config/branding.xml";
    let places: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    places.iter().for_each(|at| bytes[*at..at + name.len()].copy_from_slice(name));
    bytes[places[1] - before] ^= flip;
}

/// Gives the first row once more, with another key.
fn again(rows: &mut Value, key: &str) {
    let mut row = rows[0].clone();
    row[key] = "6f0e0d0c-0b0a-0908-0706-050403020100".into();
    rows.as_array_mut().unwrap().push(row);
}

fn without(row: &mut Value, key: &str) {
    row.as_object_mut().unwrap().remove(key).unwrap();
}

fn same_name_in_capitals(users: &mut Value) {
    users.as_array_mut().unwrap().iter_mut().for_each(|user| without(user, "NormalizedUsername"));
    again(users, "Id");
    users.as_array_mut().unwrap().last_mut().unwrap()["Username"] =
        users[0]["Username"].as_str().unwrap().to_uppercase().into();
}

fn cycle_of_two(items: &mut Value) {
    items.as_array_mut().unwrap().iter_mut().for_each(|item| item["ParentId"] = Value::Null);
    (items[0]["ParentId"], items[1]["OwnerId"]) = (items[1]["Id"].clone(), items[0]["Id"].clone());
}

#[test]
fn one_fault_is_found() {
    let sound =
        entries(&servers("attic-servers").join("zips/12.0-min.zip"), false, &mut Found::new());
    let cases = [
        ("", Entry("Data/device.txt", Some("id"))),
        (
            "",
            Edit("/Users", |rows| {
                rows[0]["ProfileImage"] =
                    json!({"Path": "/a", "LastModified": "2024-02-29T00:00:00.5Z"})
            }),
        ),
        (
            "Users row 0: ProfileImage",
            Edit("/Users", |rows| rows[0]["ProfileImage"] = json!({"Path": "/a"})),
        ),
        (
            "Users row 0: key password is unknown",
            Edit("/Users", |rows| rows[0]["password"] = Value::Null),
        ),
        (
            "Users row 1: Username is no valid text",
            Edit("/Users", |rows| rows[1]["Username"] = "".into()),
        ),
        ("Users: UNIQUE constraint failed", Edit("/Users", |rows| again(rows, "Id"))),
        (
            "UNIQUE constraint failed: Users.NormalizedUsername",
            Edit("/Users", same_name_in_capitals),
        ),
        (
            "Peoples row 0: key Name is missing",
            Edit("/Peoples", |rows| without(&mut rows[0], "Name")),
        ),
        (
            "UserData row 0: key User is missing",
            Edit("/UserData", |rows| without(&mut rows[0], "User")),
        ),
        (
            "UserData: FOREIGN KEY of 1 rows finds nothing in BaseItems",
            Edit("/UserData", |rows| again(rows, "ItemId")),
        ),
        (
            "ActivityLogs.json: an object has a key twice",
            Entry("Database/ActivityLogs.json", Some(r#"[{"Id":1,"Id":2}]"#)),
        ),
        (
            "AncestorIds: UNIQUE constraint failed",
            Edit("/AncestorIds", |rows| rows[1] = rows[0].clone()),
        ),
        (
            "UserData row 0: ItemId is no valid guid",
            Edit("/UserData", |rows| rows[0]["ItemId"] = "0f0e0d0c0b0a09080706050403020100".into()),
        ),
        (
            "UserData row 0: PlayCount is no valid int",
            Edit("/UserData", |rows| rows[0]["PlayCount"] = "1".into()),
        ),
        (
            "UserData row 0: PlayCount is no valid int",
            Edit("/UserData", |rows| rows[0]["PlayCount"] = 0x8000_0000_u32.into()),
        ),
        (
            "UserData row 0: Played is no valid bool",
            Edit("/UserData", |rows| rows[0]["Played"] = 1.into()),
        ),
        (
            "UserData row 0: User is no valid null",
            Edit("/UserData", |rows| rows[0]["User"] = json!({})),
        ),
        (
            "Devices row 0: DateCreated is no valid date",
            Edit("/Devices", |rows| rows[0]["DateCreated"] = "2026-01-02T03:04:05".into()),
        ),
        (
            "Devices row 0: DateCreated is no valid date",
            Edit("/Devices", |rows| rows[0]["DateCreated"] = "2026-02-29T03:04:05Z".into()),
        ),
        (
            "BaseItems row 0: CommunityRating is no valid float?",
            Edit("/BaseItems", |rows| rows[0]["CommunityRating"] = 1e39.into()),
        ),
        (
            "BaseItems row 0: Id is no valid guid",
            Edit("/BaseItems", |rows| rows[0]["Id"] = NO_GUID.into()),
        ),
        (
            "BaseItemImageInfos row 0: Blurhash is no valid bytes?",
            Edit("/BaseItemImageInfos", |rows| rows[0]["Blurhash"] = "L-".into()),
        ),
        (
            "PeopleBaseItemMap row 0: Role is no valid text",
            Edit("/PeopleBaseItemMap", |rows| rows[0]["Role"] = Value::Null),
        ),
        (
            "BaseItems: the placeholder",
            Edit("/BaseItems", |rows| {
                rows.as_array_mut().unwrap().retain(|row| row["Type"] != "PLACEHOLDER")
            }),
        ),
        ("BaseItems: 2 rows in or below a cycle", Edit("/BaseItems", cycle_of_two)),
        (
            "HistoryRow: not the EF migrations",
            Edit("/HistoryRow", |rows| drop(rows.as_array_mut().unwrap().remove(0))),
        ),
        ("HistoryRow.json: is missing", Entry("Database/HistoryRow.json", None)),
        ("Chapters.json: is missing", Entry("Database/Chapters.json", None)),
        ("Chapters.json: is not minified", Entry("Database/Chapters.json", Some("[ ]"))),
        ("Chapters.json: trailing comma", Entry("Database/Chapters.json", Some("[{},]"))),
        ("HomeSection.json: no table", Entry("Database/HomeSection.json", Some("[]"))),
        ("manifest.json: is missing", Entry("manifest.json", None)),
        ("ServerVersion", Edit("manifest", |manifest| manifest["ServerVersion"] = "12.0.0".into())),
        (
            "BackupEngineVersion",
            Edit("manifest", |manifest| manifest["BackupEngineVersion"] = "0.2.0.0".into()),
        ),
        (
            "DateCreated",
            Edit("manifest", |manifest| manifest["DateCreated"] = "2026-06-10T12:34:56".into()),
        ),
        ("five", Edit("manifest", |manifest| manifest["More"] = 1.into())),
        ("four bools", Edit("manifest", |manifest| without(&mut manifest["Options"], "Subtitles"))),
        ("Data/jellyfin.db: must not", Entry("Data/jellyfin.db", Some(""))),
        ("Data/backups/a.zip: must not", Entry("Data/backups/a.zip", Some(""))),
        ("Data/.jellyfin-config: must not", Entry("Data/.jellyfin-config", Some(""))),
        ("Config/branding.xml/a: a file is where", Entry("Config/branding.xml/a", Some(""))),
        ("is a duplicate", Bytes(|bytes| patch(bytes, b"Config/encoding.xml", 0, 0))),
        ("is no valid name", Bytes(|bytes| patch(bytes, b"Config/../nding.xml", 0, 0))),
        ("is no valid name", Bytes(|bytes| patch(bytes, b"Config\\branding.xml", 0, 0))),
        ("is a directory", Bytes(|bytes| patch(bytes, b"Config/branding_xm/", 0, 0))),
        ("Config/branding.xml: is encrypted", Bytes(|bytes| patch(bytes, b"", 46 - 8, 1))),
        ("Config/branding.xml: is neither stored", Bytes(|bytes| patch(bytes, b"", 46 - 10, 12))),
        ("Config/branding.xml: cannot be read", Bytes(|bytes| patch(bytes, b"", 46 - 16, 1))),
        (
            "Config/branding.xml: is no regular file",
            Bytes(|bytes| patch(bytes, b"", 46 - 41, 0x20)),
        ),
        ("zip: local headers: ", Bytes(|bytes| bytes[14] ^= 1)),
        ("zip: ", Bytes(|bytes| bytes.truncate(1000))),
    ];
    assert_each(violations, &sound, &cases);
}

#[test]
fn an_exact_zip_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let history =
        "INSERT INTO __EFMigrationsHistory VALUES ('20200514181226_AddActivityLog', '3.1.0')";
    rusqlite::Connection::open(dir.path().join("db"))
        .unwrap()
        .execute_batch(&format!("{}; {history}", SCHEMAS[0].1))
        .unwrap();
    let options =
        json!({"Metadata": false, "Trickplay": false, "Subtitles": false, "Database": false});
    let manifest = json!({"ServerVersion": "10.11.6.0", "BackupEngineVersion": "0.2.0", "DateCreated": "2026-06-10T12:34:56Z", "DatabaseTables": [], "Options": options});
    let database = std::fs::read(dir.path().join("db")).unwrap();
    let torn = database[..8192].to_vec();
    let mut sound = Entries::from([
        ("manifest.json".into(), manifest.to_string().into()),
        ("Data/jellyfin.db".into(), database),
    ]);
    let cases = [
        ("", Entry("Config/system.xml", Some(""))),
        ("jellyfin.db-wal: must not", Entry("Data/jellyfin.db-wal", Some(""))),
        ("Data/jellyfin.db: is missing", Entry("Data/jellyfin.db", None)),
        ("Data/jellyfin.db: ", Entry("Data/jellyfin.db", Some("SQLite"))),
        ("Database/Users.json: ", Entry("Database/Users.json", Some("[]"))),
        (
            "Options.Database",
            Edit("manifest", |manifest| manifest["Options"]["Database"] = true.into()),
        ),
    ];
    assert_each(violations_of_exact, &sound, &cases);
    sound.insert("Data/jellyfin.db".into(), torn);
    assert_each(violations_of_exact, &sound, &[("Data/jellyfin.db: ", Bytes(|_| ()))]);
}
