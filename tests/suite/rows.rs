//! Rows that differ, against SQLite's own answer: the rows of one state EXCEPT those of the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jellyvault::database::{Database, Error, Lookup, Pages, Row, Value, compare_databases};
use rusqlite::Connection;

use super::support::*;
use super::zip_tables::extremes;

/// A small generator of numbers: the same for the same seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

/// How a state is compared: by its pages, or by groups of its cells.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Pages,
    Groups,
}

fn pages(path: &Path, by: By) -> Pages<'static> {
    let pages = Pages::of_file(std::fs::File::open(path).unwrap(), &Default::default()).unwrap();
    if by == By::Groups { pages.by_groups().unwrap() } else { pages }
}

fn open(path: &Path) -> Database<'static> {
    Database::open(pages(path, By::Pages)).unwrap()
}

/// Opened beside another state, which must say what it says alone.
fn open_beside(path: &Path, by: By, other: &Database<'_>) -> Database<'static> {
    let beside = Database::open_beside(pages(path, by), other).unwrap();
    assert_eq!(format!("{:?}", beside.tables), format!("{:?}", open(path).tables));
    beside
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => format!("{number}"),
        Value::Real(number) if *number == number.trunc() && number.abs() < 1e15 => {
            format!("{number:.0}")
        }
        Value::Real(number) => format!("{:x}", number.to_bits()),
        Value::Text(text) => format!("t{}", String::from_utf8_lossy(text)),
        Value::Blob(bytes) => format!("b{bytes:?}"),
    }
}

fn words(row: &Row, columns: &[usize]) -> String {
    columns.iter().map(|at| word(&row.values[*at])).collect::<Vec<_>>().join("|")
}

/// By table: the rows that only one side has, sorted.
type Differing = BTreeMap<String, (Vec<String>, Vec<String>)>;

/// What the engine says, in whichever way it compares: on columns that both tables have, named in
/// order.
fn engine(before: &Path, after: &Path) -> (Differing, Vec<String>) {
    let (found, read) = engine_by(before, after, By::Pages);
    let (by_groups, read_by_groups) = engine_by(before, after, By::Groups);
    assert_eq!(found, by_groups, "{before:?} and {after:?}");
    assert!(
        read_by_groups.iter().all(|table| read.contains(table)),
        "{read_by_groups:?} and {read:?}"
    );
    (found, read)
}

fn engine_by(before: &Path, after: &Path, by: By) -> (Differing, Vec<String>) {
    let mut own = Database::open(pages(before, by)).unwrap();
    let mut other = open_beside(after, by, &own);
    let mut found = Differing::new();
    let compared = compare_databases(&mut own, &mut other, |sides, change| -> Result<(), Error> {
        let table = sides.table().unwrap();
        let shared = shared_columns(sides.before, sides.after);
        let (gone, came) = found.entry(table.name.clone()).or_default();
        let number = |row: &Row| {
            if table.key.is_empty() { format!("{:?}|", row.number) } else { String::new() }
        };
        gone.extend(change.before.iter().map(|row| {
            number(row) + &words(row, &shared.iter().filter_map(|pair| pair.0).collect::<Vec<_>>())
        }));
        came.extend(change.after.iter().map(|row| {
            number(row) + &words(row, &shared.iter().filter_map(|pair| pair.1).collect::<Vec<_>>())
        }));
        if change.before.is_some() && change.after.is_some() {
            assert!(!change.changed.is_empty());
        }
        Ok(())
    })
    .unwrap();
    for (gone, came) in found.values_mut() {
        gone.sort();
        came.sort();
    }
    for table in &compared.tables {
        let empty = (Vec::new(), Vec::new());
        let (gone, came) = found.get(&table.name).unwrap_or(&empty);
        assert_eq!(
            (table.removed + table.changed, table.added + table.changed),
            (gone.len() as u64, came.len() as u64),
            "{}",
            table.name
        );
    }
    (found, compared.tables_read)
}

