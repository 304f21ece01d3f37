//! What the chain notices, and what it does not mind.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::backend::{CrashDisk, Disk, LocalBackend, MemoryBackend};
use crate::manifest::Catalog;
use crate::manifest::record::tests::sample;
use crate::store::{RecordKind, Sealer, encode_record};

fn repository() -> (MemoryBackend, Repository) {
    let backend = MemoryBackend::default();
    Repository::init_on(&backend).unwrap();
    (backend.clone(), Repository::open_on(Box::new(backend)).unwrap())
}

fn id(n: u8) -> SnapshotId {
    SnapshotId([n; 16])
}

fn publish(repository: &Repository, n: u8) {
    Catalog::publish(repository, id(n), &sample(), false).unwrap();
}

fn irregular(repository: &Repository) -> Vec<(String, String)> {
    let hashes = Catalog::ids(repository).unwrap().into_iter().map(|id| {
        let bytes = repository
            .backend()
            .read(&snapshot_name(&id.0), Span::Whole { limit: RECORD_BYTES_MAX })
            .unwrap();
        (id, file_hash(&bytes))
    });
    let found = Chain::load(repository).unwrap().irregularities(&hashes.collect());
    found.into_iter().map(|irregular| (irregular.name, irregular.what)).collect()
}

#[test]
fn what_capture_and_forget_do_is_regular_and_what_anything_else_does_is_not() {
    let (backend, repository) = repository();
    (1..=4).for_each(|n| publish(&repository, n));
    assert_eq!(irregular(&repository), []);
    Catalog::drop(&repository, &[id(2)]).unwrap();
    assert_eq!(irregular(&repository), []);
    assert_eq!(
        backend.files().keys().filter(|name| name.starts_with("list/")).count(),
        1,
        "a forget states the list anew"
    );
    publish(&repository, 5);
    let whole = backend.files();
    let name = |n: u8| snapshot_name(&id(n).0);
    let restore = || {
        backend.files().keys().for_each(|name| backend.lose(name));
        whole.iter().for_each(|(name, bytes)| backend.put(name, bytes.clone()));
    };
    let is_told = |wanted: &str, case: &str| {
        let found = irregular(&repository);
        assert!(
            found.iter().any(|(name, what)| name.contains(wanted) || what.contains(wanted)),
            "{case}: {found:?}"
        );
        restore();
    };
    for n in [1, 3, 4, 5] {
        backend.lose(&name(n));
        is_told(&name(n), "a record removed");
        let mut other = sample();
        other.note = Some("swapped".to_owned());
        backend.put(
            &name(n),
            encode_record(RecordKind::Snapshot, &Sealer::plain(), &id(n).0, &other).unwrap(),
        );
        is_told(&name(n), "another record in its place");
    }
    backend.put(
        &name(2),
        encode_record(RecordKind::Snapshot, &Sealer::plain(), &id(2).0, &sample()).unwrap(),
    );
    is_told("was forgotten", "a forgotten record put back");
    for link in whole.keys().filter(|name| name.starts_with("list/")) {
        backend.lose(link);
        is_told("list", "a link removed");
        let mut bytes = whole[link].clone();
        bytes[60] ^= 1;
        backend.put(link, bytes);
        is_told(link, "a link damaged");
    }
    assert_eq!(irregular(&repository), []);
}

#[test]
fn a_record_without_a_link_is_adopted_by_the_next_capture_and_remembered_as_that() {
    let (_, repository) = repository();
    publish(&repository, 1);
    // Its capture was cut off before the link.
    Catalog::write(&repository, id(2), &sample()).unwrap();
    assert_eq!(irregular(&repository).len(), 1);
    publish(&repository, 3);
    assert_eq!(irregular(&repository), []);
    let adopted: Vec<_> = Chain::load(&repository)
        .unwrap()
        .listed
        .into_values()
        .filter(|listed| listed.is_adopted)
        .map(|listed| listed.id)
        .collect();
    assert_eq!(adopted, [id(2)]);
}

