//! One file's content on its way into packs: whole, as the file was at one moment, or told as a
//! mixture.

use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::manifest::Content;
use crate::source::{self, DatabaseCopy, DatabaseFacts, LiveFile, OpenFile, Stat};

use super::super::Error;
use super::item::ReadDone;
use super::job::{Shared, Worker};
use super::packer::{ReadFailure, Sink};
use super::pages::{Past, StoredPages};

/// A file system may tell other numbers of an open file than of its name; after so many surprises
/// each file is asked before it is read.
const UNLIKE_SCAN_MAX: u8 = 16;

/// A private copy of a database that was stored.
pub(in crate::ops) struct CopyRead {
    pub done: ReadDone,
    /// What SQLite says is wrong with it.
    pub damage: Option<String>,
    pub facts: rusqlite::Result<DatabaseFacts>,
}

impl<'a> Worker<'a> {
    /// Reads a file, again where it is not what the scan saw or moved meanwhile.
    pub(in crate::ops) fn read_file(
        &mut self,
        shared: &Shared<'a>,
        root: &OwnedFd,
        below: &[u8],
        seen: &Stat,
        before: Option<&Content>,
        sink: Sink<'_>,
    ) -> Result<ReadDone, ReadFailure> {
        if self.unlike_scan < UNLIKE_SCAN_MAX {
            match self.read_seen(shared, root, below, seen, before, sink)? {
                Some(done) => return Ok(done),
                None => self.unlike_scan += 1,
            }
        }
        for pause_ms in [0, 20, 150] {
            tracing::trace!(path = ?String::from_utf8_lossy(below), pause_ms, "reading a file that may have changed");
            std::thread::sleep(Duration::from_millis(pause_ms));
            let open = OpenFile::open(root, below).map_err(std::io::Error::from)?;
            let (content, size) = self.store(shared, &open, before, sink)?;
            let xattrs = source::xattrs_of_file(&open.file).map_err(std::io::Error::from)?;
            let moved =
                size != open.before.size || !open.held_still().map_err(std::io::Error::from)?;
            if !moved || pause_ms == 150 {
                return Ok(ReadDone {
                    content,
                    size,
                    stat: open.before,
                    xattrs,
                    moved,
                    pages: None,
                });
            }
        }
        Err(ReadFailure::Io(std::io::ErrorKind::Other.into()))
    }

    /// Reads a file that is what the scan saw and stays so, which nearly all are; nothing where it
    /// is not.
    fn read_seen(
        &mut self,
        shared: &Shared<'a>,
        root: &OwnedFd,
        below: &[u8],
        seen: &Stat,
        before: Option<&Content>,
        sink: Sink<'_>,
    ) -> Result<Option<ReadDone>, ReadFailure> {
        let open = OpenFile::open_seen(root, below, seen).map_err(std::io::Error::from)?;
        // What it turned into may be nothing that can be read: then the way that asks first says
        // so.
        let (content, size) = match self.store(shared, &open, before, sink) {
            Err(ReadFailure::Io(_)) => return Ok(None),
            other => other?,
        };
        // Before the stat that tells whether anything moved: a change of them moves the ctime.
        let xattrs = source::xattrs_of_file(&open.file).map_err(std::io::Error::from)?;
        if size != seen.size || !open.held_still().map_err(std::io::Error::from)? {
            return Ok(None);
        }
        Ok(Some(ReadDone { content, size, stat: *seen, xattrs, moved: false, pages: None }))
    }

    /// Stores what a file holds, page by page where it is a database.
    fn store(
        &mut self,
        shared: &Shared<'a>,
        open: &OpenFile,
        before: Option<&Content>,
        sink: Sink<'_>,
    ) -> Result<(Content, u64), ReadFailure> {
        match self.store_pages(shared, open, before, sink)? {
            Some(stored) => Ok((Content::Pages(stored.id), open.before.size)),
            None => self.packer.store_file(open, shared.index, sink),
        }
    }

    fn store_pages(
        &mut self,
        shared: &Shared<'a>,
        open: &OpenFile,
        before: Option<&Content>,
        sink: Sink<'_>,
    ) -> Result<Option<StoredPages>, ReadFailure> {
        let size = open.before.size;
        let Some(page_bytes) = open.page_bytes()? else { return Ok(None) };
        let before = match before {
            Some(Content::Pages(id)) => Some(*id),
            _ => None,
        };
        let past = Past {
            before,
            known: &shared.known_pages,
            interrupt: shared.interrupt,
            page_hashes: &shared.page_hashes,
        };
        self.pages.store(
            &open.file,
            (size, page_bytes),
            &past,
            shared.index,
            &mut self.reader,
            sink,
        )
    }

    /// Stores a private copy of a database and asks it for its facts, while SQLite checks it; its
    /// metadata are the original's.
    pub(in crate::ops) fn read_copy(
        &mut self,
        shared: &Shared<'a>,
        copy: &DatabaseCopy,
        (original, stat): (&LiveFile, &Stat),
        before: Option<&Content>,
        sink: Sink<'_>,
    ) -> Result<CopyRead, ReadFailure> {
        let open = OpenFile::open_path(&copy.path).map_err(std::io::Error::from)?;
        let (stored, facts, check) = std::thread::scope(|scope| {
            let check = scope.spawn(|| source::quick_check(&copy.path, shared.interrupt));
            let stored = self.store_pages(shared, &open, before, sink);
            let facts = source::read_facts(&copy.path, shared.interrupt);
            (stored, facts, check.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        if check.is_err() && shared.interrupt.is_raised() {
            return Err(ReadFailure::Fatal(Error::Interrupted));
        }
        let damage = check.err().map(|damage| {
            format!(
                "SQLite reports that the database is damaged ({damage}). It is in this snapshot unchanged"
            )
        });
        let pages = stored?;
        let (content, size) = match pages {
            Some(stored) => (Content::Pages(stored.id), open.before.size),
            None => self.packer.store_file(&open, shared.index, sink)?,
        };
        // By its path: the original itself must not be opened while a server may have it open.
        let xattrs = source::xattrs_of_link(&original.path()).map_err(std::io::Error::from)?;
        let done = ReadDone { content, size, stat: *stat, xattrs, moved: false, pages };
        Ok(CopyRead { done, damage, facts })
    }
}
