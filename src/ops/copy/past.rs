//! What an earlier snapshot has under the same paths, here and in the target: two trees that are
//! gone through beside the one that is copied.

use std::cmp::Ordering;
use std::iter::Peekable;

use crate::chunk::ChunkId;
use crate::manifest::{Content, Entries, Entry, Kind, Xattrs, compare};
use crate::store::ChunkReader;

use super::super::Error;

/// An earlier snapshot's tree of one category.
pub(super) struct Past<'m, 'r> {
    own: Peekable<Entries<'m, 'r>>,
    theirs: Peekable<Entries<'m, 'r>>,
}

/// What is known of a path.
pub(super) struct Known {
    /// What a file holds in the target, where it holds the same here.
    pub content: Option<Content>,
    /// Its attributes in the target, where they are the same here.
    pub xattrs: Option<Xattrs>,
    /// The database that the target has under this path.
    pub database: Option<ChunkId>,
}

impl<'m, 'r> Past<'m, 'r> {
    pub(super) fn new(
        (own, root): (&'m mut ChunkReader<'r>, ChunkId),
        (theirs, their_root): (&'m mut ChunkReader<'r>, ChunkId),
    ) -> Past<'m, 'r> {
        Past {
            own: Entries::all(own, root).peekable(),
            theirs: Entries::all(theirs, their_root).peekable(),
        }
    }

    /// What is known of an entry. Paths must come in order.
    pub(super) fn known(&mut self, entry: &Entry) -> Result<Known, Error> {
        let mut known = Known { content: None, xattrs: None, database: None };
        let (Some(own), Some(theirs)) =
            (at(&mut self.own, &entry.path)?, at(&mut self.theirs, &entry.path)?)
        else {
            return Ok(known);
        };
        if let (Some(before), Kind::File { content, .. }) = (own.content(), &entry.kind)
            && before == content
        {
            known.content = theirs.content().cloned();
        }
        if own.xattrs == entry.xattrs {
            known.xattrs = Some(theirs.xattrs.clone());
        }
        if let Some(Content::Pages(id)) = theirs.content() {
            known.database = Some(*id);
        }
        Ok(known)
    }
}

/// The entry of a path; those before it are gone afterwards.
fn at(entries: &mut Peekable<Entries<'_, '_>>, path: &[u8]) -> Result<Option<Entry>, Error> {
    while let Some(next) = entries.peek() {
        match next {
            Ok(entry) => match compare(&entry.path, path) {
                Ordering::Less => {}
                Ordering::Equal => return Ok(entries.next().transpose()?),
                Ordering::Greater => return Ok(None),
            },
            // An earlier snapshot that is damaged only costs the time to read what it would have
            // told.
            Err(_) => return Ok(None),
        }
        entries.next();
    }
    Ok(None)
}