fn shared_columns(
    before: Option<&jellyvault::database::Table>,
    after: Option<&jellyvault::database::Table>,
) -> Vec<(Option<usize>, Option<usize>)> {
    match (before, after) {
        (Some(own), Some(other)) => {
            let mut shared: Vec<_> = own
                .columns
                .iter()
                .enumerate()
                .filter_map(|(at, c)| {
                    Some((c.name.clone(), Some(at), Some(other.column(&c.name)?)))
                })
                .collect();
            shared.sort();
            shared.into_iter().map(|(_, own, other)| (own, other)).collect()
        }
        (own, other) => {
            let table = own.or(other).unwrap();
            let mut all: Vec<_> =
                table.columns.iter().enumerate().map(|(at, c)| (c.name.clone(), at)).collect();
            all.sort();
            all.into_iter().map(|(_, at)| (own.map(|_| at), other.map(|_| at))).collect()
        }
    }
}

/// What SQLite says.
fn oracle(before: &Path, after: &Path) -> Differing {
    // Text encodings must agree: the earlier state itself is the main database.
    let db = Connection::open(before).unwrap();
    db.execute("ATTACH ?1 AS b", [after.to_str().unwrap()]).unwrap();
    let tables = |side: &str| -> BTreeMap<String, String> {
        let mut statement = db
            .prepare(&format!(
                "SELECT name, sql FROM {side}.sqlite_schema WHERE type = 'table' AND rootpage > 0"
            ))
            .unwrap();
        statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    let columns = |side: &str, table: &str| -> Vec<(String, bool)> {
        let mut statement = db.prepare(&format!("SELECT name, pk FROM pragma_table_xinfo(?1, '{side}') WHERE hidden <> 2 ORDER BY name")).unwrap();
        statement
            .query_map([table], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? > 0)))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    let (own, other) = (tables("main"), tables("b"));
    let mut found = Differing::new();
    for name in own.keys().chain(other.keys()).collect::<std::collections::BTreeSet<_>>() {
        let sides = [("main", own.contains_key(name)), ("b", other.contains_key(name))];
        let all: Vec<_> =
            sides.iter().filter(|(_, there)| *there).map(|(side, _)| columns(side, name)).collect();
        let shared: Vec<_> = all[0]
            .iter()
            .filter(|(column, _)| {
                all.iter()
                    .all(|own| own.iter().any(|(other, _)| other.eq_ignore_ascii_case(column)))
            })
            .collect();
        let has_key = all.last().unwrap().iter().any(|(_, key)| *key);
        let list = shared
            .iter()
            .map(|(column, _)| format!("\"{}\"", column.replace('"', "\"\"")))
            .collect::<Vec<_>>()
            .join(", ");
        let list = if has_key { list } else { format!("rowid, {list}") };
        let rows = |sql: String| -> Vec<String> {
            let mut statement = db.prepare(&sql).unwrap();
            let count = statement.column_count();
            let mut rows: Vec<String> = statement
                .query_map([], |row| {
                    let mut out = String::new();
                    for at in 0..count {
                        let value = match row.get_ref(at).unwrap() {
                            rusqlite::types::ValueRef::Null => Value::Null,
                            rusqlite::types::ValueRef::Integer(number) => Value::Integer(number),
                            rusqlite::types::ValueRef::Real(number) => Value::Real(number),
                            rusqlite::types::ValueRef::Text(text) => Value::Text(text.to_vec()),
                            rusqlite::types::ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
                        };
                        out.push_str(&if at == 0 && !has_key {
                            format!("Some({})|", word(&value))
                        } else {
                            word(&value) + if at + 1 < count { "|" } else { "" }
                        });
                    }
                    Ok(out)
                })
                .unwrap()
                .map(Result::unwrap)
                .collect();
            rows.sort();
            rows
        };
        let quoted = name.replace('"', "\"\"");
        let select = |side: &str| format!("SELECT {list} FROM {side}.\"{quoted}\"");
        let difference = match (sides[0].1, sides[1].1) {
            (true, true) => (
                rows(format!("{} EXCEPT {}", select("main"), select("b"))),
                rows(format!("{} EXCEPT {}", select("b"), select("main"))),
            ),
            (true, false) => (rows(select("main")), Vec::new()),
            _ => (Vec::new(), rows(select("b"))),
        };
        if difference != (Vec::new(), Vec::new()) {
            found.insert(name.clone(), difference);
        }
    }
    found
}

