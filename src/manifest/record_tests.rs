//! A record comes back as it was written, whoever wrote it.

use super::*;
use crate::store::{RecordKind, Sealer, decode_record, encode_record};

pub(crate) fn sample() -> SnapshotRecord {
    let directories = Directories::from([("data".to_owned(), "/config".to_owned())]);
    SnapshotRecord {
        time_ns: 1_790_000_000_123_456_789,
        parent: Some(SnapshotId([3; 16])),
        label: Some("before 12.0".to_owned()),
        note: None,
        program: "0.1.0".to_owned(),
        source: SourceRecord {
            key: "k".to_owned(),
            host: "nas".to_owned(),
            how: "named".to_owned(),
            directories: directories.clone(),
            seen_by_server: directories,
        },
        server: ServerRecord {
            version: Some(Learnt {
                value: "10.11.6".to_owned(),
                how: "log".to_owned(),
                exact: true,
            }),
            id: None,
            schema: Some("20260522092303_AddNormalizedUsername".to_owned()),
            code_migration: None,
            history: None,
        },
        categories: BTreeMap::from([(
            "config".to_owned(),
            CategoryRecord { manifest: ChunkId([9; 32]), entries: 3, files: 2, bytes: 1 << 40 },
        )]),
        files: Files { total: 2, new: 1, changed: 0, unchanged: 1, gone: 4 },
        bytes: Bytes { source: 1 << 40, read: 7, new_raw: 7, new_stored: 5 },
        took_ms: 12,
        excluded: vec!["*.tmp".to_owned()],
        problems: vec![Problem { path: "data/x".to_owned(), what: "could not be read".to_owned() }],
        problem_count: 1,
        remarks: vec![],
        owners: Owners { users: BTreeMap::from([(0, "root".to_owned())]), groups: BTreeMap::new() },
    }
}

#[test]
fn a_record_comes_back_from_golden_bytes_and_under_its_own_name_only() {
    let id = [5; 16];
    let bytes = encode_record(RecordKind::Snapshot, &Sealer::plain(), &id, &sample()).unwrap();
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, include_str!("golden/snapshot.hex").trim());
    assert_eq!(
        decode_record::<SnapshotRecord>(RecordKind::Snapshot, &Sealer::plain(), &id, &bytes),
        Ok(sample())
    );
    assert!(
        decode_record::<SnapshotRecord>(RecordKind::Snapshot, &Sealer::plain(), &[6; 16], &bytes)
            .is_err()
    );
}

#[test]
fn a_flipped_bit_anywhere_in_a_record_is_found() {
    let id = [5; 16];
    let bytes = encode_record(RecordKind::Snapshot, &Sealer::plain(), &id, &sample()).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(
            decode_record::<SnapshotRecord>(RecordKind::Snapshot, &Sealer::plain(), &id, &damaged)
                .is_err(),
            "byte {at}"
        );
    }
}

#[test]
fn ids_sort_by_time() {
    assert!(SnapshotId::at(1, [255; 10]) < SnapshotId::at(2, [0; 10]));
    assert_eq!(
        SnapshotId::at(0x0102_0304_0506, [7; 10]).to_string(),
        "01020304050607070707070707070707"
    );
}
