//! Names of a zip that are one name where upper and lower case are the same: on Windows, and on most disks of a Mac.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// So many are named.
const NAMED_MAX: usize = 3;

/// The names so far.
#[derive(Debug, Default)]
pub(super) struct FoldedNames {
    /// Hashes of the names in lower case: a million of them in some 20 MB.
    seen: HashSet<u64>,
    count: u64,
    named: Vec<String>,
}

impl FoldedNames {
    /// Another name.
    pub(super) fn add(&mut self, name: &str) {
        let mut hasher = DefaultHasher::new();
        name.to_lowercase().hash(&mut hasher);
        if self.seen.insert(hasher.finish()) {
            return;
        }
        self.count += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push(super::super::clean_name(name));
        }
    }

    /// What the user should know, if there is anything.
    pub(super) fn remark(&self) -> Option<String> {
        let more = self.count.saturating_sub(self.named.len() as u64);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        (self.count > 0).then(|| {
            format!(
                "the names {}{more} differ from other names in the zip only in upper and lower case. On Windows and on most Macs only one of each pair is left after a restore; \
                 on Linux both are.",
                self.named.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_alone_are_told_and_others_are_not() {
        let mut names = FoldedNames::default();
        ["a/Poster.jpg", "a/poster.png", "b/poster.jpg"].iter().for_each(|name| names.add(name));
        assert_eq!(names.remark(), None);
        ["a/poster.jpg", "A/POSTER.jpg", "Ä/x", "ä/x"].iter().for_each(|name| names.add(name));
        let remark = names.remark().unwrap();
        assert!(remark.starts_with("the names a/poster.jpg, A/POSTER.jpg, ä/x differ"), "{remark}");
        names.add("Ä/X");
        assert!(names.remark().unwrap().contains("ä/x and 1 more differ"));
    }
}