fn assert_same(before: &Path, after: &Path, what: &str) -> usize {
    let (found, read) = engine(before, after);
    let expected = oracle(before, after);
    for (table, rows) in &expected {
        assert_eq!(found.get(table), Some(rows), "{what}: {table}");
        assert!(read.contains(table), "{what}: {table} differs and was not read");
    }
    for (table, rows) in &found {
        assert!(
            expected.contains_key(table),
            "{what}: {table} does not differ, but {rows:?} was told"
        );
    }
    expected.len()
}

/// A private copy with its log folded in.
fn folded(database: &Path, to: &Path) {
    std::fs::copy(database, to).unwrap();
    let log = PathBuf::from(format!("{}-wal", database.display()));
    if log.exists() {
        std::fs::copy(&log, format!("{}-wal", to.display())).unwrap();
    }
    let db = Connection::open(to).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    db.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).unwrap();
}

/// Changes rows of every table at random: deletes, new rows, any column to values of any kind.
fn shake(path: &Path, random: &mut Random, changes_a_table: u64) {
    let db = Connection::open(path).unwrap();
    db.execute_batch("PRAGMA foreign_keys = OFF; BEGIN").unwrap();
    let tables: Vec<String> = db
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND name NOT LIKE 'sqlite%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for table in tables {
        let name = &table;
        let columns: Vec<String> = db
            .prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0")
            .unwrap()
            .query_map([name], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let list = columns.iter().map(|c| format!("\"{c}\"")).collect::<Vec<_>>().join(", ");
        let table = name.replace('"', "\"\"");
        for _ in 0..random.below(changes_a_table + 1) {
            let count: i64 = db
                .query_row(&format!("SELECT count(*) FROM \"{table}\""), [], |row| row.get(0))
                .unwrap();
            let offset = random.below(count as u64);
            let first = &columns[0];
            let column = &columns[random.below(columns.len() as u64) as usize];
            let value = match random.below(8) {
                0 => "NULL".to_owned(),
                1 => format!("{}", random.next() as i64 - (1 << 30)),
                2 => "0.5".to_owned(),
                3 => "7.0".to_owned(),
                4 => format!("hex(randomblob({}))", random.below(9000)),
                5 => format!("zeroblob({})", random.below(70_000)),
                6 => format!("'{}'", random.below(4)),
                _ => format!("upper(hex(zeroblob({})))", random.below(40)),
            };
            // A change that a constraint forbids is no change.
            let sql = match random.below(6) {
                0 => format!(
                    "DELETE FROM \"{table}\" WHERE \"{first}\" IS (SELECT \"{first}\" FROM \"{table}\" LIMIT 1 OFFSET {offset})"
                ),
                1 => {
                    let values = columns
                        .iter()
                        .map(|c| if c == column { value.clone() } else { format!("\"{c}\"") })
                        .collect::<Vec<_>>()
                        .join(", ");
                    format!(
                        "INSERT OR IGNORE INTO \"{table}\" ({list}) SELECT {values} FROM \"{table}\" LIMIT 1 OFFSET {offset}"
                    )
                }
                _ => format!(
                    "UPDATE OR IGNORE \"{table}\" SET \"{column}\" = {value} WHERE \"{first}\" IS (SELECT \"{first}\" FROM \"{table}\" LIMIT 1 OFFSET {offset})"
                ),
            };
            if let Err(error) = db.execute(&sql, []) {
                assert!(
                    matches!(
                        error.sqlite_error_code(),
                        Some(
                            rusqlite::ErrorCode::ConstraintViolation
                                | rusqlite::ErrorCode::TypeMismatch
                        )
                    ),
                    "{error}: {sql}"
                );
            }
        }
    }
    db.execute_batch("COMMIT").unwrap();
    match random.below(6) {
        0 => db.execute_batch("VACUUM").unwrap(),
        1 => db.execute_batch("PRAGMA incremental_vacuum").unwrap(),
        _ => {}
    }
    db.close().unwrap();
}

