//! Random histories of a repository against plain copies: whatever was done in whatever order, each
//! snapshot that was not forgotten holds what the source held then. One seed replays one history
//! (`docs/testing.md`, "Random histories").

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jellyvault::backend::{CrashDisk, Disk, Fault, LocalBackend, Survival};
use jellyvault::manifest::{Catalog, Count, Policy, SnapshotId, differences};
use jellyvault::ops::{self, CheckOptions, Forget, MaxUnused, Share};
use jellyvault::progress::Interrupt;
use jellyvault::store::{ChunkReader, Index, IndexMode, RepoConfig, Repository};

use super::rows::Random;
use super::support::*;

const ROOT: &str = "/repo";

/// What a tree on the disk holds, in the words of [`held`], found out without the engine.
fn held_on_disk(root: &Path) -> Held {
    let mut found = Held::new();
    for entry in walkdir::WalkDir::new(root).min_depth(1) {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        let what = if metadata.is_dir() {
            "Directory".to_owned()
        } else {
            blake3::hash(&std::fs::read(entry.path()).unwrap()).to_hex().to_string()
        };
        let path = entry.path().strip_prefix(root).unwrap().to_str().unwrap().as_bytes().to_vec();
        let mtime =
            format!("Time {{ seconds: {}, nanos: {} }}", metadata.mtime(), metadata.mtime_nsec());
        found.insert(path, format!("{:o} {mtime} {what}", metadata.mode() & 0o7777));
    }
    found
}

/// A history under way.
struct History {
    random: Random,
    disk: CrashDisk,
    dir: tempfile::TempDir,
    /// What each snapshot must hold.
    model: BTreeMap<SnapshotId, Held>,
    /// Snapshots by the time that they tell, oldest first.
    order: Vec<(i64, SnapshotId)>,
    marked: Vec<SnapshotId>,
    has_database: bool,
    done: Vec<String>,
    counts: BTreeMap<&'static str, u64>,
}

