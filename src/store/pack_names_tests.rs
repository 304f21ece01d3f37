//! Which folders are listed, and what is remembered of them.

use std::sync::{Mutex, PoisonError};

use super::*;
use crate::backend::{Error as BackendError, Listed, MemoryBackend, NewFile, Span};

/// Files in memory, and folders that look as a test says.
#[derive(Default)]
struct Marked {
    files: MemoryBackend,
    marks: Mutex<BTreeMap<u8, Mark>>,
    listed: Mutex<Vec<String>>,
}

impl Backend for Marked {
    fn read(&self, name: &str, span: Span) -> Result<Vec<u8>, BackendError> {
        self.files.read(name, span)
    }
    fn create(&self, name: &str) -> Result<Box<dyn NewFile>, BackendError> {
        self.files.create(name)
    }
    fn list(&self, prefix: &str) -> Result<Vec<Listed>, BackendError> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).push(prefix.to_owned());
        self.files.list(prefix)
    }
    fn mark(&self, folder: &str) -> Option<Mark> {
        let folder = u8::from_str_radix(folder.strip_prefix("packs/")?, 16).ok()?;
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).get(&folder).copied()
    }
    fn remove(&self, name: &str) -> Result<(), BackendError> {
        self.files.remove(name)
    }
    fn sync(&self) -> Result<(), BackendError> {
        self.files.sync()
    }
}

impl Marked {
    /// A pack in the folder, which looks like `looks` from then on.
    fn put(&self, id: [u8; 16], looks: u8) {
        self.files.put(&crate::store::pack_name(&id), b"a pack".to_vec());
        self.look(folder_of(&id), looks, true);
    }
    fn look(&self, folder: u8, looks: u8, is_settled: bool) {
        self.marks.lock().unwrap().insert(folder, Mark { looks: [looks; 32], is_settled });
    }
    fn listed(&self) -> Vec<String> {
        std::mem::take(&mut self.listed.lock().unwrap())
    }
}

fn id(folder: u8, n: u8) -> [u8; 16] {
    let mut id = [n; 16];
    id[0] = folder;
    id
}

/// Three packs in two folders, and the marks that are remembered once a third folder was seen to
/// change.
fn some() -> (Marked, Marks) {
    let backend = Marked::default();
    (0..=u8::MAX).for_each(|folder| backend.look(folder, 0, true));
    backend.put(id(1, 1), 1);
    backend.put(id(1, 2), 1);
    backend.put(id(2, 1), 1);
    backend.look(3, 1, true);
    let names = PackNames::all(&backend, &Marks::default()).unwrap();
    backend.put(id(3, 1), 2);
    let new = names.to_remember(&backend, &[id(3, 1)], |_| true).unwrap();
    let folders =
        new.folders.into_iter().filter_map(|(folder, looks)| Some((folder, looks?))).collect();
    backend.listed();
    (backend, Marks { listed_at: new.listed_at.unwrap(), folders })
}

#[test]
fn only_folders_that_look_different_or_are_in_doubt_are_listed_and_once_a_day_all() {
    let (backend, marks) = some();
    assert_eq!(
        (marks.folders.len(), marks.folders[&3]),
        (256, [1; 32]),
        "what was seen before the change"
    );
    let names = PackNames::since(&backend, &marks, &BTreeSet::from([2])).unwrap();
    assert_eq!(backend.listed(), ["packs/02/", "packs/03/"]);
    assert_eq!(names.here, HashSet::from([id(2, 1), id(3, 1)]));
    assert_eq!(
        (names.listed().collect::<Vec<_>>(), names.is_partial(), names.is_due()),
        (vec![2, 3], true, false)
    );
    // A folder that is gone looks like none.
    backend.look(1, 0, true);
    assert!(
        PackNames::since(&backend, &marks, &BTreeSet::new())
            .unwrap()
            .listed()
            .any(|folder| folder == 1)
    );
    backend.look(1, 1, true);
    backend.listed();
    // An age of more than a day, and a time that is to come.
    for listed_at in [now() - 2 * 24 * 60 * 60, now() + 1000] {
        let names =
            PackNames::since(&backend, &Marks { listed_at, ..marks.clone() }, &BTreeSet::new())
                .unwrap();
        assert_eq!(backend.listed(), ["packs/"]);
        assert_eq!((names.here.len(), names.is_partial(), names.is_due()), (4, false, true));
    }
    // No folder that cannot be told about is taken for the same.
    backend.marks.lock().unwrap().remove(&9);
    assert!(
        PackNames::since(&backend, &marks, &BTreeSet::new())
            .unwrap()
            .listed()
            .any(|folder| folder == 9)
    );
}

#[test]
fn a_disk_whose_folders_look_the_same_whatever_happens_is_not_relied_on() {
    let (backend, marks) = some();
    let names = PackNames::since(&backend, &marks, &BTreeSet::new()).unwrap();
    // A pack came, and its folder looks as before: even where that was relied on until now.
    backend.files.put(&crate::store::pack_name(&id(1, 9)), b"a pack".to_vec());
    assert_eq!(names.to_remember(&backend, &[id(1, 9)], |_| true), None);
    // The same where the folder was listed.
    let names = PackNames::all(&backend, &Marks::default()).unwrap();
    assert_eq!(names.to_remember(&backend, &[id(1, 9)], |_| true), None);
    // It changed as it should.
    backend.look(1, 7, true);
    assert!(names.to_remember(&backend, &[id(1, 9)], |_| true).is_some());
    // Nothing was seen to change: nothing was written, or into a new folder, or into one that had
    // changed a moment before.
    assert_eq!(names.to_remember(&backend, &[], |_| true), None);
    backend.put(id(4, 1), 5);
    assert_eq!(names.to_remember(&backend, &[id(4, 1)], |_| true), None);
    backend.look(5, 1, false);
    let names = PackNames::all(&backend, &Marks::default()).unwrap();
    backend.put(id(5, 1), 2);
    assert_eq!(names.to_remember(&backend, &[id(5, 1)], |_| true), None);
}

#[test]
fn nothing_is_remembered_of_folders_with_packs_that_the_index_does_not_know_or_that_changed_a_moment_ago()
 {
    let (backend, marks) = some();
    backend.look(2, 8, false);
    let names = PackNames::all(&backend, &marks).unwrap();
    let new = names.to_remember(&backend, &[], |id| folder_of(id) != 1).unwrap();
    assert_eq!((new.folders[&1], new.folders[&2], new.folders[&3]), (None, None, Some([2; 32])));
    assert!(new.listed_at.is_some());
    // What was taken for absent is none of them.
    let mut names = PackNames::all(&backend, &marks).unwrap();
    names.leave_out(&HashSet::from([id(3, 1)]));
    assert_eq!(names.to_remember(&backend, &[], |_| true).unwrap().folders[&3], None);
    // Folders that were not listed stay as they were remembered.
    let names = PackNames::since(&backend, &marks, &BTreeSet::new()).unwrap();
    let new = names.to_remember(&backend, &[], |_| true).unwrap();
    assert_eq!(
        (new.listed_at, new.folders.keys().copied().collect::<Vec<_>>()),
        (None, vec![2, 3])
    );
}
