//! Damaged and hostile repositories: the damage is named; never a panic, never wrong bytes.

use jellyvault::backend::{MemoryBackend, Span};
use jellyvault::manifest::Catalog;
use jellyvault::store::{PackTrailer, Repository, Sealer, TrailerError};

use super::support::*;

fn small_repository() -> (MemoryBackend, std::collections::BTreeMap<Vec<u8>, Facts>) {
    let dir = temp();
    write(dir.path().join("a.txt"), "some text that is compressed, compressed, compressed");
    write(dir.path().join("b/c.jpg"), [b"\xff\xd8\xff".as_slice(), &noise("c", 700)].concat());
    write(
        dir.path().join("c.db"),
        [b"SQLite format 3\0\x02\0".as_slice(), &noise("pages", 512 * 3 - 18)].concat(),
    );
    let_settle();
    let backend = MemoryBackend::default();
    Repository::init_on(&backend).unwrap();
    capture(&Repository::open_on(Box::new(backend.clone())).unwrap(), dir.path()).unwrap();
    (backend, facts(dir.path(), &|_| false))
}

/// Opens, lists, restores: right bytes, or an error or problem that names the damage. Whether all of
/// it came back.
fn right_or_named(
    backend: &MemoryBackend,
    expected: &std::collections::BTreeMap<Vec<u8>, Facts>,
    what: &str,
) -> bool {
    // An error is an answer: only what is given must be right.
    let Ok(repository) = Repository::open_on(Box::new(backend.clone())) else { return false };
    let Ok(catalog) = Catalog::load(&repository) else { return false };
    if !catalog.damaged.is_empty() {
        return false;
    }
    let mut is_whole = false;
    for snapshot in &catalog.snapshots {
        let out = temp();
        let restored = restore_to(&repository, snapshot, out.path());
        let found = facts(out.path(), &|_| false);
        // Wrong content is never passed on, whatever else was reported.
        for (path, facts) in &found {
            if facts.bytes.is_some() {
                assert_eq!(
                    expected.get(path).map(|f| f.bytes),
                    Some(facts.bytes),
                    "wrong bytes after {what}"
                );
            }
        }
        if restored.is_ok_and(|report| report.problems.is_empty()) {
            assert_same_trees(expected, &found);
            is_whole = true;
        }
    }
    is_whole
}

#[test]
fn a_byte_flipped_at_every_position_gives_right_bytes_or_a_named_error() {
    let (backend, expected) = small_repository();
    let mut whole = 0;
    for (name, bytes) in backend.files() {
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            backend.put(&name, damaged);
            let what = format!("byte {at} of {name} was flipped");
            whole += u32::from(right_or_named(&backend, &expected, &what));
        }
        backend.put(&name, bytes);
    }
    assert!(right_or_named(&backend, &expected, "nothing") && whole > 0, "{whole}");
}

#[test]
fn a_flipped_byte_in_a_pack_is_found_and_named() {
    let (backend, _) = small_repository();
    let (name, bytes) =
        backend.files().into_iter().find(|(name, _)| name.starts_with("packs/")).unwrap();
    let mut silent = Vec::new();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        backend.put(&name, damaged);
        let repository = Repository::open_on(Box::new(backend.clone())).unwrap();
        let out = temp();
        match restore_to(&repository, &newest(&repository), out.path()) {
            // The copy of the record is read by check and repair alone.
            Ok(report) if report.problems.is_empty() => {
                if check_all(&repository).is_ok() {
                    silent.push(at);
                }
            }
            Ok(report) => {
                assert!(report.problems[0].what.contains("cannot be read"), "{:?}", report.problems)
            }
            Err(error) => assert_eq!(error.kind(), jellyvault::ops::ErrorKind::Damaged, "{error}"),
        }
    }
    assert!(silent.is_empty(), "flips that nobody noticed: {silent:?}");
}

#[test]
fn files_cut_short_at_every_length_are_named() {
    let (backend, expected) = small_repository();
    for (name, bytes) in backend.files() {
        for len in 0..bytes.len() {
            backend.put(&name, bytes[..len].to_vec());
            right_or_named(&backend, &expected, &format!("{name} was cut to {len} bytes"));
        }
        backend.lose(&name);
        right_or_named(&backend, &expected, &format!("{name} was lost"));
        backend.put(&name, bytes);
    }
    assert!(right_or_named(&backend, &expected, "nothing"));
}

#[test]
fn lengths_beyond_all_limits_are_refused_before_anything_is_allocated() {
    let (backend, _) = small_repository();
    let (_, bytes) =
        backend.files().into_iter().find(|(name, _)| name.starts_with("packs/")).unwrap();
    let footer = bytes.len() - 80;
    // Offset, trailer length, extents, chunks of the footer, each as large as it can be.
    for (at, len) in [(0, 8), (8, 4), (12, 4), (16, 4)] {
        for value in [0xff, 0x7f, 0x80] {
            let mut hostile = bytes.clone();
            hostile[footer + at..footer + at + len].fill(value);
            let mut largest = 0;
            let outcome = PackTrailer::decode::<TrailerError>(
                hostile.len() as u64,
                &Sealer::plain(),
                |offset, len| {
                    largest = largest.max(len);
                    let start = usize::try_from(offset).map_err(|_| TrailerError::Lengths)?;
                    hostile
                        .get(start..start.saturating_add(len))
                        .map(<[u8]>::to_vec)
                        .ok_or(TrailerError::Lengths)
                },
            );
            assert!(outcome.is_err());
            assert!(largest <= hostile.len(), "asked for {largest} bytes");
        }
    }
    for size in [0, 1, 79, 111, u64::MAX, 1 << 63] {
        let outcome =
            PackTrailer::decode::<TrailerError>(size, &Sealer::plain(), |_, _| Ok(Vec::new()));
        assert!(outcome.is_err(), "{size}");
    }
}

#[test]
fn a_later_format_is_refused_and_left_alone() {
    let (backend, _) = small_repository();
    let before = backend.files();
    backend.put("repo.toml", b"format = 3\nid = \"x\"\n".to_vec());
    let Err(error) = Repository::open_on(Box::new(backend.clone())) else {
        panic!("a later format was opened")
    };
    assert!(error.to_string().contains("format 3"), "{error}");
    for (name, bytes) in backend.files().into_iter().filter(|(name, _)| name != "repo.toml") {
        assert_eq!(before.get(&name), Some(&bytes));
    }
    use jellyvault::backend::Backend;
    assert!(backend.read("repo.toml", Span::Whole { limit: 4 }).is_err());
}
