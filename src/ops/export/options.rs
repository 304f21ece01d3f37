//! Which zip is asked for, and what came of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::archive::{DumpStyle, Options as Parts, Repairs};
use crate::manifest::Directories;
use crate::progress::Problem;
use crate::source::Category;

/// Which zip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportKind {
    /// With the database's tables, as the server writes them.
    Tables,
    /// With the database page for page.
    Exact,
}

impl ExportKind {
    /// The word of the command line.
    pub fn word(self) -> &'static str {
        match self {
            ExportKind::Tables => "tables",
            ExportKind::Exact => "exact",
        }
    }
}

/// How a zip is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct ExportOptions {
    /// Which zip.
    pub kind: ExportKind,
    /// Categories; empty means all that a zip can hold.
    pub only: Vec<Category>,
    /// The version whose server is to restore it, where that is not the snapshot's.
    pub target: Option<String>,
    /// The server's time zone: a zip has no other clock.
    #[serde(with = "jiff::fmt::serde::tz::required")]
    pub zone: jiff::tz::TimeZone,
    /// Write it just as the server would, with what its own backup loses; for comparison.
    pub as_server: bool,
    /// Replace a file that stands there.
    pub force: bool,
    /// Threads; 0 means one for each core.
    pub threads: usize,
}

impl Default for ExportOptions {
    fn default() -> ExportOptions {
        ExportOptions {
            kind: ExportKind::Tables,
            only: Vec::new(),
            target: None,
            zone: jiff::tz::TimeZone::system(),
            as_server: false,
            force: false,
            threads: 0,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct ExportReport {
    /// The zip.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its entries.
    pub entries: u64,
    /// Which zip it is.
    pub kind: ExportKind,
    /// The server's version that its manifest names.
    pub server_version: String,
    /// Versions that restore it, for the user.
    pub versions: String,
    /// Directories that the server must have, where they are known.
    pub directories: Directories,
    /// What its manifest says is in it.
    pub parts: Parts,
    /// Rows that were mended.
    pub repairs: Repairs,
    /// Files that are not in it though they belong there.
    pub problems: Vec<Problem>,
    /// What a restore of it does not bring back, each in a few words.
    pub missing: Vec<String>,
    /// What the user should know and is no problem.
    pub remarks: Vec<String>,
}

impl ExportOptions {
    /// Whether the category is asked for.
    pub(super) fn wants(&self, category: Category) -> bool {
        self.only.is_empty() || self.only.contains(&category)
    }

    pub(super) fn threads(&self) -> usize {
        if self.threads == 0 {
            std::thread::available_parallelism().map_or(2, Into::into)
        } else {
            self.threads
        }
    }

    pub(super) fn style(&self) -> DumpStyle {
        DumpStyle { nested_avatars: !self.as_server }
    }
}