impl History {
    fn new(seed: u64) -> History {
        let disk = CrashDisk::default();
        disk.create_dir(Path::new(ROOT)).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9) ^ 0x5bd1_e995);
        let config = RepoConfig {
            pack_bytes: 1 << 16,
            parity_permille: if random.below(4) == 0 { 50 } else { 0 },
            ..RepoConfig::new().unwrap()
        };
        Repository::init_with(&LocalBackend::on(Arc::new(disk.clone()), Path::new(ROOT)), &config)
            .unwrap();
        let dir = temp();
        write(dir.path().join("source/always"), "there");
        History {
            random,
            disk,
            dir,
            model: BTreeMap::new(),
            order: Vec::new(),
            marked: Vec::new(),
            has_database: seed.is_multiple_of(5),
            done: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    fn open(&self) -> Repository {
        Repository::open_on_disk(Arc::new(self.disk.clone()), Path::new(ROOT)).unwrap()
    }

    fn change_source(&mut self) {
        let source = self.source();
        for _ in 0..1 + self.random.below(4) {
            let name = source.join(format!("{}/{}", self.random.below(3), self.random.below(6)));
            match self.random.below(6) {
                0 if name.exists() => std::fs::remove_file(&name).unwrap(),
                // Copying it takes longer than all else: one history in five has one.
                1 if self.has_database => {
                    // A database, some rows of it new.
                    let database = rusqlite::Connection::open(source.join("library.db")).unwrap();
                    database.execute_batch("PRAGMA page_size = 512; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN; CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, value BLOB)").unwrap();
                    for _ in 0..self.random.below(40) {
                        let row = (
                            self.random.below(120) as i64,
                            noise(&self.random.next().to_string(), 300),
                        );
                        database.execute("INSERT OR REPLACE INTO t VALUES (?1, ?2)", row).unwrap();
                    }
                    database.execute_batch("COMMIT").unwrap();
                }
                2 => write(&name, format!("text {}", self.random.below(9)).repeat(30)),
                _ => {
                    let len = self.random.below(30_000) as usize;
                    write(
                        &name,
                        [
                            b"\xff\xd8\xff".as_slice(),
                            &noise(&self.random.below(12).to_string(), len),
                        ]
                        .concat(),
                    );
                }
            }
        }
    }

    fn some_snapshot(&mut self) -> Option<SnapshotId> {
        let at = self.random.below(self.model.len() as u64) as usize;
        self.model.keys().nth(at).copied()
    }

    fn acknowledge(&mut self, report: &ops::SnapshotReport, held: Held) {
        let id = report.id.unwrap();
        self.model.insert(id, held);
        self.order.push((report.record.time_ns, id));
    }

    fn drop_from_model(&mut self, ids: &[SnapshotId]) {
        self.model.retain(|id, _| !ids.contains(id));
        self.order.retain(|(_, id)| !ids.contains(id));
        self.marked.retain(|id| !ids.contains(id));
    }

    /// The repository holds exactly what the model holds.
    fn agrees(&self) {
        let repository = self.open();
        let catalog = Catalog::load(&repository).unwrap();
        assert!(catalog.damaged.is_empty());
        let found: BTreeMap<_, _> =
            catalog.snapshots.iter().map(|(id, record)| (*id, held(&repository, record))).collect();
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            self.model.keys().collect::<Vec<_>>(),
            "the list of snapshots"
        );
        assert!(found == self.model, "a snapshot does not hold what the source held");
    }

    fn step(&mut self) {
        let interrupt = Interrupt::default();
        let name = match self.random.below(26) {
            0..=8 => {
                self.change_source();
                let held = held_on_disk(&self.source());
                let report = capture(&self.open(), &self.source()).unwrap();
                assert!(report.record.problems.is_empty(), "{:?}", report.record.problems);
                self.acknowledge(&report, held);
                "capture"
            }
            9 | 10 => {
                // A step that needs a snapshot is none where there is none yet, and is not counted.
                let Some(id) = self.some_snapshot() else { return };
                let outcome = ops::plan_forget(
                    &self.open(),
                    &Catalog::load(&self.open()).unwrap(),
                    &Forget::These(vec![id]),
                    &jiff::tz::TimeZone::UTC,
                    &watch(&interrupt),
                );
                if self.marked.contains(&id) {
                    assert!(outcome.is_err(), "a snapshot that is marked was given up");
                } else {
                    ops::forget(&self.open(), &outcome.unwrap().dropped()).unwrap();
                    self.drop_from_model(&[id]);
                }
                "forget one"
            }
            11 => {
                let keep = 1 + self.random.below(3) as usize;
                let policy = Policy { last: Some(Count::Newest(keep as u32)), ..Policy::default() };
                let repository = self.open();
                let catalog = Catalog::load(&repository).unwrap();
                let planned = ops::plan_forget(
                    &repository,
                    &catalog,
                    &Forget::By(policy),
                    &jiff::tz::TimeZone::UTC,
                    &watch(&interrupt),
                )
                .unwrap()
                .dropped();
                // Imported ones are another instance's: they are judged for themselves.
                let instances: BTreeMap<_, _> = catalog
                    .snapshots
                    .iter()
                    .map(|(id, record)| (*id, record.source.key.clone()))
                    .collect();
                let mut wanted = Vec::new();
                for key in instances.values().collect::<std::collections::BTreeSet<_>>() {
                    let mut of: Vec<_> = self
                        .order
                        .iter()
                        .filter(|(_, id)| instances[id] == *key)
                        .copied()
                        .collect();
                    of.sort_unstable();
                    let goes = of.len().saturating_sub(keep);
                    wanted.extend(
                        of.iter()
                            .take(goes)
                            .map(|(_, id)| *id)
                            .filter(|id| !self.marked.contains(id)),
                    );
                }
                wanted.sort_unstable();
                assert_eq!(planned, wanted, "what --keep-last {keep} forgets");
                ops::forget(&repository, &planned).unwrap();
                self.drop_from_model(&planned);
                "forget by rule"
            }
            12..=15 => {
                let max = [
                    MaxUnused::Percent(0.0),
                    MaxUnused::Percent(5.0),
                    MaxUnused::Percent(40.0),
                    MaxUnused::Unlimited,
                ][self.random.below(4) as usize];
                let report = match prune_to(&self.open(), max) {
                    // Packs of a killed capture, and no snapshot that ever was: nobody can say that
                    // they are not needed.
                    Err(ops::Error::Refused { .. }) if self.model.is_empty() => return,
                    outcome => outcome.unwrap(),
                };
                assert!(report.problems.is_empty() && report.needed_again == 0, "{report:?}");
                if max == MaxUnused::Percent(0.0) {
                    let again =
                        ops::PruneOptions { max_unused: max, dry_run: true, ..Default::default() };
                    let left = ops::prune(&self.open(), &again, &watch(&interrupt)).unwrap().plan;
                    assert_eq!(
                        left.dropped, 0,
                        "nothing is left to remove after a prune: {left:?}"
                    );
                }
                "prune"
            }
            16 => {
                let read = [Share::Nothing, Share::All, Share::Percent(30.0)]
                    [self.random.below(3) as usize];
                let report = ops::check(
                    &self.open(),
                    &CheckOptions { read, threads: 1 },
                    &watch(&interrupt),
                )
                .unwrap();
                // The index may have been damaged a step ago, which is told.
                // So is a snapshot whose capture was killed between its record and its link, and a
                // pack whose parity had no time.
                let may_lack =
                    |name: &str| name.starts_with("snapshots/") || name.ends_with(".parity");
                let is_told = |name: &str| {
                    name == "index.redb"
                        || (self.done.iter().any(|step| step == "killed") && may_lack(name))
                };
                let is_fine = report.findings.iter().all(|finding| is_told(&finding.name))
                    && report.damage_count == 0;
                assert!(is_fine, "{:?} {:?}", report.findings, report.damage);
                "check"
            }
            17 | 18 => {
                // Not counted without a snapshot, as above.
                let Some(id) = self.some_snapshot() else { return };
                let repository = self.open();
                let catalog = Catalog::load(&repository).unwrap();
                let snapshot = catalog.snapshots.iter().find(|(known, _)| *known == id).unwrap();
                if snapshot.1.source.key.starts_with("zip-") {
                    return;
                }
                let out = temp();
                let report = restore_to(&repository, snapshot, out.path()).unwrap();
                assert!(report.problems.is_empty(), "{:?}", report.problems);
                assert!(
                    held_on_disk(out.path()) == self.model[&id],
                    "what was restored is not what was captured"
                );
                "restore"
            }
            19 => {
                let (Some(a), Some(b)) = (self.some_snapshot(), self.some_snapshot()) else {
                    return;
                };
                self.diff(a, b);
                "diff"
            }
            20 | 21 => {
                let bytes = [None, Some(Vec::new()), Some(b"no database".to_vec())]
                    [self.random.below(3) as usize]
                    .clone();
                self.disk.put(&Path::new(ROOT).join("index.redb"), bytes);
                "index gone"
            }
            22 | 23 => {
                self.killed();
                "killed"
            }
            24 => {
                let report = repair_all(&self.open()).unwrap();
                assert_eq!(report.lost_count, 0, "{report:?}");
                "repair"
            }
            _ => {
                // Not counted without a snapshot, as above.
                let Some(id) = self.some_snapshot() else { return };
                let is_kept = self.random.below(2) == 0;
                ops::keep(&self.open(), &[id], is_kept).unwrap();
                self.marked.retain(|marked| *marked != id);
                if is_kept {
                    self.marked.push(id);
                }
                "keep"
            }
        };
        *self.counts.entry(name).or_default() += 1;
        self.done.push(name.to_owned());
    }

    /// The paths that differ, against the difference of the two models.
    fn diff(&self, a: SnapshotId, b: SnapshotId) {
        let repository = self.open();
        let catalog = Catalog::load(&repository).unwrap();
        let root = |id: SnapshotId| {
            catalog
                .snapshots
                .iter()
                .find(|(known, _)| *known == id)
                .unwrap()
                .1
                .category("other")
                .map(|category| category.manifest)
        };
        let index = Index::open(&repository, IndexMode::Use).unwrap();
        let differing = |scope: Option<&[Vec<u8>]>| {
            let reader = || ChunkReader::new(&repository, &index);
            let mut differing = Vec::new();
            let told = differences(
                (&mut reader(), root(a)),
                (&mut reader(), root(b)),
                scope,
                |difference| -> Result<(), jellyvault::manifest::Error> {
                    differing.push(difference.before.or(difference.after).unwrap().path);
                    Ok(())
                },
            );
            told.unwrap();
            differing
        };
        let mut all = differing(None);
        let (a, b) = (&self.model[&a], &self.model[&b]);
        let mut expected: Vec<_> =
            a.keys().chain(b.keys()).filter(|path| a.get(*path) != b.get(*path)).cloned().collect();
        expected.sort();
        expected.dedup();
        // Of a folder, and of a file, what is told is what is told of all.
        for wanted in expected.iter().take(3) {
            let folder = jellyvault::manifest::parent(wanted).unwrap_or(wanted).to_vec();
            for scope in [folder, wanted.clone()] {
                let is_within = |path: &Vec<u8>| jellyvault::manifest::is_within(path, &scope);
                let mut told = differing(Some(std::slice::from_ref(&scope)));
                told.retain(is_within);
                let within: Vec<_> = all.iter().filter(|path| is_within(path)).cloned().collect();
                assert_eq!(told, within);
            }
        }
        all.sort();
        // Entries know more than the model does: owners, links. What the model sees differ must
        // differ.
        assert!(expected.iter().all(|path| all.contains(path)), "a difference was not told");
    }

    /// Something is killed at some call; what it was not done with may be there or not.
    fn killed(&mut self) {
        self.change_source();
        let held = held_on_disk(&self.source());
        let at = self.random.below(70) as usize;
        let victim = self.random.below(3);
        let goes = self.some_snapshot().filter(|id| !self.marked.contains(id));
        self.disk.arm(at, Fault::Crash);
        // Opening may fail as well: the power is gone.
        let outcome = match (
            Repository::open_on_disk(Arc::new(self.disk.clone()), Path::new(ROOT)),
            victim,
            goes,
        ) {
            (Err(_), ..) => None,
            (Ok(repository), 0, _) => capture(&repository, &self.source()).ok().map(Some),
            (Ok(repository), 1, Some(id)) => ops::forget(&repository, &[id]).ok().map(|()| None),
            (Ok(repository), ..) => {
                prune_to(&repository, MaxUnused::Percent(0.0)).ok().map(|_| None)
            }
        };
        let survival = if self.random.below(2) == 0 {
            Survival::All
        } else {
            Survival::Some(self.random.next())
        };
        self.disk = self.disk.after_crash(survival);
        let repository = self.open();
        let here = Catalog::load(&repository).unwrap();
        match (outcome, victim, goes) {
            (Some(Some(report)), ..) => self.acknowledge(&report, held),
            (Some(None), 1, Some(id)) => self.drop_from_model(&[id]),
            (None, 0, _) => {
                // It may have come as far as its record.
                for (id, record) in &here.snapshots {
                    if !self.model.contains_key(id) {
                        self.model.insert(*id, held.clone());
                        self.order.push((record.time_ns, *id));
                    }
                }
            }
            (None, 1, Some(id)) => {
                // Dropped, or not, or to be dropped by whoever forgets or prunes next: that is done
                // now.
                ops::forget(&repository, &[]).unwrap();
                let is_gone = !Catalog::ids(&repository).unwrap().contains(&id);
                self.drop_from_model(if is_gone { std::slice::from_ref(&id) } else { &[] });
            }
            _ => {}
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn random_histories_agree_with_plain_copies() {
    let (first, histories, steps) = (
        number("JELLYVAULT_MODEL_SEED", 1),
        number("JELLYVAULT_MODEL_HISTORIES", 2000),
        number("JELLYVAULT_MODEL_STEPS", 6),
    );
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in first..first + histories {
        let mut history = History::new(seed);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..steps {
                history.step();
            }
            history.agrees();
            // What was cut off is finished by the next capture and prune; then all is clean.
            let held = held_on_disk(&history.source());
            let report = capture(&history.open(), &history.source()).unwrap();
            history.acknowledge(&report, held);
            prune_to(&history.open(), MaxUnused::Percent(0.0)).unwrap();
            history.agrees();
            assert_clean(&history.open(), "at the end");
        }));
        if let Err(panic) = outcome {
            println!(
                "JELLYVAULT_MODEL_SEED={seed} JELLYVAULT_MODEL_HISTORIES=1 JELLYVAULT_MODEL_STEPS={steps} replays this: {:?}",
                history.done
            );
            std::panic::resume_unwind(panic);
        }
        for (name, count) in history.counts {
            *counts.entry(name).or_default() += count;
        }
    }
    println!("{histories} histories of {steps} steps: {counts:?}");
    assert!(histories < 100 || counts.len() >= 10, "{counts:?}");
}