#[test]
fn links_are_summed_up_before_there_are_too_many_and_marks_survive_that() {
    let (backend, repository) = repository();
    for n in 0..(LINKS_MAX as u32 + 20) {
        let mut bytes = [0; 16];
        bytes[12..].copy_from_slice(&n.to_be_bytes());
        Catalog::publish(&repository, SnapshotId(bytes), &sample(), n == 3).unwrap();
        let links = backend.files().keys().filter(|name| name.starts_with("list/")).count();
        assert!(links <= LINKS_MAX, "{links}");
    }
    assert_eq!(irregular(&repository), []);
    assert_eq!(Chain::load(&repository).unwrap().listed.len(), LINKS_MAX + 20);
    assert_eq!(Chain::kept(&repository).unwrap().len(), 1);
}

/// What is remembered of the end of the list, where something is, is what its files say.
fn holds(repository: &Repository, is_remembered: bool) {
    let found = Newest::read(repository).map(|newest| Newest { looks: None, ..newest });
    assert_eq!(found.is_some(), is_remembered);
    if let Some(found) = found {
        assert_eq!(found, Chain::survey(repository, &ListChange::default()).unwrap());
    }
    assert!(irregular(repository).is_empty(), "{:?}", irregular(repository));
}

/// The same after something that only the list's files know.
fn holds_still(repository: &Repository) {
    let surveyed = Chain::survey(repository, &ListChange::default()).unwrap();
    assert_eq!(
        Newest::read(repository).map(|newest| Newest { looks: None, ..newest }),
        Some(surveyed)
    );
}

/// Nothing is remembered, and the newest snapshot is found all the same.
fn holds_none(repository: &Repository) {
    assert_eq!(Newest::read(repository), None);
    assert!(Catalog::newest(repository, |_| true).unwrap().is_some());
}

#[test]
fn what_is_remembered_of_the_newest_is_what_the_files_say_whatever_else_changes_them() {
    let disk = CrashDisk::default();
    let root = Path::new("/repo");
    disk.create_dir(root).unwrap();
    Repository::init_on(&LocalBackend::on(Arc::new(disk.clone()), root)).unwrap();
    let repository = Repository::open_on_disk(Arc::new(disk.clone()), root).unwrap();
    let holds = |is_remembered| holds(&repository, is_remembered);
    publish(&repository, 1);
    // The first link states the whole list.
    holds(false);
    for n in [2, 9, 4] {
        publish(&repository, n);
        holds(true);
    }
    disk.take_listed();
    let newest = |wanted: &dyn Fn(SnapshotId) -> bool| {
        Catalog::newest(&repository, |_| true).unwrap().map(|(id, _)| id).filter(|id| wanted(*id))
    };
    assert_eq!(newest(&|_| true), Some(id(9)));
    let catalog = Catalog::load_named(&repository, &["latest~2", "latest"]).unwrap();
    assert_eq!(
        catalog.snapshots.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        [id(2), id(4), id(9)]
    );
    publish(&repository, 5);
    assert!(disk.take_listed().is_empty(), "nothing was listed");
    holds(true);
    // Taken away and put back behind its back: the files count.
    let record = root.join(snapshot_name(&[9; 16]));
    let bytes = disk.files()[&record].clone();
    disk.put(&record, None);
    assert_eq!((Newest::read(&repository), newest(&|_| true)), (None, Some(id(5))));
    disk.put(&record, Some(bytes));
    holds(true);
    Catalog::drop(&repository, &[id(9)]).unwrap();
    holds(false);
    publish(&repository, 6);
    holds(true);
    // A damaged one is passed over, and so is what was remembered where all of it is.
    let record = root.join(snapshot_name(&[6; 16]));
    disk.put(&record, Some(b"no record".to_vec()));
    assert_eq!(newest(&|_| true), Some(id(5)));
    let catalog = Catalog::load_named(&repository, &["latest"]).unwrap();
    assert_eq!(
        (catalog.snapshots.first().map(|(id, _)| *id), catalog.damaged.len()),
        (Some(id(5)), 1)
    );
    // What another process made of it meanwhile is not written over, though it looked the same.
    publish(&repository, 7);
    let old = Newest::read(&repository).unwrap();
    publish(&repository, 8);
    old.write(&repository, ["", ""]);
    publish(&repository, 10);
    let links = repository.backend().names("list/").unwrap().len() as u64;
    assert_eq!((links, newest(&|_| true)), (old.links + 2, Some(id(10))));
    holds_still(&repository);
    // Damaged itself, it is none.
    let path = root.join("newest");
    disk.put(&path, Some(vec![7; 500]));
    holds_none(&repository);
    disk.put(&path, Some(Vec::new()));
    holds_none(&repository);
}
