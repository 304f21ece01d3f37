//! Power cuts, full disks and I/O errors at every changing call of everything that writes: what was
//! acknowledged is there and whole, nothing half is listed, the next capture and prune succeed, and
//! check is clean. The disk is simulated, with packs, records and the index on it
//! (`docs/testing.md`, "Crashes").

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jellyvault::backend::{CrashDisk, Disk, Fault, LocalBackend, Recording, Survival};
use jellyvault::manifest::{Catalog, SnapshotId};
use jellyvault::ops::{self, MaxUnused};
use jellyvault::progress::Monitor;
use jellyvault::store::{RepoConfig, Repository, pack_id};

use super::support::*;

const ROOT: &str = "/repo";

fn empty_disk() -> CrashDisk {
    let disk = CrashDisk::default();
    disk.create_dir(Path::new(ROOT)).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

/// Small packs, so that there are some; with parity, so that its files are written too.
fn settings() -> RepoConfig {
    RepoConfig { pack_bytes: 1 << 16, parity_permille: 30, ..RepoConfig::new().unwrap() }
}

fn init(disk: &CrashDisk) {
    Repository::init_with(&LocalBackend::on(Arc::new(disk.clone()), Path::new(ROOT)), &settings())
        .unwrap();
}

fn open(disk: &CrashDisk) -> Repository {
    Repository::open_on_disk(Arc::new(disk.clone()), Path::new(ROOT)).unwrap()
}

/// States of one source, on the real disk: `before`, `other`, which shares nothing with it, and
/// `after`.
struct Sources {
    dir: tempfile::TempDir,
    /// Where one of them lies at a time.
    live: PathBuf,
}

impl Sources {
    /// Makes the source be in a state.
    fn put(&self, state: &str) -> &Path {
        if self.live.exists() {
            std::fs::remove_dir_all(&self.live).unwrap();
        }
        copy_tree(&self.dir.path().join(state), &self.live);
        &self.live
    }
}

fn jpeg(seed: &str, len: usize) -> Vec<u8> {
    [b"\xff\xd8\xff".as_slice(), &noise(seed, len)].concat()
}

/// A database of 4-KiB pages of which those with `seed` are new.
fn database(pages: usize, changed: impl Fn(usize) -> bool, seed: &str) -> Vec<u8> {
    let mut bytes = [b"SQLite format 3\0\x10\0".as_slice(), &vec![7; 4096 - 18]].concat();
    for page in 1..pages {
        let seed = if changed(page) { format!("{seed} {page}") } else { format!("page {page}") };
        bytes.extend_from_slice(&noise(&seed, 4096));
    }
    bytes
}

fn sources() -> Sources {
    let dir = temp();
    let (before, other, after) =
        (dir.path().join("before"), dir.path().join("other"), dir.path().join("after"));
    write(other.join("alone.jpg"), jpeg("alone", 70_000));
    write(other.join("alone.db"), database(10, |_| true, "alone"));
    for (root, name, is_after) in [(&before, "before", false), (&after, "after", true)] {
        write(root.join("a.txt"), format!("text {name}"));
        write(root.join("b/c.jpg"), jpeg("c", 30_000));
        write(root.join(format!("b/{name}.jpg")), jpeg(name, 90_000));
        // Most of its pages change: an extent of the first state is left with few that are needed.
        write(root.join("library.db"), database(100, |page| is_after && page % 10 != 0, "new"));
    }
    let_settle();
    Sources { live: dir.path().join("live"), dir }
}

/// What must be true after any crash.
struct Promise<'a> {
    /// Snapshots that were acknowledged, and what they hold.
    whole: &'a BTreeMap<SnapshotId, Held>,
    /// Those that the work under way may have dropped.
    may_go: &'a [SnapshotId],
    /// What snapshots that it may have made can hold.
    may_come: &'a [Held],
}

