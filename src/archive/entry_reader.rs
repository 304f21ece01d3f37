//! The plain bytes of an entry of a zip, proved as they are read.

use std::io::{self, Read};

use super::lenient::too_much;
use super::zip_error::hostile;

/// Reads an entry and proves it.
pub struct EntryReader<'z> {
    pub(super) inner: Box<dyn Read + 'z>,
    pub(super) crc: crc32fast::Hasher,
    pub(super) left: u64,
    pub(super) expected: u32,
    pub(super) name: Box<str>,
}

impl Read for EntryReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let wrong =
            |what, name: &str| io::Error::new(io::ErrorKind::InvalidData, hostile(what, name));
        let len = self.inner.read(buf).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof => {
                wrong("the bytes of an entry are damaged", &self.name)
            }
            _ => error,
        })?;
        if len == 0 {
            return match self.left {
                0 if self.crc.clone().finalize() == self.expected => Ok(0),
                0 => Err(wrong("an entry does not have its checksum", &self.name)),
                _ => Err(wrong("an entry is shorter than it says", &self.name)),
            };
        }
        self.left = self
            .left
            .checked_sub(len as u64)
            .ok_or_else(|| wrong("an entry is longer than it says", &self.name))?;
        self.crc.update(buf.get(..len).ok_or_else(too_much)?);
        Ok(len)
    }
}
