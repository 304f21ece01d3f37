//! `diff`: what changed between two trees. Merge their manifests, find what only moved, count; then
//! tell, in path order.

mod change;
mod changes;
mod costs;
mod look;
mod moves;
mod same;
mod totals;
mod tree;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::manifest::{Difference, compare, differences, display};
use crate::progress::Phase;
use crate::source::{Category, is_generated};
use crate::store::{ChunkReader, Index, Repository};

use self::changes::{Kept, Opened};
use self::costs::Costs;
use self::moves::{Moves, Pairs};
use super::recipes::Recipes;
use super::wanted_paths::WantedPaths;
use super::{Error, Monitor};

pub use change::{Change, ChangeKind};
pub use look::{Look, look};
pub use totals::Totals;
pub use tree::Tree;

/// What is compared.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DiffOptions {
    /// Categories; empty means all.
    pub only: Vec<Category>,
    /// Paths and patterns.
    pub paths: WantedPaths,
    /// Recipes of databases that others ask for, too: read once.
    #[serde(skip)]
    pub recipes: Arc<Recipes>,
}

/// All changes of a comparison.
pub struct Diff {
    kept: Kept,
    pairs: Pairs,
    /// Paths that are in one category before and in another after, by the number of their coming:
    /// the number of their going.
    crossed: BTreeMap<u32, u32>,
    crossed_from: std::collections::HashSet<u32>,
    /// Counts by category, and what each side costs.
    pub totals: BTreeMap<Category, Totals>,
    /// What could not be compared, and why.
    pub remarks: Vec<String>,
    /// Paths that one side has and of which the other says nothing.
    pub unknown: u64,
    /// Manifest nodes that were read.
    pub nodes_read: u64,
}

/// Compares two trees; `met` is told each path that differs as soon as it is found, of each
/// category in order.
pub fn diff(
    repository: &Repository,
    index: &Index,
    (before, after): (&Tree, &Tree),
    options: &DiffOptions,
    monitor: &Monitor,
    mut met: impl FnMut(&[u8]),
) -> Result<Diff, Error> {
    let reader = |tree: &Tree| ChunkReader::new(repository, index).holding(tree.held.clone());
    monitor.progress.phase(Phase::Diff, 0, 0);
    for path in options.paths.named() {
        if !before.has_path(path, reader)? && !after.has_path(path, reader)? {
            return Err(Error::OnNeitherSide { path: display(path) });
        }
    }
    let mut diff = Diff {
        kept: Kept::default(),
        pairs: Pairs::default(),
        crossed: BTreeMap::new(),
        crossed_from: Default::default(),
        totals: BTreeMap::new(),
        remarks: Vec::new(),
        unknown: 0,
        nodes_read: 0,
    };
    let (mut content_before, mut content_after) = (reader(before), reader(after));
    let mut moves = Moves::default();
    for category in Category::ALL
        .into_iter()
        .filter(|category| options.only.is_empty() || options.only.contains(category))
    {
        let (Some(root), Some(other)) = (before.root(category), after.root(category)) else {
            diff.note_missing(category, before, after);
            continue;
        };
        // Of a part of the paths the size of the whole says nothing.
        diff.totals.insert(
            category,
            if options.paths.is_limited() { Totals::default() } else { Totals::of(root, other) },
        );
        let (mut own, mut theirs) = (reader(before), reader(after));
        let sides = ((&mut own, Some(root.manifest)), (&mut theirs, Some(other.manifest)));
        let scope = options.paths.folders();
        diff.nodes_read += differences(sides.0, sides.1, scope, |difference| {
            if monitor.interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            if !options.paths.take(difference.path()) {
                return Ok(());
            }
            if is_unknown(&difference, before, after) {
                // What the server makes anew is left out of one side and not of the other: nobody
                // misses it.
                diff.unknown += u64::from(!is_generated(difference.path()));
                return Ok(());
            }
            let sides = (
                (&mut content_before, before.live.as_ref()),
                (&mut content_after, after.live.as_ref()),
            );
            let Some(difference) = same::without_sameness(difference, sides)? else {
                return Ok(());
            };
            monitor.progress.advance(1, 0);
            met(difference.path());
            let number = diff.kept.next_number(category);
            moves.take(number, &difference);
            diff.kept.push(difference);
            Ok(())
        })?;
    }
    drop(met);
    diff.kept.close();
    diff.note_unknown();
    diff.find_crossed()?;
    diff.pairs = moves.pair(&diff.kept)?;
    diff.count(&mut content_before, &mut content_after, index, options)?;
    Ok(diff)
}

/// Whether a path is on one side, and the other side says nothing of it.
fn is_unknown(difference: &Difference, before: &Tree, after: &Tree) -> bool {
    match (&difference.before, &difference.after) {
        (Some(gone), None) => after.unknown.holds(&gone.path),
        (None, Some(came)) => before.unknown.holds(&came.path),
        _ => false,
    }
}

impl Diff {
    /// Calls `each` with every change, in path order.
    pub fn for_each(
        &self,
        mut each: impl FnMut(&Change) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut lanes: Vec<_> = Category::ALL
            .iter()
            .map(|category| (*category, self.kept.numbers(*category), Opened::default()))
            .collect();
        let mut elsewhere = Opened::default();
        let mut heads: Vec<Option<Change>> = Vec::new();
        for (category, numbers, opened) in &mut lanes {
            heads.push(self.next_of(*category, numbers, opened, &mut elsewhere)?);
        }
        loop {
            let present =
                heads.iter().enumerate().filter_map(|(lane, head)| Some((lane, head.as_ref()?)));
            let Some((lane, _)) = present.min_by(|(_, a), (_, b)| compare(a.path(), b.path()))
            else {
                return Ok(());
            };
            let (Some(head), Some((category, numbers, opened))) =
                (heads.get_mut(lane), lanes.get_mut(lane))
            else {
                return Ok(());
            };
            if let Some(change) = head.take() {
                each(&change)?;
            }
            *head = self.next_of(*category, numbers, opened, &mut elsewhere)?;
        }
    }

