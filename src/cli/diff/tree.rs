//! Changes for people: a tree on a terminal, a line a change elsewhere.

use crate::manifest::{Entry, Kind, display, is_within};
use crate::ops::{Change, ChangeKind};

use super::super::render;

/// Lines that a tree shows without `--verbose`.
pub const SHOWN: usize = 200;

/// A line of the tree: the path's components, and what is said of it.
struct Line {
    mark: char,
    path: String,
    is_directory: bool,
    says: String,
}

/// New or gone directories swallow what lies in them: everything there came or went with them.
struct Group {
    path: Vec<u8>,
    kind: ChangeKind,
    files: u64,
    bytes: u64,
    moved: u64,
    /// What people call what lies there, the first few.
    names: Vec<String>,
}

/// Names that a folded directory is told with.
const NAMES: usize = 3;

/// Gathers the lines of a tree.
pub struct TreeView {
    lines: Vec<Line>,
    group: Option<Group>,
    /// Whether every path is shown.
    verbose: bool,
    left_out: u64,
    quiet_directories: u64,
}

impl TreeView {
    pub fn new(verbose: bool) -> TreeView {
        TreeView { lines: Vec::new(), group: None, verbose, left_out: 0, quiet_directories: 0 }
    }

    /// Takes the next change; `name` is what people call what lies there.
    pub fn push(&mut self, change: &Change, name: Option<String>) {
        if let Some(group) =
            self.group.as_mut().filter(|group| is_within(change.path(), &group.path))
        {
            let entry = change.after.as_ref().or(change.before.as_ref());
            if entry.is_some_and(|entry| !matches!(entry.kind, Kind::Directory)) {
                group.files += 1;
                group.bytes += entry.map_or(0, Entry::size);
                group.moved += u64::from(change.kind == ChangeKind::Moved);
            }
            if let Some(name) =
                name.filter(|name| !group.names.contains(name) && group.names.len() <= NAMES)
            {
                group.names.push(name);
            }
            return;
        }
        self.close_group();
        if change.is_only_a_directorys_time() && !self.verbose {
            self.quiet_directories += 1;
            return;
        }
        let entry = change.after.as_ref().or(change.before.as_ref());
        let is_directory = entry.is_some_and(|entry| matches!(entry.kind, Kind::Directory));
        if is_directory
            && !self.verbose
            && matches!(change.kind, ChangeKind::Added | ChangeKind::Removed)
        {
            self.group = Some(Group {
                path: change.path().to_vec(),
                kind: change.kind,
                files: 0,
                bytes: 0,
                moved: 0,
                names: name.into_iter().collect(),
            });
            return;
        }
        let mut says = words(change);
        if let Some(name) = name {
            says = format!("{says}  {name}").trim().to_owned();
        }
        self.line(change.kind, change.path(), is_directory, says);
    }

    fn line(&mut self, kind: ChangeKind, path: &[u8], is_directory: bool, says: String) {
        if self.lines.len() >= SHOWN && !self.verbose {
            self.left_out += 1;
            return;
        }
        self.lines.push(Line { mark: mark(kind), path: display(path), is_directory, says });
    }

    fn close_group(&mut self) {
        let Some(group) = self.group.take() else { return };
        let mut says = if group.files == 0 {
            "empty".to_owned()
        } else {
            format!(
                "{}, {}",
                render::plural(group.files, "file", "files"),
                render::size(group.bytes)
            )
        };
        if group.moved > 0 {
            says.push_str(&format!(
                ", {} of them moved from elsewhere",
                render::count(group.moved)
            ));
        }
        if !group.names.is_empty() {
            let more = if group.names.len() > NAMES { ", …" } else { "" };
            says.push_str(&format!(
                "  {}{more}",
                group.names.iter().take(NAMES).cloned().collect::<Vec<_>>().join(", ")
            ));
        }
        self.line(group.kind, &group.path, true, says);
    }

