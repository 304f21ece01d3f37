//! A snapshot record from any bytes, and any body behind a right header and checksum.
#![no_main]

use jellyvault::manifest::SnapshotRecord;
use jellyvault::store::{RecordKind, Sealer, decode_record, record_file_for_tests};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, Vec<u8>)| {
    let (wrap, bytes) = input;
    let id = [7; 16];
    let file = if wrap { record_file_for_tests(RecordKind::Snapshot, &id, &bytes) } else { bytes };
    if decode_record::<SnapshotRecord>(RecordKind::Snapshot, &Sealer::plain(), &id, &file).is_err() {}
});
