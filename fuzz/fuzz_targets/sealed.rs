//! What an encrypted repository has, from any bytes: key slots, extents, records.
#![no_main]

use jellyvault::store::encryption::{Algorithm, RecoveryKey, Secret, Slot, comes_back_for_tests, slot_file_for_tests};
use libfuzzer_sys::fuzz_target;

/// A guess that costs so little is made.
const MEMORY_KIB_MAX: u32 = 256;

fn slot(file: &[u8]) {
    let Ok(slot) = Slot::decode(file) else { return };
    if slot.kdf.is_none_or(|kdf| kdf.memory_kib <= MEMORY_KIB_MAX && kdf.passes <= 2) {
        let opened = slot.open(&Secret::new(b"a passphrase".to_vec()));
        assert!(!matches!(opened, Ok(Some(_))), "a slot that nobody sealed opens");
    }
}

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (kind, bytes) = input;
    for algorithm in Algorithm::ALL {
        assert!(comes_back_for_tests(algorithm, kind, &bytes));
    }
    slot(&bytes);
    slot(&slot_file_for_tests(&String::from_utf8_lossy(&bytes)));
    if RecoveryKey::parse(&Secret::new(bytes)).is_err() {}
});
