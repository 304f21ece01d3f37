//! A zip as Jellyfin's own: Stored and Deflate, UTF-8 names, Zip64 where it must be, and nothing
//! that depends on when it is written.
//!
//! The central directory waits in a file without a name, not in memory: a million entries cost no
//! more than ten (`docs/decisions/0012`). Layout: PKWARE's APPNOTE 6.3.10, sections 4.3 and 4.5.3.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::unix::fs::FileExt;

/// Sizes, offsets and counts from here on need Zip64.
const LIMIT_32: u64 = u32::MAX as u64;
const LIMIT_16: u64 = u16::MAX as u64;
/// What a reader must support: 2.0 for Deflate, 4.5 for Zip64.
const NEEDS_DEFLATE: u16 = 20;
const NEEDS_ZIP64: u16 = 45;
/// Made on Unix: the upper half of the external attributes is a mode.
const MADE_ON_UNIX: u16 = 3 << 8;
/// The name is UTF-8.
const FLAG_UTF8: u16 = 1 << 11;
const ZIP64_EXTRA: u16 = 1;
/// Where crc and sizes begin in a local header.
const SUMS_AT: u64 = 14;
/// Where the sizes of the Zip64 field begin behind name and field header.
const ZIP64_SIZES_AT: u64 = 4;
const LOCAL_HEADER_BYTES: u64 = 30;

/// How an entry's bytes stand in the zip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As they are.
    Stored = 0,
    /// Deflated.
    Deflated = 8,
}

/// A moment on the clock of the server's time zone, in steps of two seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DosTime {
    date: u16,
    time: u16,
}

impl DosTime {
    /// A civil time; before 1980 and after 2107 the nearest that can be said.
    pub fn of(civil: jiff::civil::DateTime) -> DosTime {
        if civil.year() < 1980 {
            return DosTime { date: 1 << 5 | 1, time: 0 };
        }
        if civil.year() > 2107 {
            return DosTime { date: 127 << 9 | 12 << 5 | 31, time: 23 << 11 | 59 << 5 | 29 };
        }
        let part = |value: i8| u16::from(value.unsigned_abs());
        DosTime {
            date: (civil.year().unsigned_abs() - 1980) << 9
                | part(civil.month()) << 5
                | part(civil.day()),
            time: part(civil.hour()) << 11 | part(civil.minute()) << 5 | (part(civil.second()) / 2),
        }
    }
}

/// What is known of an entry before its bytes.
#[derive(Clone, Debug)]
pub struct EntryHead {
    /// Its name, with `/`.
    pub name: String,
    /// How it stands.
    pub method: Method,
    /// Its last modification.
    pub modified: DosTime,
    /// Permission bits.
    pub mode: u32,
}

/// Checksum and sizes of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// CRC-32 of the plain bytes.
    pub crc: u32,
    /// Length in the zip, in bytes.
    pub stored: u64,
    /// Plain length, in bytes.
    pub raw: u64,
}

/// Entries one behind another, each behind its local header: ready to be written in one go, without
/// a copy of their bytes.
#[derive(Debug, Default)]
pub struct ReadyEntries {
    bytes: Vec<u8>,
    /// Each with where its local header begins.
    entries: Vec<(EntryHead, Sums, usize)>,
}

impl ReadyEntries {
    /// None yet, in a buffer that may have been used.
    pub fn new(mut buffer: Vec<u8>) -> ReadyEntries {
        buffer.clear();
        ReadyEntries { bytes: buffer, entries: Vec::new() }
    }

