//! What happened between two snapshots, in people's words: what the rows tell, which settings are
//! others, how many files.

use serde::{Deserialize, Serialize};

use crate::manifest::display;
use crate::progress::Monitor;
use crate::source::Category;
use crate::store::Repository;

use super::compare_files::Contents;
use super::diff::{ChangeKind, Diff, DiffOptions, Tree, diff};
use super::rows::{
    RowsOptions, Which, diff_rows, image_word_of_file, main_database, open_state, read_id,
};
use super::session::Snapshot;
use super::settings::{Setting, differing_settings};
use super::{Error, News, PictureFile, RowsReport};

/// The largest XML file whose settings are compared, in bytes.
const SETTINGS_BYTES_MAX: u64 = 4 << 20;
/// Settings that are told.
const SETTINGS_TOLD: usize = 50;

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// What the rows of the database tell.
    pub news: Vec<NewsLine>,
    /// Settings that are others, the first ones.
    pub settings: Vec<SettingLine>,
    /// Files by category: new, gone, changed.
    pub files: Vec<(Category, [u64; 3])>,
    /// The server's version before and after, where it is another.
    pub version: Option<(String, String)>,
}

/// A piece of news.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewsLine {
    /// What it is about: `library`, `users`, `server`, `upgrade`.
    pub section: String,
    /// Whom or what: a library, a user; empty where nobody in particular.
    pub about: String,
    /// What happened, with the count.
    pub what: String,
    /// How many.
    pub count: u64,
    /// Names, the first ones.
    pub names: Vec<String>,
}

impl From<&News> for NewsLine {
    fn from(news: &News) -> NewsLine {
        let News { section, about, what, count, names } = news;
        NewsLine {
            section: section.word().to_owned(),
            about: about.clone(),
            what: what.clone(),
            count: *count,
            names: names.clone(),
        }
    }
}

/// A setting that is another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingLine {
    /// The file.
    pub file: String,
    /// The setting.
    pub name: String,
    /// Its value before; nothing where it was not there. Secrets are hidden.
    pub before: Option<String>,
    /// Its value after.
    pub after: Option<String>,
}

impl Happened {
    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        *self == Happened::default()
    }

    /// Whether a text is in what happened, in whatever case.
    pub fn mentions(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let has = |own: &str| own.to_lowercase().contains(&text);
        let of_settings = |line: &SettingLine| has(&line.name) || has(&line.file);
        self.news.iter().any(|line| {
            has(&line.about) || has(&line.what) || line.names.iter().any(|name| has(name))
        }) || self.settings.iter().any(of_settings)
    }
}

/// Tells what happened from one snapshot to a later one; `named` names are told of a list.
///
/// # Errors
/// [`Error::Interrupted`], and [`Error::Manifest`] and others where one of the two is damaged or
/// cannot be read.
pub fn happened(
    repository: &Repository,
    before: &Snapshot,
    after: &Snapshot,
    named: usize,
    monitor: &Monitor,
) -> Result<Happened, Error> {
    let index = repository.index()?;
    let options = DiffOptions::default();
    let found = diff(
        repository,
        &index,
        (&Tree::of(&before.1)?, &Tree::of(&after.1)?),
        &options,
        monitor,
        |_| {},
    )?;
    let mut rows = RowsReport::default();
    let state = |snapshot| -> Result<_, Error> {
        let state = open_state(repository, &index, &Which::Snapshot(snapshot), main_database())?;
        Ok(state.map(|state| state.sharing(&options.recipes)))
    };
    let is_changed =
        found.totals.get(&Category::Database).is_some_and(|totals| totals.changes() > 0);
    if is_changed && let (Some(own), Some(other)) = (state(before)?, state(after)?) {
        let options = RowsOptions { named, ..RowsOptions::default() };
        rows = diff_rows(&own, &other, &changed_pictures(&found)?, &options, monitor, |_| Ok(()))?;
    }
    let (mut old, mut new) =
        (Contents::stored(repository, &index), Contents::stored(repository, &index));
    let settings = changed_settings(&found, (&mut old, &mut new), (rows.upgraded, false))?;
    let line = |(file, setting): (String, Setting)| SettingLine {
        file,
        name: setting.name,
        before: setting.before,
        after: setting.after,
    };
    let version = |snapshot: &Snapshot| {
        snapshot.1.server.version.as_ref().map(|version| version.value.clone())
    };
    let counts = found
        .totals
        .iter()
        .map(|(category, totals)| (*category, [totals.added, totals.removed, totals.modified]));
    Ok(Happened {
        news: rows.news.iter().map(NewsLine::from).collect(),
        settings: settings
            .into_iter()
            .filter(|(_, setting)| !setting.by_upgrade)
            .take(SETTINGS_TOLD)
            .map(line)
            .collect(),
        files: counts.filter(|(_, counts)| counts.iter().any(|count| *count > 0)).collect(),
        version: version(before).zip(version(after)).filter(|(before, after)| before != after),
    })
}

/// Pictures in the folders of items that are other files now.
///
/// # Errors
/// As of [`Diff::for_each`].
pub fn changed_pictures(diff: &Diff) -> Result<Vec<PictureFile>, Error> {
    let mut found = Vec::new();
    diff.for_each(|change| {
        let path = String::from_utf8_lossy(change.path()).into_owned();
        let parts: Vec<&str> = path.split('/').collect();
        if let ["metadata", "library", _, folder, name] = parts.as_slice()
            && let (Some(item), Some(word)) = (read_id(folder), image_word_of_file(name))
            && change.kind != ChangeKind::Metadata
        {
            found.push(PictureFile {
                item,
                word,
                sides: (change.before.is_some(), change.after.is_some()),
            });
        }
        Ok::<_, Error>(())
    })?;
    Ok(found)
}

/// Settings of XML files that are not the same: (file, setting). What an upgrade explains is marked
/// where there was one.
///
/// # Errors
/// Where a file cannot be read.
pub fn changed_settings(
    diff: &Diff,
    (before, after): (&mut Contents<'_>, &mut Contents<'_>),
    (upgraded, shows_secrets): (bool, bool),
) -> Result<Vec<(String, Setting)>, Error> {
    let mut all = Vec::new();
    diff.for_each(|change| {
        let path = display(change.path());
        let (ChangeKind::Modified, Some(old), Some(new)) =
            (change.kind, &change.before, &change.after)
        else {
            return Ok(());
        };
        let is_settings = path.ends_with(".xml")
            && !path.starts_with("metadata")
            && old.size().max(new.size()) <= SETTINGS_BYTES_MAX;
        if is_settings {
            let (old, new) =
                (before.read(old, SETTINGS_BYTES_MAX)?, after.read(new, SETTINGS_BYTES_MAX)?);
            let found = differing_settings(&path, &old, &new, (upgraded, shows_secrets));
            all.extend(found.into_iter().flatten().map(|setting| (path.clone(), setting)));
        }
        Ok::<_, Error>(())
    })?;
    Ok(all)
}
