//! Whatever is wrong with a database's rows, the zip is one that a server restores, and the report
//! names what was done.

use jellyvault::archive::{DumpStyle, Repairs, Schema, dump_table, mend, read_history};
use jellyvault::ops::ExportKind;
use rusqlite::Connection;

use super::export::{captured, export, options};
use super::support::temp;
use super::zip_checker::violations;
use super::zip_tables::{open_copy, pairs};

/// A fault: what is done to the database, and the table and words that the report must have for it.
type Fault = (&'static str, &'static str, &'static str, &'static str);

const ITEM: &str = "(SELECT Id FROM BaseItems WHERE Type <> 'PLACEHOLDER' LIMIT 1)";
const GONE: &str = "'DEADBEEF-DEAD-BEEF-DEAD-BEEFDEADBEEF'";

fn faults(schema: &Schema) -> Vec<Fault> {
    let mut faults: Vec<Fault> = vec![
        (
            "a GUID that is none",
            "UPDATE BaseItems SET ChannelId = 'not a guid' WHERE rowid = 3",
            "BaseItems",
            "is not a GUID",
        ),
        (
            "a key that is no GUID",
            "UPDATE MediaSegments SET Id = 'x' WHERE rowid = (SELECT min(rowid) FROM MediaSegments)",
            "MediaSegments",
            "is not a GUID",
        ),
        (
            "a GUID in another form",
            "UPDATE BaseItems SET TopParentId = replace(lower(TopParentId), '-', '') WHERE rowid = (SELECT rowid FROM BaseItems WHERE TopParentId IS NOT NULL LIMIT 1)",
            "BaseItems",
            "another form",
        ),
        (
            "key frames that are no array",
            "UPDATE KeyframeData SET KeyframeTicks = '[1,2' WHERE rowid = (SELECT min(rowid) FROM KeyframeData)",
            "KeyframeData",
            "not a JSON array",
        ),
        (
            "a role without a value",
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '\"Role\" TEXT NOT NULL', '\"Role\" TEXT') WHERE name = 'PeopleBaseItemMap'; PRAGMA writable_schema = RESET; UPDATE PeopleBaseItemMap SET Role = NULL WHERE rowid = (SELECT min(rowid) FROM PeopleBaseItemMap)",
            "PeopleBaseItemMap",
            "has no value",
        ),
        (
            "watch state without a key",
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '\"CustomDataKey\" TEXT NOT NULL', '\"CustomDataKey\" TEXT') WHERE name = 'UserData'; PRAGMA writable_schema = RESET; UPDATE UserData SET CustomDataKey = NULL WHERE rowid = (SELECT min(rowid) FROM UserData)",
            "UserData",
            "has no value",
        ),
        (
            "two users of one name",
            "DROP INDEX IX_Users_Username; UPDATE Users SET Username = (SELECT Username FROM Users ORDER BY rowid LIMIT 1) WHERE rowid = (SELECT max(rowid) FROM Users)",
            "Users",
            "is also called",
        ),
        (
            "a user without a name",
            "UPDATE Users SET Username = '' WHERE rowid = (SELECT max(rowid) FROM Users)",
            "Users",
            "has no name",
        ),
        (
            "a user without a provider",
            "UPDATE Users SET AuthenticationProviderId = '' WHERE rowid = (SELECT max(rowid) FROM Users)",
            "Users",
            "is empty",
        ),
        (
            "two values of one name",
            "DROP INDEX IX_ItemValues_Type_Value; INSERT INTO ItemValues (ItemValueId, Type, Value, CleanValue) SELECT '11111111-2222-3333-4444-555555555555', Type, Value, CleanValue FROM ItemValues LIMIT 1",
            "ItemValues",
            "the same Type, Value",
        ),
        (
            "two tokens of one word",
            "DROP INDEX IX_ApiKeys_AccessToken; INSERT INTO ApiKeys (DateCreated, DateLastActivity, Name, AccessToken) SELECT DateCreated, DateLastActivity, Name, AccessToken FROM ApiKeys LIMIT 1",
            "ApiKeys",
            "the same AccessToken",
        ),
        (
            "no placeholder",
            "DELETE FROM BaseItems WHERE Type = 'PLACEHOLDER'",
            "BaseItems",
            "is missing",
        ),
        (
            "text that is no UTF-8",
            "UPDATE BaseItems SET Overview = CAST(x'61ff62' AS TEXT) WHERE rowid = 4",
            "BaseItems",
            "UTF-8",
        ),
        (
            "a date with T and Z",
            "UPDATE BaseItems SET DateCreated = '2026-01-02T03:04:05Z' WHERE rowid = 5",
            "BaseItems",
            "another format",
        ),
        (
            "a date as a number",
            "UPDATE BaseItems SET DateCreated = 2461042.5 WHERE rowid = 5",
            "BaseItems",
            "Julian",
        ),
        (
            "a date that is none",
            "UPDATE ActivityLogs SET DateCreated = 'yesterday' WHERE Id = (SELECT min(Id) FROM ActivityLogs)",
            "ActivityLogs",
            "is not a date",
        ),
        (
            "a rating beyond all numbers",
            "UPDATE BaseItems SET CommunityRating = 9e999 WHERE rowid = 5",
            "BaseItems",
            "finite",
        ),
        (
            "a rating beyond a float",
            "UPDATE BaseItems SET CommunityRating = 1e300 WHERE rowid = 5",
            "BaseItems",
            "finite",
        ),
        (
            "a rating that is a word",
            "UPDATE BaseItems SET CriticRating = 'NaN' WHERE rowid = 5",
            "BaseItems",
            "text where a number belongs",
        ),
        (
            "a number that is a word",
            "UPDATE BaseItems SET IndexNumber = 'seven' WHERE rowid = 5",
            "BaseItems",
            "text in a column of whole numbers",
        ),
        (
            "a number that is a fraction",
            "UPDATE BaseItems SET IndexNumber = 7.5 WHERE rowid = 5",
            "BaseItems",
            "floating-point number",
        ),
        (
            "a number beyond an int",
            "UPDATE BaseItems SET IndexNumber = 99999999999 WHERE rowid = 5",
            "BaseItems",
            "cannot hold",
        ),
        (
            "a concurrency token below zero",
            "UPDATE Users SET RowVersion = -1",
            "Users",
            "cannot hold",
        ),
        (
            "a truth that is a word",
            "UPDATE BaseItems SET IsMovie = 'yes' WHERE rowid = 5",
            "BaseItems",
            "text in a column of whole numbers",
        ),
        (
            "a name that is bytes",
            "UPDATE BaseItems SET Name = x'616263' WHERE rowid = 5",
            "BaseItems",
            "bytes in a text column",
        ),
        (
            "an empty log line",
            "UPDATE ActivityLogs SET Name = '' WHERE Id = (SELECT min(Id) FROM ActivityLogs)",
            "ActivityLogs",
            "is empty",
        ),
        (
            "an item that is its own parent",
            "UPDATE BaseItems SET ParentId = Id WHERE rowid = 5",
            "BaseItems",
            "its own ancestor",
        ),
        (
            "two items that are each other's parents",
            "UPDATE BaseItems SET ParentId = (SELECT Id FROM BaseItems WHERE rowid = 6) WHERE rowid = 5; UPDATE BaseItems SET ParentId = (SELECT Id FROM BaseItems WHERE rowid = 5) WHERE rowid = 6",
            "BaseItems",
            "its own ancestor",
        ),
    ];
    // An orphan in each table, by each of its references.
    for table in &schema.tables {
        for (column, parent) in &table.references {
            let sql = format!(
                "UPDATE \"{}\" SET \"{column}\" = {GONE} WHERE rowid = (SELECT max(rowid) FROM \"{}\")",
                table.name, table.name
            );
            faults.push((
                "an orphan",
                sql.leak(),
                table.name.clone().leak(),
                format!("in {parent}, which does not exist").leak(),
            ));
        }
    }
    faults
}

