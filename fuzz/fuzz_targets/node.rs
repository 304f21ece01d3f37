//! A manifest node from any bytes: what decodes encodes to a node that decodes to the same.
#![no_main]

use jellyvault::manifest::{Node, is_valid};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Node::decode(bytes) {
        Ok(Node::Leaf(entries)) => {
            assert!(entries.iter().all(|entry| is_valid(&entry.path)));
            assert_eq!(Node::decode(&Node::encode_leaf(&entries)), Ok(Node::Leaf(entries)));
        }
        Ok(Node::Inner { level, children }) => {
            assert_eq!(Node::decode(&Node::encode_inner(level, &children)), Ok(Node::Inner { level, children }));
        }
        Err(_) => {}
    }
});
