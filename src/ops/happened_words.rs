//! What happened, in lines that are each a sentence's worth.

use crate::figures::{count, plural};
use crate::source::Category;

use super::happened::{Happened, NewsLine};

impl Happened {
    /// What happened, each line one change or one sort of it; files only where nothing else tells.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        if let Some((before, after)) = &self.version {
            lines.push(format!("Jellyfin {before} → {after}"));
        }
        lines.extend(self.news.iter().map(line_in_short));
        if !self.settings.is_empty() {
            lines.push(plural(self.settings.len() as u64, "setting changed", "settings changed"));
        }
        if lines.is_empty() {
            lines.extend(self.files.iter().map(files_in_short));
        }
        lines
    }
}

fn line_in_short(line: &NewsLine) -> String {
    let about = if line.about.is_empty() { String::new() } else { format!("{}: ", line.about) };
    let name = line
        .names
        .first()
        .map(|name| format!(" ({name}{})", if line.count > 1 { ", …" } else { "" }))
        .unwrap_or_default();
    format!("{about}{}{name}", line.what)
}

/// New, removed and changed files of a category.
pub fn files_in_short((category, [new, gone, changed]): &(Category, [u64; 3])) -> String {
    let words = [(*new, "new"), (*gone, "removed"), (*changed, "changed")];
    let words: Vec<String> = words
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{} {word}", count(*number)))
        .collect();
    format!("{category} files: {}", words.join(", "))
}
