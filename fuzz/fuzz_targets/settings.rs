//! Configuration files from any bytes: what they say of places is text of the file, and no file
//! stops or breaks the reader.
#![no_main]

use jellyvault::source::{database_settings, parse_xml, xml_element};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for name in ["MetadataPath", "CachePath", "BaseUrl"] {
        assert!(xml_element(bytes, name).is_none_or(|value| !value.is_empty() && value.len() <= bytes.len()));
    }
    assert!(database_settings(bytes).and_then(|found| found.path).is_none_or(|path| !path.is_empty()));
    if let Some(document) = std::str::from_utf8(bytes).ok().and_then(parse_xml) {
        assert!(document.descendants().all(|node| node.ancestors().count() <= 210));
    }
});
