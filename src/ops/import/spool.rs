//! An entry of a zip in a file, for those who need to go back and forth in it.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use crate::archive::of_io;
use crate::progress::Interrupt;
use crate::source::{OpenFile, Stat};

use super::super::Error;
use super::failure::Failure;

/// The plain bytes of an entry in a nameless file.
pub(super) fn spooled(
    reader: &mut impl Read,
    scratch: &Path,
    interrupt: &Interrupt,
) -> Result<OpenFile, Failure> {
    let failed = |source| {
        Failure::Stopped(Error::Target {
            verb: "write a temporary file in",
            path: scratch.to_path_buf(),
            source,
        })
    };
    let mut file: File = std::fs::create_dir_all(scratch)
        .and_then(|()| tempfile::tempfile_in(scratch))
        .map_err(failed)?;
    write_out(reader, &mut file, scratch, interrupt)?;
    file.rewind().map_err(failed)?;
    let before = Stat::of(&file).map_err(|error| failed(error.into()))?;
    Ok(OpenFile { file, before })
}

/// Writes the plain bytes of an entry to a file in `place`; at their end they are proved.
pub(super) fn write_out(
    reader: &mut impl Read,
    file: &mut File,
    place: &Path,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let mut block = vec![0; 256 << 10];
    loop {
        // An entry may have gigabytes of nothing.
        if interrupt.is_raised() {
            return Err(Error::Interrupted.into());
        }
        let len = reader.read(&mut block).map_err(of_io)?;
        if len == 0 {
            return Ok(());
        }
        let written = block
            .get(..len)
            .ok_or_else(|| std::io::ErrorKind::InvalidData.into())
            .and_then(|bytes| std::io::Write::write_all(file, bytes));
        written.map_err(|source| Error::Target {
            verb: "write a temporary file in",
            path: place.to_path_buf(),
            source,
        })?;
    }
}