    fn next_of(
        &self,
        category: Category,
        numbers: &mut impl Iterator<Item = u32>,
        opened: &mut Opened,
        elsewhere: &mut Opened,
    ) -> Result<Option<Change>, Error> {
        for number in numbers {
            if let Some(change) = self.change(category, number, opened, elsewhere)? {
                return Ok(Some(change));
            }
        }
        Ok(None)
    }

    /// A difference as a change; nothing for one that is told with its other half.
    fn change(
        &self,
        category: Category,
        number: u32,
        opened: &mut Opened,
        elsewhere: &mut Opened,
    ) -> Result<Option<Change>, Error> {
        let Some(difference) = self.kept.get(number, opened)? else { return Ok(None) };
        let Difference { mut before, after } = difference.clone();
        let mut kind = match (&before, &after) {
            (Some(before), Some(after)) => ChangeKind::between(before, after),
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
        };
        let other_half = self
            .crossed
            .get(&number)
            .map(|gone| (ChangeKind::Modified, gone))
            .or_else(|| self.pairs.from.get(&number).map(|gone| (ChangeKind::Moved, gone)));
        if let Some((half, gone)) = other_half {
            kind = half;
            before =
                self.kept.get(*gone, elsewhere)?.and_then(|difference| difference.before.clone());
        } else if self.pairs.to.contains_key(&number) || self.crossed_from.contains(&number) {
            return Ok(None);
        }
        Ok(Some(Change { kind, category, before, after }))
    }

    /// A file that became a database, or is one no more, keeps its path and changes its category.
    fn find_crossed(&mut self) -> Result<(), Error> {
        let (mut opened, mut came, mut gone) =
            (Opened::default(), BTreeMap::new(), BTreeMap::new());
        for number in self.kept.numbers(Category::Database).collect::<Vec<_>>() {
            match self.kept.get(number, &mut opened)? {
                Some(Difference { before: None, after: Some(entry) }) => {
                    came.insert(entry.path.clone(), number);
                }
                Some(Difference { before: Some(entry), after: None }) => {
                    gone.insert(entry.path.clone(), number);
                }
                _ => {}
            }
        }
        if came.is_empty() && gone.is_empty() {
            return Ok(());
        }
        for category in Category::ALL.into_iter().filter(|category| *category != Category::Database)
        {
            for number in self.kept.numbers(category).collect::<Vec<_>>() {
                let pair = match self.kept.get(number, &mut opened)? {
                    Some(Difference { before: Some(entry), after: None }) => {
                        came.get(&entry.path).map(|came| (*came, number))
                    }
                    Some(Difference { before: None, after: Some(entry) }) => {
                        gone.get(&entry.path).map(|gone| (number, *gone))
                    }
                    _ => None,
                };
                if let Some((came, gone)) = pair {
                    self.crossed.insert(came, gone);
                    self.crossed_from.insert(gone);
                }
            }
        }
        Ok(())
    }

    fn count(
        &mut self,
        before: &mut ChunkReader<'_>,
        after: &mut ChunkReader<'_>,
        index: &Index,
        options: &DiffOptions,
    ) -> Result<(), Error> {
        let (mut opened, mut elsewhere) = (Opened::default(), Opened::default());
        for category in Category::ALL {
            let mut costs = Costs::default();
            let mut totals = self.totals.get(&category).copied().unwrap_or_default();
            for number in self.kept.numbers(category).collect::<Vec<_>>() {
                let Some(change) = self.change(category, number, &mut opened, &mut elsewhere)?
                else {
                    continue;
                };
                totals.add(&change);
                if !matches!(change.kind, ChangeKind::Moved | ChangeKind::Metadata) {
                    costs.add(
                        &Difference { before: change.before, after: change.after },
                        (&mut *before, &mut *after),
                        index,
                    )?;
                }
            }
            (totals.stored_before, totals.stored_after) =
                costs.finish((&mut *before, &mut *after), index, &options.recipes)?;
            if options.paths.is_limited() {
                (totals.size_before, totals.size_after) =
                    (totals.changed_before, totals.changed_after);
            }
            if let Some(own) = self.totals.get_mut(&category) {
                *own = totals;
            }
        }
        Ok(())
    }

    /// All categories together.
    pub fn total(&self) -> Totals {
        self.totals.values().fold(Totals::default(), |sum, totals| sum.plus(totals))
    }

    /// Whether anything changed but the times of directories.
    pub fn has_changes(&self) -> bool {
        let total = self.total();
        total.changes() > total.directory_times
    }

    /// Whether nothing changed, not even a directory's time.
    pub fn is_empty(&self) -> bool {
        self.total().changes() == 0
    }

    fn note_missing(&mut self, category: Category, before: &Tree, after: &Tree) {
        let side = match (before.root(category), after.root(category)) {
            (None, Some(_)) => "earlier",
            (Some(_), None) => "later",
            _ => return,
        };
        self.remarks.push(format!(
            "{} was not compared, because the {side} snapshot was taken without it",
            category.name()
        ));
    }

    fn note_unknown(&mut self) {
        if self.unknown > 0 {
            self.remarks.push(match self.unknown {
                1 => "1 path was not compared: one side could not read it or did not include it, so it is unknown whether it changed".to_owned(),
                count => {
                    format!("{count} paths were not compared: one side could not read them or did not include them, so it is unknown whether they changed")
                }
            });
        }
    }
}
