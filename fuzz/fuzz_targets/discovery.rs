//! Instance discovery among any names and files: it ends, and takes no relative or empty place for
//! an instance.
#![no_main]

use std::collections::BTreeMap;

use jellyvault::source::{Named, Platform, Surroundings, find};
use libfuzzer_sys::fuzz_target;

/// A machine whose files are what the bytes say.
struct Machine(BTreeMap<String, Option<Vec<u8>>>);

impl Surroundings for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(&format!("${name}")).cloned().flatten().and_then(|value| String::from_utf8(value).ok())
    }
    fn is_dir(&self, path: &str) -> bool {
        self.0.get(path).is_some_and(Option::is_none)
    }
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.0.get(path).cloned().flatten()
    }
}

const NAMES: [&str; 16] = [
    "/jf", "/jf/data", "/jf/config", "/jf/metadata", "/jf/plugins", "/jf/root", "/jf/data/jellyfin.db", "/jf/config/system.xml", "/jf/config/database.xml",
    "/jf/config/encoding.xml", "/jf/system.xml", "/jf/data/data", "/etc/default/jellyfin", "$JELLYFIN_DATA_DIR", "$HOME", "/config/config/system.xml",
];

fuzz_target!(|parts: Vec<(u8, Option<Vec<u8>>)>| {
    let files = parts.into_iter().map(|(name, content)| (NAMES[usize::from(name) % NAMES.len()].to_owned(), content));
    let machine = Machine(files.collect());
    for data in [None, Some("/jf".to_owned())] {
        if let Ok(instance) = find(Platform::Linux, &Named { data, ..Named::default() }, &machine) {
            assert!(!instance.program_data.is_empty() && instance.data.starts_with(instance.program_data.trim_end_matches('/')));
            assert!(instance.trusted.iter().all(|place| !place.is_empty()));
        }
    }
});
