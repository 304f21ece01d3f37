//! One path of a manifest with its metadata and its content (`docs/format.md`, "Entries").

use crate::chunk::ChunkId;
use crate::limits::{
    LIST_BYTES_MAX, LISTS_MAX, PATH_BYTES_MAX, PIECES_INLINE_MAX, TARGET_BYTES_MAX,
    XATTR_BYTES_MAX, XATTRS_INLINE_BYTES_MAX,
};
use crate::store::{Bytes, Truncated, push_bytes, push_signed, push_varint};

/// Extended attributes as (name, value), sorted by name.
pub type XattrPairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A point in time as file systems keep it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since 1970, UTC; negative before.
    pub seconds: i64,
    /// Nanoseconds on top, below 10⁹.
    pub nanos: u32,
}

/// A piece of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The bytes of a chunk.
    Chunk(ChunkId),
    /// This many zero bytes that take no space on disk.
    Hole(u64),
}

/// A file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Its pieces, in order; none for an empty file.
    Pieces(Vec<Piece>),
    /// Too many pieces for an entry: the chunks that list them.
    Listed(Vec<ChunkId>),
    /// A database's pages: its identity, under which a recipe tells where they lie.
    Pages(ChunkId),
}

/// Owner of an entry that came from where owners are not kept: a restore gives it to the owner of
/// the target.
pub const OWNER_UNKNOWN: u32 = u32::MAX;

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Length in bytes.
        size: u64,
        /// Its bytes.
        content: Content,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// Where it points.
        target: Vec<u8>,
    },
}

/// Extended attributes; POSIX ACLs are two of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Xattrs {
    /// None.
    #[default]
    None,
    /// (name, value), sorted by name.
    Inline(Vec<(Vec<u8>, Vec<u8>)>),
    /// Too large for an entry: the chunk that holds them.
    Chunk(ChunkId),
}

/// One path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Logical path.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky (12 bits).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last modification.
    pub mtime: Time,
    /// Extended attributes.
    pub xattrs: Xattrs,
    /// Paths with the same number are one file with several names.
    pub link_group: Option<u64>,
}

const KIND_BITS: u8 = 0x0f;
const XATTRS_INLINE: u8 = 0x10;
const XATTRS_CHUNK: u8 = 0x20;
const LINKED: u8 = 0x40;

impl Entry {
    /// Length of the content in bytes; 0 for what is no file.
    pub fn size(&self) -> u64 {
        match &self.kind {
            Kind::File { size, .. } => *size,
            _ => 0,
        }
    }

    /// The content of a file; nothing for what is no file.
    pub fn content(&self) -> Option<&Content> {
        match &self.kind {
            Kind::File { content, .. } => Some(content),
            _ => None,
        }
    }

    /// Appends everything but the path.
    pub(super) fn encode_body(&self, out: &mut Vec<u8>) {
        let kind = match &self.kind {
            Kind::File { .. } => 0,
            Kind::Directory => 1,
            Kind::Symlink { .. } => 2,
        };
        let xattrs = match &self.xattrs {
            Xattrs::None => 0,
            Xattrs::Inline(_) => XATTRS_INLINE,
            Xattrs::Chunk(_) => XATTRS_CHUNK,
        };
        out.push(kind | xattrs | if self.link_group.is_some() { LINKED } else { 0 });
        for number in [self.mode, self.uid, self.gid] {
            push_varint(out, u64::from(number));
        }
        push_signed(out, self.mtime.seconds);
        push_varint(out, u64::from(self.mtime.nanos));
        match &self.kind {
            Kind::File { size, content } => {
                push_varint(out, *size);
                encode_content(content, out);
            }
            Kind::Directory => {}
            Kind::Symlink { target } => push_bytes(out, target),
        }
        match &self.xattrs {
            Xattrs::None => {}
            Xattrs::Inline(xattrs) => push_bytes(out, &encode_xattrs(xattrs)),
            Xattrs::Chunk(id) => out.extend_from_slice(&id.0),
        }
        if let Some(group) = self.link_group {
            out.extend_from_slice(&group.to_le_bytes());
        }
    }

    /// Reads what [`Entry::encode_body`] wrote.
    pub(super) fn decode_body(path: Vec<u8>, at: &mut Bytes<'_>) -> Result<Entry, Truncated> {
        let body = Body::read(at)?;
        let kind = match body.kind {
            KindBytes::File { size, content } => {
                Kind::File { size, content: decode_content(content)? }
            }
            KindBytes::Directory => Kind::Directory,
            KindBytes::Symlink { target } => Kind::Symlink { target: target.to_vec() },
        };
        let xattrs = match body.xattrs {
            XattrBytes::None => Xattrs::None,
            XattrBytes::Inline(pairs) => Xattrs::Inline(decode_xattrs(pairs)?),
            XattrBytes::Chunk(id) => Xattrs::Chunk(id),
        };
        let Body { mode, uid, gid, mtime, link_group, .. } = body;
        Ok(Entry { path, kind, mode, uid, gid, mtime, xattrs, link_group })
    }
}

/// What [`Entry::encode_body`] wrote, taken apart without a copy of anything.
pub(super) struct Body<'a> {
    kind: KindBytes<'a>,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: Time,
    xattrs: XattrBytes<'a>,
    link_group: Option<u64>,
}