/// Tables of every kind that SQLite has, with rows of a few bytes up to many pages.
fn odd_tables(path: &Path, page_bytes: u32, encoding: &str, auto_vacuum: u8) {
    let db = Connection::open(path).unwrap();
    db.execute_batch(&format!("PRAGMA page_size = {page_bytes}; PRAGMA encoding = '{encoding}'; PRAGMA auto_vacuum = {auto_vacuum};")).unwrap();
    db.execute_batch(
        "CREATE TABLE texts (id TEXT NOT NULL PRIMARY KEY, a REAL, b, c TEXT DEFAULT 'x');
         CREATE TABLE numbers (id INTEGER PRIMARY KEY, a REAL NOT NULL, b NUMERIC);
         CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, a);
         CREATE TABLE backwards (id INTEGER NOT NULL PRIMARY KEY DESC, a);
         CREATE TABLE pairs (x TEXT, y INT, z BLOB, PRIMARY KEY (y, x));
         CREATE TABLE bare (a, b FLOAT);
         CREATE TABLE inside (k TEXT, v, w DOUBLE, PRIMARY KEY (w, k)) WITHOUT ROWID;
         CREATE TABLE made (id TEXT NOT NULL PRIMARY KEY, a INT, v INT GENERATED ALWAYS AS (a * 2) VIRTUAL, s INT GENERATED ALWAYS AS (a * 3) STORED, b);
         CREATE TABLE \"odd name \"\"quoted\"\"\" (\"a b\" TEXT NOT NULL PRIMARY KEY, c);
         CREATE INDEX over_b ON texts (b);",
    )
    .unwrap();
    db.execute_batch(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO texts SELECT printf('%08d', i * 7919 % 100000), i, hex(zeroblob(i * 11 % 3000)), NULL FROM n;
         INSERT INTO numbers SELECT rowid, rowid * 0.25, b FROM texts;
         INSERT INTO counted SELECT NULL, b FROM texts LIMIT 50;
         INSERT INTO backwards SELECT rowid, a FROM texts LIMIT 50;
         INSERT INTO pairs SELECT id, rowid, CAST(b AS BLOB) FROM texts;
         INSERT INTO pairs VALUES (NULL, NULL, 'one'), (NULL, NULL, 'two'), (NULL, 1, 'three');
         INSERT INTO bare SELECT b, a FROM texts LIMIT 100;
         INSERT INTO inside SELECT id, b, a FROM texts;
         INSERT INTO made (id, a, b) SELECT id, rowid, b FROM texts;
         INSERT INTO \"odd name \"\"quoted\"\"\" SELECT id, a FROM texts LIMIT 20;
         ALTER TABLE texts ADD COLUMN later INTEGER NOT NULL DEFAULT 42;
         ALTER TABLE texts ADD COLUMN real_later REAL DEFAULT 5;
         ALTER TABLE numbers ADD COLUMN text_later TEXT DEFAULT 'it''s';
         INSERT INTO texts (id, later) VALUES ('new', 43);",
    )
    .unwrap();
}

#[test]
fn random_changes_to_every_kind_of_table_are_told_as_sqlite_tells_them() {
    let dir = temp();
    let mut random = Random(7);
    let mut told = 0;
    for (page_bytes, encoding, auto_vacuum) in [
        (512, "UTF-8", 0),
        (1024, "UTF-16le", 1),
        (4096, "UTF-8", 2),
        (4096, "UTF-16be", 0),
        (65_536, "UTF-8", 1),
    ] {
        let (before, after) = (
            dir.path().join(format!("{page_bytes}{encoding}.a")),
            dir.path().join(format!("{page_bytes}{encoding}.b")),
        );
        odd_tables(&before, page_bytes, encoding, auto_vacuum);
        std::fs::copy(&before, &after).unwrap();
        assert_eq!(assert_same(&before, &after, "equal"), 0);
        for round in 0..12 {
            shake(&after, &mut random, if round % 3 == 0 { 25 } else { 2 });
            told += assert_same(&before, &after, &format!("{page_bytes} {encoding} round {round}"));
            assert_same(
                &after,
                &before,
                &format!("{page_bytes} {encoding} round {round} backwards"),
            );
            if random.below(3) == 0 {
                std::fs::copy(&after, &before).unwrap();
            }
        }
    }
    assert!(told > 200, "only {told} tables ever differed");
}

