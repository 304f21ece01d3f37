//! The tables of a server's zip become its database again: row for row, table for table, and back
//! into the same bytes.

use std::collections::BTreeMap;
use std::path::Path;

use jellyvault::archive::{
    DumpStyle, Schema, create, dump_table, finish, load_avatars, load_table, open_neighbour,
    read_history, read_history_json,
};
use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::support::{rows, temp};
use super::zip_tables::{entry, open_copy, pairs};

/// Builds the database of a zip, in an empty file or over a neighbour.
pub fn build(zip: &Path, to: &Path, neighbour: Option<&Path>) -> u64 {
    let history = read_history_json(entry(zip, "Database/HistoryRow.json").as_slice()).unwrap();
    let schema = Schema::of(&history).unwrap();
    let db = match neighbour {
        Some(neighbour) => {
            std::fs::copy(neighbour, to).unwrap();
            open_neighbour(to, schema).unwrap()
        }
        None => create(to, schema, &history).unwrap(),
    };
    let (mut avatars, mut written) = (Vec::new(), 0);
    for table in &schema.tables {
        let loaded = load_table(
            &db,
            table,
            entry(zip, &format!("Database/{}.json", table.name)).as_slice(),
            &|| false,
        )
        .unwrap();
        assert_eq!(loaded.told, Vec::<String>::new());
        written += loaded.written;
        avatars.extend(loaded.avatars);
    }
    load_avatars(&db, &avatars).unwrap();
    finish(db, schema, &history, neighbour.is_none()).unwrap();
    written
}

fn without_what_no_zip_holds(rows: Vec<String>) -> Vec<String> {
    rows.into_iter()
        .filter(|row| !row.starts_with("HomeSection:") && !row.starts_with("sqlite_"))
        .collect()
}

fn assert_same_rows(built: &Path, real: &Path) {
    let (built, real) =
        (without_what_no_zip_holds(rows(built)), without_what_no_zip_holds(rows(real)));
    let difference: Vec<_> = real.iter().zip(&built).filter(|(a, b)| a != b).take(3).collect();
    assert!(built == real, "{difference:?}");
}

fn assert_sound(path: &Path) {
    let db = Connection::open(path).unwrap();
    assert_eq!(
        db.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(),
        "ok"
    );
    assert!(
        db.prepare("PRAGMA foreign_key_check")
            .unwrap()
            .query([])
            .unwrap()
            .next()
            .unwrap()
            .is_none()
    );
    assert_eq!(
        db.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0)).unwrap(),
        "wal"
    );
}

