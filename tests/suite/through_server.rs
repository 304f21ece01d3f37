//! What is changed through the running server: one user's watch state, one picture, a playlist, a
//! collection; and what happens when it does not answer as it should.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::Value;

use super::stand_in::{Fault, KEY, StandIn};
use super::support::*;

/// A running server, its data directory with its database open, and a program that knows its key.
struct Home {
    program: Program,
    data: PathBuf,
    server: StandIn,
    _open: Connection,
}

const ANA: &str = "4E43CDA4-C12F-455D-AEB8-2F4A712F7B5B";
const VERSIONS: [&str; 2] = ["10.11.6", "12.0"];

fn home(version: &str) -> Home {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let open = Connection::open(data.join("data/jellyfin.db")).unwrap();
    open.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    open.query_row("SELECT count(*) FROM Users", [], |row| row.get::<_, i64>(0)).unwrap();
    let_settle();
    let server = StandIn::start(version, &data);
    let home = Home { program, data, server, _open: open };
    write(home.program.home.path().join("key"), format!("{KEY}\n"));
    home.configure(&home.server.url, "");
    home.program.ok(&["snapshot", "--label", "then"]);
    home
}

impl Home {
    fn configure(&self, url: &str, more: &str) {
        let config = self.program.home.path().join(".config/jellyvault/config.toml");
        let key = self.program.home.path().join("key");
        write(
            config,
            format!(
                "[server]\ndata_dir = {:?}\n[jellyfin]\nurl = {url:?}\napi_key_file = {key:?}\n{more}",
                self.data.to_str().unwrap()
            ),
        );
    }

    fn sql(&self, sql: &str) {
        run_sql(&self.data.join("data/jellyfin.db"), sql);
    }

    /// Ana's rows, but for streams and waiting state.
    fn state(&self) -> Vec<String> {
        state_of(&self.data.join("data/jellyfin.db"))
    }

    fn watch(&self, snapshot: &str, more: &[&str]) -> (Value, i32) {
        self.program
            .json(&[&["restore", snapshot, "--watch-state", "--user", "Ana"], more].concat())
    }
}

