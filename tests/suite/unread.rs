//! A disk that does not give bytes says nothing of them: whatever a command was at when a read
//! failed, no snapshot changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jellyvault::backend::{CrashDisk, Disk, LocalBackend};
use jellyvault::manifest::{Catalog, SnapshotId};
use jellyvault::ops::{self, ExportKind, ExportOptions, Forget, MaxUnused};
use jellyvault::progress::Monitor;
use jellyvault::store::{RepoConfig, Repository, pack_id, read_trailer};

use needs::needs;

use super::support::*;

const ROOT: &str = "/repo";

fn open(disk: &CrashDisk) -> Repository {
    Repository::open_on_disk(Arc::new(disk.clone()), Path::new(ROOT)).unwrap()
}

type Whole = BTreeMap<SnapshotId, Held>;

/// A repository with a listed file (more pieces than an entry holds), a database with two recipes,
/// and many files.
fn repository(parity_permille: u32) -> (CrashDisk, Whole, tempfile::TempDir) {
    let disk = CrashDisk::default();
    disk.create_dir(Path::new(ROOT)).unwrap();
    let config = RepoConfig { parity_permille, ..RepoConfig::new().unwrap() };
    Repository::init_with(&LocalBackend::on(Arc::new(disk.clone()), Path::new(ROOT)), &config)
        .unwrap();
    let dir = temp();
    let source = dir.path().join("source");
    let database = |seed: u8| {
        [b"SQLite format 3\0\x02\0".as_slice(), &noise("pages", 512 * 40 - 19), &[seed]].concat()
    };
    write(source.join("large.bin"), noise("large", 4 << 20));
    write(source.join("text.xml"), "<a>some text</a>");
    for seed in [1, 2, 3] {
        write(source.join("d.db"), database(seed));
        write(
            source.join(format!("{seed}.jpg")),
            [b"\xff\xd8\xff".as_slice(), &noise("picture", 900 + usize::from(seed))].concat(),
        );
        capture(&open(&disk), &source).unwrap();
    }
    std::fs::remove_dir_all(&source).unwrap();
    let repository = open(&disk);
    let whole = Catalog::load(&repository)
        .unwrap()
        .snapshots
        .iter()
        .map(|(id, record)| (*id, held(&repository, record)))
        .collect();
    (disk, whole, dir)
}

/// Every extent, and every trailer: (file, bytes).
fn parts(disk: &CrashDisk) -> Vec<(PathBuf, std::ops::Range<u64>)> {
    let repository = open(disk);
    let mut parts = Vec::new();
    for listed in repository.backend().list("packs/").unwrap() {
        let Some(id) = pack_id(&listed.name) else { continue };
        let path = Path::new(ROOT).join(&listed.name);
        let trailer =
            read_trailer(repository.backend(), repository.sealer(), &listed, &id).unwrap();
        let end = trailer
            .extents
            .iter()
            .map(|row| row.offset + u64::from(row.stored_bytes))
            .max()
            .unwrap();
        parts.extend(
            trailer
                .extents
                .iter()
                .map(|row| (path.clone(), row.offset..row.offset + u64::from(row.stored_bytes))),
        );
        parts.push((path, end..listed.size_bytes));
    }
    parts
}

fn repair(repository: &Repository, quick: bool) -> Result<u64, ops::Error> {
    let options = ops::RepairOptions {
        quick,
        dry_run: false,
        add_parity: None,
        give_up_missing: false,
        threads: 1,
        ..Default::default()
    };
    ops::repair(repository, &options, &Monitor::default()).map(|report| report.lost_count)
}

fn forget_oldest(repository: &Repository) -> Result<u64, ops::Error> {
    let catalog = Catalog::load(repository).map_err(ops::Error::from)?;
    let forget = Forget::These(catalog.snapshots.iter().take(1).map(|(id, _)| *id).collect());
    let plan = ops::plan_forget(
        repository,
        &catalog,
        &forget,
        &jiff::tz::TimeZone::UTC,
        &Monitor::default(),
    )?;
    ops::forget(repository, &plan.dropped())?;
    Ok(0)
}

/// The commands; each tells how many entries it calls lost.
type Command = Box<dyn Fn(&Repository) -> Result<u64, ops::Error>>;

fn commands(dir: &Path) -> Vec<(&'static str, Command)> {
    let zip = super::crash::two_zips(dir)[0].clone();
    let out = dir.join("out.zip");
    vec![
        ("repair", Box::new(|repository| repair(repository, false))),
        ("repair --quick", Box::new(|repository| repair(repository, true))),
        ("prune", Box::new(|repository| prune_to(repository, MaxUnused::Percent(0.0)).map(|_| 0))),
        ("forget", Box::new(forget_oldest)),
        (
            "check",
            Box::new(|repository| {
                ops::check(repository, &Default::default(), &Monitor::default()).map(|_| 0)
            }),
        ),
        (
            "import",
            Box::new(move |repository| {
                ops::import(repository, &zip, &super::import::import_options(), &Monitor::default())
                    .map(|_| 0)
            }),
        ),
        (
            "export",
            Box::new(move |repository| {
                let options = ExportOptions {
                    kind: ExportKind::Tables,
                    only: Vec::new(),
                    target: None,
                    zone: jiff::tz::TimeZone::UTC,
                    as_server: false,
                    force: true,
                    threads: 1,
                };
                ops::export(
                    repository,
                    &newest(repository),
                    &out,
                    None,
                    &options,
                    &Monitor::default(),
                )
                .map(|_| 0)
            }),
        ),
    ]
}

