//! A zip from any bytes: it is refused or read, whole and within its own claims, and never does
//! harm.
#![no_main]

use std::io::Read;

use jellyvault::archive::{Manifest, Place, ZipReader, place_of, read_history_json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    std::fs::write(file.path(), bytes).expect("a temporary file can be written");
    let Ok(zip) = ZipReader::at(file.path()) else { return };
    for pair in zip.entries.windows(2) {
        assert!(jellyvault::manifest::compare(zip.name(&pair[0]).as_bytes(), zip.name(&pair[1]).as_bytes()).is_lt(), "sorted, and no name twice");
    }
    for entry in zip.entries.iter().take(64) {
        assert!(!zip.name(entry).starts_with('/') && !zip.name(entry).split(['/', '\\']).any(|part| part == ".."));
        if let Place::File(path) = place_of(&zip.name(entry)) {
            assert!(jellyvault::manifest::is_valid(path.as_bytes()), "{path:?}");
        }
        if entry.size() > 1 << 20 {
            continue;
        }
        let mut plain = Vec::new();
        if zip.read(entry).is_ok_and(|mut reader| reader.read_to_end(&mut plain).is_ok()) {
            assert_eq!(plain.len() as u64, entry.size());
            drop(Manifest::read(&plain));
            drop(read_history_json(plain.as_slice()));
        }
    }
});