impl Promise<'_> {
    /// Opens what a crash left, and looks at all of it; then goes on with it as a user would.
    fn holds(&self, disk: CrashDisk, source: &Path, when: &str) {
        let repository = open(&disk);
        let found = check_all(&repository).findings;
        // Half an index would be told as damage, and people would look for a broken disk.
        assert!(found.iter().all(|finding| finding.name != "index.redb"), "{when}: {found:?}");
        self.is_listed(&repository, when);
        let taken = capture(&repository, source).unwrap_or_else(|error| {
            panic!("{when}: the next capture: {}", jellyvault_text(&error))
        });
        drop(repository);
        let repository = open(&disk);
        prune_to(&repository, MaxUnused::Percent(0.0))
            .unwrap_or_else(|error| panic!("{when}: the next prune: {}", jellyvault_text(&error)));
        drop(repository);
        let repository = open(&disk);
        self.is_listed(&repository, when);
        assert!(
            Catalog::load(&repository)
                .unwrap()
                .snapshots
                .iter()
                .any(|(id, _)| Some(*id) == taken.id),
            "{when}: the next snapshot is not listed"
        );
        assert_clean(&repository, when);
    }

    fn is_listed(&self, repository: &Repository, when: &str) {
        let catalog = Catalog::load(repository).unwrap();
        assert!(catalog.damaged.is_empty(), "{when}: {:?}", catalog.damaged);
        let mut left: Vec<_> = self.whole.keys().filter(|id| !self.may_go.contains(id)).collect();
        for (id, record) in &catalog.snapshots {
            let found = held(repository, record);
            left.retain(|wanted| *wanted != id);
            match self.whole.get(id) {
                Some(wanted) => assert_eq!(found, *wanted, "{when}: snapshot {id}"),
                None => assert!(
                    self.may_come.contains(&found),
                    "{when}: snapshot {id} is none that was taken"
                ),
            }
        }
        assert!(left.is_empty(), "{when}: acknowledged snapshots are gone: {left:?}");
    }
}