#[test]
fn random_changes_to_every_table_of_jellyfins_database_are_told_as_sqlite_tells_them() {
    let dir = temp();
    let mut bases = vec![own_fixture().join("data/jellyfin.db")];
    bases.extend(extremes().map(|(database, _)| database));
    for (number, base) in bases.iter().enumerate() {
        let (before, after) =
            (dir.path().join(format!("{number}.a")), dir.path().join(format!("{number}.b")));
        folded(base, &before);
        std::fs::copy(&before, &after).unwrap();
        let mut random = Random(number as u64 + 1);
        let mut tables = std::collections::BTreeSet::new();
        for round in 0..5 {
            shake(&after, &mut random, 8);
            tables.extend(oracle(&before, &after).into_keys());
            assert_same(&before, &after, &format!("{} round {round}", base.display()));
        }
        assert!(tables.len() >= 20, "only {} tables were ever changed: {tables:?}", tables.len());
    }
}

#[test]
fn a_row_that_changed_in_its_overflow_pages_alone_is_found() {
    let dir = temp();
    let (before, after) = (dir.path().join("a"), dir.path().join("b"));
    odd_tables(&before, 4096, "UTF-8", 0);
    Connection::open(&before)
        .unwrap()
        .execute("INSERT INTO texts (id, b) VALUES ('long', zeroblob(50000))", [])
        .unwrap();
    std::fs::copy(&before, &after).unwrap();
    // A value of the same length is written in place, page by page: the leaf, which has its
    // beginning, stays as it is.
    let db = Connection::open(&after).unwrap();
    let mut bytes = vec![0; 50_000];
    bytes[45_000..45_007].copy_from_slice(b"changed");
    db.execute("UPDATE texts SET b = ?1 WHERE id = 'long'", [&bytes]).unwrap();
    db.close().unwrap();
    assert_eq!(assert_same(&before, &after, "overflow"), 1);
}

#[test]
fn only_tables_whose_pages_changed_are_read() {
    let dir = temp();
    let (before, after) = (dir.path().join("a"), dir.path().join("b"));
    odd_tables(&before, 4096, "UTF-8", 0);
    std::fs::copy(&before, &after).unwrap();
    Connection::open(&after)
        .unwrap()
        .execute("UPDATE numbers SET a = 3 WHERE id = 17", [])
        .unwrap();
    let (found, read) = engine(&before, &after);
    assert_eq!(read, ["numbers"]);
    assert_eq!(found["numbers"].0.len(), 1);
    let mut own = open(&before);
    let mut other = open(&after);
    let count = other.pages.count();
    compare_databases(&mut own, &mut other, |_, _| -> Result<(), Error> { Ok(()) }).unwrap();
    assert!(own.pages.read < u64::from(count) / 8, "{} of {count} pages were read", own.pages.read);
}

/// What one overflow page of 4 KiB holds, such that a group of cells ends behind it.
fn piece_that_ends_a_group(seed: &str) -> Vec<u8> {
    let pieces = (0..1000).map(|number| noise(&format!("{seed} {number}"), 4092));
    pieces.into_iter().find(|piece| xxhash_rust::xxh3::xxh3_64(piece) & 7 == 0).unwrap()
}

#[test]
fn ends_of_rows_that_changed_places_are_found() {
    let dir = temp();
    let (before, after) = (dir.path().join("a"), dir.path().join("b"));
    // 489 bytes of each row lie in its page, 5 of them the record's header; then come whole
    // overflow pages. Groups end behind head and tail, so both states have the same groups, put
    // together in another way.
    let part = |name: &str, begin: usize| {
        [noise(name, begin + 7 * 4092), piece_that_ends_a_group(name)].concat()
    };
    let heads = [0, 1].map(|n| part(&format!("head {n}"), 484));
    let tails = [0, 1].map(|n| part(&format!("tail {n}"), 0));
    for (path, first) in [(&before, 0), (&after, 1)] {
        let db = Connection::open(path).unwrap();
        db.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB)").unwrap();
        for row in 0..2 {
            db.execute(
                "INSERT INTO t VALUES (?1, ?2)",
                (row as i64, [heads[row].as_slice(), &tails[(row + first) % 2]].concat()),
            )
            .unwrap();
        }
    }
    assert_eq!(engine(&before, &after).0["t"].0.len(), 2);
}