fn state_of(database: &Path) -> Vec<String> {
    let db = Connection::open(database).unwrap();
    let sql = "SELECT ItemId || CustomDataKey || ' ' || Played || ' ' || PlaybackPositionTicks || ' ' || PlayCount || ' ' || IsFavorite || ' ' || \
         coalesce(Rating, '-') || ' ' || coalesce(Likes, '-') || ' ' || coalesce(LastPlayedDate, '-') FROM UserData WHERE UserId = ?1 ORDER BY 1";
    let mut statement = db.prepare(sql).unwrap();
    statement.query_map([ANA], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_running_server_sets_the_watch_state_row_by_row_and_it_can_be_taken_back() {
    for version in VERSIONS {
        let home = home(version);
        let then = home.state();
        // Dates stay as they are: through the server none can be emptied.
        home.sql(&format!(
            "UPDATE UserData SET Played = 1 - Played, PlaybackPositionTicks = 777, PlayCount = PlayCount + 3, IsFavorite = 1 - IsFavorite WHERE UserId = '{ANA}' \
             AND ItemId NOT LIKE '%-000000000001'"
        ));
        let changed = home.state();
        let (dry, code) = home.watch("then", &["--dry-run"]);
        assert_eq!((code, home.state() == changed, home.server.changes()), (0, true, 0), "{dry}");
        let (done, code) = home.watch("then", &[]);
        assert_eq!(
            (code, &done["watch_state"], &done["through_server"]),
            (0, &dry["watch_state"], &Value::Bool(true)),
            "{done}"
        );
        let items = done["watch_state"]["changed"].as_array().unwrap().len();
        assert!(items > 3 && home.server.changes() == items, "each item once: {done}");
        assert_eq!(home.state(), then, "{version}");
        // The way back is the snapshot that was taken first, and the answer names the command.
        let safety = done["safety_snapshot"].as_str().unwrap();
        let (back, code) = home.watch(safety, &[]);
        assert_eq!((code, home.state()), (0, changed), "{back}");
        let text = home.program.ok(&["restore", "then", "--watch-state", "--user", "Ana"]);
        assert!(
            text.contains("To undo: jellyvault restore ")
                && text.contains("through the running server"),
            "{text}"
        );
        assert_eq!(home.state(), then);
        // Once more has nothing to do, takes no snapshot and asks for no change.
        let before = home.server.changes();
        let (again, code) = home.watch("then", &[]);
        assert_eq!(
            (code, again["safety_snapshot"].is_null(), home.server.changes() - before),
            (0, true, 0),
            "{again}"
        );
    }
}

#[test]
fn what_the_server_cannot_set_is_named_before_anything_is_changed() {
    let home = home("12.0");
    let item = "445F4DBD-B950-AEDD-78F4-4C2256B6097C";
    let gone: String = Connection::open(home.data.join("data/jellyfin.db"))
        .unwrap()
        .query_row(
            "SELECT max(ItemId) FROM UserData WHERE UserId = ?1 AND ItemId NOT LIKE '%-000000000001' AND ItemId <> ?2 AND ItemId IN (SELECT Id FROM BaseItems)",
            [ANA, item],
            |row| row.get(0),
        )
        .unwrap();
    home.sql(&format!(
        "PRAGMA foreign_keys = OFF; UPDATE UserData SET Rating = 5, Likes = 1, AudioStreamIndex = 2, PlayCount = 9 WHERE UserId = '{ANA}' AND ItemId = '{item}'; \
         DELETE FROM UserData WHERE ItemId = '{gone}'; DELETE FROM BaseItems WHERE Id = '{gone}'"
    ));
    let (dry, code) = home.watch("then", &["--dry-run"]);
    assert_eq!((code, home.server.changes()), (3, 0), "{dry}");
    let problems = dry["problems"].as_array().unwrap().clone();
    let words = |wanted: &str| {
        problems.iter().any(|problem| problem["what"].as_str().unwrap().contains(wanted))
    };
    assert!(
        words("no rating")
            && words("neither liked nor disliked")
            && words("audio track")
            && words("not in the library now"),
        "{dry}"
    );
    // The person sees it before the first change, on standard error.
    home.server.fail("POST /UserItems", Fault::Status(401));
    let output = home.program.run(&["restore", "then", "--watch-state", "--user", "Ana"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1)
            && said.contains("Note: ")
            && said.contains("no rating")
            && said.contains("does not accept the API key"),
        "{said}"
    );
    home.server.heal();
    let (done, code) = home.watch("then", &[]);
    assert_eq!((code, &done["problems"]), (3, &dry["problems"]), "{done}");
    let db = Connection::open(home.data.join("data/jellyfin.db")).unwrap();
    let row: (i64, f64) = db
        .query_row(
            "SELECT PlayCount, Rating FROM UserData WHERE UserId = ?1 AND ItemId = ?2",
            [ANA, item],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert!(row.0 != 9 && row.1 == 5.0, "what can be set was set: {row:?}");
}

#[test]
fn what_was_watched_since_goes_with_delete_alone_and_the_way_back_asks_for_it_where_it_must() {
    let home = home("10.11.6");
    let then = home.state();
    home.sql(&format!("DELETE FROM UserData WHERE UserId = '{ANA}' AND ItemId = '9CB663CB-7C2C-92CB-ACE0-8F408D931431'"));
    let text = home.program.ok(&["restore", "then", "--watch-state", "--user", "Ana"]);
    assert!(
        text.contains("--watch-state --user Ana --delete"),
        "an item got a state that had none: {text}"
    );
    assert_eq!(home.state(), then);
    let film = "SELECT Id FROM BaseItems WHERE Id NOT IN (SELECT ItemId FROM UserData) AND MediaType = 'Video' ORDER BY Id LIMIT 1";
    home.sql(&format!(
        "INSERT INTO UserData (ItemId, UserId, CustomDataKey, PlaybackPositionTicks, PlayCount, IsFavorite, Played) VALUES (({film}), '{ANA}', 'since', 5, 1, 0, 1)"
    ));
    let before = home.server.changes();
    assert_eq!(home.watch("then", &[]).1, 0);
    assert_eq!(home.server.changes(), before, "what was watched since stays");
    let (deleted, code) = home.watch("then", &["--delete"]);
    assert_eq!(
        (code, deleted["watch_state"]["changed"].as_array().unwrap().len()),
        (0, 1),
        "{deleted}"
    );
    assert!(home.state().iter().any(|row| row.contains("since 0 0 0 0")), "{:?}", home.state());
}

/// Runs a restore that fails; the error, and the proof that nothing was changed.
fn refused(home: &Home, what: &str) -> Value {
    let (before, snapshots) =
        (home.state(), home.program.json(&["list"]).0["snapshots"].as_array().unwrap().len());
    let changes = home.server.changes();
    let (answer, code) = home.watch("then", &[]);
    assert_eq!(code, 1, "{what}: {answer}");
    assert_eq!((home.state(), home.server.changes()), (before, changes), "{what}");
    assert_eq!(
        home.program.json(&["list"]).0["snapshots"].as_array().unwrap().len(),
        snapshots,
        "{what}: no snapshot is left"
    );
    let text = answer.to_string();
    assert!(!text.contains(KEY), "{what}: the key is never shown: {text}");
    assert!(
        answer["error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()),
        "{what}: {answer}"
    );
    answer["error"].clone()
}

#[test]
fn a_server_that_does_not_answer_as_it_should_changes_nothing_and_is_named() {
    let home = home("12.0");
    home.sql(&format!("UPDATE UserData SET PlayCount = 99 WHERE UserId = '{ANA}'"));
    let other = StandIn::start("12.0", &home.data);
    let huge = format!("[{}]", "[],".repeat(3 << 20));
    let deep = "[".repeat(1 << 20);
    let faults = [
        ("does not accept the API key", Fault::Status(401)),
        ("status 500", Fault::Status(500)),
        ("still starting", Fault::Status(503)),
        ("another address", Fault::Redirect(format!("{}/System/Info", other.url))),
        ("before the answer did", Fault::CutOff),
        ("larger than any answer", Fault::Text(huge)),
        ("not JSON", Fault::Text(deep)),
        ("not JSON", Fault::Text("<html>welcome".to_owned())),
        ("an id and a version", Fault::Text("{\"Id\": [1], \"Version\": {}}".to_owned())),
        ("an id and a version", Fault::Text("[]".to_owned())),
    ];
    for (words, fault) in faults {
        home.server.fail("GET /System/Info", fault.clone());
        let error = refused(&home, words);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(words) && message.contains(&home.server.url), "{words}: {error}");
        home.server.heal();
    }
    assert!(other.asked("").is_empty(), "a redirect takes the key nowhere");
    home.configure(&home.server.url, "timeout = \"1s\"\n");
    home.server.fail("GET /System/Info", Fault::Silence);
    assert!(refused(&home, "slow")["message"].as_str().unwrap().contains("in time"));
    home.server.heal();
    home.server.set(|known| known.id = Some("326f01089c1e4d48bc3353ea15450caa".to_owned()));
    assert!(
        refused(&home, "other")["message"]
            .as_str()
            .unwrap()
            .contains("another Jellyfin server (id 326f")
    );
    home.server.set(|known| (known.id, known.version) = (None, Some("10.10.7".to_owned())));
    assert!(refused(&home, "old")["message"].as_str().unwrap().contains("10.11 or newer"));
    home.server.set(|known| known.version = None);
    write(home.program.home.path().join("key"), "another");
    assert!(
        refused(&home, "key")["message"].as_str().unwrap().contains("does not accept the API key")
    );
    write(home.program.home.path().join("key"), "two words");
    assert!(
        refused(&home, "no key")["message"].as_str().unwrap().contains("does not hold an API key")
    );
    // Nobody listens there, and yet the database is open.
    write(home.program.home.path().join("key"), KEY);
    home.configure("http://127.0.0.1:1", "");
    assert!(
        refused(&home, "gone")["message"]
            .as_str()
            .unwrap()
            .contains("http://127.0.0.1:1 was not reached")
    );
    home.configure(&home.server.url, "");
    assert_eq!(home.watch("then", &[]).1, 0);
}

#[test]
fn a_server_that_starts_is_asked_again_and_one_that_is_stopped_has_its_database_changed() {
    let Home { program, data, server, _open } = home("12.0");
    server.fail_later("GET /System/Info", 0, 2, Fault::Status(503));
    let args = ["restore", "then", "--watch-state", "--user", "Ana"];
    let (asked, code) = program.json(&args);
    assert_eq!((code, asked["through_server"].clone()), (0, Value::Bool(true)), "{asked}");
    drop(_open);
    run_sql(
        &data.join("data/jellyfin.db"),
        &format!("UPDATE UserData SET PlayCount = 99 WHERE UserId = '{ANA}'"),
    );
    let config = program.home.path().join(".config/jellyvault/config.toml");
    let text = std::fs::read_to_string(&config).unwrap().replace(&server.url, "http://127.0.0.1:1");
    write(&config, text);
    let (direct, code) = program.json(&args);
    assert_eq!((code, direct["through_server"].is_null()), (0, true), "{direct}");
    assert!(direct["watch_state"]["changed"].as_array().unwrap().len() > 3, "{direct}");
}

#[test]
fn a_restore_that_stops_halfway_says_so_and_the_same_command_goes_on() {
    let home = home("12.0");
    let then = home.state();
    home.sql(&format!("UPDATE UserData SET PlayCount = PlayCount + 7 WHERE UserId = '{ANA}' AND ItemId NOT LIKE '%-000000000001'"));
    home.server.fail_later("POST /UserItems", 2, usize::MAX, Fault::Status(503));
    let (half, code) = home.watch("then", &[]);
    let error = &half["error"];
    assert_eq!((code, error["kind"].as_str()), (1, Some("io")), "{half}");
    assert!(
        error["message"].as_str().unwrap().starts_with("2 of ")
            && error["hint"].as_str().unwrap().contains("Run the same command again"),
        "{half}"
    );
    assert!(error["causes"][0].as_str().unwrap().contains("503"), "{half}");
    home.server.heal();
    assert_eq!(home.watch("then", &[]).1, 0);
    assert_eq!(home.state(), then);
    // An item that the server refuses is a problem of that item, and the others are set.
    home.sql(&format!("UPDATE UserData SET PlayCount = PlayCount + 7 WHERE UserId = '{ANA}' AND ItemId NOT LIKE '%-000000000001'"));
    home.server.fail_later("POST /UserItems", 1, 1, Fault::Status(500));
    home.server.fail_later(
        "POST /UserItems",
        0,
        1,
        Fault::Text("{\"Played\": \"yes\"}".to_owned()),
    );
    let (done, code) = home.watch("then", &[]);
    assert_eq!((code, done["problems"].as_array().unwrap().len()), (3, 2), "{done}");
}

#[test]
fn without_a_key_a_running_server_is_refused_as_ever_and_nothing_is_asked() {
    let home = home("12.0");
    let config = home.program.home.path().join(".config/jellyvault/config.toml");
    write(
        config,
        format!(
            "[server]\ndata_dir = {:?}\n[jellyfin]\nurl = {:?}\n",
            home.data.to_str().unwrap(),
            home.server.url
        ),
    );
    let (refused, code) = home.watch("then", &[]);
    assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
    for more in [
        ["--item", "queue", "poster", "--through-server"].as_slice(),
        &["--playlist", "queue"],
        &["--collection", "Long Nights"],
    ] {
        let (needed, code) = home.program.json(&[&["restore", "then"], more].concat());
        assert_eq!(code, 2, "{needed}");
        assert!(
            needed["error"]["hint"].as_str().unwrap().contains("JELLYVAULT_JELLYFIN_API_KEY_FILE"),
            "{needed}"
        );
    }
    assert!(home.server.asked("").is_empty());
    // The environment names the file as well.
    let mut command = home.program.command(&[
        "--json",
        "restore",
        "then",
        "--watch-state",
        "--user",
        "Ana",
        "--dry-run",
    ]);
    let output = command
        .env("JELLYVAULT_JELLYFIN_API_KEY_FILE", home.program.home.path().join("key"))
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["through_server"], true, "{answer}");
    // The configuration that is shown has the file's name and not what is in it.
    assert!(!home.program.ok(&["config", "show"]).contains(KEY));
}

/// A playlist of Ana's.
const SUNDAY: &str = "Sunday “Best”";

/// Its id and its poster.
fn poster(home: &Home) -> (String, Vec<u8>) {
    let id = "2b24d773e19c9ae17bdadd451a628992".to_owned();
    let bytes = std::fs::read(poster_file(home)).unwrap();
    (id, bytes)
}

fn poster_file(home: &Home) -> PathBuf {
    home.data.join("metadata/library/2b/2b24d773e19c9ae17bdadd451a628992/poster.png")
}

#[test]
fn a_picture_is_shown_at_once_by_a_new_tag_and_the_one_before_can_come_back() {
    for version in VERSIONS {
        let home = home(version);
        let (id, bytes) = poster(&home);
        let now = [b"\x89PNG\r\n\x1a\nnew".as_slice(), &noise("now", 300)].concat();
        write(poster_file(&home), &now);
        home.server.set(|known| {
            drop(
                known
                    .pictures
                    .insert((id.clone(), "Primary".to_owned()), (now.clone(), "a".repeat(32))),
            )
        });
        let args = ["restore", "then", "--item", SUNDAY, "poster", "--through-server"];
        let (dry, code) = home.program.json(&[args.as_slice(), &["--dry-run"]].concat());
        assert_eq!(
            (code, home.server.changes(), dry["picture"]["kind"].as_str()),
            (0, 0, Some("Primary")),
            "{dry}"
        );
        let (done, code) = home.program.json(&args);
        assert_eq!(code, 0, "{done}");
        let shown = |home: &Home| {
            home.server.known.lock().unwrap().pictures[&(id.clone(), "Primary".to_owned())].clone()
        };
        assert_eq!(shown(&home).0, bytes);
        assert_eq!(
            (done["picture"]["tag"].as_str(), done["picture"]["tag_before"].as_str()),
            (Some(shown(&home).1.as_str()), Some("a".repeat(32).as_str()))
        );
        let sent = &home.server.asked(&format!("POST /Items/{id}/Images/Primary"))[0];
        assert!(!sent.path.contains(KEY) && sent.authorization.contains(KEY));
        // What was there before comes back by the command that the answer names.
        let safety = done["safety_snapshot"].as_str().unwrap();
        home.program.ok(&["restore", safety, "--item", &id, "poster", "--through-server"]);
        assert_eq!(shown(&home).0, now);
        let text = home.program.ok(&args);
        assert!(
            text.contains("To undo: jellyvault restore ")
                && text.contains("The server shows it now"),
            "{text}"
        );
    }
}

#[test]
fn a_picture_that_the_server_cannot_take_is_refused_before_it_is_asked_to() {
    let home = home("12.0");
    write(poster_file(&home), "<svg onload='alert(1)'>");
    write(poster_file(&home).with_file_name("backdrop.png"), b"\x89PNG\r\n\x1a\n");
    let_settle();
    home.program.ok(&["snapshot", "--label", "odd"]);
    for (snapshot, item, picture, words) in [
        ("odd", SUNDAY, "poster", "not a JPEG, PNG, GIF or WebP"),
        ("odd", SUNDAY, "backdrop", "cannot be set through the server"),
        ("then", "Nothing of this name", "poster", "matches"),
        ("then", "Ana", "poster", "cannot be set through the server"),
    ] {
        let (refused, code) =
            home.program.json(&["restore", snapshot, "--item", item, picture, "--through-server"]);
        assert!(
            code == 1 && refused["error"]["message"].as_str().unwrap().contains(words),
            "{words}: {refused}"
        );
    }
    home.sql(&format!("PRAGMA foreign_keys = OFF; DELETE FROM BaseItems WHERE Name = '{SUNDAY}'"));
    let (gone, code) =
        home.program.json(&["restore", "then", "--item", SUNDAY, "poster", "--through-server"]);
    assert!(
        code == 1
            && gone["error"]["message"].as_str().unwrap().contains("does not have this item now"),
        "{gone}"
    );
    assert_eq!(home.server.changes(), 0);
    let (unnamed, code) =
        home.program.json(&["restore", "then", "--item", SUNDAY, "--through-server"]);
    assert!(
        code == 2 && unnamed["error"]["message"].as_str().unwrap().contains("none was named"),
        "{unnamed}"
    );
}

#[test]
fn a_deleted_playlist_comes_back_with_its_entries_in_order_and_its_cover() {
    for version in VERSIONS {
        let home = home(version);
        let (id, cover) = poster(&home);
        let db = Connection::open(home.data.join("data/jellyfin.db")).unwrap();
        let entries: Vec<String> = {
            let mut statement = db
                .prepare(
                    "SELECT lower(replace(ChildId, '-', '')) FROM LinkedChildren WHERE ParentId = '2B24D773-E19C-9AE1-7BDA-DD451A628992' ORDER BY SortOrder",
                )
                .unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        // The playlist was deleted, and one of its songs is gone as well.
        let song = entries[1].to_uppercase();
        home.sql(&format!(
            "PRAGMA foreign_keys = OFF; DELETE FROM BaseItems WHERE Name = '{SUNDAY}'; DELETE FROM LinkedChildren WHERE ParentId = '2B24D773-E19C-9AE1-7BDA-DD451A628992'; \
             DELETE FROM BaseItems WHERE replace(Id, '-', '') = '{song}'"
        ));
        home.server.set(|known| known.next_id.clone_from(&id));
        let args = ["restore", "then", "--playlist", "SUNDAY “best”"];
        let (dry, code) = home.program.json(&[args.as_slice(), &["--dry-run"]].concat());
        assert_eq!((code, home.server.changes()), (3, 0), "{dry}");
        let (done, code) = home.program.json(&args);
        assert_eq!(
            (code, done["list"]["created"].as_bool(), &done["list"]["added"]),
            (3, Some(true), &dry["list"]["added"]),
            "{done}"
        );
        assert_eq!(
            (
                done["list"]["missing"].as_array().unwrap().len(),
                done["problems"].as_array().unwrap().len()
            ),
            (1, 1),
            "{done}"
        );
        let known = home.server.known.lock().unwrap();
        let wanted: Vec<String> = entries
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != 1)
            .map(|(_, id)| id.clone())
            .collect();
        assert_eq!((&known.lists[&id], known.made.len()), (&wanted, 1));
        assert_eq!(
            (known.made[0].1["Name"].as_str(), known.made[0].1["MediaType"].as_str()),
            (Some(SUNDAY), Some("Audio"))
        );
        assert_eq!(known.made[0].1["UserId"], "4e43cda4c12f455daeb82f4a712f7b5b");
        assert_eq!(known.pictures[&(id.clone(), "Primary".to_owned())].0, cover);
    }
}

#[test]
fn a_list_that_still_stands_gets_the_entries_that_it_lost_and_keeps_the_others() {
    let home = home("12.0");
    let id = "11770bd93e4542dba804a962d3e55d51";
    let entry = |number: usize| {
        [
            "d2dc53b4a5ede14f056c8405901ebd16",
            "11faabb81f9dcd6ad0913dc529c1f927",
            "9cb663cb7c2c92cbace08f408d931431",
            "445f4dbdb950aedd78f44c2256b6097c",
        ][number]
            .to_owned()
    };
    // Somebody took two of four films out and put another one in.
    let other = "bf5c279c06af7364ecd9d95b1816c4b9".to_owned();
    home.server.set(|known| {
        drop(known.lists.insert(id.to_owned(), vec![entry(3), other.clone(), entry(0)]))
    });
    let (done, code) = home.program.json(&["restore", "then", "--collection", "long nights"]);
    assert_eq!(
        (code, done["list"]["created"].as_bool(), done["list"]["present"].as_u64()),
        (0, Some(false), Some(2)),
        "{done}"
    );
    assert_eq!(
        home.server.known.lock().unwrap().lists[id],
        [entry(3), other, entry(0), entry(1), entry(2)]
    );
    let changes = home.server.changes();
    let text = home.program.ok(&["restore", "then", "--collection", "long nights"]);
    assert!(text.contains("Nothing was changed") && home.server.changes() == changes, "{text}");
    // The collection was deleted: it is made again.
    home.sql("PRAGMA foreign_keys = OFF; DELETE FROM BaseItems WHERE Name = 'Long Nights'");
    home.server.set(|known| {
        (known.next_id, known.lists) = ("ab".repeat(16), std::collections::BTreeMap::new())
    });
    let (made, code) = home.program.json(&["restore", "then", "--collection", id]);
    assert_eq!(
        (code, made["list"]["created"].as_bool(), made["list"]["id"].as_str()),
        (0, Some(true), Some("ab".repeat(16).as_str())),
        "{made}"
    );
    assert_eq!(
        home.server.known.lock().unwrap().lists[&"ab".repeat(16)],
        (0..4).map(entry).collect::<Vec<_>>()
    );
}

#[test]
fn an_entry_that_the_server_drops_in_silence_is_told_and_an_unknown_list_is_answered_with_those_there_are()
 {
    let home = home("12.0");
    home.sql("PRAGMA foreign_keys = OFF; DELETE FROM BaseItems WHERE Name = 'queue'");
    home.server.set(|known| known.next_id = "cd".repeat(16));
    // The server says that it made it, and has nothing in it.
    home.server.fail("GET /Playlists/", Fault::Text("{\"Items\": []}".to_owned()));
    let (done, code) = home.program.json(&["restore", "then", "--playlist", "queue"]);
    assert_eq!(
        (
            code,
            done["list"]["added"].as_array().unwrap().len(),
            done["problems"].as_array().unwrap().len()
        ),
        (3, 0, 3),
        "{done}"
    );
    home.server.heal();
    home.server.fail("GET /Playlists/", Fault::Status(503));
    let (half, code) = home.program.json(&["restore", "then", "--playlist", "queue"]);
    assert!(
        code == 1
            && half["error"]["message"]
                .as_str()
                .unwrap()
                .contains("was made again, but it is not complete"),
        "{half}"
    );
    let (unknown, code) = home.program.json(&["restore", "then", "--playlist", "Nothing"]);
    assert!(
        code == 1 && unknown["error"]["hint"].as_str().unwrap().contains("queue ("),
        "{unknown}"
    );
    // A playlist belongs to a user, who must be there.
    home.sql("PRAGMA foreign_keys = OFF; DELETE FROM Users WHERE Id = '6BEE887F-9120-4272-A2C5-4FDC98841151'");
    let changes = home.server.changes();
    let (alone, code) = home.program.json(&["restore", "then", "--playlist", "queue"]);
    assert!(
        code == 1
            && alone["error"]["message"].as_str().unwrap().contains("does not have the user")
            && home.server.changes() == changes,
        "{alone}"
    );
}

#[test]
fn the_running_server_is_asked_for_what_it_knows_and_says_so_in_three_places() {
    let home = home("10.11.6");
    home.server.set(|known| (known.is_playing, known.scans) = (true, usize::MAX));
    let checked = home.program.ok(&["config", "check"]);
    assert!(
        checked.contains(&format!("Attic, version 10.11.6, answers at {}", home.server.url)),
        "{checked}"
    );
    let status = home.program.run(&["status"]);
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(
        status.contains("Scan Media Library runs (0 %), Ana watches Hidden Signal 4"),
        "{status}"
    );
    let source = home.program.ok(&["source"]);
    assert!(source.contains("/srv/config/metadata") && source.contains("Ana watches"), "{source}");
    let (source, _) = home.program.json(&["source"]);
    assert_eq!(source["jellyfin"]["tasks"][0]["key"], "RefreshLibrary", "{source}");
    // A server that is gone is no failure of these; a wrong one is a wrong configuration.
    home.server.set(|known| known.id = Some("0".repeat(32)));
    assert!(
        String::from_utf8(home.program.run(&["status"]).stdout)
            .unwrap()
            .contains("Server: the server at http://127.0.0.1")
    );
    let (wrong, code) = home.program.json(&["config", "check"]);
    assert!(
        code == 1
            && wrong["error"]["message"].as_str().unwrap().contains("another Jellyfin server"),
        "{wrong}"
    );
    let before = home.server.asked("").len();
    home.program.run(&["-q", "status", "--healthy"]);
    assert_eq!(home.server.asked("").len(), before, "a health check asks nobody");
}

#[test]
fn a_scheduled_snapshot_waits_for_the_end_of_a_library_scan_and_not_for_ever() {
    let home = home("12.0");
    let due = "[snapshot]\nevery = \"62d\"\n[retention]\nenabled = false\n[check]\nenabled = false\n[drill]\nenabled = false\n";
    // Without a snapshot one is due.
    let run = |more: &[&str]| {
        for snapshot in home.program.json(&["list"]).0["snapshots"].as_array().unwrap() {
            home.program.ok(&["forget", snapshot["id"].as_str().unwrap()]);
        }
        let (done, _) = home.program.json(&[&["run"], more].concat());
        assert!(!done.to_string().contains(KEY));
        done["jobs"][0]["what"].as_str().unwrap_or_else(|| panic!("{done}")).to_owned()
    };
    home.configure(&home.server.url, &format!("wait_max = \"1s\"\n{due}"));
    home.server.set(|known| known.scans = usize::MAX);
    let meanwhile = run(&[]);
    assert!(meanwhile.contains("had not ended after 1 s, so it was done meanwhile"), "{meanwhile}");
    home.configure(&home.server.url, &format!("wait_max = \"30m\"\n{due}"));
    home.server.set(|known| known.scans = 1);
    let after = run(&[]);
    assert!(
        after.contains("begun after the server's task \"Scan Media Library\" ended"),
        "{after}"
    );
    // Who asks for a snapshot gets it, and so does who has a server that is stopped or that cannot
    // be asked.
    home.server.set(|known| known.scans = usize::MAX);
    let asked = home.server.asked("").len();
    assert!(!run(&["--job", "snapshot"]).contains("Scan"));
    assert_eq!(home.server.asked("").len(), asked);
    home.server.fail("GET /", Fault::Status(401));
    let refused = run(&[]);
    assert!(refused.contains("could not be asked whether it is busy"), "{refused}");
    home.configure("http://127.0.0.1:1", due);
    assert!(!run(&[]).contains("could not be asked"));
}

#[test]
fn jobs_that_read_much_wait_while_somebody_watches_and_a_snapshot_does_not() {
    let home = home("12.0");
    let jobs = |check: bool, snapshot: bool| {
        let of = |name: &str, is_on: bool| {
            let how = if is_on { "every = \"62d\"" } else { "enabled = false" };
            format!("[{name}]\n{how}\n")
        };
        let rest = [("retention", false), ("drill", false), ("report", false)];
        let named = [("check", check), ("snapshot", snapshot)].into_iter().chain(rest);
        format!(
            "wait_max = \"1s\"\n{}",
            named.map(|(name, is_on)| of(name, is_on)).collect::<String>()
        )
    };
    home.server.set(|known| known.is_playing = true);
    home.configure(&home.server.url, &jobs(true, false));
    let (done, _) = home.program.json(&["run"]);
    let what = done["jobs"][0]["what"].as_str().unwrap_or_else(|| panic!("{done}"));
    assert!(what.contains("playback had not ended after 1 s, so it was done meanwhile"), "{what}");
    // Done: it is not due any more, and nobody is asked.
    let asked = home.server.asked("GET /Sessions").len();
    assert!(asked > 0);
    assert_eq!(home.program.json(&["run"]).0["jobs"], serde_json::json!([]));
    for snapshot in home.program.json(&["list"]).0["snapshots"].as_array().unwrap() {
        home.program.ok(&["forget", snapshot["id"].as_str().unwrap()]);
    }
    home.configure(&home.server.url, &jobs(false, true));
    let (done, _) = home.program.json(&["run"]);
    let what = done["jobs"][0]["what"].as_str().unwrap_or_else(|| panic!("{done}"));
    assert!(what.starts_with("snapshot ") && !what.contains("playback"), "{what}");
    assert_eq!(home.server.asked("GET /Sessions").len(), asked);
}

#[test]
fn the_service_waits_for_the_end_of_a_library_scan_as_well() {
    let home = home("12.0");
    let rest = "[snapshot]\nevery = \"62d\"\n[retention]\nenabled = false\n[check]\nenabled = false\n[drill]\nenabled = false\n[web]\nenabled = false\n";
    home.configure(&home.server.url, rest);
    let id = home.program.json(&["list"]).0["snapshots"][0]["id"].as_str().unwrap().to_owned();
    home.program.ok(&["forget", &id]);
    home.server.set(|known| known.scans = 1);
    let mut service =
        home.program.command(&["serve"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    for line in std::io::BufRead::lines(std::io::BufReader::new(service.stderr.take().unwrap())) {
        said.push_str(&line.unwrap());
        if said.contains("snapshot: snapshot ") {
            break;
        }
    }
    let process = rustix::process::Pid::from_raw(service.id() as i32).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    assert!(service.wait().unwrap().success());
    assert!(
        said.contains("Waiting for the server's task \"Scan Media Library\" to end")
            && said.contains("ended, "),
        "{said}"
    );
}

#[test]
fn a_server_that_cannot_be_told_from_others_is_not_changed() {
    let home = home("12.0");
    std::fs::remove_file(home.data.join("data/device.txt")).unwrap();
    let_settle();
    // An earlier snapshot would still tell the id.
    std::fs::remove_dir_all(&home.program.repo).unwrap();
    home.program.run(&["snapshot", "--init", "--label", "nameless"]);
    home.sql(&format!("UPDATE UserData SET PlayCount = 99 WHERE UserId = '{ANA}'"));
    for more in [
        ["--watch-state", "--user", "Ana"].as_slice(),
        &["--playlist", "queue"],
        &["--item", SUNDAY, "poster", "--through-server"],
    ] {
        let (refused, code) = home.program.json(&[&["restore", "nameless"], more].concat());
        assert!(
            code == 1
                && refused["error"]["message"].as_str().unwrap().contains("cannot be compared"),
            "{more:?}: {refused}"
        );
    }
    assert!(home.server.asked("").is_empty(), "not even the key was sent");
}
