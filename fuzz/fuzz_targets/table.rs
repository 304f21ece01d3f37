//! Rows from any bytes: what a table takes is written as JSON that it takes again, to the same
//! rows.
#![no_main]

use jellyvault::archive::{DumpStyle, Schema, dump_table, load_table};
use libfuzzer_sys::fuzz_target;
use rusqlite::Connection;

fn database(schema: &Schema) -> Connection {
    let db = Connection::open_in_memory().expect("memory");
    schema.ddl(&[]).filter(|statement| statement.starts_with("CREATE TABLE")).for_each(|statement| db.execute_batch(statement).expect("the schema is sound"));
    db
}

fn dumped(db: &Connection, schema: &Schema, number: usize) -> Vec<u8> {
    let mut json = Vec::new();
    dump_table::<()>(db, schema, &schema.tables[number], DumpStyle::default(), &mut |block| {
        json.append(block);
        Ok(())
    })
    .expect("what was loaded can be written");
    json
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, json)) = bytes.split_first() else { return };
    let schema = &Schema::all()[2];
    let number = usize::from(*first) % schema.tables.len();
    let (once, twice) = (database(schema), database(schema));
    // What is an array only up to some byte leaves the rows before it.
    drop(load_table(&once, &schema.tables[number], json, &|| false));
    let first = dumped(&once, schema, number);
    let again = load_table(&twice, &schema.tables[number], first.as_slice(), &|| false).expect("what was written can be read");
    assert_eq!(again.told_count, 0, "{:?}", again.told);
    assert_eq!(dumped(&twice, schema, number), first);
});
