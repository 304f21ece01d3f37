//! Extended attributes, POSIX ACLs among them (`system.posix_acl_access`,
//! `system.posix_acl_default`).

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::{Errno, Result};

use crate::limits::XATTR_BYTES_MAX;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Of an open file or directory, sorted by name.
pub fn of_file(file: impl AsFd) -> Result<Pairs> {
    let file = file.as_fd();
    collect(
        rustix::fs::flistxattr_query(file),
        |buffer| rustix::fs::flistxattr(file, buffer),
        |name, buffer| rustix::fs::fgetxattr(file, name, buffer),
    )
}

/// Of a path, of a symbolic link itself.
pub fn of_link(path: &Path) -> Result<Pairs> {
    collect(
        rustix::fs::llistxattr_query(path),
        |buffer| rustix::fs::llistxattr(path, buffer),
        |name, buffer| rustix::fs::lgetxattr(path, name, buffer),
    )
}

/// Of a descriptor that was opened for the name only, of a symbolic link itself.
pub fn of_held(held: impl AsFd) -> Result<Pairs> {
    let path = Path::new("/proc/self/fd").join(held.as_fd().as_raw_fd().to_string());
    let path = path.as_path();
    collect(
        rustix::fs::listxattr_query(path),
        |buffer| rustix::fs::listxattr(path, buffer),
        |name, buffer| rustix::fs::getxattr(path, name, buffer),
    )
}

fn collect(
    size: Result<usize>,
    list: impl Fn(&mut [u8]) -> Result<usize>,
    get: impl Fn(&OsStr, &mut [u8]) -> Result<usize>,
) -> Result<Pairs> {
    // Most paths have none: their size tells, before a buffer is made.
    match size {
        Ok(0) | Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Ok(_) => {}
        Err(e) => return Err(e),
    }
    let mut names = vec![0; XATTR_BYTES_MAX];
    let len = list(&mut names)?;
    let mut pairs = Vec::new();
    let mut value = vec![0; XATTR_BYTES_MAX];
    for name in
        names.get(..len).unwrap_or_default().split(|b| *b == 0).filter(|name| !name.is_empty())
    {
        match get(OsStr::from_bytes(name), &mut value) {
            Ok(len) => pairs.push((name.to_vec(), value.get(..len).unwrap_or_default().to_vec())),
            // Removed meanwhile.
            Err(Errno::NODATA) => {}
            Err(e) => return Err(e),
        }
    }
    pairs.sort_unstable();
    Ok(pairs)
}
