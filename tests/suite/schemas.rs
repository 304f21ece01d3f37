//! A server newer than this program: its zips are kept whole, and its schema can be learnt.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::Value;
use serde_json::value::RawValue;
use zip::write::SimpleFileOptions;

use jellyvault::archive::{Kind, Learner, Schema, read_history};
use jellyvault::ops::{ExportKind, ExportOptions};

use super::export::{captured, export, options};
use super::support::*;
use super::zip_tables::{open_copy, pairs};

type Entries = Vec<(String, Vec<u8>)>;

/// The entries of a zip, in order.
fn entries(zip: &Path) -> Entries {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(zip).unwrap()).unwrap();
    (0..zip.len())
        .map(|number| {
            let mut entry = zip.by_index(number).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

fn write_zip(path: &Path, entries: &Entries) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, bytes) in entries {
        zip.start_file(name, SimpleFileOptions::DEFAULT).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

/// Puts more properties behind those of each row.
fn with_more(json: &[u8], more: &mut dyn FnMut(&str) -> String) -> Vec<u8> {
    let rows: Vec<Box<RawValue>> = serde_json::from_slice(json).unwrap();
    let rows: Vec<String> = rows
        .iter()
        .map(|row| format!("{}{}}}", row.get().strip_suffix('}').unwrap(), more(row.get())))
        .collect();
    format!("[{}]", rows.join(",")).into_bytes()
}

fn id_of(row: &str) -> String {
    serde_json::from_str::<Value>(row).unwrap()["Id"].as_str().unwrap().to_owned()
}

/// What a server of a later version adds to its database.
const LATER: &str = r#"
    ALTER TABLE "BaseItems" ADD COLUMN "MoodId" TEXT NULL;
    ALTER TABLE "BaseItems" ADD COLUMN "MoodDate" TEXT NULL;
    ALTER TABLE "BaseItems" ADD COLUMN "IsMoody" INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE "BaseItems" ADD COLUMN "MoodLevel" INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE "BaseItems" ADD COLUMN "MoodScore" REAL NULL;
    ALTER TABLE "BaseItems" ADD COLUMN "MoodNever" TEXT NULL;
    ALTER TABLE "BaseItems" ADD COLUMN "MoodBytes" BLOB NULL;
    UPDATE "BaseItems" SET "MoodId" = "Id", "MoodDate" = '2026-10-02 08:30:00.1234567', "MoodScore" = 0.10000000149011612, "MoodBytes" = x'0102ff';
    CREATE TABLE "Moods" ("Id" INTEGER NOT NULL CONSTRAINT "PK_Moods" PRIMARY KEY AUTOINCREMENT, "ItemId" TEXT NOT NULL, "Label" TEXT NOT NULL,
        CONSTRAINT "FK_Moods_BaseItems_ItemId" FOREIGN KEY ("ItemId") REFERENCES "BaseItems" ("Id") ON DELETE CASCADE);
    CREATE INDEX "IX_Moods_ItemId" ON "Moods" ("ItemId");
    CREATE TABLE "EmptyMoods" ("Id" INTEGER NOT NULL CONSTRAINT "PK_EmptyMoods" PRIMARY KEY AUTOINCREMENT, "Note" TEXT NULL);
    INSERT INTO "Moods" ("ItemId", "Label") SELECT "Id", 'calm "and" blue' FROM "BaseItems" WHERE "Id" <> '00000000-0000-0000-0000-000000000001' LIMIT 3;
    INSERT INTO "__EFMigrationsHistory" VALUES ('20261001000000_AddMoods', '10.0.1'), ('20261001010000_FillMoods', '12.1.0.0');
"#;

/// A server of 12.1 that nobody knows, and the zip that it made of itself.
fn newer_server(program: &Program) -> (PathBuf, PathBuf) {
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    // Its own zip as the known version would write it, without what only ours keeps.
    let (known, zip) = (
        program.home.path().join("known.zip"),
        program.home.path().join("jellyfin-backup-12.1.zip"),
    );
    let (_dir, repository) = captured(&data);
    export(&repository, &known, &ExportOptions { as_server: true, ..options(ExportKind::Tables) })
        .unwrap();
    let db = Connection::open(data.join("data/jellyfin.db")).unwrap();
    db.execute_batch(LATER).unwrap();
    let moods: Vec<(i64, String)> = db
        .prepare("SELECT Id, lower(ItemId) FROM Moods")
        .unwrap()
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    drop(db);
    let mut all = entries(&known);
    for (name, bytes) in &mut all {
        match name.as_str() {
            "Database/BaseItems.json" => {
                *bytes = with_more(bytes, &mut |row| {
                    format!(
                        ",\"MoodId\":\"{}\",\"MoodDate\":\"2026-10-02T08:30:00.1234567Z\",\"IsMoody\":false,\"MoodLevel\":1,\"MoodScore\":0.1,\"MoodNever\":null,\"MoodBytes\":\"AQL/\",\"Moods\":[]",
                        id_of(row)
                    )
                });
            }
            "Database/HistoryRow.json" => {
                let more = br#",{"MigrationId":"20261001000000_AddMoods","ProductVersion":"10.0.1"},{"MigrationId":"20261001010000_FillMoods","ProductVersion":"12.1.0.0"}]"#;
                bytes.pop();
                bytes.extend_from_slice(more);
            }
            "manifest.json" => {
                *bytes = String::from_utf8(bytes.clone())
                    .unwrap()
                    .replacen("\"12.0.0.0\"", "\"12.1.0.0\"", 1)
                    .into_bytes()
            }
            _ => {}
        }
    }
    let rows: Vec<String> = moods
        .iter()
        .map(|(id, item)| {
            format!(
                r#"{{"Id":{id},"ItemId":"{item}","Label":"calm \u0022and\u0022 blue","Item":null}}"#
            )
        })
        .collect();
    all.insert(1, ("Database/EmptyMoods.json".to_owned(), b"[]".to_vec()));
    all.insert(2, ("Database/Moods.json".to_owned(), format!("[{}]", rows.join(",")).into_bytes()));
    all.insert(3, ("Strange/place.txt".to_owned(), b"of a later version".to_vec()));
    write_zip(&zip, &all);
    (data, zip)
}

fn tables_of(entries: &Entries) -> Entries {
    entries.iter().filter(|(name, _)| name.starts_with("Database/")).cloned().collect()
}

fn assert_same_entries(found: &Entries, expected: &Entries) {
    let names = |entries: &Entries| {
        entries.iter().map(|(name, _)| name.clone()).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(names(found), names(expected));
    for (name, bytes) in expected {
        let (_, own) = found.iter().find(|(own, _)| own == name).unwrap();
        assert!(
            own == bytes,
            "{name}: {} for {}",
            String::from_utf8_lossy(own).chars().take(600).collect::<String>(),
            String::from_utf8_lossy(bytes).chars().take(600).collect::<String>()
        );
    }
}

#[test]
fn a_zip_of_an_unknown_schema_is_kept_whole_and_goes_out_as_it_came() {
    let program = Program::new();
    let (data, zip) = newer_server(&program);
    let (report, code) = program.json(&["import", zip.to_str().unwrap()]);
    assert_eq!(code, 0, "{report}");
    let remarks = report["snapshots"][0]["remarks"].to_string();
    assert!(
        remarks.contains("kept as they are")
            && remarks.contains("20261001000000_AddMoods")
            && remarks.contains("schema learn"),
        "{remarks}"
    );
    assert!(program.ok(&["list"]).contains("12.1.0"));
    let listed = program.ok(&["ls", "latest", "--recursive"]);
    assert!(
        listed.contains("data/zip-tables/Database/Moods.json")
            && listed.contains("data/zip-tables/Strange/place.txt"),
        "{listed}"
    );
    // Out again, byte for byte and in the same order of tables.
    let back = program.home.path().join("back.zip");
    let (exported, code) = program.json(&["export", "latest", back.to_str().unwrap()]);
    assert_eq!((code, exported["problems"].as_array().unwrap().len()), (0, 0), "{exported}");
    assert!(
        exported["archive"]["fits"]["versions"].as_str().unwrap().starts_with("12.1.0"),
        "{exported}"
    );
    let (came, went) = (entries(&zip), entries(&back));
    assert_same_entries(&went, &came);
    assert_eq!(
        tables_of(&went).iter().map(|(name, _)| name).collect::<Vec<_>>(),
        tables_of(&came).iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    // The same again is known; a later one is compared with it.
    let (again, _) = program.json(&["import", zip.to_str().unwrap()]);
    assert_eq!(again["snapshots"][0]["was_there"], true);
    let mut later = came;
    later.iter_mut().find(|(name, _)| name == "Database/Moods.json").unwrap().1 = b"[]".to_vec();
    let second = program.home.path().join("second.zip");
    write_zip(&second, &later);
    program.ok(&["import", second.to_str().unwrap(), "--label", "second"]);
    let ids: Vec<String> = program.json(&["list"]).0["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["id"].as_str().unwrap().to_owned())
        .collect();
    let (diff, _) = program.json(&["diff", &ids[0], &ids[1]]);
    assert!(diff["changes"].to_string().contains("data/zip-tables/Database/Moods.json"), "{diff}");
    // What cannot be made of it is refused with the way that works.
    for args in [
        &["export", "second", "--exact", "x.zip"][..],
        &[
            "restore",
            "second",
            "--in-place",
            "--data-dir",
            data.to_str().unwrap(),
            "--other-server",
        ],
    ] {
        let (refused, code) = program.json(args);
        assert!(
            code == 1
                && refused["error"]["message"]
                    .as_str()
                    .unwrap()
                    .contains("only the tables of a zip"),
            "{args:?} {refused}"
        );
    }
    let out = program.home.path().join("out");
    program.ok(&["restore", "second", "--to", out.to_str().unwrap()]);
    assert_eq!(std::fs::read(out.join("data/zip-tables/Database/Moods.json")).unwrap(), b"[]");
}

#[test]
fn a_newer_servers_schema_is_learnt_from_its_zip_and_its_database() {
    let program = Program::new();
    let (data, zip) = newer_server(&program);
    let at = data.to_str().unwrap();
    let imported =
        program.json(&["import", zip.to_str().unwrap(), "--label", "old"]).0["snapshots"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
    program.ok(&["keep", "old"]);
    program.ok(&["snapshot", at, "--label", "live"]);
    let tables = program.home.path().join("tables.zip");
    let (refused, code) = program.json(&["export", "live", tables.to_str().unwrap()]);
    assert!(
        code == 1
            && refused["error"]["message"].as_str().unwrap().contains("20261001000000_AddMoods"),
        "{refused}"
    );
    // Without a zip it says where one must be; with one in its place it is found.
    let (refused, code) = program.json(&["schema", "learn", "--data-dir", at]);
    assert!(
        code == 2 && refused["error"]["message"].as_str().unwrap().contains("data/backups"),
        "{refused}"
    );
    std::fs::create_dir(data.join("data/backups")).unwrap();
    std::fs::copy(&zip, data.join("data/backups/jellyfin-backup-12.1.zip")).unwrap();
    write(data.join("data/backups/broken.zip"), "no zip");
    let (learnt, code) = program.json(&["schema", "learn", "--data-dir", at]);
    assert_eq!(code, 0, "{learnt}");
    assert_eq!(
        (learnt["schema"].as_str(), &learnt["same"], learnt["changed"].as_array().unwrap().len()),
        (Some("12.1.0"), &learnt["tables"], 0),
        "{learnt}"
    );
    let unsure = learnt["unsure"].to_string();
    assert!(
        unsure.contains("EmptyMoods")
            && unsure.contains("BaseItems.MoodNever")
            && !unsure.contains("Date")
            && !unsure.contains("MoodId"),
        "{learnt}"
    );
    assert!(program.ok(&["schema", "list"]).contains("20261001000000_AddMoods"));
    // The database gives that very zip now.
    let (exported, code) = program.json(&["export", "live", tables.to_str().unwrap()]);
    assert_eq!(code, 0, "{exported}");
    // But for the avatars, which our own zips keep with their users.
    let but_avatars = |zip: &Path| {
        tables_of(&entries(zip))
            .into_iter()
            .filter(|(name, _)| {
                !["Database/Users.json", "Database/ImageInfos.json"].contains(&name.as_str())
            })
            .collect()
    };
    assert_same_entries(&but_avatars(&tables), &but_avatars(&zip));
    assert!(
        exported["archive"]["fits"]["versions"].as_str().unwrap().contains("12.1.0"),
        "{exported}"
    );
    // The snapshot that was kept as tables is a database: the same rows as the server's, marked as
    // before.
    assert_eq!(learnt["built"][0]["snapshot"], imported.as_str(), "{learnt}");
    let (shown, _) = program.json(&["show", "old"]);
    assert_ne!(shown["snapshot"]["id"].as_str().unwrap(), imported, "{shown}");
    assert!(!shown["snapshot"].to_string().contains("kept as they are"), "{shown}");
    assert_eq!(
        program.json(&["list"]).0["snapshots"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|s| s["keep"] == true)
            .count(),
        1
    );
    let out = program.home.path().join("out");
    program.ok(&["restore", "old", "--to", out.to_str().unwrap()]);
    let without = |rows: Vec<String>| {
        rows.into_iter()
            .filter(|row| {
                !row.starts_with("HomeSection:")
                    && !row.starts_with("sqlite_")
                    && !row.starts_with("ImageInfos:")
            })
            .collect::<Vec<_>>()
    };
    let (mut built, mut live) = (
        without(rows(&out.join("data/jellyfin.db"))),
        without(rows(&data.join("data/jellyfin.db"))),
    );
    built.sort();
    live.sort();
    assert_eq!(built, live);
    program.ok(&["check"]);
    // What the zip did not tell is not guessed.
    Connection::open(data.join("data/jellyfin.db"))
        .unwrap()
        .execute_batch("INSERT INTO EmptyMoods (Note) VALUES ('x')")
        .unwrap();
    let_settle();
    program.ok(&["snapshot", at]);
    let (refused, code) = program.json(&["export", "latest", tables.to_str().unwrap(), "--force"]);
    assert!(
        code == 1 && refused["error"]["message"].as_str().unwrap().contains("EmptyMoods"),
        "{refused}"
    );
    // Its file makes it known elsewhere.
    let other = Program::new();
    let file = other.home.path().join("12.1.json");
    std::fs::write(&file, program.ok(&["schema", "show", "12.1.0"])).unwrap();
    other.ok(&["import", zip.to_str().unwrap()]);
    let (added, code) = other.json(&["schema", "add", file.to_str().unwrap()]);
    assert_eq!((code, added["built"].as_array().unwrap().len()), (0, 1), "{added}");
    assert!(other.ok(&["schema", "add", file.to_str().unwrap()]).contains("already known"));
    std::fs::write(&file, "{}").unwrap();
    assert_eq!(other.json(&["schema", "add", file.to_str().unwrap()]).1, 2);
}

#[test]
fn what_does_not_give_the_zip_again_is_not_trusted() {
    let program = Program::new();
    let (data, zip) = newer_server(&program);
    let wrong = program.home.path().join("wrong.zip");
    let learn = |entries: &Entries, expected: &str| {
        write_zip(&wrong, entries);
        let (refused, code) = program.json(&[
            "schema",
            "learn",
            wrong.to_str().unwrap(),
            "--data-dir",
            data.to_str().unwrap(),
        ]);
        assert!(
            code == 1
                && refused["error"]["message"].as_str().is_some_and(|what| what.contains(expected)),
            "{expected}: {refused}"
        );
        assert!(!program.home.path().join(".config").exists(), "nothing was kept");
    };
    let good = entries(&zip);
    let edited = |name: &str, edit: &dyn Fn(String) -> String| {
        let mut entries = good.clone();
        let (_, bytes) = entries.iter_mut().find(|(own, _)| own == name).unwrap();
        *bytes = edit(String::from_utf8(bytes.clone()).unwrap()).into_bytes();
        entries
    };
    learn(
        &edited("Database/HistoryRow.json", &|text| {
            text.replace("20261001000000_AddMoods", "20261002000000_Other")
        }),
        "their migrations differ",
    );
    learn(
        &edited("Database/Moods.json", &|text| text.replace("\"Item\"", "\"It em\"")),
        "unusual name",
    );
    learn(
        &edited("Database/Moods.json", &|text| text.replacen("\"Id\":1,", "\"Id\": 1,", 1)),
        "cannot be reproduced exactly",
    );
    learn(&edited("Database/Moods.json", &|_| "[{".to_owned()), "Moods.json");
    learn(&edited("Database/Moods.json", &|text| text.replace("\"Label\":", "\"Word\":")), "Moods");
    let mut foreign = good.clone();
    foreign.insert(1, ("Database/Others.json".to_owned(), b"[]".to_vec()));
    learn(&foreign, "of different versions");
    // Rows that changed since are told, and do not stand in the way.
    Connection::open(data.join("data/jellyfin.db"))
        .unwrap()
        .execute_batch("UPDATE Moods SET Label = 'wild' WHERE Id = 1")
        .unwrap();
    let (learnt, code) = program.json(&[
        "schema",
        "learn",
        zip.to_str().unwrap(),
        "--data-dir",
        data.to_str().unwrap(),
    ]);
    assert_eq!((code, &learnt["changed"]), (0, &serde_json::json!(["Moods"])), "{learnt}");
}

#[test]
fn what_is_learnt_of_real_servers_is_what_is_known_of_them() {
    for (database, zip) in pairs() {
        let (_dir, db) = open_copy(&database);
        let history = read_history(&db).unwrap();
        let known = Schema::of(&history).unwrap();
        // As if nothing at all were known, and as if only the oldest version were.
        for near in [None, Schema::all().first()] {
            let mut learner = Learner::beside(near, &db, &history).unwrap();
            for (name, bytes) in tables_of(&entries(&zip))
                .iter()
                .filter(|(name, _)| name != "Database/HistoryRow.json")
            {
                learner
                    .table(
                        name.trim_start_matches("Database/").trim_end_matches(".json"),
                        bytes.as_slice(),
                    )
                    .unwrap();
            }
            let learnt = learner.finish("99.0", &history).unwrap();
            let (mut sure, mut unsure) = (0, 0);
            for (table, own) in
                learnt.tables.iter().map(|table| (table, known.table(&table.name).unwrap()))
            {
                assert_eq!(
                    (&table.key, &table.references),
                    (&own.key, &own.references),
                    "{}",
                    table.name
                );
                for property in &table.properties {
                    let Some(right) = own.property(&property.name) else {
                        assert!(table.is_unseen, "{}.{}", table.name, property.name);
                        continue;
                    };
                    let whole = |kind: Kind| {
                        if matches!(kind, Kind::Int | Kind::Uint) { Kind::Long } else { kind }
                    };
                    let is_unsure = matches!(property.kind, Kind::Unsure(_));
                    assert!(
                        is_unsure || whole(property.kind) == whole(right.kind),
                        "{}.{}: {:?} for {:?}",
                        table.name,
                        property.name,
                        property.kind,
                        right.kind
                    );
                    assert!(
                        !property.is_column() || property.nullable == right.nullable,
                        "{}.{}",
                        table.name,
                        property.name
                    );
                    *(if is_unsure { &mut unsure } else { &mut sure }) += 1;
                }
            }
            assert!(
                sure > 100 && (near.is_none() || unsure < 60),
                "{}: {sure} sure, {unsure} not",
                zip.display()
            );
        }
    }
}
