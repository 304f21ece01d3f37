//! A zip of which nothing is believed: every claim of its directory is checked before a byte is
//! used, every byte against its checksum.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rawzip::{CompressionMethod, FileReader, ZipArchive, ZipArchiveEntryWayfinder};

use crate::backend::open_to_read;
use crate::manifest::compare;

use super::entry_reader::EntryReader;
use super::names::{Names, SortedNames};
use super::zip_error::{ZipError, hostile, of_io};

/// Most entries of a zip.
const ENTRIES_MAX: u64 = 5_000_000;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 4096;
/// Longest name of a file or directory (Linux: NAME_MAX).
const PART_BYTES_MAX: usize = 255;
/// Deflate cannot do better than this, however hard it is tried.
const DEFLATE_RATIO_MAX: u64 = 1032;
/// A zip that would grow by this factor, and beyond this many bytes, is made to fill disks.
const BOMB_RATIO: u64 = 200;
const BOMB_BYTES: u64 = 4 << 30;
/// Shortest entry of the central directory, in bytes.
const DIRECTORY_ENTRY_BYTES: u64 = 46;
/// End of central directory: its length, and the fields that a zip in several pieces has.
const END_BYTES: usize = 22;

/// A file in a zip: a million of them are held at once, in 64 bytes each and their names.
#[derive(Clone, Debug)]
pub struct ZipEntry {
    /// Its number among the names.
    number: u32,
    /// Permission bits; 0 where the zip has none.
    mode: u16,
    modified: rawzip::time::DosDateTime,
    crc: u32,
    is_deflated: bool,
    at: ZipArchiveEntryWayfinder,
}

impl ZipEntry {
    /// Length of its plain bytes.
    pub fn size(&self) -> u64 {
        self.at.uncompressed_size_hint()
    }

    /// Permission bits, where the zip has them.
    pub fn mode(&self) -> Option<u32> {
        Some(u32::from(self.mode)).filter(|mode| *mode != 0)
    }

    /// Last modification on the clock of whoever made the zip.
    pub fn modified(&self) -> Option<jiff::civil::DateTime> {
        civil(self.modified)
    }

    /// CRC-32 of its plain bytes, as the directory says.
    pub fn crc(&self) -> u32 {
        self.crc
    }
}

/// A zip whose directory was found sound.
pub struct ZipReader {
    archive: ZipArchive<FileReader>,
    names: SortedNames,
    /// Its files, in the order of the logical tree: part by part between the slashes.
    pub entries: Vec<ZipEntry>,
    /// Length of the zip, in bytes.
    pub bytes: u64,
}

impl ZipReader {
    /// Opens a zip and looks at its directory and at every local header.
    pub fn at(path: &Path) -> Result<ZipReader, ZipError> {
        ZipReader::open(open_to_read(path)?)
    }

