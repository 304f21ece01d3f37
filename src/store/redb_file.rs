//! The index on a disk that is not the operating system's: what redb asks of a file, answered by
//! ours.

use std::io::Error;

use crate::backend::RandomFile;

/// A file for redb.
#[derive(Debug)]
pub(super) struct RedbFile(pub Box<dyn RandomFile>);

impl redb::StorageBackend for RedbFile {
    fn len(&self) -> Result<u64, Error> {
        self.0.size()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        self.0.read_at(offset, out)
    }
    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.0.set_size(len)
    }
    fn sync_data(&self) -> Result<(), Error> {
        self.0.sync()
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.0.write_at(offset, data)
    }
}
