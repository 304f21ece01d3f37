//! Odd values in columns, held against what SQLite makes of them.

use super::*;
use crate::archive::Schema;

#[test]
fn odd_values_are_read_as_sqlite_gives_them() {
    let schema = &Schema::all()[2];
    let property =
        |table: &str, name: &str| schema.table(table).unwrap().property(name).unwrap().clone();
    let int = property("BaseItems", "IndexNumber");
    for (text, meant) in [("12abc", 12), ("abc", 0), (" -7", -7), ("1e3", 1), ("", 0)] {
        assert_eq!(
            read(&int, ValueRef::Text(text.as_bytes())).unwrap().0,
            Cell::Int(meant),
            "{text}"
        );
    }
    let long = property("BaseItems", "RunTimeTicks");
    for (text, meant) in [
        (&b"12\xff"[..], 12),
        (b"99999999999999999999", i64::MAX),
        (b"-99999999999999999999", i64::MIN),
        (b"9223372036854775807", i64::MAX),
        (b"-9223372036854775808", i64::MIN),
        (b"+5", 5),
        (b"--5", 0),
    ] {
        assert_eq!(
            read(&long, ValueRef::Text(text)).unwrap().0,
            Cell::Int(meant),
            "{}",
            text.escape_ascii()
        );
        let db = rusqlite::Connection::open_in_memory().unwrap();
        let of_sqlite: i64 = db
            .query_row("SELECT CAST(CAST(?1 AS TEXT) AS INTEGER)", [text], |row| row.get(0))
            .unwrap();
        assert_eq!(of_sqlite, meant, "{}", text.escape_ascii());
    }
    assert_eq!(read(&int, ValueRef::Real(2.9)).unwrap().0, Cell::Int(2));
    assert!(read(&int, ValueRef::Integer(1 << 40)).is_err());
    let double = property("UserData", "Rating");
    for (text, meant) in
        [("NaN", 0.0), ("inf", 0.0), ("7.5 of 10", 7.5), ("1e3x", 1000.0), (".5", 0.5)]
    {
        assert_eq!(
            read(&double, ValueRef::Text(text.as_bytes())).unwrap().0,
            Cell::Double(meant),
            "{text}"
        );
    }
    assert_eq!(read(&double, ValueRef::Text(b"7.5\xff")).unwrap().0, Cell::Double(7.5));
    assert!(read(&double, ValueRef::Real(f64::INFINITY)).is_err());
    assert!(read(&property("BaseItems", "CommunityRating"), ValueRef::Real(1e300)).is_err());
    let ticks = property("KeyframeData", "KeyframeTicks");
    for text in ["[1,2", "[1.5]", "[null]", "{}", "[1] x", "1"] {
        assert!(read(&ticks, ValueRef::Text(text.as_bytes())).is_err(), "{text}");
    }
    assert_eq!(
        read(&ticks, ValueRef::Text(b"[1, 2]")).unwrap().0.stored(),
        Value::Text("[1,2]".to_owned())
    );
    let role = property("PeopleBaseItemMap", "Role");
    assert!(read(&role, ValueRef::Null).is_err());
    assert_eq!(read(&role, ValueRef::Text(b"a\xffb")).unwrap().0, Cell::Text("a\u{fffd}b".into()));
}