#[test]
fn a_database_that_got_another_page_size_has_the_same_rows() {
    let dir = temp();
    let (before, after) = (dir.path().join("a"), dir.path().join("b"));
    odd_tables(&before, 4096, "UTF-8", 0);
    Connection::open(&before).unwrap().execute_batch("VACUUM").unwrap();
    std::fs::copy(&before, &after).unwrap();
    Connection::open(&after).unwrap().execute_batch("PRAGMA page_size = 8192; VACUUM").unwrap();
    assert_eq!(assert_same(&before, &after, "page size"), 0);
}

#[test]
fn what_a_vacuum_moves_is_not_read() {
    let dir = temp();
    let (before, after) = (dir.path().join("a"), dir.path().join("b"));
    odd_tables(&before, 1024, "UTF-8", 0);
    Connection::open(&before)
        .unwrap()
        .execute_batch(
            "VACUUM; DELETE FROM texts WHERE rowid % 5 = 0; DELETE FROM numbers WHERE id % 7 = 0",
        )
        .unwrap();
    std::fs::copy(&before, &after).unwrap();
    let db = Connection::open(&after).unwrap();
    db.execute_batch("VACUUM").unwrap();
    db.execute("UPDATE numbers SET a = 3 WHERE id = 17", []).unwrap();
    db.close().unwrap();
    let (found, _) = engine(&before, &after);
    assert_eq!(found.values().map(|(gone, came)| gone.len() + came.len()).sum::<usize>(), 2);
    let mut own = Database::open(pages(&before, By::Groups)).unwrap();
    let mut other = Database::open(pages(&after, By::Groups)).unwrap();
    let count = other.pages.count();
    compare_databases(&mut own, &mut other, |_, _| -> Result<(), Error> { Ok(()) }).unwrap();
    assert!(own.pages.read < u64::from(count) / 8, "{} of {count} pages were read", own.pages.read);
}

#[test]
fn real_days_and_upgrades_are_told_as_sqlite_tells_them() {
    let dir = temp();
    let servers = servers("attic-servers");
    for states in [["day1", "day2", "day3"], ["10.11.6", "10.11.11", "12.0"]] {
        let files: Vec<PathBuf> = states
            .iter()
            .map(|state| {
                let to = dir.path().join(format!("{state}.db"));
                folded(&servers.join(state).join("data/data/jellyfin.db"), &to);
                to
            })
            .collect();
        for pair in files.windows(2) {
            let tables = assert_same(&pair[0], &pair[1], &format!("{pair:?}"));
            assert_eq!(tables == 0, pair[1].ends_with("day3.db"), "{pair:?}");
            assert_same(&pair[1], &pair[0], "backwards");
        }
        assert_same(&files[0], &files[2], "all");
    }
}

#[test]
fn any_damage_to_a_page_is_an_error_or_a_difference_and_never_a_panic() {
    let dir = temp();
    let (before, after) = (dir.path().join("a"), dir.path().join("b"));
    odd_tables(&before, 1024, "UTF-8", 0);
    let bytes = std::fs::read(&before).unwrap();
    let mut random = Random(3);
    let mut errors = 0;
    for _ in 0..400 {
        let mut damaged = bytes.clone();
        for _ in 0..=random.below(3) {
            let at = if random.below(2) == 0 {
                random.below(bytes.len() as u64)
            } else {
                random.below(bytes.len() as u64 / 1024) * 1024 + random.below(16)
            };
            damaged[at as usize] = random.next() as u8;
        }
        std::fs::write(&after, &damaged).unwrap();
        let file = std::fs::File::open(&after).unwrap();
        let by = if random.below(2) == 0 { By::Groups } else { By::Pages };
        let opened = Pages::of_file(file, &Default::default())
            .and_then(|pages| if by == By::Groups { pages.by_groups() } else { Ok(pages) });
        let outcome = opened.and_then(Database::open).and_then(|mut other| {
            let mut own = Database::open(pages(&before, by)).unwrap();
            compare_databases(&mut own, &mut other, |_, _| -> Result<(), Error> { Ok(()) })
                .map(drop)
        });
        errors += u32::from(outcome.is_err());
    }
    assert!(errors > 40, "only {errors} of them were ever seen");
}

