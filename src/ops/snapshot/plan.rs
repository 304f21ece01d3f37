//! From the stream of what the scan finds to batches of runs: where leaves begin, which of them
//! changed, what goes together.

use std::collections::HashMap;

use crate::limits::NODE_ENTRIES_MAX;
use crate::manifest::{file_name, starts_node};
use crate::source::{
    Category, DATABASE_PATH, Fingerprint, Found, Layout, LiveFile, Rules, Stat, Verdicts,
};

use super::super::ingest::item::{BytesFrom, Item, Plan};
use super::super::ingest::old::OldRuns;
use super::passed::Passed;

/// A batch is handed to a worker once it has this many bytes to look at …
const BATCH_BYTES: u64 = 1 << 20;
/// … or this many entries to build, or runs to keep.
const BATCH_ENTRIES: usize = 4096;

/// One category's runs on their way.
#[derive(Default)]
struct Lane {
    items: Vec<Item>,
    old: OldRuns,
    plans: Vec<Plan>,
    bytes: u64,
    entries: usize,
}

/// Sorts what is found into runs.
pub(super) struct Planner<'a> {
    rules: &'a Rules,
    layout: &'a Layout,
    lanes: Vec<Lane>,
    links: HashMap<(u64, u64), (u64, u32)>,
    known_verdicts: Option<&'a Verdicts>,
    main: Option<Item>,
    /// What was found out about files that might be databases.
    pub verdicts: Verdicts,
    /// Folders that the scan has passed.
    pub passed: Passed,
    /// Files and bytes met so far.
    pub seen: (u64, u64),
    /// Files met so far that are no markers of Jellyfin's.
    pub others_seen: u64,
}

/// A batch that is ready.
pub(super) type Batch = (Category, Vec<Plan>);

impl<'a> Planner<'a> {
    pub(super) fn new(
        rules: &'a Rules,
        layout: &'a Layout,
        old: HashMap<Category, OldRuns>,
        known_verdicts: Option<&'a Verdicts>,
        main: Option<Item>,
    ) -> Planner<'a> {
        let mut lanes: Vec<Lane> = Category::ALL.iter().map(|_| Lane::default()).collect();
        for (category, old) in old {
            if let Some(lane) = lanes.get_mut(category.number()) {
                lane.old = old;
            }
        }
        let (links, verdicts, passed) = (HashMap::new(), Verdicts::default(), Passed::begin());
        Planner {
            rules,
            layout,
            lanes,
            links,
            known_verdicts,
            main,
            verdicts,
            passed,
            seen: (0, 0),
            others_seen: 0,
        }
    }

    /// Takes what the scan found next; a batch where one became ready.
    pub(super) fn take(&mut self, found: &Found<'_>) -> Option<Batch> {
        self.passed.note(found);
        let mut category = self.rules.category(found.path);
        if found.path == DATABASE_PATH && self.rules.is_instance {
            // Captured before the scan, wherever it stands.
            return self.take_main_before(None);
        }
        let mut item = Item {
            root: found.root,
            path: found.path.to_vec(),
            stat: *found.stat,
            key: *found.key,
            fingerprint: found.fingerprint,
            link_group: None,
            bytes_from: BytesFrom::Itself,
        };
        // A database is whole pages of 512 bytes or a multiple: most other files need not be looked
        // at.
        let may_be_database =
            found.stat.is_file() && found.stat.size > 0 && found.stat.size.is_multiple_of(512);
        if may_be_database && self.is_database(found) {
            if self.rules.is_instance
                && category.may_hold_sqlite()
                && !found.path.starts_with(b"programdata/")
            {
                category = Category::Database;
            }
            // One that went away since is told when its content is read.
            if let Ok(file) = self.layout.live_file(found.path) {
                item.fingerprint = database_fingerprint(&file, found.fingerprint);
                item.bytes_from = BytesFrom::Database;
            }
        }
        if !self.rules.wants(category) {
            return None;
        }
        if found.stat.is_file() && found.stat.nlink > 1 {
            item.link_group = Some(self.link_group(found));
        }
        let injected = if category == Category::Database {
            self.take_main_before(Some(found.path))
        } else {
            None
        };
        let batch = self.push(category, item);
        injected.or(batch)
    }

    fn is_database(&mut self, found: &Found<'_>) -> bool {
        if let Some(verdict) = self.known_verdicts.and_then(|known| known.of(&found.fingerprint)) {
            self.verdicts.note(found.fingerprint, verdict);
            return verdict;
        }
        // Unreadable is told when its content is read.
        let verdict = self
            .layout
            .open(found.path)
            .is_some_and(|mut file| crate::source::is_database(&mut file).unwrap_or(false));
        self.verdicts.note(found.fingerprint, verdict);
        verdict
    }

    /// The number of a file with several names: the hash of the first of them.
    fn link_group(&mut self, found: &Found<'_>) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = *found.key;
        let id = (found.stat.dev, found.stat.ino);
        let (group, left) = self
            .links
            .entry(id)
            .or_insert((u64::from_le_bytes([a, b, c, d, e, f, g, h]), found.stat.nlink));
        *left = left.saturating_sub(1);
        let group = *group;
        if self.links.get(&id).is_some_and(|(_, left)| *left == 0) {
            self.links.remove(&id);
        }
        group
    }

    /// Puts the main database into its lane, where the next path there is behind it.
    fn take_main_before(&mut self, next: Option<&[u8]>) -> Option<Batch> {
        let is_due = next.is_none_or(|next| crate::manifest::compare(DATABASE_PATH, next).is_lt());
        let item = if is_due { self.main.take()? } else { return None };
        self.push(Category::Database, item)
    }

    fn push(&mut self, category: Category, item: Item) -> Option<Batch> {
        self.seen.0 += u64::from(item.stat.is_file());
        self.others_seen +=
            u64::from(item.stat.is_file() && !file_name(&item.path).starts_with(b".jellyfin-"));
        self.seen.1 += if item.stat.is_file() { item.stat.size } else { 0 };
        let lane = self.lanes.get_mut(category.number())?;
        if lane.items.len() >= NODE_ENTRIES_MAX
            || (!lane.items.is_empty() && starts_node(&item.key, 0))
        {
            lane.close_run();
        }
        lane.items.push(item);
        lane.ready().then(|| (category, lane.take_batch()))
    }

    /// The last batches.
    pub(super) fn finish(&mut self) -> Vec<Batch> {
        let mut batches: Vec<Batch> = self.take_main_before(None).into_iter().collect();
        for (category, lane) in Category::ALL.into_iter().zip(&mut self.lanes) {
            lane.close_run();
            if !lane.plans.is_empty() {
                batches.push((category, lane.take_batch()));
            }
        }
        batches
    }
}