    /// Adds an entry of less than 4 GiB: `fill` puts its bytes, as they stand in the zip, behind
    /// those that are in the buffer, and says how they stand, their checksum and their plain
    /// length. Where it fails the entry is not there.
    pub fn push<E>(
        &mut self,
        mut head: EntryHead,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(Method, u32, u64), E>,
    ) -> io::Result<Result<(), E>> {
        let at = self.bytes.len();
        // Room for its header, which is as long whatever it says.
        self.bytes.extend(local_header(&head, Sums::default(), false)?);
        let start = self.bytes.len();
        let (method, crc, raw) = match fill(&mut self.bytes) {
            Ok(filled) => filled,
            Err(error) => {
                self.bytes.truncate(at);
                return Ok(Err(error));
            }
        };
        head.method = method;
        let sums = Sums { crc, stored: (self.bytes.len() - start) as u64, raw };
        self.bytes.splice(at..start, local_header(&head, sums, false)?);
        self.entries.push((head, sums, at));
        Ok(Ok(()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Plain bytes of all.
    pub fn raw_bytes(&self) -> u64 {
        self.entries.iter().map(|(_, sums, _)| sums.raw).sum()
    }

    /// The buffer, to use again.
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}

/// An entry whose bytes are being written.
struct Open {
    head: EntryHead,
    offset: u64,
    zip64: bool,
    stored: u64,
}

/// Writes a zip from its beginning to its end.
pub struct ZipWriter {
    out: BufWriter<File>,
    offset: u64,
    directory: BufWriter<File>,
    directory_hash: blake3::Hasher,
    directory_bytes: u64,
    entries: u64,
    open: Option<Open>,
}

/// What was written.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// Length of the zip, in bytes.
    pub bytes: u64,
    /// Its entries.
    pub entries: u64,
    /// Where its central directory begins and how long it is, in bytes.
    pub directory: (u64, u64),
    /// Hash of its central directory.
    pub directory_hash: blake3::Hash,
}

impl ZipWriter {
    /// Begins a zip in an empty file; `spool` is an empty file of its own for the central
    /// directory.
    pub fn new(file: File, spool: File) -> ZipWriter {
        ZipWriter {
            out: BufWriter::with_capacity(1 << 20, file),
            offset: 0,
            directory: BufWriter::with_capacity(64 << 10, spool),
            directory_hash: blake3::Hasher::new(),
            directory_bytes: 0,
            entries: 0,
            open: None,
        }
    }

    /// The file, of which the last bytes may still be on their way.
    pub fn file(&self) -> &File {
        self.out.get_ref()
    }

    /// Bytes so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Adds entries that are ready.
    pub fn add(&mut self, ready: &ReadyEntries) -> io::Result<()> {
        let start = self.offset;
        self.write(&ready.bytes)?;
        ready
            .entries
            .iter()
            .try_for_each(|(head, sums, at)| self.central_header(head, *sums, start + *at as u64))
    }

    /// Begins an entry whose checksum and sizes are known only at its end; `may_be_huge` where it
    /// may come to 4 GiB.
    pub fn begin(&mut self, head: EntryHead, may_be_huge: bool) -> io::Result<()> {
        let offset = self.offset;
        self.write(&local_header(&head, Sums::default(), may_be_huge)?)?;
        self.open = Some(Open { head, offset, zip64: may_be_huge, stored: 0 });
        Ok(())
    }

    /// More bytes of the entry that was begun, as they stand in the zip.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(open) = &mut self.open {
            open.stored += bytes.len() as u64;
        }
        self.write(bytes)
    }