#[test]
fn rows_of_any_content_are_put_into_words_and_into_json() {
    let mut bases = vec![own_fixture().join("data/jellyfin.db")];
    bases.extend(extremes().map(|(database, _)| database));
    for (number, base) in bases.iter().enumerate() {
        let program = Program::new();
        let folder = program.home.path().join("plain");
        let database = folder.join("data/jellyfin.db");
        std::fs::create_dir_all(database.parent().unwrap()).unwrap();
        folded(base, &database);
        let mut random = Random(number as u64 + 40);
        program.ok(&["snapshot", "--plain", folder.to_str().unwrap()]);
        for round in 0..4 {
            shake(&database, &mut random, 12);
            if round == 2 {
                // What no server writes: texts that are none, ids that are numbers, users without
                // names.
                let db = Connection::open(&database).unwrap();
                db.execute_batch(
                    "PRAGMA foreign_keys = OFF; UPDATE OR IGNORE UserData SET ItemId = 7, Rating = 'x' WHERE rowid % 3 = 0; UPDATE BaseItems SET Name = CAST(x'ff00fe' AS TEXT), Data = '{', Type = x'01' WHERE rowid % 2 = 0;
                     UPDATE OR IGNORE Users SET Username = '' WHERE rowid % 2 = 0; UPDATE BaseItems SET TopParentId = Id; UPDATE OR IGNORE AncestorIds SET ParentItemId = ItemId;",
                )
                .unwrap();
            }
            program.ok(&["snapshot", "--plain", folder.to_str().unwrap()]);
            let (document, code) = program.json(&["diff", "latest~1", "latest", "--rows"]);
            assert_eq!(code, 0, "{}", base.display());
            let told: u64 = document["summary"]["rows"]["tables"]
                .as_object()
                .unwrap()
                .values()
                .map(|t| {
                    ["added", "removed", "changed"]
                        .iter()
                        .map(|k| t[k].as_u64().unwrap())
                        .sum::<u64>()
                })
                .sum();
            assert_eq!(told, document["rows"].as_array().unwrap().len() as u64);
            assert!(told > 0);
            program.ok(&[
                "diff",
                "latest~1",
                "latest",
                "--rows",
                "--verbose",
                "--table",
                "BaseItems,Users,UserData,Permissions",
            ]);
        }
    }
}

