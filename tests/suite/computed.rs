//! A database whose columns are computed when they are read, each row for hours: it stops nothing,
//! and is captured as it is.

use std::path::Path;
use std::process::Command;

use super::support::*;

/// An expression that takes seconds to compute and yields a short text.
fn slow() -> String {
    let inner = (0..40).fold("hex(zeroblob(20000000))".to_owned(), |inner, step| {
        format!("replace({inner}, '0{}', '0{}')", step % 10, (step + 1) % 10)
    });
    format!("substr({inner}, 1, 10)")
}

/// Makes a column of a table a computed one, without computing anything.
fn poison(database: &Path, table: &str, column: &str) {
    hide(database);
    let db = rusqlite::Connection::open(database).unwrap();
    db.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA writable_schema = ON").unwrap();
    let sql = |db: &rusqlite::Connection| -> String {
        db.query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [table], |row| row.get(0))
            .unwrap()
    };
    let was = sql(&db);
    let computed = format!("{column} GENERATED ALWAYS AS ({}) VIRTUAL", slow());
    db.execute(
        "UPDATE sqlite_schema SET sql = ?2 WHERE name = ?1",
        [table, &was.replace(column, &computed)],
    )
    .unwrap();
    assert_ne!(sql(&db), was);
}

/// A table in the place of the function by which SQLite tells of tables.
fn hide(database: &Path) {
    let db = rusqlite::Connection::open(database).unwrap();
    db.execute_batch("CREATE TABLE IF NOT EXISTS pragma_table_list (schema, type, name)").unwrap();
}

/// Runs the program for as long as nothing hangs.
fn run(program: &Program, args: &[&str]) -> (serde_json::Value, Option<i32>) {
    let of = program.command(args);
    let mut command = Command::new("timeout");
    command.env_clear().envs(of.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output =
        command.args(["-s", "KILL", "60"]).arg(of.get_program()).args(of.get_args()).output();
    let output = output.unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (json, output.status.code())
}

#[test]
fn computed_columns_stop_no_command() {
    let cases = [
        ("data/jellyfin.db", "__EFMigrationsHistory", "\"ProductVersion\" TEXT NOT NULL"),
        ("data/jellyfin.db", "Chapters", "\"ImagePath\" TEXT"),
        ("data/jellyfin.db", "Users", "\"Username\" TEXT"),
        ("plugins/own.db", "Own", "y TEXT NOT NULL"),
    ];
    for (file, table, column) in cases {
        let program = Program::new();
        let data = program.home.path().join("jellyfin");
        copy_tree(&own_fixture(), &data);
        let at = data.to_str().unwrap();
        program.ok(&["snapshot", at]);
        let database = data.join(file);
        if !database.exists() {
            rusqlite::Connection::open(&database)
                .unwrap()
                .execute_batch(
                    "CREATE TABLE Own (x TEXT, y TEXT NOT NULL);
                     WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 500)
                     INSERT INTO Own SELECT n, n FROM c;",
                )
                .unwrap();
        }
        poison(&database, table, column);
        let is_main = file.starts_with("data/");
        let (taken, code) = run(&program, &["--json", "snapshot", at]);
        assert_eq!(code, Some(if is_main { 3 } else { 0 }), "{table}: {taken}");
        let says_why = taken["problems"].to_string().contains("no Jellyfin server creates");
        assert_eq!(is_main, says_why, "{table}: {taken}");
        let zip = program.home.path().join("x.zip");
        let own = ["restore", "latest", "--in-place", "--only", "database", "--data-dir", at];
        for args in [
            &["show", "latest"][..],
            &["export", "latest", zip.to_str().unwrap(), "--force"],
            &["export", "latest", zip.to_str().unwrap(), "--exact", "--force"],
            &["diff", "--rows"],
            &["schema", "learn", "--data-dir", at],
            &["restore", "latest", "--watch-state", "--user", "Ana", "--data-dir", at],
            &["move", at, "--map", "/media=/other", "--allow-missing", "--dry-run"],
            &own,
            &[&own[..], &["--force", "--same-directories"]].concat(),
        ] {
            let (said, code) = run(&program, &[&["--json"], args].concat());
            assert!(code.is_some_and(|code| code < 4), "{table}: {args:?}: {code:?} {said}");
        }
        // The pages came back as they were.
        let to = program.home.path().join("to");
        run(&program, &["restore", "latest", "--to", to.to_str().unwrap()]);
        assert_eq!(
            std::fs::read(to.join(file)).unwrap(),
            std::fs::read(&database).unwrap(),
            "{table}"
        );
    }
}

/// A plugin may search its texts with a module that jellyvault's SQLite does not have.
#[test]
fn tables_of_modules_that_are_not_there_are_captured_checked_and_come_back() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let database = data.join("plugins/search.db");
    std::fs::create_dir_all(database.parent().unwrap()).unwrap();
    let db = rusqlite::Connection::open(&database).unwrap();
    db.execute_batch(
        "CREATE TABLE Texts_data (id INTEGER PRIMARY KEY, block BLOB); CREATE TABLE Own (x TEXT);
         INSERT INTO Own VALUES ('what the plugin wrote'); PRAGMA writable_schema = ON;
         INSERT INTO sqlite_schema VALUES
           ('table', 'Texts', 'Texts', 0, 'CREATE VIRTUAL TABLE Texts USING fts5(body)'),
           ('table', 'Places', 'Places', 0, 'CREATE VIRTUAL TABLE Places USING rtree(id, a, b)'),
           ('table', 'Odd', 'Odd', 0, 'CREATE VIRTUAL TABLE Odd USING no_such_module(x)');",
    )
    .unwrap();
    drop(db);
    let at = data.to_str().unwrap();
    let (taken, code) = program.json(&["snapshot", at]);
    assert_eq!((code, taken["problems"].as_array().map(Vec::len)), (0, Some(0)), "{taken}");
    std::fs::remove_file(&database).unwrap();
    program.ok(&[
        "restore",
        "latest",
        "--in-place",
        "--path",
        "plugins/search.db",
        "--data-dir",
        at,
        "--force",
    ]);
    let db = rusqlite::Connection::open(&database).unwrap();
    let own: String = db.query_row("SELECT x FROM Own", [], |row| row.get(0)).unwrap();
    assert_eq!(own, "what the plugin wrote");
    // A damaged one is still found.
    drop(db);
    let mut bytes = std::fs::read(&database).unwrap();
    let last = bytes.len() - 4096;
    bytes[last..].fill(0x55);
    write(&database, &bytes);
    let (taken, code) = program.json(&["snapshot", at]);
    assert_eq!(code, 3, "{taken}");
    assert!(taken["problems"].to_string().contains("search.db"), "{taken}");
}