/// Everything that SQLite says about a database's tables.
fn schema_of(path: &Path) -> BTreeMap<String, Vec<String>> {
    let db = Connection::open(path).unwrap();
    let all = |sql: &str| -> Vec<String> {
        let mut statement = db.prepare(sql).unwrap();
        let columns = statement.column_count();
        statement
            .query_map([], |row| {
                Ok((0..columns)
                    .map(|at| format!("{:?}", row.get_ref(at).unwrap()))
                    .collect::<Vec<_>>()
                    .join("|"))
            })
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    let mut found = BTreeMap::new();
    found.insert("sqlite_schema".to_owned(), all("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY name"));
    let tables: Vec<String> = db
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for table in tables {
        for pragma in ["table_info", "foreign_key_list"] {
            found
                .insert(format!("{pragma} {table}"), all(&format!("PRAGMA {pragma}(\"{table}\")")));
        }
        // Numbers are those in which the indexes were made.
        let mut indexes = all(&format!(
            "SELECT name, \"unique\", origin, partial FROM pragma_index_list('{table}')"
        ));
        indexes.sort();
        found.insert(format!("index_list {table}"), indexes);
    }
    found
}

#[test]
fn a_servers_zip_becomes_its_database_row_for_row_and_the_same_zip_again() {
    for (database, zip) in pairs() {
        let dir = temp();
        let built = dir.path().join("built.db");
        build(&zip, &built, None);
        assert_same_rows(&built, &database);
        assert_sound(&built);
        let (theirs, ours) = (schema_of(&database), schema_of(&built));
        for (what, lines) in &theirs {
            assert_eq!(ours.get(what), Some(lines), "{}: {what}", zip.display());
        }
        assert_eq!(ours.len(), theirs.len());
        assert_same_tables(&built, &zip);
    }
}

fn assert_same_tables(built: &Path, zip: &Path) {
    let db = Connection::open(built).unwrap();
    let schema = Schema::of(&read_history(&db).unwrap()).unwrap();
    for table in &schema.tables {
        let mut bytes = Vec::new();
        dump_table::<()>(&db, schema, table, DumpStyle::default(), &mut |block| {
            bytes.append(block);
            Ok(())
        })
        .unwrap();
        assert!(
            bytes == entry(zip, &format!("Database/{}.json", table.name)),
            "{}: {}",
            zip.display(),
            table.name
        );
    }
}

#[test]
fn over_a_neighbour_only_what_differs_is_written_and_the_tables_are_the_same() {
    let dir = temp();
    for (database, zip) in pairs() {
        let (built, again, over) =
            (dir.path().join("built.db"), dir.path().join("again.db"), dir.path().join("over.db"));
        for path in [&built, &again, &over] {
            let _gone = std::fs::remove_file(path);
        }
        build(&zip, &built, None);
        assert_eq!(build(&zip, &again, Some(&built)), 0);
        let pages = |path: &Path| std::fs::read(path).unwrap().split_off(4096);
        assert!(
            pages(&again) == pages(&built),
            "a neighbour that is the same stays the same, page for page, but for the counters in the first"
        );
        // A neighbour in which much is other: rows gone, new, changed, keys swapped.
        let db = Connection::open(&built).unwrap();
        db.execute_batch(
            "PRAGMA foreign_keys = OFF;
             DELETE FROM AncestorIds WHERE rowid % 3 = 0; DELETE FROM BaseItems WHERE rowid % 5 = 0; UPDATE BaseItems SET Name = 'other' WHERE rowid % 7 = 0;
             INSERT INTO ItemValues (ItemValueId, Type, Value, CleanValue) SELECT '00000000-0000-0000-0000-' || substr('000000000000' || rowid, -12), Type, Value || '!', CleanValue FROM ItemValues;
             UPDATE Users SET Username = Username || rowid; UPDATE UserData SET PlayCount = PlayCount + 1; DELETE FROM ActivityLogs WHERE Id % 2 = 0;
             UPDATE ItemValues SET Value = 'temporary' WHERE rowid = 1; UPDATE ItemValues SET Value = (SELECT Value FROM ItemValues WHERE rowid = 3) || '?' WHERE rowid = 2;
             DELETE FROM MediaStreamInfos; DELETE FROM Permissions WHERE Id > 3",
        )
        .unwrap();
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        db.close().unwrap();
        assert!(build(&zip, &over, Some(&built)) > 0);
        assert_same_rows(&over, &database);
        assert_same_tables(&over, &zip);
        assert_sound(&over);
    }
}

/// A value of a property, extreme as often as not.
fn extreme(property: &jellyvault::archive::Property) -> BoxedStrategy<Value> {
    use jellyvault::archive::Kind;
    let text = prop_oneof![
        Just(String::new()),
        "\\PC{0,12}",
        Just("a\0b\"\\'<>&+`\u{7f}\u{fffd}\u{2028}😀".to_owned()),
        Just("x".repeat(3000)),
        any::<String>()
    ];
    let date = prop_oneof![
        Just("0001-01-01 00:00:00".to_owned()),
        Just("9999-12-31 23:59:59.9999999".to_owned()),
        (1i32..9999, 1u8..13, 1u8..29, 0u8..24, 0u8..60, 0u32..10_000_000).prop_map(
            |(y, m, d, h, s, f)| {
                let fraction = format!("{f:07}");
                let fraction = fraction.trim_end_matches('0');
                format!(
                    "{y:04}-{m:02}-{d:02} {h:02}:{s:02}:{s:02}{}{fraction}",
                    if fraction.is_empty() { "" } else { "." }
                )
            }
        ),
    ];
    let some = match property.kind {
        Kind::Guid => any::<[u8; 16]>()
            .prop_map(|b| {
                let hex: String = b.iter().map(|b| format!("{b:02X}")).collect();
                Value::Text(format!(
                    "{}-{}-{}-{}-{}",
                    &hex[..8],
                    &hex[8..12],
                    &hex[12..16],
                    &hex[16..20],
                    &hex[20..]
                ))
            })
            .boxed(),
        Kind::Date => date.prop_map(Value::Text).boxed(),
        Kind::Bool => any::<bool>().prop_map(|is| Value::Integer(i64::from(is))).boxed(),
        Kind::Int => any::<i32>().prop_map(|n| Value::Integer(n.into())).boxed(),
        Kind::Long => any::<i64>().prop_map(Value::Integer).boxed(),
        Kind::Uint => any::<u32>().prop_map(|n| Value::Integer(n.into())).boxed(),
        Kind::Float => any::<f32>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(|n| Value::Real(n.into()))
            .boxed(),
        Kind::Double => {
            any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::Real).boxed()
        }
        Kind::Text if property.filled => "\\PC{1,12}".prop_map(Value::Text).boxed(),
        Kind::Text => text.prop_map(Value::Text).boxed(),
        Kind::Bytes => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Blob).boxed(),
        Kind::Ticks => proptest::collection::vec(any::<i64>(), 0..5)
            .prop_map(|t| {
                Value::Text(format!(
                    "[{}]",
                    t.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
                ))
            })
            .boxed(),
        Kind::Reference | Kind::Collection | Kind::Unsure(_) => Just(Value::Null).boxed(),
    };
    if property.nullable { prop_oneof![1 => Just(Value::Null), 3 => some].boxed() } else { some }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn rows_of_every_table_survive_the_way_through_json(seed in any::<u64>(), which in 0usize..4) {
        let schema = &Schema::all()[which];
        let history: Vec<(String, String)> = schema.migrations.iter().map(|id| (id.clone(), "9.0.1".to_owned())).collect();
        let dir = temp();
        let (from, to) = (dir.path().join("from.db"), dir.path().join("to.db"));
        let source = create(&from, schema, &history).unwrap();
        let target = create(&to, schema, &history).unwrap();
        let mut seeds = blake3::Hasher::new_derive_key("rows").update(&seed.to_le_bytes()).finalize_xof();
        for table in &schema.tables {
            let mut bytes = [0; 32];
            seeds.fill(&mut bytes);
            let mut runner = proptest::test_runner::TestRunner::new_with_rng(
                ProptestConfig::default(),
                proptest::test_runner::TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &bytes),
            );
            let columns: Vec<_> = table.columns().collect();
            let list = columns.iter().map(|column| format!("\"{}\"", column.name)).collect::<Vec<_>>().join(", ");
            let marks = vec!["?"; columns.len()].join(", ");
            let mut insert = source.prepare(&format!("INSERT OR IGNORE INTO \"{}\" ({list}) VALUES ({marks})", table.name)).unwrap();
            for row in 0..6 {
                let values = columns.iter().map(|column| {
                    if table.has_row_numbers() && table.key[0] == column.name {
                        return Value::Integer(row * 7 + 1);
                    }
                    extreme(column).new_tree(&mut runner).unwrap().current()
                });
                insert.execute(rusqlite::params_from_iter(values)).unwrap();
            }
            let mut json = Vec::new();
            dump_table::<()>(&source, schema, table, DumpStyle::default(), &mut |block| { json.append(block); Ok(()) }).unwrap();
            prop_assert!(json.is_ascii());
            let loaded = load_table(&target, table, json.as_slice(), &|| false).unwrap();
            prop_assert_eq!(&loaded.told, &Vec::<String>::new());
        }
        drop(finish(source, schema, &history, true));
        drop(finish(target, schema, &history, true));
        prop_assert_eq!(without_what_no_zip_holds(rows(&to)), without_what_no_zip_holds(rows(&from)));
    }
}

