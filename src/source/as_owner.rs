//! SQLite opens a database's side files by a path that it resolves itself, and makes them where
//! they are missing. Run by root in a directory of the server's user, who may put a link in its
//! place at that very moment, that would make files in any directory of the system. So root does it
//! with the rights of the file's owner, and with the right to read everywhere: no more can come of
//! it than the owner could do.

use rustix::fs::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use super::stat::Stat;

/// This thread has the owner's rights until this is dropped.
#[derive(Debug)]
pub struct AsOwner {
    group: Gid,
    groups: Vec<Gid>,
}

impl AsOwner {
    /// For root and a file of somebody else's. Nothing for others, and where root itself may not
    /// read everywhere (in some containers).
    pub fn of(file: &Stat) -> Option<AsOwner> {
        if !rustix::process::geteuid().is_root() || file.uid == 0 {
            return None;
        }
        let sets = capabilities(None)
            .ok()
            .filter(|sets| sets.permitted.contains(CapabilitySet::DAC_READ_SEARCH))?;
        let own = AsOwner {
            group: rustix::process::getegid(),
            groups: rustix::process::getgroups().ok()?,
        };
        let (user, group) = (Uid::from_raw(file.uid), Gid::from_raw(file.gid));
        set_thread_groups(&[]).ok()?;
        // From here on what was set is taken back when `own` goes.
        set_thread_res_gid(None, group, None).ok()?;
        set_thread_res_uid(None, user, None).ok()?;
        let lowered = CapabilitySets { effective: CapabilitySet::DAC_READ_SEARCH, ..sets };
        set_capabilities(None, lowered).ok()?;
        Some(own)
    }

    /// For root that makes something of a user's in a directory of that user's: with no right but
    /// theirs. Nothing where that cannot be.
    pub fn alone(user: u32, group: u32) -> Option<AsOwner> {
        if !rustix::process::geteuid().is_root() || user == 0 {
            return None;
        }
        let own = AsOwner {
            group: rustix::process::getegid(),
            groups: rustix::process::getgroups().ok()?,
        };
        set_thread_groups(&[]).ok()?;
        set_thread_res_gid(None, Gid::from_raw(group), None).ok()?;
        set_thread_res_uid(None, Uid::from_raw(user), None).ok()?;
        Some(own)
    }
}

impl Drop for AsOwner {
    fn drop(&mut self) {
        // Root is the real user still, so that none of these can be refused. If one were, the
        // thread would have fewer rights than before.
        crate::tolerate(set_thread_res_uid(None, Uid::ROOT, None));
        crate::tolerate(set_thread_res_gid(None, self.group, None));
        crate::tolerate(set_thread_groups(&self.groups));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[needs::needs(root)]
    #[test]
    fn root_has_the_owners_rights_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own");
        std::fs::File::create(&own).unwrap();
        std::os::unix::fs::chown(&own, Some(4711), Some(4711)).unwrap();
        let before = (
            rustix::process::geteuid(),
            rustix::process::getegid(),
            rustix::process::getgroups().unwrap(),
        );
        if let Some(lowered) = AsOwner::of(&Stat::of_path(&own).unwrap()) {
            assert_eq!(
                (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
                (4711, 4711)
            );
            assert!(
                std::fs::File::create(dir.path().join("other")).is_err(),
                "in a directory of root's"
            );
            assert!(
                std::fs::read_dir(dir.path()).is_ok(),
                "which may be read, though it is shut to others"
            );
            drop(lowered);
        }
        assert_eq!(
            (
                rustix::process::geteuid(),
                rustix::process::getegid(),
                rustix::process::getgroups().unwrap()
            ),
            before
        );
        std::fs::File::create(dir.path().join("other")).unwrap();
    }
}