/// Mends a damaged copy, writes its tables, and lets the checker restore them.
fn mended(db: &Connection) -> (Repairs, Vec<String>) {
    let history = read_history(db).unwrap();
    let schema = Schema::of(&history).unwrap();
    let repairs = mend(db, schema, 1_790_000_000_000_000_000, &|| false).unwrap();
    let dir = temp();
    let file = dir.path().join("a.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&file).unwrap());
    let mut add = |name: &str, bytes: &[u8]| {
        use std::io::Write;
        zip.start_file(
            name,
            zip::write::SimpleFileOptions::DEFAULT
                .compression_method(zip::CompressionMethod::Deflated)
                .unix_permissions(0o644),
        )
        .unwrap();
        zip.write_all(bytes).unwrap();
    };
    for table in &schema.tables {
        let mut bytes = Vec::new();
        dump_table::<()>(db, schema, table, DumpStyle { nested_avatars: true }, &mut |block| {
            bytes.append(block);
            Ok(())
        })
        .unwrap();
        add(&format!("Database/{}.json", table.name), &bytes);
    }
    add("Database/HistoryRow.json", &jellyvault::archive::dump_history(&history));
    let manifest = jellyvault::archive::Manifest {
        server_version: "12.0.0.0".to_owned(),
        created: jellyvault::archive::Date::of_ns(0),
        options: jellyvault::archive::Options { database: true, ..Default::default() },
    };
    add("manifest.json", &manifest.write(Some(schema)));
    zip.finish().unwrap();
    (repairs, violations(&file))
}

#[test]
fn every_fault_is_mended_and_named_and_the_server_takes_the_rows() {
    let mut tried = 0;
    for (database, _) in pairs().into_iter().take(2) {
        let schema = Schema::of(&read_history(&open_copy(&database).1).unwrap()).unwrap();
        for (what, sql, table, words) in faults(schema) {
            let (_dir, db) = open_copy(&database);
            db.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON")
                .unwrap();
            db.execute_batch(sql).unwrap_or_else(|error| panic!("{what}: {error}: {sql}"));
            tried += 1;
            let (repairs, wrong) = mended(&db);
            assert_eq!(wrong, Vec::<String>::new(), "{what}: {sql}");
            assert!(
                repairs.named.iter().any(|r| r.table == table && r.what.contains(words)),
                "{what}: {words} in {repairs:#?}"
            );
            assert!(
                repairs.count as usize == repairs.named.len()
                    && repairs.named.iter().all(|r| !r.row.is_empty() && !r.done.is_empty())
            );
        }
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn many_faults_at_once_are_mended_all_the_same() {
    let (database, _) = pairs().swap_remove(0);
    let (_dir, db) = open_copy(&database);
    db.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    for (_, sql, ..) in faults(Schema::of(&read_history(&db).unwrap()).unwrap()) {
        // Some rows are gone or changed by the fault before.
        let _done = db.execute_batch(sql);
    }
    let (repairs, wrong) = mended(&db);
    assert_eq!(wrong, Vec::<String>::new());
    assert!(repairs.count > 40, "{}", repairs.count);
}

#[test]
fn watch_state_of_an_item_that_is_gone_is_kept_as_the_server_keeps_it() {
    let (database, _) = pairs().swap_remove(0);
    let (_dir, db) = open_copy(&database);
    db.execute_batch(&format!(
        "PRAGMA foreign_keys = OFF; UPDATE UserData SET ItemId = {GONE}, PlayCount = 77, RetentionDate = NULL WHERE rowid = (SELECT min(rowid) FROM UserData)"
    ))
    .unwrap();
    let (repairs, wrong) = mended(&db);
    assert_eq!((repairs.count, wrong.len()), (1, 0), "{repairs:?} {wrong:?}");
    let (item, date): (String, String) = db
        .query_row("SELECT ItemId, RetentionDate FROM UserData WHERE PlayCount = 77", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(
        (item.as_str(), date.as_str()),
        ("00000000-0000-0000-0000-000000000001", "2026-09-21 14:13:20")
    );
}

#[test]
fn a_user_who_is_left_out_takes_along_what_is_theirs() {
    let (database, _) = pairs().swap_remove(0);
    let (_dir, db) = open_copy(&database);
    db.execute_batch("PRAGMA foreign_keys = OFF; UPDATE Users SET Id = 'broken' WHERE rowid = (SELECT max(rowid) FROM Users)").unwrap();
    let (repairs, wrong) = mended(&db);
    assert_eq!(wrong, Vec::<String>::new());
    assert!(repairs.named.iter().any(|r| r.table == "Users" && r.done.contains("left out")));
    assert!(repairs.named.iter().any(|r| r.table == "Permissions"));
}

#[test]
fn secrets_are_not_in_the_report() {
    let (database, _) = pairs().swap_remove(0);
    let (_dir, db) = open_copy(&database);
    db.execute_batch("UPDATE Users SET Password = x'7365637265742D68617368'; UPDATE Devices SET AccessToken = x'7365637265742D746F6B656E'").unwrap();
    let (repairs, _) = mended(&db);
    assert!(repairs.count > 1);
    assert!(!format!("{repairs:?}").contains("secret-"), "{repairs:?}");
}

#[test]
fn an_export_of_damaged_rows_tells_them_and_the_zip_is_sound() {
    let dir = temp();
    let data = dir.path().join("data");
    super::support::copy_tree(&super::support::own_fixture(), &data);
    let db = Connection::open(data.join("data/jellyfin.db")).unwrap();
    db.execute_batch(&format!(
        "PRAGMA foreign_keys = OFF; INSERT INTO AncestorIds (ItemId, ParentItemId) VALUES ({ITEM}, {GONE}); UPDATE Users SET RowVersion = -5"
    ))
    .unwrap();
    db.close().unwrap();
    let (repo, repository) = captured(&data);
    let file = repo.path().join("a.zip");
    let report = export(&repository, &file, &options(ExportKind::Tables)).unwrap();
    assert!(report.repairs.count >= 2, "{:?}", report.repairs);
    assert!(
        report
            .repairs
            .named
            .iter()
            .any(|r| r.table == "AncestorIds" && r.done == "the row was left out")
    );
    assert_eq!(violations(&file), Vec::<String>::new());
}

#[test]
fn a_row_whose_id_is_zero_goes_with_what_belongs_to_it() {
    let (database, _) = pairs().swap_remove(0);
    let (_dir, db) = open_copy(&database);
    let zero = "'00000000-0000-0000-0000-000000000000'";
    db.execute_batch(&format!(
        "PRAGMA foreign_keys = OFF; UPDATE BaseItems SET Id = {zero} WHERE rowid = 5; UPDATE BaseItems SET ParentId = {zero} WHERE rowid = 6"
    ))
    .unwrap();
    let (repairs, wrong) = mended(&db);
    assert_eq!(wrong, Vec::<String>::new());
    assert!(
        repairs.named.iter().any(|r| r.table == "BaseItems" && r.what.contains("its id is zero")),
        "{repairs:?}"
    );
    assert!(
        repairs
            .named
            .iter()
            .any(|r| r.table == "BaseItems" && r.column.as_deref() == Some("ParentId"))
    );
}

#[test]
fn users_are_renamed_and_never_lost_for_their_names() {
    let (database, _) = pairs().swap_remove(0);
    let names = |db: &Connection| -> Vec<String> {
        db.prepare("SELECT Username FROM Users ORDER BY rowid")
            .unwrap()
            .query_map([], |row| {
                Ok(String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned())
            })
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    for sql in [
        "UPDATE Users SET Username = CAST(x'62ff' AS TEXT), NormalizedUsername = CAST(x'42ff' AS TEXT) WHERE rowid = 2; UPDATE Users SET Username = CAST(x'62fe' AS TEXT), NormalizedUsername = CAST(x'42fe' AS TEXT) WHERE rowid = 3",
        "DROP INDEX IX_Users_Username; DROP INDEX IX_Users_NormalizedUsername; UPDATE Users SET Username = 'ana', NormalizedUsername = 'ANA' WHERE rowid < 3; UPDATE Users SET Username = 'ana-2', NormalizedUsername = 'ANA-2' WHERE rowid = 3",
        "DROP INDEX IX_Users_Username; DROP INDEX IX_Users_NormalizedUsername; UPDATE Users SET Username = '', NormalizedUsername = ''",
    ] {
        let (_dir, db) = open_copy(&database);
        db.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        let before = names(&db).len();
        db.execute_batch(sql).unwrap();
        let had_two = names(&db).contains(&"ana-2".to_owned());
        let (repairs, wrong) = mended(&db);
        assert_eq!((wrong, names(&db).len()), (Vec::new(), before), "{sql}: {repairs:?}");
        assert!(
            repairs.count >= 1 && repairs.named.iter().all(|r| r.table == "Users"),
            "{repairs:?}"
        );
        // Who had a name of old keeps it.
        assert!(!had_two || names(&db)[2] == "ana-2", "{:?}", names(&db));
    }
}