    /// Ends the entry that was begun.
    pub fn end(&mut self, crc: u32, raw: u64) -> io::Result<()> {
        let Some(open) = self.open.take() else { return Err(io::ErrorKind::InvalidInput.into()) };
        let sums = Sums { crc, stored: open.stored, raw };
        if !open.zip64 && (sums.raw >= LIMIT_32 || sums.stored >= LIMIT_32) {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("{} came to more than 4 GiB", open.head.name),
            ));
        }
        // The header stands in the file already.
        self.out.flush()?;
        let file = self.out.get_ref();
        file.write_all_at(&crc_and_sizes(sums, open.zip64), open.offset + SUMS_AT)?;
        if open.zip64 {
            let at =
                open.offset + LOCAL_HEADER_BYTES + open.head.name.len() as u64 + ZIP64_SIZES_AT;
            file.write_all_at(&[sums.raw.to_le_bytes(), sums.stored.to_le_bytes()].concat(), at)?;
        }
        self.central_header(&open.head, sums, open.offset)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn central_header(&mut self, head: &EntryHead, sums: Sums, offset: u64) -> io::Result<()> {
        let far = offset >= LIMIT_32;
        let large = sums.raw >= LIMIT_32 || sums.stored >= LIMIT_32;
        let mut extra = Vec::new();
        if far || large {
            let fields: Vec<u64> = [sums.raw, sums.stored]
                .into_iter()
                .filter(|_| large)
                .chain(far.then_some(offset))
                .collect();
            push16(&mut extra, &[ZIP64_EXTRA, fields.len() as u16 * 8]);
            push64(&mut extra, &fields);
        }
        let mut out = Vec::with_capacity(80 + head.name.len());
        out.extend(b"PK\x01\x02");
        let needs = if far || large { NEEDS_ZIP64 } else { NEEDS_DEFLATE };
        push16(&mut out, &[MADE_ON_UNIX | needs]);
        let common_at = out.len();
        common(&mut out, head, sums, large, extra.len() as u16)?;
        if let Some(version) = out.get_mut(common_at..common_at + 2) {
            version.copy_from_slice(&needs.to_le_bytes());
        }
        // Comment length, disk, internal attributes.
        push16(&mut out, &[0, 0, 0]);
        let regular_file = 0o100_000;
        push32(&mut out, &[(regular_file | head.mode) << 16, offset.min(LIMIT_32) as u32]);
        out.extend(head.name.as_bytes());
        out.extend(extra);
        self.directory_hash.update(&out);
        self.directory_bytes += out.len() as u64;
        self.entries += 1;
        self.directory.write_all(&out)
    }

    /// Writes the central directory and its end; the file is not yet durable.
    pub fn finish(mut self) -> io::Result<(File, Written)> {
        let start = self.offset;
        let mut spool = self.directory.into_inner().map_err(io::IntoInnerError::into_error)?;
        spool.rewind()?;
        io::copy(&mut spool.take(self.directory_bytes), &mut self.out)?;
        let end = start + self.directory_bytes;
        let mut out = Vec::new();
        if self.entries >= LIMIT_16 || start >= LIMIT_32 || self.directory_bytes >= LIMIT_32 {
            out.extend(b"PK\x06\x06");
            push64(&mut out, &[44]);
            push16(&mut out, &[MADE_ON_UNIX | NEEDS_ZIP64, NEEDS_ZIP64]);
            push32(&mut out, &[0, 0]);
            push64(&mut out, &[self.entries, self.entries, self.directory_bytes, start]);
            out.extend(b"PK\x06\x07");
            push32(&mut out, &[0]);
            push64(&mut out, &[end]);
            push32(&mut out, &[1]);
        }
        out.extend(b"PK\x05\x06");
        let count = self.entries.min(LIMIT_16) as u16;
        push16(&mut out, &[0, 0, count, count]);
        push32(&mut out, &[self.directory_bytes.min(LIMIT_32) as u32, start.min(LIMIT_32) as u32]);
        push16(&mut out, &[0]);
        self.out.write_all(&out)?;
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let directory_hash = self.directory_hash.finalize();
        Ok((
            file,
            Written {
                bytes: end + out.len() as u64,
                entries: self.entries,
                directory: (start, self.directory_bytes),
                directory_hash,
            },
        ))
    }
}

fn local_header(head: &EntryHead, sums: Sums, zip64: bool) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(64 + head.name.len());
    out.extend(b"PK\x03\x04");
    common(&mut out, head, sums, zip64, if zip64 { 20 } else { 0 })?;
    out.extend(head.name.as_bytes());
    if zip64 {
        push16(&mut out, &[ZIP64_EXTRA, 16]);
        push64(&mut out, &[sums.raw, sums.stored]);
    }
    Ok(out)
}

/// What local and central header have in common: version to the length of the extra field.
fn common(
    out: &mut Vec<u8>,
    head: &EntryHead,
    sums: Sums,
    zip64: bool,
    extra: u16,
) -> io::Result<()> {
    let name_bytes = u16::try_from(head.name.len()).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, "a name has more than 65,535 bytes")
    })?;
    let flags = if head.name.is_ascii() { 0 } else { FLAG_UTF8 };
    let needs = if zip64 { NEEDS_ZIP64 } else { NEEDS_DEFLATE };
    push16(out, &[needs, flags, head.method as u16, head.modified.time, head.modified.date]);
    out.extend(crc_and_sizes(sums, zip64));
    push16(out, &[name_bytes, extra]);
    Ok(())
}

fn crc_and_sizes(sums: Sums, zip64: bool) -> Vec<u8> {
    let size = |bytes: u64| if zip64 { u32::MAX } else { bytes as u32 };
    let mut out = Vec::with_capacity(12);
    push32(&mut out, &[sums.crc, size(sums.stored), size(sums.raw)]);
    out
}

fn push16(out: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|value| out.extend(value.to_le_bytes()));
}

fn push32(out: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|value| out.extend(value.to_le_bytes()));
}

fn push64(out: &mut Vec<u8>, values: &[u64]) {
    values.iter().for_each(|value| out.extend(value.to_le_bytes()));
}

#[cfg(test)]
#[path = "zip_writer_tests.rs"]
mod tests;
