//! How a pack begins and ends, in each of the layouts that there are, and why bytes are none.

use super::bytes::Truncated;
use super::seal::Sealer;

pub(super) const HEADER_BYTES: usize = 32;
pub(super) const FOOTER_BYTES: usize = 80;
pub(super) const HEADER_MAGIC: &[u8; 6] = b"JVPACK";
/// What the end of every pack begins with; its layout's digit follows.
pub(super) const FOOTER_MAGIC: &[u8; 7] = b"JVPKEND";

/// How a pack is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Layout {
    /// Of repositories of format 1: what the extents hold stands in the trailer alone.
    One,
    /// Of format 2: each extent has a head, so that a damaged trailer costs nothing.
    #[default]
    Two,
}

impl Layout {
    pub(super) const ALL: [Layout; 2] = [Layout::One, Layout::Two];

    /// The layout of new packs in a repository of this format.
    pub(super) fn of_format(format: u32) -> Layout {
        if format == 1 { Layout::One } else { Layout::Two }
    }

    pub(super) fn version(self) -> u16 {
        match self {
            Layout::One => 1,
            Layout::Two => 2,
        }
    }

    pub(super) fn digit(self) -> u8 {
        b'0' + self.version() as u8
    }

    pub(super) fn of_digit(digit: u8) -> Result<Layout, TrailerError> {
        match Layout::ALL.into_iter().find(|layout| layout.digit() == digit) {
            Some(layout) => Ok(layout),
            None if digit > Layout::Two.digit() => {
                Err(TrailerError::Newer(u16::from(digit - b'0')))
            }
            None => Err(TrailerError::NotAPack),
        }
    }

    pub(super) fn extent_row_bytes(self) -> usize {
        match self {
            Layout::One => 32,
            Layout::Two => 36,
        }
    }
}

/// Why bytes are no trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrailerError {
    /// Too small, or a magic is missing.
    #[error("it is not a whole pack file")]
    NotAPack,
    /// Written by a later program.
    #[error("it has version {0}, which this program does not know")]
    Newer(u16),
    /// Lengths contradict each other or the file's size.
    #[error("its lengths contradict each other")]
    Lengths,
    /// The checksum is wrong.
    #[error("its table of contents does not have its checksum")]
    Checksum,
    /// It is not sealed as the repository's settings say.
    #[error("it is not encrypted in the way that the repository's settings say")]
    Cipher,
    /// A value is not one that such a file can hold.
    #[error("its table of contents holds an impossible value")]
    Value,
    /// The name of the file is not the pack's.
    #[error("it is another pack under this name")]
    Name,
}

impl From<Truncated> for TrailerError {
    fn from(_: Truncated) -> Self {
        TrailerError::Lengths
    }
}

/// The header of a pack.
pub(super) fn header(pack: &[u8; 16], layout: Layout, sealer: &Sealer) -> [u8; HEADER_BYTES] {
    let mut out = Vec::with_capacity(HEADER_BYTES);
    out.extend_from_slice(HEADER_MAGIC);
    out.extend_from_slice(&layout.version().to_le_bytes());
    out.push(sealer.code());
    out.extend_from_slice(&[0; 7]);
    out.extend_from_slice(pack);
    out.try_into().unwrap_or([0; HEADER_BYTES])
}