impl Lane {
    fn close_run(&mut self) {
        let items = std::mem::take(&mut self.items);
        let (Some(first), Some(last)) = (items.first(), items.last()) else { return };
        let mut sums = Vec::with_capacity(items.len() * 16);
        items.iter().for_each(|item| sums.extend_from_slice(&item.fingerprint.0));
        let sum = Fingerprint::of(&sums);
        if let Some(run) = self
            .old
            .beginning_at(&first.path)
            .filter(|run| run.trusted && run.sum == sum && run.entries == items.len() as u64)
        {
            let run = run.clone();
            self.plans.push(Plan::Keep { run, items });
            return;
        }
        let old = self.old.overlapping(&first.path, &last.path);
        self.bytes +=
            items.iter().filter(|item| item.stat.is_file()).map(|item| item.stat.size).sum::<u64>();
        self.entries += items.len();
        self.plans.push(Plan::Build { items, old });
    }

    fn ready(&self) -> bool {
        self.bytes >= BATCH_BYTES || self.entries >= BATCH_ENTRIES || self.plans.len() >= 64
    }

    fn take_batch(&mut self) -> Vec<Plan> {
        (self.bytes, self.entries) = (0, 0);
        std::mem::take(&mut self.plans)
    }
}

/// The fingerprint of a database: of its file and of the logs beside it.
pub(super) fn database_fingerprint(file: &LiveFile, own: Fingerprint) -> Fingerprint {
    let mut all = own.0.to_vec();
    for ending in ["-wal", "-journal"] {
        let beside: Option<Stat> = file.side(ending).stat().ok();
        // A log without content says nothing.
        if let Some(stat) = beside.filter(|stat| stat.size > 0) {
            all.extend_from_slice(&stat.fingerprint(&[0; 16]).0);
        }
    }
    Fingerprint::of(&all)
}

/// Whether a database's file or a log beside it was written so near the scan that their stats must
/// not be trusted.
pub(super) fn database_is_racy(file: &LiveFile, own: &Stat, scan_start_ns: i128) -> bool {
    let is_racy = |ending| {
        file.side(ending).stat().is_ok_and(|stat| stat.size > 0 && stat.is_racy(scan_start_ns))
    };
    own.is_racy(scan_start_ns) || is_racy("-wal") || is_racy("-journal")
}
