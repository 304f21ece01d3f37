//! What of a snapshot is restored, where to, and how; and what came of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::manifest::{SnapshotId, compare, is_within};
use crate::progress::Problem;
use crate::source::{Arrangement, Category, Instance};

use super::super::snapshot::{Server, SourceSpec};
use super::moved::Moved;

/// Where to.
#[derive(Clone, Debug)]
pub enum Destination {
    /// The logical tree below a directory.
    Directory(PathBuf),
    /// The instance's own directories.
    InPlace(Box<InstanceTarget>),
    /// A directory, arranged as a server keeps its things.
    Arranged(Box<Instance>, Arrangement),
}

/// Whose the restored files are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owners {
    /// The snapshot's; but in an instance's directories what belonged to the server belongs to the
    /// owner of its data directory.
    #[default]
    Target,
    /// The snapshot's, by number.
    Keep,
    /// What belonged to the server belongs to this user and group.
    Set(u32, u32),
    /// The user's who restores.
    Own,
}

/// An instance that is restored into.
#[derive(Clone, Debug)]
pub struct InstanceTarget {
    /// Its directories.
    pub instance: Instance,
    /// What a capture would know of it.
    pub spec: SourceSpec,
    /// What is known of the server that is installed.
    pub server: Server,
    /// How a server that is not there yet will be run, where the user says it.
    pub new_layout: Option<Arrangement>,
}

/// What of the snapshot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// Categories; empty means all.
    pub categories: Vec<Category>,
    /// Paths, each with all below it; empty means all.
    #[serde(with = "path_texts")]
    pub paths: Vec<Vec<u8>>,
}

impl Selection {
    /// Whether a path of a category is wanted.
    pub fn takes(&self, category: Category, path: &[u8]) -> bool {
        (self.categories.is_empty() || self.categories.contains(&category))
            && (self.paths.is_empty() || self.paths.iter().any(|wanted| is_within(path, wanted)))
    }

    /// Whether anything of a category at or below a path, or a folder that it is in, is wanted.
    pub fn touches(&self, category: Category, path: &[u8]) -> bool {
        (self.categories.is_empty() || self.categories.contains(&category))
            && (self.paths.is_empty()
                || self
                    .paths
                    .iter()
                    .any(|wanted| is_within(wanted, path) || is_within(path, wanted)))
    }

    /// Whether all that is wanted may be written under a running server: pictures, trickplay
    /// sheets, subtitles and fonts.
    pub fn is_safe_under_a_server(&self) -> bool {
        const SAFE: [Category; 4] =
            [Category::Metadata, Category::Trickplay, Category::Subtitles, Category::Attachments];
        let categories = !self.categories.is_empty()
            && self.categories.iter().all(|category| SAFE.contains(category));
        categories
            || (!self.paths.is_empty()
                && self.paths.iter().all(|path| SAFE.contains(&Category::of(path))))
    }

    /// The paths below which all that is wanted lies, in order, none within another: what of the
    /// manifests is read.
    pub(super) fn roots(&self) -> Vec<&[u8]> {
        let mut sorted: Vec<&[u8]> = self.paths.iter().map(Vec::as_slice).collect();
        sorted.sort_by(|a, b| compare(a, b));
        let mut roots: Vec<&[u8]> = Vec::new();
        for path in sorted {
            if !roots.last().is_some_and(|root| is_within(path, root)) {
                roots.push(path);
            }
        }
        if roots.is_empty() { vec![b""] } else { roots }
    }

    /// Whether everything is wanted.
    pub fn is_all(&self) -> bool {
        self.categories.is_empty() && self.paths.is_empty()
    }
}

/// How.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RestoreOptions {
    /// What of the snapshot.
    pub selection: Selection,
    /// Remove what the snapshot lacks.
    pub delete: bool,
    /// Remove pictures that the server would show in place of the restored ones.
    pub replace_pictures: bool,
    /// Move what is there aside first.
    pub keep_old: bool,
    /// Say what would be done, change nothing.
    pub dry_run: bool,
    /// Go on though the server is older than the snapshot's, or the database is damaged.
    pub force: bool,
    /// The user vouches that the server sees the same directories as before (a container's
    /// volumes).
    pub same_directories: bool,
    /// The snapshot has other paths than the server that is there: until all is written, the server
    /// must not start.
    pub is_move: bool,
    /// The snapshot that has the state before, where one was taken already.
    pub before_move: Option<SnapshotId>,
    /// Whose the files are; only root can give files away.
    pub owners: Owners,
    /// Take a snapshot of what is there before the database or the configuration is replaced.
    pub safety_snapshot: bool,
    /// The machine's name, for that snapshot.
    pub host: String,
    /// The user wants a snapshot of another server than the one whose data is there.
    pub other_server: bool,
    /// `TIME` of `NAME.bak-TIME`.
    pub stamp: String,
    /// Restore what makes files powerful: the repository was made by this user on this machine, or
    /// the user says so.
    pub trusts_repository: bool,
    /// It goes to a private directory of this program, which may lie in the repository.
    #[serde(skip)]
    pub is_private: bool,
    /// Threads; 0 means one for each core.
    pub threads: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct RestoreReport {
    /// Nothing was changed: what is told would be done.
    pub dry_run: bool,
    /// Files and links that were written.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Files and links that were right already.
    pub unchanged: u64,
    /// Of these, how many had other metadata, which was put right.
    pub metadata: u64,
    /// Paths that were removed.
    pub deleted: u64,
    /// Which, the first 10,000.
    pub deleted_paths: Vec<String>,
    /// Paths that `--delete` let stay: the snapshot lacks them and does not know whether they were
    /// there.
    pub unknown: u64,
    /// Which, the first 10,000.
    pub unknown_paths: Vec<String>,
    /// The snapshot of what was there before.
    pub safety: Option<SnapshotId>,
    /// Directories that were moved aside: from, to.
    pub moved_aside: Vec<Moved>,
    /// Problems.
    pub problems: Vec<Problem>,
    /// What the user should know and is no problem.
    pub remarks: Vec<String>,
}

/// Paths as text; one that is not UTF-8 as its bytes.
mod path_texts {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum PathText {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub fn serialize<S: Serializer>(paths: &[Vec<u8>], out: S) -> Result<S::Ok, S::Error> {
        let text = |path: &Vec<u8>| {
            String::from_utf8(path.clone())
                .map_or_else(|wrong| PathText::Bytes(wrong.into_bytes()), PathText::Text)
        };
        out.collect_seq(paths.iter().map(text))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<u8>>, D::Error> {
        let texts = Vec::<PathText>::deserialize(from)?;
        Ok(texts
            .into_iter()
            .map(|path| match path {
                PathText::Text(text) => text.into_bytes(),
                PathText::Bytes(bytes) => bytes,
            })
            .collect())
    }
}
