//! Which of Jellyfin's own folders are links to folders elsewhere? People move `trickplay` or
//! `People` to a larger disk in this way.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::found::Linked;
use super::layout::Layout;
use super::scan_root::ScanRoot;

/// The linked folders of an instance, sorted by logical path. One that leads into another of the
/// instance's directories, or to one that they lie in, is none: what is there is captured from
/// there, or would be captured twice.
pub fn linked_folders(layout: &Layout) -> Vec<Linked> {
    let roots: Vec<PathBuf> =
        layout.roots.iter().filter_map(|root| std::fs::canonicalize(&root.dir).ok()).collect();
    let passing: Vec<PathBuf> =
        layout.passing.iter().filter_map(|dir| std::fs::canonicalize(dir).ok()).collect();
    let is_own = |dir: &Path| {
        roots.iter().any(|root| dir.starts_with(root) || root.starts_with(dir))
            || passing.iter().any(|passing| dir.starts_with(passing))
    };
    let mut found: Vec<Linked> = Vec::new();
    // The data directory itself has the others in it, and links there are their roots.
    for root in
        layout.roots.iter().filter(|root| layout.is_instance && root.logical != b"programdata")
    {
        found.extend(links_in(root).filter(|linked| !is_own(&linked.dir)));
    }
    found.sort_by(|a, b| a.logical.cmp(&b.logical));
    let mut taken: Vec<PathBuf> = Vec::new();
    // Two links to one folder: the first stands for it.
    found.retain(|linked| {
        let is_first =
            !taken.iter().any(|dir| linked.dir.starts_with(dir) || dir.starts_with(&linked.dir));
        taken.push(linked.dir.clone());
        is_first
    });
    found
}

/// Links to directories in one root. A root that cannot be listed has none: that it cannot be
/// listed is said by the walk.
fn links_in(root: &ScanRoot) -> impl Iterator<Item = Linked> {
    std::fs::read_dir(&root.dir).into_iter().flatten().flatten().filter_map(|entry| {
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        let link = entry.path();
        let dir = if is_link { std::fs::canonicalize(&link).ok()? } else { return None };
        let logical = [root.logical.as_slice(), b"/", entry.file_name().as_bytes()].concat();
        dir.is_dir().then_some(Linked { logical, link, dir })
    })
}