fn assert_nothing_is_lost(disk: &CrashDisk, whole: &Whole, may_go: bool, when: &str) {
    let repository = open(disk);
    let catalog = Catalog::load(&repository).unwrap();
    assert!(catalog.damaged.is_empty(), "{when}");
    let here: Whole =
        catalog.snapshots.iter().map(|(id, record)| (*id, held(&repository, record))).collect();
    for (id, held) in whole.iter().skip(usize::from(may_go)) {
        assert!(here.get(id) == Some(held), "{when}: snapshot {id} is gone or another one");
    }
    assert_clean(&repository, when);
}

fn each_part_unreadable(parity_permille: u32) -> (usize, usize) {
    let (disk, whole, dir) = repository(parity_permille);
    let (mut tried, mut failed_reads) = (0, 0);
    for (name, command) in commands(dir.path()) {
        // Something to forget, and to prune.
        let disk = disk.copy();
        if name == "prune" {
            forget_oldest(&open(&disk)).unwrap();
        }
        let goes = name == "forget" || name == "prune";
        for (path, bytes) in parts(&disk) {
            for spared in 0.. {
                let disk = disk.copy();
                let when =
                    format!("{name}, {} {bytes:?} unreadable after {spared} reads", path.display());
                let repository = open(&disk);
                disk.make_unreadable(&path, bytes.clone(), spared);
                let outcome = command(&repository);
                drop(repository);
                let failed = disk.make_readable();
                (tried, failed_reads) = (tried + 1, failed_reads + usize::from(failed > 0));
                if let Ok(lost) = &outcome {
                    assert_eq!(*lost, 0, "{when}: called lost");
                }
                assert_nothing_is_lost(&disk, &whole, goes, &when);
                if failed == 0 {
                    break;
                }
            }
        }
    }
    (tried, failed_reads)
}

#[test]
fn bytes_that_cannot_be_read_from_any_moment_on_cost_no_snapshot_anything() {
    let (tried, failed) = each_part_unreadable(0);
    println!("{tried} runs, in {failed} of them reads failed");
    assert!(failed > 100, "only {failed} of {tried} runs met the fault");
}

#[test]
fn bytes_that_cannot_be_read_are_computed_from_parity_or_waited_for() {
    let (tried, failed) = each_part_unreadable(100);
    println!("{tried} runs, in {failed} of them reads failed");
    assert!(failed > 100, "only {failed} of {tried} runs met the fault");
}

#[needs(root)]
#[test]
fn who_may_not_read_a_file_is_told_that_nothing_was_removed_and_what_to_do() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let program = Program::new();
    let home = program.home.path();
    std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o777)).unwrap();
    let (copy, source) = (home.join("jellyvault"), home.join("source"));
    std::fs::copy(env!("CARGO_BIN_EXE_jellyvault"), &copy).unwrap();
    copy_tree(&own_fixture(), &source);
    let chown = std::process::Command::new("chown")
        .args(["-R", "65534:65534"])
        .arg(&source)
        .status()
        .unwrap();
    assert!(chown.success());
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(&copy);
        command
            .env_clear()
            .env("HOME", home)
            .env("JELLYVAULT_REPO", &program.repo)
            .arg("--json")
            .args(args)
            .uid(65_534)
            .gid(65_534);
        let output = command.output().unwrap();
        let document: serde_json::Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e} {output:?}"));
        (document, output.status.code().unwrap())
    };
    for n in 0..2 {
        write(source.join("config/more.xml"), format!("<a>{n}</a>"));
        assert_eq!(run(&["snapshot", source.to_str().unwrap()]).1, 0);
    }
    let packs: Vec<PathBuf> = walkdir::WalkDir::new(program.repo.join("packs"))
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .collect();
    let packs: Vec<&PathBuf> =
        packs.iter().filter(|path| path.extension().is_some_and(|kind| kind == "pack")).collect();
    let close = |mode: u32| {
        packs.iter().for_each(|pack| {
            std::fs::set_permissions(pack, std::fs::Permissions::from_mode(mode)).unwrap()
        })
    };
    close(0);
    for args in [
        &["prune"][..],
        &["forget", "--keep-last", "1", "--prune"],
        &["repair"],
        &["repair", "--quick"],
    ] {
        let (refused, code) = run(args);
        let text = refused["error"].to_string();
        assert_eq!(code, 1, "{args:?} {refused}");
        assert!(
            text.contains("Nothing that a snapshot needs was removed")
                || text.contains("No snapshot was changed"),
            "{args:?} {text}"
        );
        assert!(
            text.contains("Check that the disk is connected")
                && text.contains("run the same command again"),
            "{args:?} {text}"
        );
    }
    let (checked, code) = run(&["check"]);
    assert!(code != 0 && !checked.to_string().contains("is lost"), "{checked}");
    close(0o600);
    assert_eq!(run(&["check", "--read-data"]).1, 0);
    assert_eq!(run(&["list"]).0["snapshots"].as_array().map(Vec::len), Some(2));
}
