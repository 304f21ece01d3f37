//! One change of the list of snapshots, in a file of its own (`docs/format.md`, "The list of
//! snapshots").

use serde::{Deserialize, Serialize};

use crate::backend::{Span, write_new};
use crate::limits::RECORD_BYTES_MAX;
use crate::store::{self, RecordKind, Repository, decode_record, encode_record};

use super::Error;
use super::SnapshotId;
use super::link_names::link_name;

/// The hash of a file of a link, or of a record.
pub type FileHash = [u8; 32];

/// A snapshot as the list knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The snapshot.
    pub id: SnapshotId,
    /// Hash of its record's file.
    pub record: FileHash,
    /// Whether its record was there before the list knew it: its capture was cut off at the very
    /// end, the list is younger than it, or something put it there.
    pub is_adopted: bool,
}

/// One change of the list, in a file of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// When, nanoseconds since 1970.
    pub time_ns: i64,
    /// The link before; nothing for the first.
    pub previous: Option<FileHash>,
    /// Where it states the whole list anew: the links that it takes the place of.
    pub replaced: Option<Vec<FileHash>>,
    /// Snapshots that came; all of them where the list is stated anew.
    pub added: Vec<Listed>,
    /// Snapshots that `forget` or `repair` dropped.
    pub dropped: Vec<SnapshotId>,
    /// All snapshots that are marked to be kept.
    pub kept: Vec<SnapshotId>,
    /// Snapshots in the list after this link.
    pub count: u64,
    /// Their ids, one bit each by exclusive or: tells at a glance whether the records that are
    /// there are those of the list.
    pub sum: [u8; 16],
}

/// The hash of a file's bytes.
pub fn file_hash(bytes: &[u8]) -> FileHash {
    *blake3::hash(bytes).as_bytes()
}

pub(super) fn read_link(
    repository: &Repository,
    name: &str,
    number: u64,
) -> Result<(FileHash, Link), store::Error> {
    let bytes = repository.backend().read(name, Span::Whole { limit: RECORD_BYTES_MAX })?;
    let link = decode_record(RecordKind::Link, repository.sealer(), &number.to_be_bytes(), &bytes)
        .map_err(|what| store::Error::Record { name: name.to_owned(), what })?;
    Ok((file_hash(&bytes), link))
}

pub(super) fn write_link(repository: &Repository, number: u64, link: &Link) -> Result<(), Error> {
    let bytes = encode_record(RecordKind::Link, repository.sealer(), &number.to_be_bytes(), link)
        .map_err(|what| Error::Record { what })?;
    write_new(repository.backend(), &link_name(number), &bytes)?;
    super::seen::note(repository, number);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::link_names::number_of;
    use super::*;
    use crate::store::Sealer;

    #[test]
    fn a_link_has_golden_bytes_and_its_number_is_its_name() {
        let id = |n| SnapshotId([n; 16]);
        let link = Link {
            time_ns: 1_790_000_000_123_456_789,
            previous: Some([1; 32]),
            replaced: Some(vec![[2; 32]]),
            added: vec![Listed { id: id(3), record: [4; 32], is_adopted: true }],
            dropped: vec![id(5)],
            kept: vec![id(3)],
            count: 1,
            sum: [3; 16],
        };
        let bytes =
            encode_record(RecordKind::Link, &Sealer::plain(), &7u64.to_be_bytes(), &link).unwrap();
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, include_str!("golden/link.hex").trim());
        assert_eq!(
            decode_record::<Link>(RecordKind::Link, &Sealer::plain(), &7u64.to_be_bytes(), &bytes),
            Ok(link)
        );
        assert!(
            decode_record::<Link>(RecordKind::Link, &Sealer::plain(), &8u64.to_be_bytes(), &bytes)
                .is_err(),
            "under another number"
        );
        assert_eq!(
            (link_name(7).as_str(), number_of("list/0000000000000007.link")),
            ("list/0000000000000007.link", Some(7))
        );
    }
}