#[test]
fn rows_that_do_not_fit_are_named_and_the_others_are_there() {
    let (database, zip) = pairs().swap_remove(0);
    let (_dir, db) = open_copy(&database);
    let schema = Schema::of(&read_history(&db).unwrap()).unwrap();
    let table = schema.table("Peoples").unwrap();
    let mut people: Vec<serde_json::Value> =
        serde_json::from_slice(&entry(&zip, "Database/Peoples.json")).unwrap();
    let all = people.len() as u64;
    people[0]["Id"] = "not a guid".into();
    people[1]["Name"] = serde_json::Value::Null;
    people[2]["Name"] = 7.into();
    people[4] = people[3].clone();
    let dir = temp();
    let target = create(&dir.path().join("a.db"), schema, &[]).unwrap();
    let loaded =
        load_table(&target, table, serde_json::to_vec(&people).unwrap().as_slice(), &|| false)
            .unwrap();
    assert_eq!(
        (loaded.rows, loaded.told_count, loaded.told.len()),
        (all - 2, 4, 4),
        "{:?}",
        loaded.told
    );
    for text in ["[{]", "{}", "[1]", "[{\"Id\":\"x\"}", "nonsense", ""] {
        assert!(
            load_table(&target, schema.table("ItemValues").unwrap(), text.as_bytes(), &|| false)
                .is_err(),
            "{text}"
        );
    }
}