/// How a crash may leave the disk, at a number of calls: nothing of what was not synced, all of it,
/// names without bytes, and two random parts. `JELLYVAULT_CRASH_SEED` shifts the random ones.
fn survivals(at: usize) -> Vec<Survival> {
    let shift: u64 =
        std::env::var("JELLYVAULT_CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let seed = |n: u64| Survival::Some(shift << 32 | (at as u64) << 8 | n);
    vec![Survival::Nothing, Survival::All, Survival::NamesOnly, seed(0), seed(1)]
}

fn each_crash(name: &str, recording: &Recording, promise: &Promise<'_>, source: &Path) {
    let mut states = 0;
    recording.each_crash(survivals, |at, survival, disk| {
        states += 1;
        promise.holds(
            disk,
            source,
            &format!("{name}, cut off after {at} of {} calls, {survival:?}", recording.calls()),
        );
    });
    println!("{name}: {} calls, {states} states after a crash", recording.calls());
    assert!(recording.calls() > 5, "only {} calls were met", recording.calls());
}

/// A repository with three states captured, and what its snapshots hold.
struct World {
    disk: CrashDisk,
    whole: BTreeMap<SnapshotId, Held>,
}

fn world(sources: &Sources) -> World {
    let disk = empty_disk();
    init(&disk);
    for state in ["before", "other", "after"] {
        capture(&open(&disk), sources.put(state)).unwrap();
    }
    let whole = all_held(&disk);
    World { disk, whole }
}

fn all_held(disk: &CrashDisk) -> BTreeMap<SnapshotId, Held> {
    let repository = open(disk);
    Catalog::load(&repository)
        .unwrap()
        .snapshots
        .iter()
        .map(|(id, record)| (*id, held(&repository, record)))
        .collect()
}

#[test]
fn a_crash_at_any_call_of_init_leaves_a_repository_or_none() {
    let sources = sources();
    let disk = empty_disk();
    disk.record();
    init(&disk);
    let recording = disk.recorded();
    let nothing = BTreeMap::new();
    let held = held_by(sources.put("before"));
    let promise = Promise { whole: &nothing, may_go: &[], may_come: &[] };
    let (mut states, mut without) = (0, 0);
    recording.each_crash(survivals, |at, survival, disk| {
        states += 1;
        let is_there = ["repo.toml", "repo.copy.toml"]
            .iter()
            .any(|name| disk.size(&Path::new(ROOT).join(name)).is_ok());
        if !is_there {
            without += 1;
            init(&disk);
        }
        Promise { may_come: std::slice::from_ref(&held), ..promise }.holds(
            disk,
            &sources.live,
            &format!("init, cut off after {at} calls, {survival:?}"),
        );
    });
    println!(
        "init: {} calls, {states} states after a crash, {without} of them without a repository",
        recording.calls()
    );
    assert!(without > 0 && without < states);
}

/// What a snapshot of a source holds.
fn held_by(source: &Path) -> Held {
    let disk = empty_disk();
    init(&disk);
    capture(&open(&disk), source).unwrap();
    all_held(&disk).into_values().next().unwrap()
}

#[test]
fn a_crash_at_any_call_of_a_capture_leaves_all_that_was_acknowledged() {
    let sources = sources();
    let disk = empty_disk();
    init(&disk);
    let (after, before) = (held_by(sources.put("after")), held_by(sources.put("before")));
    disk.record();
    capture(&open(&disk), &sources.live).unwrap();
    let first = disk.recorded();
    let nothing = BTreeMap::new();
    each_crash(
        "first capture",
        &first,
        &Promise { whole: &nothing, may_go: &[], may_come: std::slice::from_ref(&before) },
        &sources.live,
    );
    let whole = all_held(&disk);
    disk.record();
    capture(&open(&disk), sources.put("after")).unwrap();
    let second = disk.recorded();
    each_crash(
        "second capture",
        &second,
        &Promise { whole: &whole, may_go: &[], may_come: &[before, after] },
        &sources.live,
    );
}

#[test]
fn a_crash_at_any_call_of_forget_and_prune_leaves_all_that_was_not_forgotten() {
    let sources = sources();
    let World { disk, whole } = world(&sources);
    let goes: Vec<_> = whole.keys().take(2).copied().collect();
    let after = whole.values().last().unwrap().clone();
    disk.record();
    ops::forget(&open(&disk), &goes).unwrap();
    let forget = disk.recorded();
    let promise = Promise { whole: &whole, may_go: &goes, may_come: &[after] };
    each_crash("forget", &forget, &promise, &sources.live);
    disk.record();
    let report = prune_to(&open(&disk), MaxUnused::Percent(0.0)).unwrap();
    let prune = disk.recorded();
    assert!(report.plan.dropped > 0 && report.plan.rewritten > 1 && report.freed > 0, "{report:?}");
    each_crash("prune", &prune, &promise, &sources.live);
}

#[test]
fn a_crash_at_any_call_of_repair_leaves_what_was_whole_and_the_next_repair_ends() {
    let sources = sources();
    let World { disk, whole } = world(&sources);
    // One pack loses more than its parity can mend, another a little; the index is gone.
    let sizes: BTreeMap<_, _> =
        packs_of(&disk).iter().map(|path| (disk.size(path).unwrap(), path.clone())).collect();
    let (smallest, largest) = (sizes.values().next().unwrap(), sizes.values().last().unwrap());
    let mut bytes = disk.files()[largest].clone();
    let middle = bytes.len() / 2;
    bytes[middle - 20_000..middle + 20_000].fill(0);
    disk.put(largest, Some(bytes));
    let mut bytes = disk.files()[smallest].clone();
    bytes[40] ^= 1;
    disk.put(smallest, Some(bytes));
    disk.put(&Path::new(ROOT).join("index.redb"), None);
    disk.record();
    let report = repair_all(&open(&disk)).unwrap();
    let recording = disk.recorded();
    assert!(report.mended.iter().any(|mended| mended.what.contains("parity")), "{report:?}");
    assert_clean(&open(&disk), "after repair");
    let mut states = 0;
    recording.each_crash(survivals, |at, survival, disk| {
        states += 1;
        let when =
            format!("repair, cut off after {at} of {} calls, {survival:?}", recording.calls());
        repair_all(&open(&disk))
            .unwrap_or_else(|error| panic!("{when}: the next repair: {}", jellyvault_text(&error)));
        assert_clean(&open(&disk), &when);
        // The source has all that was lost: nothing is given up, whenever it was cut off.
        let found: Vec<_> = all_held(&disk).into_values().collect();
        let wanted: Vec<_> = whole.values().cloned().collect();
        assert!(
            wanted.iter().all(|held| found.contains(held) || report.lost_count > 0),
            "{when}: a snapshot is not what it was"
        );
        capture(&open(&disk), &sources.live).unwrap();
        prune_to(&open(&disk), MaxUnused::Percent(0.0)).unwrap();
        assert_clean(&open(&disk), &when);
    });
    println!("repair: {} calls, {states} states after a crash", recording.calls());
}

#[test]
fn a_crash_at_any_call_of_an_import_leaves_it_whole_or_not_there() {
    let dir = temp();
    let sources = sources();
    let zips = two_zips(dir.path());
    let disk = empty_disk();
    init(&disk);
    super::import::import(&open(&disk), &zips[0]).unwrap();
    let whole = all_held(&disk);
    disk.record();
    super::import::import(&open(&disk), &zips[1]).unwrap();
    let recording = disk.recorded();
    let second = all_held(&disk).into_iter().find(|(id, _)| !whole.contains_key(id)).unwrap().1;
    let next = held_by(sources.put("before"));
    each_crash(
        "import",
        &recording,
        &Promise { whole: &whole, may_go: &[], may_come: &[second, next] },
        &sources.live,
    );
}

pub fn two_zips(dir: &Path) -> [PathBuf; 2] {
    ["first", "second"].map(|name| {
        let zip = dir.join(format!("{name}.zip"));
        let changed = super::import::backup(|files| {
            files.insert(format!("Config/{name}.xml"), noise(name, 3000));
            let people = String::from_utf8(files["Database/Peoples.json"].clone()).unwrap();
            files.insert(
                "Database/Peoples.json".to_owned(),
                people.replacen("\"Name\":\"", &format!("\"Name\":\"{name} "), 1).into_bytes(),
            );
            files.retain(|file, _| !file.starts_with("Root/default/"));
        });
        write(&zip, changed);
        zip
    })
}

#[test]
fn a_snapshot_that_is_taken_while_prune_is_at_it_keeps_what_it_needs() {
    let sources = sources();
    let World { disk, whole } = world(&sources);
    let goes: Vec<_> = whole.keys().take(2).copied().collect();
    ops::forget(&open(&disk), &goes).unwrap();
    // Both states that were forgotten come back once the plan to remove what they need is made.
    let capture_again = Capturing { disk: disk.clone(), sources };
    let options = ops::PruneOptions { max_unused: MaxUnused::Percent(0.0), ..Default::default() };
    let report = ops::prune(&open(&disk), &options, &Monitor::new(capture_again)).unwrap();
    assert!(
        report.plan.dropped + report.plan.rewritten > 0 && report.needed_again > 0,
        "{report:?}"
    );
    let found: Vec<_> = all_held(&disk).into_values().collect();
    assert_eq!(found.len(), 3);
    assert!(whole.values().all(|held| found.contains(held)), "a snapshot is not what was captured");
    assert_clean(&open(&disk), "after a prune beside captures");
}

/// Lets one call of some work fail, each in turn: it says so or has done its work, and what is then
/// on the disk keeps the promise. The work tells whether it reported a problem.
fn each_fault(
    name: &str,
    disk: &CrashDisk,
    fault: Fault,
    promise: &Promise<'_>,
    source: &Path,
    work: impl Fn(&CrashDisk) -> Result<bool, ops::Error>,
) {
    let mut at = 0;
    let mut failed = 0;
    loop {
        let disk = disk.copy();
        disk.arm(at, fault);
        let outcome = work(&disk);
        let met_the_end = disk.calls() <= at;
        failed += usize::from(!matches!(outcome, Ok(false)));
        if let Err(error) = &outcome {
            let text = jellyvault_text(error);
            assert!(text.contains("repository") || text.contains("index.redb"), "{name}: {text}");
        }
        disk.disarm();
        if name == "repair" {
            // What it was to mend may not be mended yet.
            repair_all(&open(&disk)).unwrap();
        }
        promise.holds(disk, source, &format!("{name}, {fault:?} at call {at}"));
        at += 1;
        if met_the_end {
            break;
        }
    }
    println!("{name}: {fault:?} at each of {at} calls, told {failed} times");
    assert!(at > 5 && failed > 0, "{name}: {at} calls, {failed} told");
}

fn each_fault_of_all(fault: Fault) {
    let sources = sources();
    let World { disk, whole } = world(&sources);
    let goes: Vec<_> = whole.keys().take(2).copied().collect();
    let after = whole.values().last().unwrap().clone();
    let promise = Promise { whole: &whole, may_go: &goes, may_come: std::slice::from_ref(&after) };
    let small = empty_disk();
    init(&small);
    capture(&open(&small), sources.put("before")).unwrap();
    let small_whole = all_held(&small);
    sources.put("after");
    let of_capture = Promise {
        whole: &small_whole,
        may_go: &[],
        may_come: &[after.clone(), small_whole.values().next().unwrap().clone()],
    };
    each_fault("capture", &small, fault, &of_capture, &sources.live, |disk| {
        capture(&open(disk), &sources.live).map(|_| false)
    });
    each_fault("forget", &disk, fault, &promise, &sources.live, |disk| {
        ops::forget(&open(disk), &goes).map(|()| false)
    });
    ops::forget(&open(&disk), &goes).unwrap();
    each_fault("prune", &disk, fault, &promise, &sources.live, |disk| {
        prune_to(&open(disk), MaxUnused::Percent(0.0)).map(|report| !report.problems.is_empty())
    });
    disk.put(&Path::new(ROOT).join("index.redb"), Some(b"damaged".to_vec()));
    let pack = packs_of(&disk).into_iter().next().unwrap();
    let mut bytes = disk.files()[&pack].clone();
    bytes[40] ^= 1;
    disk.put(&pack, Some(bytes));
    each_fault("repair", &disk, fault, &promise, &sources.live, |disk| {
        repair_all(&open(disk)).map(|_| false)
    });
}

fn packs_of(disk: &CrashDisk) -> Vec<PathBuf> {
    disk.files()
        .into_keys()
        .filter(|path| pack_id(path.strip_prefix(ROOT).unwrap().to_str().unwrap()).is_some())
        .collect()
}

#[test]
fn an_input_output_error_at_any_call_is_told_and_the_next_run_succeeds() {
    each_fault_of_all(Fault::InputOutput);
}

#[test]
fn a_full_disk_at_any_call_is_told_and_the_next_run_succeeds() {
    each_fault_of_all(Fault::DiskFull);
}

#[test]
fn an_import_is_whole_or_not_there_after_a_fault_at_any_call() {
    let dir = temp();
    let sources = sources();
    let zips = two_zips(dir.path());
    let disk = empty_disk();
    init(&disk);
    super::import::import(&open(&disk), &zips[0]).unwrap();
    let whole = all_held(&disk);
    let complete = disk.copy();
    super::import::import(&open(&complete), &zips[1]).unwrap();
    let second = all_held(&complete).into_iter().find(|(id, _)| !whole.contains_key(id)).unwrap().1;
    let promise =
        Promise { whole: &whole, may_go: &[], may_come: &[second, held_by(sources.put("before"))] };
    for fault in [Fault::InputOutput, Fault::DiskFull] {
        each_fault("import", &disk, fault, &promise, &sources.live, |disk| {
            super::import::import(&open(disk), &zips[1]).map(|_| false)
        });
    }
}

fn jellyvault_text(error: &jellyvault::ops::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

#[test]
fn a_killed_capture_leaves_nothing_to_clean_and_its_packs_are_used() {
    let dir = temp();
    let source = dir.path().join("source");
    for n in 0..400 {
        write(
            source.join(format!("{n}.jpg")),
            [b"\xff\xd8\xff".as_slice(), &noise(&n.to_string(), 200_000)].concat(),
        );
    }
    let program = Program::new();
    for wait_ms in [15, 30, 45, 60, 90, 120, 200] {
        let mut child = program
            .command(&["snapshot", "--plain", source.to_str().unwrap()])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait_ms));
        child.kill().unwrap();
        child.wait().unwrap();
        if program.repo.join("repo.toml").exists() {
            let (list, code) = program.json(&["list"]);
            assert_eq!(code, 0, "after {wait_ms} ms: {list}");
        }
    }
    let (report, code) = program.json(&["snapshot", "--plain", source.to_str().unwrap()]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["files"]["total"], 400);
    let leftovers: Vec<_> = walkdir::WalkDir::new(&program.repo)
        .into_iter()
        .map(Result::unwrap)
        .filter(|e| e.file_name().to_string_lossy().starts_with(".tmp-"))
        .collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert_same_trees(&facts(&source, &|_| false), &facts(&out, &|_| false));
    // What the killed runs stored was used: the repository holds the content about once.
    let (stats, _) = program.json(&["stats"]);
    assert!(stats["stats"]["pack_bytes"].as_u64().unwrap() < 90_000_000, "{stats}");
}

/// Takes snapshots once it knows what is going to be removed.
struct Capturing {
    disk: CrashDisk,
    sources: Sources,
}

impl jellyvault::progress::Progress for Capturing {
    fn phase(&self, _: jellyvault::progress::Phase, _: u64, _: u64) {}
    fn advance(&self, _: u64, _: u64) {}
    fn problem(&self, _: &jellyvault::progress::Problem) {}
    fn prune_plan(&self, _: &jellyvault::progress::PlanSummary) {
        for state in ["before", "other"] {
            capture(&open(&self.disk), self.sources.put(state)).unwrap();
        }
    }
}
