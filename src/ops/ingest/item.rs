//! A path of the source on its way into a manifest.

use crate::manifest::Content;
use crate::source::{Fingerprint, Run, Stat};

use super::pages::StoredPages;

/// A path that the scan found, on its way into a manifest.
pub(in crate::ops) struct Item {
    pub root: usize,
    pub path: Vec<u8>,
    pub stat: Stat,
    pub key: [u8; 16],
    pub fingerprint: Fingerprint,
    pub link_group: Option<u64>,
    pub bytes_from: BytesFrom,
}

/// Where a file's bytes are read.
pub(in crate::ops) enum BytesFrom {
    /// The file itself.
    Itself,
    /// They are stored already: a database.
    Stored(Box<ReadDone>),
    /// A SQLite file that may be in use: `Databases` stores it from a private copy, unless nothing
    /// was written to it.
    Database,
}

/// One run, as the planner left it.
pub(in crate::ops) enum Plan {
    /// Nothing in it changed: the parent's leaf stays.
    Keep { run: Run, items: Vec<Item> },
    /// Something may have.
    Build { items: Vec<Item>, old: Vec<Run> },
}

/// A file's bytes, stored.
#[derive(Clone, Debug)]
pub(in crate::ops) struct ReadDone {
    pub content: Content,
    pub size: u64,
    pub stat: Stat,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// It changed while it was read.
    pub moved: bool,
    /// What became of its pages, where it is a database.
    pub pages: Option<StoredPages>,
}
