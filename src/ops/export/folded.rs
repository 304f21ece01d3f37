//! Names of a zip that are one name on Windows, and on most disks of a Mac.

use std::collections::HashSet;

use super::super::same_names::key;

/// So many are named.
const NAMED_MAX: usize = 3;

/// The names so far.
#[derive(Debug, Default)]
pub(super) struct FoldedNames {
    /// Keys of the names: a million of them in some 20 MB.
    seen: HashSet<u64>,
    count: u64,
    named: Vec<String>,
}

impl FoldedNames {
    /// Another name.
    pub(super) fn add(&mut self, name: &str) {
        if self.seen.insert(key(name.as_bytes())) {
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
                "on Windows and most Macs, these names are the same as other names in the zip: {}{more}. They differ only in upper and lower case, accents or a dot at the end. After a restore \
                 there, only one file of each pair is left. On Linux both are restored",
                self.named.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_one_elsewhere_are_told_and_others_are_not() {
        let mut names = FoldedNames::default();
        ["a/Poster.jpg", "a/poster.png", "b/poster.jpg"].iter().for_each(|name| names.add(name));
        assert_eq!(names.remark(), None);
        ["a/poster.jpg", "A/POSTER.jpg", "Ä/x", "a\u{308}/x"]
            .iter()
            .for_each(|name| names.add(name));
        let remark = names.remark().unwrap();
        assert!(
            remark.contains("in the zip: a/poster.jpg, A/POSTER.jpg, a\u{308}/x. They"),
            "{remark}"
        );
        names.add("Ä/X");
        assert!(names.remark().unwrap().contains("/x and 1 more. They"));
    }
}
