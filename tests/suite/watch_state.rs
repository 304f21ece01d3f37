//! One user's watch state brought back: their rows and nobody else's, in one transaction, the live
//! database kept first.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::support::*;

/// A stopped server's data directory, and the snapshot of it as it was.
fn server() -> (Program, PathBuf) {
    let program = Program::new();
    let data = program.home.path().join("server");
    copy_tree(&own_fixture(), &data);
    let db = Connection::open(data.join("data/jellyfin.db")).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    db.close().unwrap();
    let_settle();
    program.ok(&["snapshot", data.to_str().unwrap(), "--label", "then"]);
    (program, data)
}

fn user_with_most_state(data: &Path) -> (String, String) {
    let db = Connection::open(data.join("data/jellyfin.db")).unwrap();
    db.query_row("SELECT u.Id, u.Username FROM UserData d JOIN Users u ON u.Id = d.UserId GROUP BY u.Id ORDER BY count(*) DESC, u.Id LIMIT 1", [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
    .unwrap()
}

fn state_of(data: &Path, of_user: bool, user: &str) -> Vec<String> {
    let own = rows(&data.join("data/jellyfin.db"));
    own.into_iter()
        .filter(|row| row.starts_with("UserData:") && row.contains(user) == of_user)
        .collect()
}

fn run(program: &Program, data: &Path, user: &str, more: &[&str]) -> (serde_json::Value, i32) {
    let args = [
        &["restore", "then", "--watch-state", "--user", user, "--data-dir", data.to_str().unwrap()],
        more,
    ]
    .concat();
    program.json(&args)
}

#[test]
fn a_users_state_comes_back_and_nobody_elses_row_is_touched() {
    let (program, data) = server();
    let (user, name) = user_with_most_state(&data);
    let (then, others) = (
        state_of(&data, true, &user),
        rows(&data.join("data/jellyfin.db"))
            .into_iter()
            .filter(|row| !row.starts_with("UserData:") || !row.contains(&user))
            .collect::<Vec<_>>(),
    );
    assert!(then.len() > 3, "the fixture's user watched too little");
    let db = Connection::open(data.join("data/jellyfin.db")).unwrap();
    db.execute("UPDATE UserData SET Played = 1 - Played, PlaybackPositionTicks = 777, IsFavorite = 1 - IsFavorite WHERE UserId = ?1", [&user]).unwrap();
    let other: String = db
        .query_row("SELECT Id FROM BaseItems WHERE Id NOT IN (SELECT ItemId FROM UserData) AND MediaType IS NOT NULL ORDER BY Id LIMIT 1", [], |row| row.get(0))
        .unwrap();
    db.execute(
        "INSERT INTO UserData (ItemId, UserId, CustomDataKey, PlaybackPositionTicks, PlayCount, IsFavorite, Played) VALUES (?1, ?2, 'since', 5, 1, 0, 1)",
        [&other, &user],
    )
    .unwrap();
    db.close().unwrap();
    let changed = state_of(&data, true, &user);
    // A dry run changes nothing, and tells what the run then does.
    let (dry, code) = run(&program, &data, &name.to_uppercase(), &["--dry-run"]);
    assert_eq!((code, state_of(&data, true, &user) == changed), (0, true));
    let (done, code) = run(&program, &data, &name, &[]);
    assert_eq!(code, 0, "{done}");
    assert_eq!(done["watch_state"], dry["watch_state"]);
    assert!(dry["safety_snapshot"].is_null() && done["safety_snapshot"].is_string());
    let now = state_of(&data, true, &user);
    assert!(
        then.iter().all(|row| now.contains(row)) && now.len() == then.len() + 1,
        "what was watched since stays unless --delete"
    );
    let (deleted, _) = run(&program, &data, &name, &["--delete", "--no-safety-snapshot"]);
    assert!(deleted["safety_snapshot"].is_null(), "{deleted}");
    assert_eq!(deleted["watch_state"]["changed"].as_array().unwrap().len(), 1);
    assert_eq!(state_of(&data, true, &user), then);
    let left: Vec<_> = rows(&data.join("data/jellyfin.db"))
        .into_iter()
        .filter(|row| !row.starts_with("UserData:") || !row.contains(&user))
        .collect();
    assert_eq!(left, others);
    assert!(!data.join("data/jellyfin.db-wal").exists(), "no log is left beside the database");
    // The snapshot that was taken first has what was there.
    let safety = done["safety_snapshot"].as_str().unwrap();
    let out = program.home.path().join("safety");
    program.ok(&["restore", safety, "--to", out.to_str().unwrap()]);
    assert_eq!(state_of(&out, true, &user), changed);
}

#[test]
fn state_of_items_that_are_gone_waits_and_of_items_that_moved_follows() {
    let (program, data) = server();
    let (user, name) = user_with_most_state(&data);
    let db = Connection::open(data.join("data/jellyfin.db")).unwrap();
    db.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let items: Vec<String> = {
        let mut statement = db.prepare("SELECT DISTINCT d.ItemId FROM UserData d JOIN BaseItems b ON b.Id = d.ItemId WHERE d.UserId = ?1 AND b.Id NOT LIKE '%-000000000001' ORDER BY d.ItemId").unwrap();
        statement.query_map([&user], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let (gone, moved) = (&items[0], &items[1]);
    db.execute("DELETE FROM UserData WHERE UserId = ?1", [&user]).unwrap();
    db.execute("DELETE FROM BaseItems WHERE Id = ?1", [gone]).unwrap();
    let new_id = "ABCDEFAB-0000-4000-8000-ABCDEFABCDEF";
    db.execute("UPDATE BaseItems SET Id = ?1 WHERE Id = ?2", [new_id, moved]).unwrap();
    db.close().unwrap();
    let (done, code) = run(&program, &data, &name, &[]);
    assert_eq!(code, 0, "{done}");
    assert_eq!(done["watch_state"]["put_aside"].as_array().unwrap().len(), 1);
    assert_eq!(done["watch_state"]["found_again"], 1);
    let db = Connection::open(data.join("data/jellyfin.db")).unwrap();
    let count = |sql: &str, args: &[&str]| -> i64 {
        db.query_row(sql, rusqlite::params_from_iter(args), |row| row.get(0)).unwrap()
    };
    assert!(
        count("SELECT count(*) FROM UserData WHERE UserId = ?1 AND ItemId = ?2", &[&user, new_id])
            > 0
    );
    assert!(
        count(
            "SELECT count(*) FROM UserData WHERE UserId = ?1 AND ItemId = '00000000-0000-0000-0000-000000000001' AND RetentionDate IS NOT NULL",
            &[&user]
        ) > 0
    );
    assert_eq!(
        count("SELECT count(*) FROM UserData WHERE ItemId NOT IN (SELECT Id FROM BaseItems)", &[]),
        0,
        "no row is without its item"
    );
    drop(db);
    // Once more changes nothing.
    let before = rows(&data.join("data/jellyfin.db"));
    let (again, _) = run(&program, &data, &name, &[]);
    assert_eq!(again["watch_state"]["changed"].as_array().unwrap().len(), 0);
    assert_eq!(rows(&data.join("data/jellyfin.db")), before);
}

#[test]
fn a_running_server_and_an_unknown_user_are_refused_before_anything_is_written() {
    let (program, data) = server();
    let (_, name) = user_with_most_state(&data);
    let before = rows(&data.join("data/jellyfin.db"));
    let (unknown, code) = run(&program, &data, "Nobody", &[]);
    assert_eq!((code, unknown["error"]["kind"].as_str()), (1, Some("not-found")));
    assert!(unknown["error"]["hint"].as_str().unwrap().contains(&name), "{unknown}");
    let server = Connection::open(data.join("data/jellyfin.db")).unwrap();
    server.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
    server.query_row("SELECT count(*) FROM Users", [], |row| row.get::<_, i64>(0)).unwrap();
    let (refused, code) = run(&program, &data, &name, &[]);
    assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
    // A look is allowed.
    let (looked, code) = run(&program, &data, &name, &["--dry-run"]);
    let must_stop = looked["watch_state"]["must_stop"].as_str();
    assert!(code == 3 && must_stop.is_some_and(|why| why.contains("open")), "{looked}");
    drop(server);
    assert_eq!(rows(&data.join("data/jellyfin.db")), before);
    // A user whom the server does not have any more is told, and nothing is half done.
    let db = Connection::open(data.join("data/jellyfin.db")).unwrap();
    db.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    db.execute("DELETE FROM Users WHERE Username = ?1", [&name]).unwrap();
    db.close().unwrap();
    let before = rows(&data.join("data/jellyfin.db"));
    let snapshots = program.json(&["list"]).0["snapshots"].as_array().unwrap().len();
    let (missing, code) = run(&program, &data, &name, &[]);
    assert_eq!(code, 1);
    assert_eq!(missing["error"]["kind"], "refused", "{missing}");
    assert!(
        missing["error"]["hint"].as_str().unwrap().contains("Create a user with this name"),
        "{missing}"
    );
    assert_eq!(
        program.json(&["list"]).0["snapshots"].as_array().unwrap().len(),
        snapshots,
        "a try that failed leaves no snapshot"
    );
    assert_eq!(rows(&data.join("data/jellyfin.db")), before);
}

#[test]
fn what_cannot_be_kept_is_named_and_nobody_is_taken_for_somebody_else() {
    let (program, data) = server();
    let (user, name) = user_with_most_state(&data);
    let edit = |sql: &str| {
        let db = Connection::open(data.join("data/jellyfin.db")).unwrap();
        db.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
        db.close().unwrap();
    };
    // Without a placeholder row the state of an item that is gone has no place to wait.
    edit(&format!(
        "DELETE FROM BaseItems WHERE Id = (SELECT max(ItemId) FROM UserData WHERE UserId = '{user}' AND ItemId NOT LIKE '%-000000000001');
         DELETE FROM UserData WHERE UserId = '{user}'; DELETE FROM BaseItems WHERE Id = '00000000-0000-0000-0000-000000000001';"
    ));
    let (lost, code) = run(&program, &data, &name, &[]);
    assert_eq!(
        (
            code,
            lost["watch_state"]["lost"].as_array().unwrap().len(),
            lost["problems"].as_array().unwrap().len()
        ),
        (3, 1, 1),
        "{lost}"
    );
    assert_eq!(lost["watch_state"]["put_aside"], serde_json::json!([]));
    // Somebody else took the name meanwhile.
    edit(&format!(
        "UPDATE Users SET Username = 'Renamed', NormalizedUsername = 'RENAMED' WHERE Id = '{user}'"
    ));
    edit(&format!(
        "UPDATE Users SET Username = '{name}', NormalizedUsername = upper('{name}') WHERE Id = (SELECT max(Id) FROM Users WHERE Id <> '{user}')"
    ));
    let before = rows(&data.join("data/jellyfin.db"));
    let (refused, code) = run(&program, &data, &name, &["--delete"]);
    assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
    assert_eq!(rows(&data.join("data/jellyfin.db")), before);
    // Two users whose names differ in capital letters alone: the exact one is meant, and none where
    // it is neither.
    edit(&format!(
        "UPDATE Users SET Username = 'Twin', NormalizedUsername = 'T1' WHERE Id = '{user}'"
    ));
    edit(&format!(
        "UPDATE Users SET Username = 'TWIN', NormalizedUsername = 'T2' WHERE Id = (SELECT max(Id) FROM Users WHERE Id <> '{user}')"
    ));
    program.ok(&["snapshot", data.to_str().unwrap(), "--label", "twins"]);
    let twins = |name: &str| {
        program.json(&[
            "restore",
            "twins",
            "--watch-state",
            "--user",
            name,
            "--dry-run",
            "--data-dir",
            data.to_str().unwrap(),
        ])
    };
    assert_eq!(twins("TWIN").0["watch_state"]["user"], "TWIN");
    assert_eq!(twins("Twin").0["watch_state"]["user"], "Twin");
    assert_eq!(twins("twin").0["error"]["kind"], "refused");
    // A snapshot without watch state removes none.
    edit("ALTER TABLE UserData RENAME TO Away");
    program.ok(&["snapshot", data.to_str().unwrap(), "--label", "without"]);
    edit("ALTER TABLE Away RENAME TO UserData");
    let (without, _) = program.json(&[
        "restore",
        "without",
        "--watch-state",
        "--user",
        "Twin",
        "--delete",
        "--data-dir",
        data.to_str().unwrap(),
    ]);
    assert_eq!(without["error"]["kind"], "refused", "{without}");
}
