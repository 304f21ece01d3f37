//! What the files of a repository are called.

/// The folder of the packs whose ids begin with this byte.
pub(super) fn pack_folder(first: u8) -> String {
    format!("packs/{first:02x}")
}

/// The name of a pack's file.
pub fn pack_name(id: &[u8; 16]) -> String {
    let [first, ..] = *id;
    format!("{}/{}.pack", pack_folder(first), hex(id))
}

/// The name of a snapshot's file.
pub fn snapshot_name(id: &[u8; 16]) -> String {
    format!("snapshots/{}.snap", hex(id))
}

/// The name of the second copy of a snapshot's file, which repositories with parity have.
pub fn snapshot_copy_name(id: &[u8; 16]) -> String {
    format!("copies/{}.snap", hex(id))
}

/// The id in a pack's name; nothing where it is no pack's name.
pub fn pack_id(name: &str) -> Option<[u8; 16]> {
    let (folder, file) = name.strip_prefix("packs/")?.split_once('/')?;
    let stem = file.strip_suffix(".pack")?;
    stem.starts_with(folder).then(|| unhex(stem)).flatten()
}

pub(super) fn hex(id: &[u8; 16]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 32 lower-case hex digits as 16 bytes.
pub(super) fn unhex(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    Some(u128::from_str_radix(text, 16).ok()?.to_be_bytes())
}
