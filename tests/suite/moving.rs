//! The same tree gives the same manifests, whatever came before.

use std::collections::BTreeMap;

use jellyvault::backend::MemoryBackend;
use jellyvault::store::Repository;
use proptest::prelude::*;

use super::support::*;

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Write(u8, u16),
    Remove(u8),
    Capture,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![4 => (any::<u8>(), any::<u16>()).prop_map(|(name, size)| Step::Write(name, size)), 1 => any::<u8>().prop_map(Step::Remove), 1 => Just(Step::Capture)];
    proptest::collection::vec(step, 1..120)
}

fn path(root: &std::path::Path, name: u8) -> std::path::PathBuf {
    root.join(format!("{}/{:x}", name % 16, name))
}

/// Times must be the same in both trees: they are part of an entry.
fn still(root: &std::path::Path) {
    let stamp = rustix::fs::Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 };
    for entry in walkdir::WalkDir::new(root) {
        let times = rustix::fs::Timestamps { last_access: stamp, last_modification: stamp };
        rustix::fs::utimensat(
            rustix::fs::CWD,
            entry.unwrap().path(),
            &times,
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )
        .unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_same_tree_captured_by_two_histories_has_the_same_manifest(history in steps()) {
        let dir = temp();
        let lived = dir.path().join("lived");
        std::fs::create_dir(&lived).unwrap();
        write(lived.join("always"), "");
        let repository = Repository::init(&dir.path().join("repo")).unwrap();
        let mut files = BTreeMap::new();
        for step in history {
            match step {
                Step::Write(name, size) => {
                    write(path(&lived, name), noise(&size.to_string(), usize::from(size)));
                    files.insert(name, size);
                }
                Step::Remove(name) => {
                    if files.remove(&name).is_some() {
                        std::fs::remove_file(path(&lived, name)).unwrap();
                        let folder = path(&lived, name);
                        let folder = folder.parent().unwrap();
                        if std::fs::read_dir(folder).unwrap().next().is_none() {
                            std::fs::remove_dir(folder).unwrap();
                        }
                    }
                }
                Step::Capture => drop(capture(&repository, &lived).unwrap()),
            }
        }
        let made = dir.path().join("made");
        write(made.join("always"), "");
        for (name, size) in &files {
            write(path(&made, *name), noise(&size.to_string(), usize::from(*size)));
        }
        still(&lived);
        still(&made);
        let of_life = capture(&repository, &lived).unwrap().record.categories;
        let backend = MemoryBackend::default();
        // With the same keys, if there are any.
    Repository::init_with(&backend, repository.config()).unwrap();
        let of_making = capture(&Repository::open_on(Box::new(backend)).unwrap(), &made).unwrap().record.categories;
        prop_assert_eq!(of_life, of_making);
    }
}

#[test]
fn a_large_tree_changed_a_little_has_the_manifest_of_a_fresh_capture() {
    let dir = temp();
    let source = dir.path().join("source");
    for n in 0..4000u32 {
        write(
            source.join(format!(
                "metadata/library/{:02x}/{n:08x}/poster.jpg",
                n.wrapping_mul(2_654_435_761) >> 24
            )),
            n.to_le_bytes(),
        );
    }
    let_settle();
    let repository = Repository::init(&dir.path().join("repo")).unwrap();
    capture(&repository, &source).unwrap();
    write(source.join("metadata/library/7f/new/poster.jpg"), "new");
    std::fs::remove_dir_all(source.join("metadata/library/33")).unwrap();
    std::fs::rename(source.join("metadata/library/40"), source.join("metadata/library/40_moved"))
        .unwrap();
    let changed = capture(&repository, &source).unwrap();
    assert!(changed.record.files.unchanged > 3800, "{:?}", changed.record.files);
    let backend = MemoryBackend::default();
    // With the same keys, if there are any.
    Repository::init_with(&backend, repository.config()).unwrap();
    let fresh = capture(&Repository::open_on(Box::new(backend)).unwrap(), &source).unwrap();
    assert_eq!(changed.record.categories, fresh.record.categories);
}
