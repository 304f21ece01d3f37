//! What would make a restored file powerful: set-user-id bits, capabilities, attributes of the
//! system. Only a repository that this user made is believed in that; from anybody else's they
//! would be a way to become root.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::manifest::{Entry, Kind, XattrPairs, display};

/// Set-user-id and set-group-id.
const SET_ID: u32 = 0o6000;
/// Paths that are named.
const NAMED: usize = 5;
/// Paths that are remembered to count them.
const COUNTED: usize = 100_000;

/// Whether such things are restored, and where they were met.
#[derive(Default)]
pub(super) struct Privileges {
    pub is_trusted: bool,
    met: Mutex<BTreeSet<Vec<u8>>>,
    /// Some bits went because the file has another owner now.
    met_of_another: AtomicBool,
}

impl Privileges {
    pub(super) fn new(is_trusted: bool) -> Privileges {
        Privileges { is_trusted, ..Privileges::default() }
    }

    /// The mode that an entry gets, whose file `was` one user's and will be another's: then it must
    /// not lend that one's power to anybody.
    pub(super) fn mode(&self, entry: &Entry, was: (u32, u32), becomes: (u32, u32)) -> u32 {
        if entry.mode & SET_ID == 0 {
            return entry.mode;
        }
        // On a directory the bit only says whose group new files get.
        if !matches!(entry.kind, Kind::Directory) {
            self.note(entry);
        }
        let is_of_another = was != becomes && !matches!(entry.kind, Kind::Directory);
        if is_of_another && self.is_trusted {
            self.met_of_another.store(true, Ordering::Relaxed);
        }
        if self.is_trusted && !is_of_another { entry.mode } else { entry.mode & !SET_ID }
    }

    /// The attributes that an entry gets.
    pub(super) fn xattrs(&self, entry: &Entry, mut xattrs: XattrPairs) -> XattrPairs {
        if xattrs.iter().any(|(name, _)| is_powerful(name)) {
            self.note(entry);
            xattrs.retain(|(name, _)| self.is_trusted || !is_powerful(name));
        }
        xattrs
    }

    fn note(&self, entry: &Entry) {
        if let Ok(mut met) = self.met.lock()
            && met.len() < COUNTED
        {
            met.insert(entry.path.clone());
        }
    }

    /// What the user should know.
    pub(super) fn words(&self) -> Option<String> {
        let met = self.met.lock().ok().filter(|met| !met.is_empty())?;
        let named: Vec<String> = met.iter().take(NAMED).map(|path| display(path)).collect();
        let more = if met.len() > NAMED {
            format!(" and {} more", met.len() - NAMED)
        } else {
            String::new()
        };
        let what = "set-user-ID bits, capabilities or system attributes";
        Some(if self.is_trusted && self.met_of_another.load(Ordering::Relaxed) {
            format!(
                "{what} are in the snapshot ({}{more}). Files that now belong to another user or group were restored without set-user-ID and set-group-ID bits",
                named.join(", ")
            )
        } else if self.is_trusted {
            format!("these files were restored with {what}: {}{more}", named.join(", "))
        } else {
            format!(
                "{what} were not restored, because you did not create this repository on this machine ({}{more}). Add --trust-repository to restore them",
                named.join(", ")
            )
        })
    }
}

/// Attributes that give a file power, or that only the system itself sets.
fn is_powerful(name: &[u8]) -> bool {
    name.starts_with(b"security.") || name.starts_with(b"trusted.")
}
