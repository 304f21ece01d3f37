//! repo.toml from any bytes: an error or settings that may be used.
#![no_main]

use jellyvault::store::RepoConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(config) = RepoConfig::decode(bytes) {
        assert!(config.cut.compressed.are_valid() && config.cut.other.are_valid() && config.cut.sqlite.are_valid());
    }
});
