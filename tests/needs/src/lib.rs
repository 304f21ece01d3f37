//! `#[needs(root, strace)]` above `#[test]`: a machine that lacks one of them counts the test as
//! ignored and says why. Nobody can take it for passed.
//!
//! `build.rs` looks at the machine when the tests are built, because libtest can ignore a test only
//! then.

use proc_macro::TokenStream;

/// What a test may name, and what the reason calls it. `build.rs` finds out which of them are
/// there.
const THINGS: [(&str, &str); 10] = [
    ("root", "root"),
    ("mount", "root that may mount"),
    ("fuse", "root that may mount, and /dev/fuse"),
    ("exfat", "root that may mount, /dev/fuse, loop devices, exfat-fuse and exfatprogs"),
    ("chattr", "root that may make files immutable, and chattr"),
    ("strace", "strace that may trace"),
    ("faketime", "faketime"),
    ("rsync", "rsync"),
    ("systemd", "systemd-analyze"),
    ("python", "python3 (3.11) with blake3, zstandard and cryptography (44)"),
];

/// Ignores the test below where the machine lacks what is named.
#[proc_macro_attribute]
pub fn needs(named: TokenStream, test: TokenStream) -> TokenStream {
    let mut lacking = Vec::new();
    for word in named.to_string().split(',').map(str::trim) {
        let Some((_, thing)) = THINGS.iter().find(|(known, _)| *known == word) else {
            return error(&format!("a test cannot need {word:?}: see tests/needs"));
        };
        if !env!("MACHINE_HAS").split(' ').any(|found| found == word) {
            lacking.push(*thing);
        }
    }
    // `#[test]` looks for `#[ignore]` when it is expanded, which is from the top down.
    let head: String =
        test.to_string().chars().take_while(|c| *c != '{').filter(|c| !c.is_whitespace()).collect();
    if !head.contains("#[test]") {
        return error("#[needs] belongs above #[test]");
    }
    if lacking.is_empty() {
        return test;
    }
    let reason = format!("needs {}", lacking.join("; "));
    parse(&format!("#[ignore = {reason:?}]")).into_iter().chain(test).collect()
}

fn error(what: &str) -> TokenStream {
    parse(&format!("compile_error!({what:?});"))
}

fn parse(text: &str) -> TokenStream {
    text.parse().unwrap_or_default()
}