#[test]
fn rows_that_are_looked_up_together_are_those_that_sqlite_finds() {
    let dir = temp();
    for (page_bytes, rows) in [(512, 3000u64), (4096, 20_000), (4096, 1), (4096, 0)] {
        let path = dir.path().join(format!("{page_bytes}-{rows}.db"));
        let sqlite = Connection::open(&path).unwrap();
        sqlite.pragma_update(None, "page_size", page_bytes).unwrap();
        sqlite
            .execute_batch("CREATE TABLE Items (Id TEXT NOT NULL PRIMARY KEY, Name TEXT, Size INTEGER); CREATE TABLE Other (Number INTEGER PRIMARY KEY)")
            .unwrap();
        let mut random = Random(rows + 1);
        sqlite.execute_batch("BEGIN").unwrap();
        for number in 0..rows {
            // Long names need overflow pages; keys come in no order.
            let name = "n".repeat(random.below(if number % 50 == 0 { 9000 } else { 40 }) as usize);
            sqlite
                .execute(
                    "INSERT OR IGNORE INTO Items VALUES (?, ?, ?)",
                    (format!("{:08X}", random.below(1 << 32)), name, number as i64),
                )
                .unwrap();
        }
        sqlite.execute_batch("DELETE FROM Items WHERE Size % 7 = 3; COMMIT").unwrap();
        let there: Vec<String> = sqlite
            .prepare("SELECT Id FROM Items")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let mut keys: Vec<String> =
            there.iter().filter(|_| random.below(3) == 0).cloned().collect();
        keys.extend((0..500).map(|_| format!("{:08X}", random.below(1 << 32))));
        keys.sort();
        keys.dedup();
        drop(sqlite);
        let sqlite = Connection::open(&path).unwrap();
        let mut database = open(&path);
        let found = Lookup::new(&mut database).by_texts("Items", &keys).unwrap();
        assert_eq!(found.len(), keys.len());
        let mut hits = 0;
        for (key, found) in keys.iter().zip(found) {
            let expected: Option<(String, i64)> = sqlite
                .query_row("SELECT Name, Size FROM Items WHERE Id = ?", [key], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .map(Some)
                .or_else(none_found)
                .unwrap();
            let own = found.as_ref().map(|(_, row)| (row.values[1].clone(), row.values[2].clone()));
            assert_eq!(
                own,
                expected.map(|(name, size)| (Value::Text(name.into_bytes()), Value::Integer(size))),
                "{key}"
            );
            let alone = Lookup::new(&mut database).by_text("Items", key).unwrap();
            assert_eq!(alone.map(|(_, row)| row.values), found.map(|(_, row)| row.values), "{key}");
            hits += usize::from(own.is_some());
        }
        assert!(hits * 6 >= there.len(), "{hits} of {} rows", there.len());
        assert!(
            Lookup::new(&mut database).by_texts("Gone", &keys).unwrap().iter().all(Option::is_none)
        );
        assert!(
            Lookup::new(&mut database)
                .by_texts("Other", &keys)
                .unwrap()
                .iter()
                .all(Option::is_none)
        );
    }
}

/// A cell of megabytes fills no memory, and two of them that differ in their last byte still differ.
#[test]
fn of_values_longer_than_a_server_writes_only_the_beginning_is_kept() {
    for (by, encoding) in [(By::Pages, "UTF-8"), (By::Groups, "UTF-8"), (By::Groups, "UTF-16le")] {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["before", "after"].map(|name| dir.path().join(name));
        for (path, end) in paths.iter().zip(["x", "y"]) {
            let database = Connection::open(path).unwrap();
            database
                .execute_batch(&format!(
                    "PRAGMA encoding = '{encoding}';
                     CREATE TABLE Long(Id TEXT PRIMARY KEY, Small INT, Text TEXT, Bytes BLOB, Last TEXT);
                     INSERT INTO Long VALUES
                       ('same', 7, replace(hex(zeroblob(6000000)), '0', 'n'), zeroblob(9000000), 'end'),
                       ('text', 7, replace(hex(zeroblob(6000000)), '0', 'n') || '{end}', x'00', 'end'),
                       ('bytes', 7, 'short', CAST(zeroblob(20000000) || '{end}' AS BLOB), '{end}'),
                       ('usual', 7, replace(hex(zeroblob(1000000)), '0', 'n') || '{end}', NULL, 'end');"
                ))
                .unwrap();
        }
        let mut before = open(&paths[0]);
        let mut after = open_beside(&paths[1], by, &before);
        let mut found = BTreeMap::new();
        compare_databases(&mut before, &mut after, |_, change| -> Result<(), Error> {
            let row = change.after.clone().unwrap();
            found.insert(row.values[0].text().unwrap(), (row.values, change.changed));
            Ok(())
        })
        .unwrap();
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            ["bytes", "text", "usual"],
            "{by:?} {encoding}"
        );
        let (text, changed) = &found["text"];
        let words = text[2].text().unwrap();
        assert!(words.starts_with("nnn") && words.contains("bytes, BLAKE3 "), "{words}");
        assert!(words.len() < 1000, "{}", words.len());
        assert_eq!((changed.as_slice(), text[1].integer()), (&[(2, 2)][..], Some(7)));
        let (bytes, changed) = &found["bytes"];
        assert_eq!(
            (changed.as_slice(), &bytes[4]),
            (&[(3, 3), (4, 4)][..], &Value::Text(b"y".into()))
        );
        assert!(matches!(&bytes[3], Value::Blob(kept) if kept.len() < 1000));
        assert!(matches!(&found["usual"].0[2], Value::Text(text) if text.len() == 2_000_001));
        let row = Lookup::new(&mut after).by_text("Long", "text").unwrap().unwrap().1;
        assert_eq!(row.values, *text);
    }
}

fn none_found<T>(error: rusqlite::Error) -> rusqlite::Result<Option<T>> {
    if error == rusqlite::Error::QueryReturnedNoRows { Ok(None) } else { Err(error) }
}
