//! What are the owners of a source called? For a restore on a machine that numbers them
//! differently, and for the user.

use std::collections::HashMap;

use crate::manifest::Owners;

/// Names of the owners that were met, from this machine's tables.
pub(super) fn names_of(ids: &HashMap<(u32, u32), ()>) -> Owners {
    let table = |path: &str| -> HashMap<u32, String> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = |line: &str| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            Some((fields.nth(1)?.parse().ok()?, name))
        };
        text.lines().filter_map(line).collect()
    };
    let (users, groups) = (table("/etc/passwd"), table("/etc/group"));
    Owners {
        users: ids.keys().filter_map(|(uid, _)| Some((*uid, users.get(uid)?.clone()))).collect(),
        groups: ids.keys().filter_map(|(_, gid)| Some((*gid, groups.get(gid)?.clone()))).collect(),
    }
}