    /// The whole tree.
    pub fn finish(mut self) -> String {
        self.close_group();
        let mut out = String::new();
        let lines: Vec<&Line> = self.lines.iter().collect();
        branch(&lines, 0, 0, &mut out);
        if self.left_out > 0 {
            out.push_str(&format!(
                "… and {} more (--verbose shows them)\n",
                render::count(self.left_out)
            ));
        }
        if self.quiet_directories > 0 {
            out.push_str(&format!(
                "({} with only a changed time {} not shown; add --verbose to see all)\n",
                render::plural(self.quiet_directories, "directory", "directories"),
                if self.quiet_directories == 1 { "is" } else { "are" }
            ));
        }
        out
    }
}

/// The lines of one directory: what shares a beginning stands below it.
fn branch(lines: &[&Line], skip: usize, depth: usize, out: &mut String) {
    let mut rest = lines;
    while let Some((first, _)) = rest.split_first() {
        // All lines of a group share `skip` bytes, which end at a slash: what is cut off is there.
        let below = first.path.get(skip..).unwrap_or_default();
        let component = below.split('/').next().unwrap_or(below);
        let in_group = |line: &&&Line| {
            line.path.get(skip..).is_some_and(|path| {
                path.strip_prefix(component)
                    .is_some_and(|end| end.is_empty() || end.starts_with('/'))
            })
        };
        let count = rest.iter().take_while(in_group).count().max(1);
        let (group, behind) = rest.split_at(count);
        rest = behind;
        let pad = "  ".repeat(depth);
        if group.len() == 1 {
            push_line(out, &pad, first, below);
            continue;
        }
        // A group has lines, each longer than what all share.
        let last = group.last().and_then(|line| line.path.get(skip..)).unwrap_or_default();
        let shared = shared_beginning(below, last).max(component.len());
        let mut group = group;
        if below.len() == shared {
            // The directory itself changed, too.
            push_line(out, &pad, first, below);
            // Of one line nothing is left.
            group = group.get(1..).unwrap_or_default();
        } else {
            out.push_str(&format!("  {pad}{}/\n", below.get(..shared).unwrap_or(below)));
        }
        branch(group, skip + shared + 1, depth + 1, out);
    }
}

/// Length of the longest beginning, in whole components, that the first and the last path of a
/// sorted group share, and so all between them.
fn shared_beginning(first: &str, last: &str) -> usize {
    let (mut end, mut shared) = (0, 0);
    for (own, other) in
        first.split('/').zip(last.split('/')).take_while(|(own, other)| own == other)
    {
        end += own.len().max(other.len());
        shared = end;
        end += 1;
    }
    shared
}

fn push_line(out: &mut String, pad: &str, line: &Line, name: &str) {
    let slash = if line.is_directory { "/" } else { "" };
    out.push_str(format!("{} {pad}{name}{slash}  {}", line.mark, line.says).trim_end());
    out.push('\n');
}

/// A change on a line of its own, for other programs that read lines.
pub fn flat(change: &Change, name: Option<&str>) -> String {
    let is_directory = change
        .after
        .as_ref()
        .or(change.before.as_ref())
        .is_some_and(|entry| matches!(entry.kind, Kind::Directory));
    let slash = if is_directory { "/" } else { "" };
    // Few changes have a name besides their path.
    let says = [words(change), name.unwrap_or_default().to_owned()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("  ");
    format!(
        "{:<9} {}{slash}{}\n",
        change.kind.word(),
        display(change.path()),
        if says.is_empty() { String::new() } else { format!("  ({says})") }
    )
}

fn mark(kind: ChangeKind) -> char {
    match kind {
        ChangeKind::Added => '+',
        ChangeKind::Removed => '-',
        ChangeKind::Modified => '~',
        ChangeKind::Moved => '>',
        ChangeKind::Metadata => 'm',
    }
}

/// What the marks mean.
pub const LEGEND: &str =
    "+ new   - gone   ~ changed   > moved   m only mode, owner, time or attributes changed\n\n";

/// Sizes, the old place, what of the metadata changed.
fn words(change: &Change) -> String {
    match (&change.before, &change.after) {
        (Some(before), Some(after)) if change.kind == ChangeKind::Moved => {
            format!("from {}", display(&before.path)) + &differing(before, after)
        }
        (Some(before), Some(after)) if change.kind == ChangeKind::Metadata => {
            differing(before, after).trim_start_matches(", ").to_owned()
        }
        (Some(before), Some(after)) => match (&before.kind, &after.kind) {
            (Kind::File { .. }, Kind::File { .. }) => {
                format!("{} → {}", render::size(before.size()), render::size(after.size()))
            }
            (Kind::Symlink { target }, Kind::Symlink { target: new }) => {
                format!("link to {} → {}", display(target), display(new))
            }
            (before, after) => format!("{} → {}", kind_word(before), kind_word(after)),
        },
        (one, other) => {
            match one.as_ref().or(other.as_ref()).map(|entry| (&entry.kind, entry.size())) {
                Some((Kind::File { .. }, size)) => render::size(size),
                Some((Kind::Symlink { target }, _)) => format!("link to {}", display(target)),
                _ => String::new(),
            }
        }
    }
}

/// The word for what a path is.
pub fn kind_word(kind: &Kind) -> &'static str {
    match kind {
        Kind::File { .. } => "file",
        Kind::Directory => "directory",
        Kind::Symlink { .. } => "symlink",
    }
}

