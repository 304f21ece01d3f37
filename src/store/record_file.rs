//! A record in a file of its own (a snapshot, a link of their list): header by hand, body in
//! bincode. The only place of the project that uses bincode.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::RECORD_BYTES_MAX;

use super::bytes::Bytes;
use super::seal::{Binding, Sealer};

const HEADER_BYTES: usize = 48;
const VERSION: u16 = 1;

/// What kind of record a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A snapshot.
    Snapshot,
    /// A link of the list of snapshots.
    Link,
}

impl RecordKind {
    fn binding(self, id: &[u8]) -> Binding<'_> {
        let kind = match self {
            RecordKind::Snapshot => "snapshot",
            RecordKind::Link => "link",
        };
        Binding { kind, id, position: 0 }
    }

    fn magic(self) -> &'static [u8; 6] {
        match self {
            RecordKind::Snapshot => b"JVSNAP",
            RecordKind::Link => b"JVLINK",
        }
    }
}

/// The file's bytes: magic, version, cipher, reserved, body length, body checksum, body.
pub fn encode_record<T: Serialize>(
    kind: RecordKind,
    sealer: &Sealer,
    id: &[u8],
    record: &T,
) -> Result<Vec<u8>, String> {
    let body = bincode::serde::encode_to_vec(record, bincode::config::standard())
        .map_err(|e| e.to_string())?;
    let body = sealer.seal(kind.binding(id), body);
    if body.len() > RECORD_BYTES_MAX - HEADER_BYTES {
        return Err(format!("a record of {} bytes is larger than a record may be", body.len()));
    }
    Ok(frame(kind, sealer, id, body))
}

/// Any bytes as the body of a file whose header and checksum are right: lets a fuzzer reach what
/// lies behind them.
#[doc(hidden)]
pub fn record_file_for_tests(kind: RecordKind, id: &[u8], body: &[u8]) -> Vec<u8> {
    frame(kind, &Sealer::plain(), id, body.to_vec())
}

fn frame(kind: RecordKind, sealer: &Sealer, id: &[u8], body: Vec<u8>) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + body.len());
    out.extend_from_slice(kind.magic());
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.push(sealer.code());
    out.extend_from_slice(&[0; 3]);
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    let sum = checksum(&out, id, &body);
    out.extend_from_slice(&sum);
    out.extend_from_slice(&body);
    out
}

/// The record in a file's bytes; a text that says what is wrong where there is none.
pub fn decode_record<T: DeserializeOwned>(
    kind: RecordKind,
    sealer: &Sealer,
    id: &[u8],
    bytes: &[u8],
) -> Result<T, String> {
    let short = |_| "it is cut short".to_owned();
    let mut at = Bytes(bytes);
    if at.take(6).map_err(short)? != kind.magic() {
        return Err("it does not begin as such a record does".to_owned());
    }
    let version = at.u16().map_err(short)?;
    if version != VERSION {
        return Err(format!(
            "it has version {version}, which this program does not know; a newer jellyvault does"
        ));
    }
    if at.u8().map_err(short)? != sealer.code() {
        return Err("it is not encrypted in the way that the repository's settings say".to_owned());
    }
    at.take(3).map_err(short)?;
    let len = at.u32().map_err(short)? as usize;
    let sum: [u8; 32] = at.array().map_err(short)?;
    if at.0.len() != len || bytes.len() > RECORD_BYTES_MAX {
        return Err("it does not have the length that it names".to_owned());
    }
    if checksum(bytes.get(..16).unwrap_or_default(), id, at.0) != sum {
        return Err("its bytes do not have their checksum".to_owned());
    }
    let body =
        sealer.open(kind.binding(id), at.0.to_vec()).ok_or("it was sealed for another place")?;
    let config = bincode::config::standard().with_limit::<RECORD_BYTES_MAX>();
    let (record, used) = bincode::serde::decode_from_slice(&body, config)
        .map_err(|e| format!("its body cannot be read ({e})"))?;
    if used == body.len() { Ok(record) } else { Err("bytes follow its end".to_owned()) }
}

/// Whether a file is a record as it was written under this id, as far as who has no key can tell.
pub fn is_record_as_written(kind: RecordKind, id: &[u8], bytes: &[u8]) -> bool {
    let (Some(header), Some(sum), Some(body)) =
        (bytes.get(..16), bytes.get(16..HEADER_BYTES), bytes.get(HEADER_BYTES..))
    else {
        return false;
    };
    header.starts_with(kind.magic()) && checksum(header, id, body) == sum
}

/// Whether a file is a record that a later program wrote, and not one of this version whose version
/// was damaged.
pub fn is_newer_record(kind: RecordKind, id: &[u8], bytes: &[u8]) -> bool {
    let mut at = Bytes(bytes);
    if at.take(6) != Ok(kind.magic().as_slice()) || at.u16().is_ok_and(|version| version <= VERSION)
    {
        return false;
    }
    let (Some(header), Some(sum), Some(body)) =
        (bytes.get(..16), bytes.get(16..HEADER_BYTES), bytes.get(HEADER_BYTES..))
    else {
        return false;
    };
    let mut as_ours = header.to_vec();
    if let Some(version) = as_ours.get_mut(6..8) {
        version.copy_from_slice(&VERSION.to_le_bytes());
    }
    checksum(&as_ours, id, body) != sum
}

/// Over header, id and body, so that a record under another's name is found out.
fn checksum(header: &[u8], id: &[u8], body: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(header).update(id).update(body).finalize().as_bytes()
}
