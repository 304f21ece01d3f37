//! What belongs to a file or directory beside its bytes: owner, mode, extended attributes, times.

use std::os::fd::AsFd;

use rustix::fs::{Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};

use crate::manifest::{Entry, Time};
use crate::source;

use super::obstacle::{Failure, UNDRESSED};

/// Owner, mode, attributes, times: in this order, because each may change the ones before.
/// Attributes that the entry lacks go.
pub(super) fn dress(
    is_root: bool,
    entry: &Entry,
    file: impl AsFd,
    xattrs: &[(Vec<u8>, Vec<u8>)],
) -> Result<(), Failure> {
    let file = file.as_fd();
    let mut missing = Vec::new();
    // A new file may have inherited some from its directory.
    match source::xattrs_of_file(file) {
        Ok(has) => {
            for (gone, _) in has.iter().filter(|(name, _)| {
                is_ours(name) && !xattrs.iter().any(|(wanted, _)| wanted == name)
            }) {
                if let Err(error) = rustix::fs::fremovexattr(file, gone.as_slice()) {
                    missing.push(format!(
                        "state without attribute {} ({})",
                        String::from_utf8_lossy(gone),
                        std::io::Error::from(error)
                    ));
                }
            }
        }
        Err(error) => missing.push(format!("attributes ({})", std::io::Error::from(error))),
    }
    if is_root
        && let Err(error) =
            rustix::fs::fchown(file, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))
    {
        missing.push(format!("owner ({})", std::io::Error::from(error)));
    }
    if let Err(error) = rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode)) {
        missing.push(format!("mode ({})", std::io::Error::from(error)));
    }
    for (name, value) in xattrs {
        if let Err(error) = rustix::fs::fsetxattr(file, name.as_slice(), value, XattrFlags::empty())
        {
            missing.push(format!(
                "attribute {} ({})",
                String::from_utf8_lossy(name),
                std::io::Error::from(error)
            ));
        }
    }
    if let Err(error) = rustix::fs::futimens(file, &times(entry.mtime)) {
        missing.push(format!("times ({})", std::io::Error::from(error)));
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Failure::Entry(format!("{UNDRESSED}{}", missing.join(", "))))
    }
}

/// Attributes that a restore takes away where the snapshot lacks them. Labels of the system
/// (SELinux, capabilities) are its own.
pub(super) fn is_ours(name: &[u8]) -> bool {
    name.starts_with(b"user.") || name.starts_with(b"system.posix_acl_")
}

/// Times for the kernel; the access time becomes the modification time.
pub(super) fn times(mtime: Time) -> Timestamps {
    let stamp = Timespec { tv_sec: mtime.seconds, tv_nsec: i64::from(mtime.nanos) };
    Timestamps { last_access: stamp, last_modification: stamp }
}