fn differing(before: &Entry, after: &Entry) -> String {
    let mut out = String::new();
    if before.mode != after.mode {
        out.push_str(&format!(", mode {:04o} → {:04o}", before.mode, after.mode));
    }
    if (before.uid, before.gid) != (after.uid, after.gid) {
        out.push_str(&format!(
            ", owner {}:{} → {}:{}",
            before.uid, before.gid, after.uid, after.gid
        ));
    }
    if before.xattrs != after.xattrs {
        out.push_str(", attributes");
    }
    if before.link_group != after.link_group {
        out.push_str(", hard links");
    }
    if before.mtime != after.mtime {
        out.push_str(", time");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Content, Time, Xattrs};
    use crate::source::Category;

    fn entry(path: &str, size: Option<u64>) -> Entry {
        let kind = size
            .map_or(Kind::Directory, |size| Kind::File { size, content: Content::Pieces(vec![]) });
        Entry {
            path: path.into(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            xattrs: Xattrs::None,
            link_group: None,
        }
    }

    fn change(kind: ChangeKind, before: Option<Entry>, after: Option<Entry>) -> Change {
        Change { kind, category: Category::Config, before, after }
    }

    #[test]
    fn a_tree_shares_beginnings_and_folds_what_came_or_went_whole() {
        let mut view = TreeView::new(false);
        for next in [
            change(
                ChangeKind::Modified,
                Some(entry("config/system.xml", Some(10))),
                Some(entry("config/system.xml", Some(2048))),
            ),
            change(
                ChangeKind::Metadata,
                Some(entry("config/users", None)),
                Some(Entry { mtime: Time { seconds: 1, nanos: 0 }, ..entry("config/users", None) }),
            ),
            change(ChangeKind::Added, None, Some(entry("config/users/guest", None))),
            change(
                ChangeKind::Added,
                None,
                Some(entry("config/users/guest/profile.png", Some(100))),
            ),
            change(
                ChangeKind::Removed,
                Some(entry("metadata/library/ab/abc/poster.jpg", Some(5))),
                None,
            ),
            change(
                ChangeKind::Moved,
                Some(entry("metadata/x.jpg", Some(5))),
                Some(entry("metadata/library/ab/abd/poster.jpg", Some(5))),
            ),
        ] {
            view.push(&next, None);
        }
        let expected = "  config/\n~   system.xml  10 B → 2.00 KiB\n+   users/guest/  1 file, 100 B\n  metadata/library/ab/\n-   abc/poster.jpg  5 B\n>   abd/poster.jpg  from metadata/x.jpg\n(1 directory with only a changed time is not shown; add --verbose to see all)\n";
        assert_eq!(view.finish(), expected);
    }

    #[test]
    fn a_flat_line_begins_with_the_word_of_the_contract() {
        let next = change(ChangeKind::Added, None, Some(entry("config/a b", Some(7))));
        assert_eq!(flat(&next, None), "added     config/a b  (7 B)\n");
    }
}