    /// The same of a file that is open.
    pub fn open(file: File) -> Result<ZipReader, ZipError> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(ZipError::Structure("it is not a regular file".to_owned()));
        }
        let bytes = metadata.len();
        let structure = |error: rawzip::Error| ZipError::Structure(error.to_string());
        let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
        let ends = file.try_clone()?;
        let archive = ZipArchive::from_file(file, &mut buffer).map_err(structure)?;
        if is_split(&ends, archive.eocd_offset())? {
            return Err(ZipError::Hostile {
                what: "it is one part of a zip in several pieces",
                entry: None,
            });
        }
        let claimed = archive.entries_hint();
        if claimed > ENTRIES_MAX {
            return Err(ZipError::Hostile {
                what: "it claims to have more than five million entries",
                entry: None,
            });
        }
        // An entry of the directory takes 46 bytes at least: what is claimed beyond that is not
        // there.
        let room = claimed
            .min(bytes.saturating_sub(archive.directory_offset()) / DIRECTORY_ENTRY_BYTES)
            as usize;
        let (mut entries, mut names) = (Vec::with_capacity(room), Names::default());
        // (where its local header begins, where its bytes end)
        let mut ranges: Vec<(u64, u64)> = Vec::with_capacity(room);
        let mut listed = archive.entries(&mut buffer);
        let (mut count, mut plain) = (0u64, 0u64);
        while let Some(record) = listed.next_entry().map_err(structure)? {
            count += 1;
            if count > ENTRIES_MAX {
                return Err(ZipError::Hostile {
                    what: "it has more than five million entries",
                    entry: None,
                });
            }
            let raw = record.file_path();
            let name = std::str::from_utf8(raw.as_ref()).map_err(|_| {
                hostile("a name in it is not UTF-8, as Jellyfin writes it; the zip was packed again by another program", &String::from_utf8_lossy(raw.as_ref()))
            })?;
            check_name(name)?;
            if record.flags().is_encrypted() {
                return Err(hostile("it is encrypted", name));
            }
            let method = record.compression_method();
            if method != CompressionMethod::STORE && method != CompressionMethod::DEFLATE {
                return Err(hostile(
                    "an entry is compressed in a way that Jellyfin does not know",
                    name,
                ));
            }
            let (stored, size) = (record.compressed_size_hint(), record.uncompressed_size_hint());
            let is_deflated = method == CompressionMethod::DEFLATE;
            if (!is_deflated && stored != size)
                || (is_deflated
                    && size > stored.saturating_mul(DEFLATE_RATIO_MAX).saturating_add(64))
            {
                return Err(hostile("the size of an entry cannot be what it says", name));
            }
            plain = plain.saturating_add(size);
            if plain > BOMB_BYTES && plain / BOMB_RATIO > bytes {
                return Err(ZipError::Hostile {
                    what: "it would grow to more than two hundred times its size, which no backup does",
                    entry: None,
                });
            }
            let mode = unix_mode(record.version_made_by().as_u16(), record.external_attributes());
            let kind = mode.map_or(0, |mode| mode & 0o170_000);
            if !matches!(kind, 0 | 0o100_000 | 0o040_000) {
                return Err(hostile(
                    "an entry is a link or a device, which no backup of Jellyfin's has",
                    name,
                ));
            }
            let is_dir = name.ends_with('/');
            if is_dir && size > 0 {
                return Err(hostile("a directory has content", name));
            }
            if kind == 0o040_000 && !is_dir {
                return Err(hostile("an entry is a directory and a file", name));
            }
            ranges.push((record.local_header_offset(), 0));
            entries.push(ZipEntry {
                number: names.push(name).ok_or_else(|| {
                    hostile("its names are longer than those of any library", name)
                })?,
                mode: mode.map_or(0, |mode| mode & 0o777) as u16,
                modified: record.last_modified_dos(),
                crc: record.crc32(),
                is_deflated,
                at: record.wayfinder(),
            });
        }
        if count != claimed {
            return Err(ZipError::Structure(format!(
                "its directory has {count} entries instead of {claimed}"
            )));
        }
        check_locals(&archive, &names, &entries, &mut ranges, &mut buffer)?;
        drop(ranges);
        check_tree(&names, &mut entries)?;
        entries.retain(|entry| !names.get(entry.number).ends_with('/'));
        let sorted = SortedNames::of(entries.iter().map(|entry| names.get(entry.number)))
            .map_err(|what| ZipError::Hostile { what, entry: None })?;
        (0..).zip(&mut entries).for_each(|(number, entry)| entry.number = number);
        Ok(ZipReader { archive, names: sorted, entries, bytes })
    }

    /// The name of one of its entries.
    pub fn name(&self, entry: &ZipEntry) -> String {
        self.names.get(entry.number)
    }

    /// An entry by name.
    pub fn find(&self, name: &str) -> Option<&ZipEntry> {
        self.entries
            .binary_search_by(|entry| compare(self.name(entry).as_bytes(), name.as_bytes()))
            .ok()
            .and_then(|at| self.entries.get(at))
    }

    /// Where the bytes of an entry begin in the zip: entries are sorted by name here, and this is
    /// their order there.
    pub fn offset(&self, entry: &ZipEntry) -> Result<u64, ZipError> {
        let local =
            self.archive.get_entry(entry.at).map_err(|e| ZipError::Structure(e.to_string()))?;
        Ok(local.compressed_data_range().0)
    }

    /// The plain bytes of an entry. The end is reached only where length and checksum are what the
    /// directory says.
    pub fn read(&self, entry: &ZipEntry) -> Result<EntryReader<'_>, ZipError> {
        let local =
            self.archive.get_entry(entry.at).map_err(|e| ZipError::Structure(e.to_string()))?;
        let packed = BufReader::with_capacity(64 << 10, local.reader());
        let inner: Box<dyn Read + '_> = if entry.is_deflated {
            Box::new(flate2::bufread::DeflateDecoder::new(packed))
        } else {
            Box::new(packed)
        };
        Ok(EntryReader {
            inner,
            crc: crc32fast::Hasher::new(),
            left: entry.size(),
            expected: entry.crc,
            name: self.name(entry).into(),
        })
    }

    /// The plain bytes of a small entry.
    pub fn read_small(&self, entry: &ZipEntry, limit: u64) -> Result<Vec<u8>, ZipError> {
        if entry.size() > limit {
            return Err(hostile(
                "an entry is larger than any such file of Jellyfin's",
                &self.name(entry),
            ));
        }
        let mut bytes = Vec::new();
        self.read(entry)?.read_to_end(&mut bytes).map_err(of_io)?;
        Ok(bytes)
    }
}

/// Names that lead out of the tree, or that two programs would read in two ways.
fn check_name(name: &str) -> Result<(), ZipError> {
    let refuse = |what| Err(hostile(what, name));
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return refuse("an entry has no name, or one that is too long");
    }
    if name.starts_with(['/', '\\']) || name.as_bytes().get(1) == Some(&b':') {
        return refuse("a name in it is absolute");
    }
    if name.contains('\0') {
        return refuse("a name in it has a zero byte");
    }
    if name.split(['/', '\\']).any(|part| part == "..") {
        return refuse("a name in it leads out of the backup");
    }
    let parts = name.strip_suffix('/').unwrap_or(name);
    if parts.split('/').any(|part| part.is_empty() || part == ".") {
        return refuse("a name in it is not in its simplest form");
    }
    if parts.split('/').any(|part| part.len() > PART_BYTES_MAX) {
        return refuse("a name in it is longer than any file's can be");
    }
    Ok(())
}

