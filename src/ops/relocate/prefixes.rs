//! Which path becomes which? Directories by name and the user's own pairs; the longest that a path
//! lies in decides.

/// Old directories and what each becomes.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefixes {
    /// The longest old directory first.
    pairs: Vec<(String, String)>,
}

impl Prefixes {
    /// Of pairs, an earlier one before a later one of the same directory.
    pub(super) fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Prefixes {
        let mut found: Vec<(String, String)> = Vec::new();
        for (old, new) in pairs {
            let (old, new) = (trimmed(&old), trimmed(&new));
            if !found.iter().any(|(known, _)| *known == old) {
                found.push((old, new));
            }
        }
        found.sort_by_key(|(old, _)| std::cmp::Reverse(old.len()));
        Prefixes { pairs: found }
    }

    /// What a path becomes; nothing where it stays.
    pub(super) fn map(&self, path: &str) -> Option<String> {
        let (old, new) = self.pairs.iter().find(|(old, _)| rest_within(path, old).is_some())?;
        if old == new {
            return None;
        }
        let rest = rest_within(path, old)?;
        // The root of a file system is an empty prefix.
        Some(if new.is_empty() && rest.is_empty() {
            "/".to_owned()
        } else {
            format!("{new}{rest}")
        })
    }

    /// Whether one of the old directories that change is anywhere in a text.
    pub(super) fn are_named_in(&self, text: &str) -> bool {
        self.pairs.iter().any(|(old, new)| old != new && text.contains(old.as_str()))
    }

    /// Whether a file has one of the old directories in it, at any place.
    pub(super) fn is_named_in(&self, bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes);
        let is_end = |rest: &str| {
            !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let begins = |at: usize, old: &str| {
            text.get(at..).and_then(|text| text.strip_prefix(old)).is_some_and(is_end)
        };
        // In a directory that moves there may be one that stays.
        let moves = |at: usize| {
            self.pairs.iter().find(|(old, _)| begins(at, old)).is_some_and(|(old, new)| old != new)
        };
        self.pairs.iter().filter(|(old, new)| old != new).any(|(old, _)| {
            !old.is_empty() && text.match_indices(old.as_str()).any(|(at, _)| moves(at))
        })
    }

    /// The same directories, which become something that no old one is in.
    pub(super) fn without_targets(&self) -> Prefixes {
        let pairs = self.pairs.iter().map(|(old, new)| {
            (old.clone(), if old == new { old.clone() } else { "/\u{fffc}".to_owned() })
        });
        Prefixes { pairs: pairs.collect() }
    }

    /// Whether anything moves at all.
    pub(super) fn is_identity(&self) -> bool {
        self.pairs.iter().all(|(old, new)| old == new)
    }
}

fn trimmed(dir: &str) -> String {
    dir.trim_end_matches('/').to_owned()
}

/// What of a path lies below a directory; only at the end of a component.
pub(super) fn rest_within<'p>(path: &'p str, dir: &str) -> Option<&'p str> {
    path.strip_prefix(dir)
        .filter(|rest| (rest.is_empty() && !path.is_empty()) || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(pairs: &[(&str, &str)]) -> Prefixes {
        Prefixes::new(pairs.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned())))
    }

    #[test]
    fn a_path_is_mapped_at_the_end_of_a_component_by_the_longest_directory() {
        let both = prefixes(&[
            ("/config", "/var/lib/jellyfin"),
            ("/config/config/", "/etc/jellyfin"),
            ("/media", "/media2"),
        ]);
        let map = |path: &str| both.map(path);
        assert_eq!(map("/config/root/default").as_deref(), Some("/var/lib/jellyfin/root/default"));
        assert_eq!(map("/config/config/users/Ana").as_deref(), Some("/etc/jellyfin/users/Ana"));
        assert_eq!(map("/config/config").as_deref(), Some("/etc/jellyfin"));
        assert_eq!(map("/config-x/lib"), None);
        assert_eq!(map("/media2/a"), None);
        assert_eq!(map("/media/media/a").as_deref(), Some("/media2/media/a"));
        assert_eq!(map("/srv/media/a"), None);
        assert_eq!(map(""), None);
    }

    #[test]
    fn a_directory_that_stays_keeps_what_is_in_it() {
        let stays = prefixes(&[("/media", "/mnt"), ("/media/music", "/media/music")]);
        assert_eq!(stays.map("/media/music/a"), None);
        assert_eq!(stays.map("/media/films/a").as_deref(), Some("/mnt/films/a"));
        assert!(!stays.is_identity() && prefixes(&[("/a", "/a/")]).is_identity());
    }

    #[test]
    fn a_text_names_what_moves_and_not_what_stays_in_it() {
        let own = prefixes(&[("/srv", "/mnt"), ("/srv/jellyfin", "/srv/jellyfin")]);
        let is_named = |text: &str| own.is_named_in(text.as_bytes());
        assert!(is_named("<Path>/srv/media</Path>") && is_named("cp {path} \"/srv\""));
        assert!(!is_named("<Path>/srv/jellyfin/cache</Path>") && !is_named("/srv2/media"));
    }

    #[test]
    fn the_root_of_a_file_system_is_a_directory_like_others() {
        assert_eq!(prefixes(&[("/", "/mnt")]).map("/films").as_deref(), Some("/mnt/films"));
        assert_eq!(prefixes(&[("/mnt", "/")]).map("/mnt/films").as_deref(), Some("/films"));
        assert_eq!(prefixes(&[("/mnt", "/")]).map("/mnt").as_deref(), Some("/"));
    }
}