enum KindBytes<'a> {
    File { size: u64, content: ContentBytes<'a> },
    Directory,
    Symlink { target: &'a [u8] },
}

enum ContentBytes<'a> {
    One(ChunkId),
    Pieces(&'a [u8]),
    Lists(&'a [[u8; 32]]),
    Pages(ChunkId),
}

enum XattrBytes<'a> {
    None,
    Inline(&'a [u8]),
    Chunk(ChunkId),
}

impl<'a> Body<'a> {
    /// Reads up to the next entry.
    pub(super) fn read(at: &mut Bytes<'a>) -> Result<Body<'a>, Truncated> {
        let tag = at.u8()?;
        let number = |at: &mut Bytes<'_>| u32::try_from(at.varint()?).map_err(|_| Truncated);
        let (mode, uid, gid) = (number(at)?, number(at)?, number(at)?);
        let mtime = Time { seconds: at.signed()?, nanos: number(at)? };
        if mode > 0o7777 || mtime.nanos >= 1_000_000_000 || tag & 0x80 != 0 {
            return Err(Truncated);
        }
        let kind = match tag & KIND_BITS {
            0 => KindBytes::File { size: at.varint()?, content: ContentBytes::read(at)? },
            1 => KindBytes::Directory,
            2 => KindBytes::Symlink { target: at.prefixed(TARGET_BYTES_MAX)? },
            _ => return Err(Truncated),
        };
        let xattrs = match tag & (XATTRS_INLINE | XATTRS_CHUNK) {
            0 => XattrBytes::None,
            XATTRS_INLINE => XattrBytes::Inline(at.prefixed(XATTRS_INLINE_BYTES_MAX)?),
            XATTRS_CHUNK => XattrBytes::Chunk(ChunkId(at.array()?)),
            _ => return Err(Truncated),
        };
        let link_group = if tag & LINKED != 0 { Some(at.u64()?) } else { None };
        Ok(Body { kind, mode, uid, gid, mtime, xattrs, link_group })
    }
}

impl<'a> ContentBytes<'a> {
    fn read(at: &mut Bytes<'a>) -> Result<ContentBytes<'a>, Truncated> {
        match at.u8()? {
            0 => Ok(ContentBytes::One(ChunkId(at.array()?))),
            1 => Ok(ContentBytes::Pieces(at.prefixed(PIECES_INLINE_MAX * 33)?)),
            2 => {
                let count = at.length(LISTS_MAX)?;
                Ok(ContentBytes::Lists(at.take(count * 32)?.as_chunks().0))
            }
            3 => Ok(ContentBytes::Pages(ChunkId(at.array()?))),
            _ => Err(Truncated),
        }
    }
}

fn encode_content(content: &Content, out: &mut Vec<u8>) {
    match content {
        Content::Pieces(pieces) => {
            if let [Piece::Chunk(id)] = pieces.as_slice() {
                out.push(0);
                out.extend_from_slice(&id.0);
            } else {
                out.push(1);
                push_bytes(out, &encode_pieces(pieces));
            }
        }
        Content::Listed(lists) => {
            out.push(2);
            push_varint(out, lists.len() as u64);
            lists.iter().for_each(|id| out.extend_from_slice(&id.0));
        }
        Content::Pages(id) => {
            out.push(3);
            out.extend_from_slice(&id.0);
        }
    }
}

fn decode_content(content: ContentBytes<'_>) -> Result<Content, Truncated> {
    Ok(match content {
        ContentBytes::One(id) => Content::Pieces(vec![Piece::Chunk(id)]),
        ContentBytes::Pieces(pieces) => Content::Pieces(decode_pieces(pieces)?),
        ContentBytes::Lists(lists) => {
            Content::Listed(lists.iter().map(|id| ChunkId(*id)).collect())
        }
        ContentBytes::Pages(id) => Content::Pages(id),
    })
}

/// Pieces as an entry or a list chunk holds them.
pub fn encode_pieces(pieces: &[Piece]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pieces.len() * 33);
    for piece in pieces {
        match piece {
            Piece::Chunk(id) => {
                out.push(0);
                out.extend_from_slice(&id.0);
            }
            Piece::Hole(bytes) => {
                out.push(1);
                push_varint(&mut out, *bytes);
            }
        }
    }
    out
}

/// Reads what [`encode_pieces`] wrote.
pub fn decode_pieces(bytes: &[u8]) -> Result<Vec<Piece>, Truncated> {
    if bytes.len() > LIST_BYTES_MAX {
        return Err(Truncated);
    }
    let (mut at, mut pieces) = (Bytes(bytes), Vec::new());
    while !at.is_empty() {
        pieces.push(match at.u8()? {
            0 => Piece::Chunk(ChunkId(at.array()?)),
            1 => Piece::Hole(at.varint()?),
            _ => return Err(Truncated),
        });
    }
    Ok(pieces)
}

/// Extended attributes as an entry or a chunk holds them.
pub fn encode_xattrs(xattrs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in xattrs {
        push_bytes(&mut out, name);
        push_bytes(&mut out, value);
    }
    out
}

/// Reads what [`encode_xattrs`] wrote.
pub fn decode_xattrs(bytes: &[u8]) -> Result<XattrPairs, Truncated> {
    let (mut at, mut xattrs) = (Bytes(bytes), Vec::new());
    while !at.is_empty() {
        xattrs
            .push((at.prefixed(PATH_BYTES_MAX)?.to_vec(), at.prefixed(XATTR_BYTES_MAX)?.to_vec()));
    }
    Ok(xattrs)
}