/// The mode, where the zip was made on a system that has one.
fn unix_mode(made_by: u16, attributes: u32) -> Option<u32> {
    (made_by >> 8 == 3 || attributes >> 16 != 0).then_some(attributes >> 16)
}

/// A DOS date; nothing where there is no such day, as in the zeros that some writers leave. What
/// has no date is dated as its zip.
fn civil(dos: rawzip::time::DosDateTime) -> Option<jiff::civil::DateTime> {
    // A number that is too large for a part of a date is no such day either.
    let small = |value: u8| i8::try_from(value).ok();
    let date = jiff::civil::Date::new(
        i16::try_from(dos.year()).ok()?,
        small(dos.month())?,
        small(dos.day())?,
    )
    .ok()?;
    let time =
        jiff::civil::Time::new(small(dos.hour())?, small(dos.minute())?, small(dos.second())?, 0)
            .ok()?;
    Some(date.to_datetime(time))
}

/// Whether the end of the directory speaks of other disks.
fn is_split(file: &File, at: u64) -> io::Result<bool> {
    let mut end = [0; END_BYTES];
    file.read_exact_at(&mut end, at)?;
    let [_, _, _, _, a, b, c, d, e, f, g, h, ..] = end;
    let number = |a, b| u16::from_le_bytes([a, b]);
    let is_known = |disk: u16| disk == 0 || disk == u16::MAX;
    Ok(!is_known(number(a, b)) || !is_known(number(c, d)) || number(e, f) != number(g, h))
}

/// Every local header is where the directory says, has its name, and shares no byte with another
/// entry.
fn check_locals(
    archive: &ZipArchive<FileReader>,
    names: &Names,
    entries: &[ZipEntry],
    ranges: &mut [(u64, u64)],
    buffer: &mut Vec<u8>,
) -> Result<(), ZipError> {
    buffer.resize(NAME_BYTES_MAX + (64 << 10), 0);
    for (entry, range) in entries.iter().zip(ranges.iter_mut()) {
        let name = names.get(entry.number);
        let local = archive.get_entry(entry.at).map_err(|e| ZipError::Structure(e.to_string()))?;
        let header = local.local_header(buffer).map_err(|e| ZipError::Structure(e.to_string()))?;
        if header.file_path().as_ref() != name.as_bytes() {
            return Err(hostile("an entry has two names", name));
        }
        let method =
            if entry.is_deflated { CompressionMethod::DEFLATE } else { CompressionMethod::STORE };
        if header.compression_method() != method || header.flags().is_encrypted() {
            return Err(hostile("an entry is described in two ways", name));
        }
        // Who writes as it comes tells checksum and sizes behind the bytes, and leaves them 0 here.
        if !header.flags().has_data_descriptor()
            && (header.crc32() != entry.crc || header.uncompressed_size_hint() != entry.size())
        {
            return Err(hostile("an entry is described in two ways", name));
        }
        range.1 = local.compressed_data_range().1;
    }
    ranges.sort_unstable();
    let overlap =
        ranges.windows(2).any(|pair| matches!(pair, [(_, end), (start, _)] if start < end));
    if overlap || ranges.last().is_some_and(|(_, end)| *end > archive.directory_offset()) {
        return Err(ZipError::Hostile {
            what: "two of its entries share the same bytes",
            entry: None,
        });
    }
    Ok(())
}

/// Sorts; no name twice, and none that is a file and a directory.
fn check_tree(names: &Names, entries: &mut [ZipEntry]) -> Result<(), ZipError> {
    entries.sort_unstable_by(|a, b| {
        compare(names.get(a.number).as_bytes(), names.get(b.number).as_bytes())
    });
    for pair in entries.windows(2) {
        if let [first, second] = pair
            && names.get(first.number) == names.get(second.number)
        {
            return Err(hostile("two of its entries have the same name", names.get(second.number)));
        }
    }
    let has = |name: &str| {
        entries
            .binary_search_by(|entry| compare(names.get(entry.number).as_bytes(), name.as_bytes()))
            .is_ok()
    };
    let mut last = "";
    for entry in entries.iter() {
        let name = names.get(entry.number);
        if let Some(folder) = name.strip_suffix('/').filter(|folder| has(folder)) {
            return Err(hostile("an entry is a file and a directory", folder));
        }
        let parent = name.trim_end_matches('/').rsplit_once('/').map_or("", |(parent, _)| parent);
        if parent == last {
            continue;
        }
        last = parent;
        let mut above = parent;
        while !above.is_empty() {
            if has(above) {
                return Err(hostile("an entry is a file and a directory", above));
            }
            above = above.rsplit_once('/').map_or("", |(above, _)| above);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_entry_takes_no_more_than_is_said() {
        assert!(size_of::<super::ZipEntry>() <= 64, "{}", size_of::<super::ZipEntry>());
    }
}
