//! Comparisons against an independent comparer, `diff -r`, and what really happened on real
//! servers.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jellyvault::backend::{MemoryBackend, Verb};
use jellyvault::manifest::{Kind, SnapshotId, SnapshotRecord, display};
use jellyvault::ops::{self, ChangeKind, DiffOptions, SnapshotOptions, SourceSpec, Tree};
use jellyvault::progress::Monitor;
use jellyvault::store::{Index, IndexMode, Repository};

use super::rows::Random;
use super::support::*;

fn memory() -> (MemoryBackend, Repository) {
    let backend = MemoryBackend::default();
    Repository::init_on(&backend).unwrap();
    (backend.clone(), Repository::open_on(Box::new(backend)).unwrap())
}

fn taken(repository: &Repository, folder: &Path) -> (SnapshotId, SnapshotRecord) {
    let report = capture(repository, folder).unwrap();
    (report.id.unwrap(), report.record)
}

fn compared(
    repository: &Repository,
    before: &SnapshotRecord,
    after: &SnapshotRecord,
) -> Result<ops::Diff, ops::Error> {
    let index = Index::open(repository, IndexMode::Use)?;
    ops::diff(
        repository,
        &index,
        (&Tree::of(before).unwrap(), &Tree::of(after).unwrap()),
        &DiffOptions::default(),
        &Monitor::default(),
        |_| {},
    )
}

/// (path, kind, old path where it moved) of every change.
type Told = Vec<(String, ChangeKind, Option<String>)>;

fn told(
    repository: &Repository,
    before: &SnapshotRecord,
    after: &SnapshotRecord,
) -> (Told, ops::Diff) {
    let diff = compared(repository, before, after).unwrap();
    let mut told = Told::new();
    diff.for_each(|change| {
        let from = change
            .before
            .as_ref()
            .filter(|_| change.kind == ChangeKind::Moved)
            .map(|entry| display(&entry.path));
        told.push((display(change.path()), change.kind, from));
        Ok(())
    })
    .unwrap();
    (told, diff)
}

/// Changes a tree at random: files new, gone, rewritten, moved, touched, chmodded; directories;
/// links.
fn shake(root: &Path, random: &mut Random, steps: u64) {
    let files = |root: &Path| -> Vec<PathBuf> {
        walkdir::WalkDir::new(root)
            .min_depth(1)
            .into_iter()
            .map(Result::unwrap)
            .filter(|e| !e.file_type().is_dir())
            .map(|e| e.path().to_path_buf())
            .collect()
    };
    for _ in 0..steps {
        let all = files(root);
        let place = || root.join(format!("d{}/e{}/f{}", 0, 0, 0));
        let pick = |random: &mut Random| all.get(random.below(all.len() as u64) as usize).cloned();
        let fresh = |random: &mut Random| {
            root.join(format!("d{}/e{}/f{}", random.below(12), random.below(12), random.below(40)))
        };
        match random.below(8) {
            0 | 1 => {
                let path = fresh(random);
                if !path.exists() {
                    let bytes = noise(&random.next().to_string(), random.below(3000) as usize);
                    write(path, bytes);
                }
            }
            2 => {
                if let Some(path) = pick(random) {
                    std::fs::remove_file(path).unwrap();
                }
            }
            3 => {
                if let Some(path) =
                    pick(random).filter(|path| path.symlink_metadata().unwrap().is_file())
                {
                    std::fs::write(
                        path,
                        noise(&random.next().to_string(), random.below(5000) as usize),
                    )
                    .unwrap();
                }
            }
            4 => {
                let to = fresh(random);
                if let Some(from) = pick(random).filter(|_| !to.exists()) {
                    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                    std::fs::rename(from, to).unwrap();
                }
            }
            5 => {
                if let Some(path) =
                    pick(random).filter(|path| path.symlink_metadata().unwrap().is_file())
                {
                    let mode = 0o600 + random.below(0o100) as u32;
                    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
                }
            }
            6 => {
                let path = fresh(random);
                if !path.exists() && path.symlink_metadata().is_err() {
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::os::unix::fs::symlink(format!("../{}", random.below(5)), path).unwrap();
                }
            }
            _ => {
                if let (Some(from), to) = (
                    pick(random).filter(|path| path.symlink_metadata().unwrap().is_file()),
                    place(),
                ) {
                    // The same content twice: a copy is new, whatever it is a copy of.
                    if !to.exists() && to.symlink_metadata().is_err() {
                        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                        std::fs::copy(from, to).unwrap();
                    }
                }
            }
        }
    }
}

/// What an independent comparer says of two trees, moves taken for a going and a coming.
fn expected(
    before: &BTreeMap<Vec<u8>, Facts>,
    after: &BTreeMap<Vec<u8>, Facts>,
) -> BTreeMap<String, &'static str> {
    let mut found = BTreeMap::new();
    for path in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let kind = match (before.get(path), after.get(path)) {
            (Some(own), Some(other)) if own == other => continue,
            (Some(own), Some(other))
                if own.bytes == other.bytes
                    && own.target == other.target
                    && own.mode & 0o170_000 == other.mode & 0o170_000 =>
            {
                "metadata"
            }
            (Some(_), Some(_)) => "modified",
            (None, _) => "added",
            (_, None) => "removed",
        };
        found.insert(String::from_utf8(path.clone()).unwrap(), kind);
    }
    found
}

#[test]
fn random_trees_are_compared_as_an_independent_comparer_does_and_the_way_back_mirrors_the_way_there()
 {
    let dir = temp();
    let source = dir.path().join("source");
    let (_, repository) = memory();
    let mut random = Random(11);
    std::fs::create_dir(&source).unwrap();
    write(source.join("d0/first"), "x");
    shake(&source, &mut random, 400);
    let (mut before, mut own) = (taken(&repository, &source), facts(&source, &|_| false));
    let (mut moves, mut all) = (0, 0);
    for round in 0..25 {
        shake(&source, &mut random, if round % 5 == 0 { 200 } else { 8 });
        let (after, other) = (taken(&repository, &source), facts(&source, &|_| false));
        let (there, diff) = told(&repository, &before.1, &after.1);
        // Taken apart, moves are a going and a coming; the rest is word for word the comparer's.
        let mut apart = BTreeMap::new();
        for (path, kind, from) in &there {
            match from {
                Some(from) => {
                    moves += 1;
                    assert_eq!(
                        own[from.as_bytes()].bytes,
                        other[path.as_bytes()].bytes,
                        "{from} → {path}"
                    );
                    apart.insert(from.clone(), "removed");
                    apart.insert(path.clone(), "added");
                }
                None => drop(apart.insert(path.clone(), kind.word())),
            }
        }
        assert_eq!(apart, expected(&own, &other), "round {round}");
        // No file is told as gone that came back elsewhere with the same bytes, unless there are
        // more of the one than of the other.
        let bytes_of = |word: &str,
                        tree: &BTreeMap<Vec<u8>, Facts>|
         -> std::collections::HashSet<blake3::Hash> {
            let paths = there.iter().filter(|(_, kind, _)| kind.word() == word);
            paths
                .filter_map(|(path, ..)| tree[path.as_bytes()].bytes)
                .filter(|hash| *hash != blake3::hash(b""))
                .collect()
        };
        assert!(bytes_of("removed", &own).is_disjoint(&bytes_of("added", &other)), "round {round}");
        // Applied to the one, it gives the other.
        let mut applied: BTreeSet<String> =
            own.keys().map(|path| String::from_utf8(path.clone()).unwrap()).collect();
        for (path, kind, from) in &there {
            match kind {
                ChangeKind::Removed => drop(applied.remove(path)),
                ChangeKind::Added => drop(applied.insert(path.clone())),
                ChangeKind::Moved => {
                    applied.remove(from.as_ref().unwrap());
                    applied.insert(path.clone());
                }
                ChangeKind::Modified | ChangeKind::Metadata => assert!(applied.contains(path)),
            }
        }
        assert_eq!(
            applied,
            other.keys().map(|path| String::from_utf8(path.clone()).unwrap()).collect(),
            "round {round}"
        );
        // Backwards it is the mirror.
        let (back, back_diff) = told(&repository, &after.1, &before.1);
        let mirrored: BTreeSet<_> = back
            .into_iter()
            .map(|(path, kind, from)| match kind {
                ChangeKind::Added => (path, ChangeKind::Removed, None),
                ChangeKind::Removed => (path, ChangeKind::Added, None),
                ChangeKind::Moved => (from.unwrap(), ChangeKind::Moved, Some(path)),
                kind => (path, kind, None),
            })
            .collect();
        assert_eq!(mirrored, there.iter().cloned().collect(), "round {round}");
        let (total, mirror) = (diff.total(), back_diff.total());
        assert_eq!(
            (total.added, total.removed, total.stored_before, total.size_after),
            (mirror.removed, mirror.added, mirror.stored_after, mirror.size_before)
        );
        all += there.len();
        let (same, diff) = told(&repository, &after.1, &after.1);
        assert_eq!((same.len(), diff.nodes_read), (0, 0));
        (before, own) = (after, other);
    }
    assert!(moves > 20 && all > 300, "only {moves} moves, {all} changes");
}

#[test]
fn of_several_files_with_the_same_bytes_those_of_the_same_name_are_the_moved_ones() {
    let dir = temp();
    let source = dir.path().join("source");
    for path in ["1/x", "2/y", "3/only-here"] {
        write(source.join(path), "the same");
    }
    let (_, repository) = memory();
    let before = taken(&repository, &source);
    for (from, to) in [("1/x", "5/x"), ("2/y", "4/y")] {
        std::fs::create_dir_all(source.join(to).parent().unwrap()).unwrap();
        std::fs::rename(source.join(from), source.join(to)).unwrap();
    }
    std::fs::rename(source.join("3/only-here"), source.join("3/renamed")).unwrap();
    write(source.join("6/copy"), "the same");
    let after = taken(&repository, &source);
    let (found, _) = told(&repository, &before.1, &after.1);
    let files: Vec<_> = found
        .iter()
        .filter(|(path, kind, _)| path.contains('/') && *kind != ChangeKind::Metadata)
        .collect();
    let moved =
        |path: &str, from: &str| (path.to_owned(), ChangeKind::Moved, Some(from.to_owned()));
    let expected = [
        moved("3/renamed", "3/only-here"),
        moved("4/y", "2/y"),
        moved("5/x", "1/x"),
        ("6/copy".to_owned(), ChangeKind::Added, None),
    ];
    assert_eq!(files, expected.iter().collect::<Vec<_>>());
}

#[test]
fn only_nodes_that_differ_are_read() {
    let dir = temp();
    let source = dir.path().join("source");
    for item in 0..6000u32 {
        write(
            source.join(format!("metadata/library/{:02x}/{item:032x}/poster.jpg", item % 256)),
            item.to_le_bytes(),
        );
    }
    let (backend, repository) = memory();
    let before = taken(&repository, &source);
    for item in [7u32, 1800, 3500, 5900] {
        write(
            source.join(format!("metadata/library/{:02x}/{item:032x}/poster.jpg", item % 256)),
            "changed",
        );
    }
    let after = taken(&repository, &source);
    let nodes = |record: &SnapshotRecord| -> usize {
        let index =
            jellyvault::store::Index::open(&repository, jellyvault::store::IndexMode::Use).unwrap();
        let mut reader = jellyvault::store::ChunkReader::new(&repository, &index);
        jellyvault::manifest::leaves(&mut reader, record.categories["other"].manifest)
            .unwrap()
            .len()
    };
    assert!(nodes(&after.1) > 100);
    backend.take_calls();
    let (found, diff) = told(&repository, &before.1, &after.1);
    let files: Vec<_> = found.iter().filter(|(path, ..)| path.ends_with("poster.jpg")).collect();
    assert_eq!(files.len(), 4);
    // Four leaves of each side and what lies above them.
    assert!(diff.nodes_read <= 2 * (4 + 4 + 1), "{} nodes were read", diff.nodes_read);
    let reads = backend
        .take_calls()
        .iter()
        .filter(|call| matches!(call, Verb::Read(name, _) if name.starts_with("packs/")))
        .count() as u64;
    // Opening an index in memory reads each pack's trailer, in two parts.
    assert!(reads <= diff.nodes_read + 2 * 2 * 2, "{reads} reads for {} nodes", diff.nodes_read);
}

#[test]
fn trees_that_differ_everywhere_are_told_whole_and_in_order() {
    let dir = temp();
    let source = dir.path().join("source");
    let path = |item: u32| format!("{:02x}/{item:05}.txt", item % 64);
    // Far more than is decoded ahead; one side runs out long before the other.
    for item in 0..12_000u32 {
        write(source.join(path(item)), item.to_le_bytes());
    }
    let (_, repository) = memory();
    let before = taken(&repository, &source);
    let mut expected = Vec::new();
    for item in 0..12_000u32 {
        let kind = match item {
            0..9_000 if item % 3 == 0 => ChangeKind::Removed,
            0..9_000 if item % 3 == 1 => ChangeKind::Modified,
            _ => continue,
        };
        expected.push((path(item), kind, None));
        match kind {
            ChangeKind::Removed => std::fs::remove_file(source.join(path(item))).unwrap(),
            _ => write(source.join(path(item)), "another"),
        }
    }
    for item in 20_000..21_000u32 {
        write(source.join("zz").join(path(item)), item.to_le_bytes());
        expected.push((format!("zz/{}", path(item)), ChangeKind::Added, None));
    }
    let after = taken(&repository, &source);
    let (found, diff) = told(&repository, &before.1, &after.1);
    let files: Vec<_> = found.into_iter().filter(|(path, ..)| path.ends_with(".txt")).collect();
    expected.sort();
    assert_eq!(files, expected);
    assert!(diff.nodes_read > 2 * 60, "{} nodes were read", diff.nodes_read);
}

#[test]
fn a_side_is_read_no_further_than_the_merge_has_come() {
    let dir = temp();
    let source = dir.path().join("source");
    // A name with which a leaf begins: then the leaf before it ends in front of the gap.
    let hashing = jellyvault::chunk::Hashing::default();
    let last = (0..)
        .map(|number| format!("z{number}"))
        .find(|name| jellyvault::manifest::starts_node(&hashing.path_key(name.as_bytes()), 0))
        .unwrap();
    let fill_edges = |text: &str| {
        (0..2000).for_each(|item| {
            write(source.join(["a", &last][item % 2]).join(format!("{item:04}")), text)
        })
    };
    fill_edges("before");
    let (backend, repository) = memory();
    let before = taken(&repository, &source);
    fill_edges("after");
    // All of it lies between two neighbours of the other side.
    for item in 0..20_000u32 {
        write(source.join(format!("big/{:02x}/{item:05}.txt", item % 64)), item.to_le_bytes());
    }
    let after = taken(&repository, &source);
    let index =
        jellyvault::store::Index::open(&repository, jellyvault::store::IndexMode::Use).unwrap();
    let reader = || jellyvault::store::ChunkReader::new(&repository, &index);
    let root = |record: &SnapshotRecord| Some(record.categories["other"].manifest);
    backend.take_calls();
    let (mut told, mut reads, mut reads_at) = (0, 0, Vec::new());
    let nodes = jellyvault::manifest::differences(
        (&mut reader(), root(&before.1)),
        (&mut reader(), root(&after.1)),
        None,
        |_| -> Result<(), jellyvault::manifest::Error> {
            told += 1;
            reads += backend
                .take_calls()
                .iter()
                .filter(|call| matches!(call, Verb::Read(name, _) if name.starts_with("packs/")))
                .count();
            reads_at.push(reads);
            Ok(())
        },
    );
    assert!(told > 20_000 && nodes.unwrap() > 200);
    assert!(
        reads_at[told / 4] * 2 < reads,
        "{} of {reads} reads at a quarter of the way",
        reads_at[told / 4]
    );
}

#[test]
fn a_live_source_is_compared_without_a_byte_written_to_the_repository() {
    let program = Program::new();
    let source = program.home.path().join("data");
    copy_tree(&own_fixture(), &source);
    program.ok(&["snapshot", source.to_str().unwrap()]);
    let_settle();
    let tree = facts(&program.repo, &|_| false);
    let (nothing, code) = program.json(&["diff", "--exit-code"]);
    assert_eq!((nothing["changes"].as_array().unwrap().len(), code), (0, 0));
    std::fs::rename(source.join("config/branding.xml"), source.join("config/moved.xml")).unwrap();
    write(source.join("config/new.txt"), "new");
    std::fs::remove_file(source.join("config/logging.default.json")).unwrap();
    write(
        source.join("config/encoding.xml"),
        "<EncodingOptions><EncodingThreadCount>3</EncodingThreadCount></EncodingOptions>",
    );
    let (live, code) = program.json(&["diff", "latest", "--exit-code", "--patch"]);
    assert_eq!(code, 1);
    let changes: BTreeMap<&str, &str> = live["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|change| change["after"]["kind"] != "directory")
        .map(|change| (change["path"].as_str().unwrap(), change["change"].as_str().unwrap()))
        .collect();
    let expected = [
        ("config/encoding.xml", "modified"),
        ("config/moved.xml", "moved"),
        ("config/logging.default.json", "removed"),
        ("config/new.txt", "added"),
    ];
    assert_eq!(changes, expected.into_iter().collect());
    let patch = live["changes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["path"] == "config/encoding.xml")
        .unwrap()["patch"]
        .as_str()
        .unwrap();
    assert!(
        patch.contains("+<EncodingOptions><EncodingThreadCount>3")
            && patch.starts_with("--- a/config/encoding.xml\n+++ b/config/encoding.xml\n@@"),
        "{patch}"
    );
    // A look stores nothing, neither packs nor records nor what the next scan would believe.
    let after = facts(&program.repo, &|_| false);
    assert_eq!(tree.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (path, facts) in &tree {
        let is_lock = path.as_slice() == b"lock";
        assert!(
            is_lock || after[path].bytes == facts.bytes,
            "{} changed",
            String::from_utf8_lossy(path)
        );
    }
    // And the next snapshot finds what the look found.
    program.ok(&["snapshot", source.to_str().unwrap(), "--accept-loss"]);
    let (stored, _) = program.json(&["diff", "latest~1", "latest"]);
    assert_eq!(
        stored["changes"].as_array().unwrap().len(),
        live["changes"].as_array().unwrap().len()
    );
    let (rows, _) = program.json(&["diff", "latest~1", "--rows"]);
    assert_eq!(rows["summary"]["rows"]["tables"], serde_json::json!({}));
}

#[test]
fn what_is_asked_wrongly_is_told_with_what_is_there() {
    let program = Program::new();
    let source = program.home.path().join("data");
    copy_tree(&own_fixture(), &source);
    program.ok(&["snapshot", source.to_str().unwrap()]);
    let error = |args: &[&str]| {
        let output = program.run(args);
        assert_ne!(output.status.code(), Some(0), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(error(&["diff", "latest", "latest", "--table", "Films"]).contains("BaseItems"));
    assert!(
        error(&["diff", "latest", "latest", "--user", "Nobody"]).contains("no user \"Nobody\"")
    );
    assert!(error(&["diff", "latest", "latest", "--path", "["]).contains("is not a valid pattern"));
    assert!(
        error(&["diff", "latest", "latest", "--database", "data/no.db"]).contains("data/no.db")
    );
    assert!(error(&["diff", "yesterday"]).contains("jellyvault list"));
    let plain = program.home.path().join("plain");
    write(plain.join("a"), "a");
    program.ok(&["snapshot", "--plain", plain.to_str().unwrap()]);
    assert!(error(&["diff", "latest", "--rows"]).contains("data/jellyfin.db"));
    // A plain folder is compared with itself without being named.
    write(plain.join("b"), "b");
    let (found, _) = program.json(&["diff"]);
    assert!(
        found["changes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|change| change["path"] == "b" && change["change"] == "added")
    );
    // A part that one snapshot was taken without is not taken for gone.
    program.ok(&["snapshot", source.to_str().unwrap(), "--only", "config"]);
    let id = program.json(&["list"]).0["snapshots"][0]["id"].as_str().unwrap().to_owned();
    let (part, _) = program.json(&["diff", &id, "latest"]);
    assert_eq!(part["summary"]["total"]["removed"], 0);
    assert!(
        part["remarks"]
            .to_string()
            .contains("metadata was not compared, because the later snapshot was taken without it"),
        "{}",
        part["remarks"]
    );
}

/// Takes a snapshot of each state as if the server stood in one place.
fn snapshots(program: &Program, names: &[&str]) {
    let states = servers("attic-servers");
    let place = program.home.path().join("server");
    for name in names {
        if place.exists() {
            std::fs::remove_dir_all(&place).unwrap();
        }
        copy_tree(&states.join(name), &place);
        program.ok(&["snapshot", place.join("data").to_str().unwrap(), "--label", name]);
    }
}

#[test]
fn a_real_day_is_told_as_it_was_and_nothing_beside_it() {
    let program = Program::new();
    snapshots(&program, &["day1", "day2", "day3"]);
    let text = program.ok(&["diff", "day1", "day2", "--rows", "--stat"]);
    let story = text.split_once(":\n\n").unwrap().1.split_once("\nRows of").unwrap().0;
    assert_eq!(
        story,
        "Library
  Films: 1 film new: Late Arrival
  Films: 1 film gone: Paper Window 2
  1 studio new: Quiet Pictures
  2 pictures changed: poster of Crimson Border 0; poster of Ödön – 100% Pure
Users
  Ana: profile picture changed
  Ana: 3 items newly watched: Distant Garden Chronicles 0 S01E01; Distant Garden Chronicles 0 S02E03; Distant Garden Chronicles 0 S02E04
  Ana: watch state of an item that was removed is kept by the server
  guest: new user
Server
  2 new entries in the activity log
  7 items refreshed by the server without changes
Settings
  config/system.xml: LogFileRetentionDays: 5 → 9
"
    );
    // After the clean stop nothing is different but the file that holds it all.
    let (still, _) = program.json(&["diff", "day2", "day3", "--rows"]);
    assert_eq!(
        (
            still["rows"].as_array().unwrap().len(),
            still["summary"]["rows"]["news"].as_array().unwrap().len()
        ),
        (0, 0)
    );
    // Files, as `diff -r` sees them on restored trees.
    let (one, two) = (program.home.path().join("one"), program.home.path().join("two"));
    program.ok(&["restore", "day1", "--to", one.to_str().unwrap()]);
    program.ok(&["restore", "day2", "--to", two.to_str().unwrap()]);
    let output = std::process::Command::new("diff")
        .args(["-rq", one.to_str().unwrap(), two.to_str().unwrap()])
        .output()
        .unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let (changes, _) = program.json(&["diff", "day1", "day2"]);
    let changes: Vec<_> = changes["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|change| change["change"] != "metadata")
        .collect();
    for line in report.lines() {
        let path = if let Some(rest) = line.strip_prefix("Only in ") {
            rest.replacen(": ", "/", 1)
        } else {
            line.strip_prefix("Files ").unwrap().split(" and ").next().unwrap().to_owned()
        };
        let path = path
            .strip_prefix(one.to_str().unwrap())
            .or(path.strip_prefix(two.to_str().unwrap()))
            .unwrap()
            .trim_start_matches('/')
            .to_owned();
        assert!(changes.iter().any(|change| change["path"] == path.as_str()), "{path}: {line}");
    }
    for change in changes {
        let path = change["path"].as_str().unwrap();
        let is_told = report.lines().any(|line| {
            line.contains(path)
                || Path::new(path).ancestors().skip(1).any(|above| {
                    let (above, name) = (
                        above.parent().map(|p| p.display().to_string()).unwrap_or_default(),
                        above
                            .file_name()
                            .map(|n| n.to_string_lossy().into_owned())
                            .unwrap_or_default(),
                    );
                    line.starts_with("Only in ") && line.ends_with(&format!("{above}: {name}"))
                })
                || line.ends_with(&format!(
                    "{}: {}",
                    Path::new(path).parent().unwrap().display(),
                    Path::new(path).file_name().unwrap().to_string_lossy()
                ))
        });
        assert!(is_told, "{path} is told, but diff -r does not know it");
    }
}

#[test]
fn an_upgrades_own_work_is_told_apart_from_the_days() {
    let program = Program::new();
    snapshots(&program, &["10.11.6", "10.11.11", "12.0"]);
    let news = |before: &str, after: &str| -> Vec<(String, String)> {
        let (document, _) = program.json(&["diff", before, after, "--rows", "--stat"]);
        assert_eq!(document["summary"]["rows"]["upgraded"], true);
        let news = document["summary"]["rows"]["news"].as_array().unwrap();
        news.iter()
            .map(|n| {
                (
                    n["section"].as_str().unwrap().to_owned(),
                    format!("{}|{}", n["about"].as_str().unwrap(), n["what"].as_str().unwrap()),
                )
            })
            .collect()
    };
    let day = news("10.11.6", "10.11.11");
    for expected in [
        "guest|new user",
        "Ana|profile picture changed",
        "Ana|3 items newly watched",
        "Ana|1 item reset to the beginning",
        "|2 pictures changed",
    ] {
        assert!(
            day.iter().any(|(section, what)| section != "upgrade" && what == expected),
            "{expected}: {day:?}"
        );
    }
    assert!(
        day.contains(&("upgrade".into(), "|table Users: 1 column new: NormalizedUsername".into())),
        "{day:?}"
    );
    // The bare upgrade: people only signed in and looked.
    let bare = news("10.11.11", "12.0");
    let peoples: Vec<_> = bare
        .iter()
        .filter(|(section, _)| section != "upgrade")
        .map(|(_, what)| what.as_str())
        .collect();
    assert_eq!(
        peoples,
        [
            "guest|display settings changed (1 view)",
            "root|signed in",
            "root|signed in again on “rig” (rig)",
            "|2 new entries in the activity log"
        ]
    );
    for expected in [
        "|new table LinkedChildren with 12 rows",
        "|BaseItems.OwnerId rewritten in 71 rows",
        "|table BaseItems: 1 column gone: ExtraIds",
    ] {
        assert!(bare.contains(&("upgrade".into(), expected.into())), "{expected}: {bare:?}");
    }
    // Row by row, too.
    let (rows, _) = program.json(&["diff", "10.11.11", "12.0", "--table", "BaseItems"]);
    let rows = rows["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 72);
    assert!(rows.iter().all(|row| row["by_upgrade"] == true));
}

#[test]
fn no_password_hash_and_no_token_is_ever_printed() {
    let program = Program::new();
    snapshots(&program, &["10.11.6", "12.0"]);
    let mut secrets = BTreeSet::new();
    for state in ["10.11.6", "12.0"] {
        let copy = program.home.path().join(format!("{state}.db"));
        std::fs::copy(servers("attic-servers").join(state).join("data/data/jellyfin.db"), &copy)
            .unwrap();
        let db = rusqlite::Connection::open(&copy).unwrap();
        for sql in [
            "SELECT Password FROM Users WHERE Password IS NOT NULL",
            "SELECT AccessToken FROM Devices",
            "SELECT AccessToken FROM ApiKeys",
        ] {
            let mut statement = db.prepare(sql).unwrap();
            secrets.extend(
                statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap),
            );
        }
    }
    assert!(secrets.len() >= 6);
    for args in [
        &["diff", "10.11.6", "12.0", "--rows", "--patch", "--tree"][..],
        &["--json", "diff", "10.11.6", "12.0", "--rows", "--patch"],
        &["--verbose", "diff", "10.11.6", "12.0", "--table", "Users,Devices,ApiKeys"],
        &["--json", "diff", "12.0", "10.11.6", "--table", "Users,Devices,ApiKeys"],
    ] {
        let text = program.ok(args);
        assert!(text.contains("Devices"), "{args:?} shows no row");
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{args:?} prints a secret");
        }
    }
    let (document, _) = program.json(&["diff", "10.11.6", "12.0", "--table", "Devices"]);
    assert_eq!(
        document["rows"][0]["after"]["AccessToken"]
            .as_str()
            .or(document["rows"][0]["before"]["AccessToken"].as_str()),
        Some("(secret)")
    );
}

#[test]
fn pictures_are_told_with_their_sizes_and_texts_line_by_line() {
    let program = Program::new();
    snapshots(&program, &["day1", "day2"]);
    let (document, _) = program.json(&[
        "diff",
        "day1",
        "day2",
        "--patch",
        "--path",
        "metadata/library/fa/**",
        "--path",
        "config/system.xml",
    ]);
    let changes = document["changes"].as_array().unwrap();
    let poster = changes
        .iter()
        .find(|change| change["path"].as_str().unwrap().ends_with("poster.jpg"))
        .unwrap();
    assert_eq!(
        poster["image"],
        serde_json::json!({"before": {"width": 250, "height": 375}, "after": {"width": 250, "height": 375}})
    );
    assert_eq!(poster["name"], "Ödön – 100% Pure");
    let text = program.ok(&["diff", "day1", "day2", "--patch", "--path", "config/system.xml"]);
    assert!(text.contains("-  <LogFileRetentionDays>5</LogFileRetentionDays>\n+  <LogFileRetentionDays>9</LogFileRetentionDays>\n"), "{text}");
}

#[test]
fn every_folder_of_an_item_is_named_however_many_there_are() {
    let dir = temp();
    let data = dir.path().join("data");
    copy_tree(&servers("attic-servers").join("day1/data"), &data);
    let id = |number: u32| {
        format!(
            "{:032x}",
            u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        )
    };
    let poster =
        |number: u32| format!("metadata/library/{}/{}/poster.jpg", &id(number)[..2], id(number));
    let stored = |number: u32| {
        let id = id(number).to_uppercase();
        [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-")
    };
    let database = || {
        let db = rusqlite::Connection::open(data.join("data/jellyfin.db")).unwrap();
        db.pragma_update(None, "foreign_keys", false).unwrap();
        db
    };
    // More than are looked up together; every fifth folder is that of an item which the library
    // does not have.
    let items: Vec<u32> = (0..900).collect();
    let db = database();
    db.execute_batch("BEGIN; CREATE TEMP TABLE one AS SELECT * FROM BaseItems LIMIT 1; UPDATE one SET Type = 'MediaBrowser.Controller.Entities.Movies.Movie'")
        .unwrap();
    for number in items.iter().filter(|number| *number % 5 != 0) {
        db.execute("UPDATE one SET Id = ?, Name = ?", (stored(*number), format!("Film {number}")))
            .unwrap();
        db.execute_batch("INSERT INTO BaseItems SELECT * FROM one").unwrap();
    }
    db.execute_batch("COMMIT").unwrap();
    drop(db);
    items.iter().for_each(|number| write(data.join(poster(*number)), "first"));
    let program = Program::new();
    program.run(&["snapshot", data.to_str().unwrap(), "--label", "first"]);
    items.iter().for_each(|number| write(data.join(poster(*number)), "second, and longer"));
    let db = database();
    // What is gone is named by the earlier state.
    for number in items.iter().filter(|number| *number % 3 == 0) {
        db.execute("DELETE FROM BaseItems WHERE Id = ?", [stored(*number)]).unwrap();
    }
    drop(db);
    program.run(&["snapshot", data.to_str().unwrap(), "--label", "second"]);
    let (document, _) = program.json(&["diff", "first", "second"]);
    let named: BTreeMap<String, Option<String>> = (document["changes"].as_array().unwrap().iter())
        .map(|change| {
            (
                change["path"].as_str().unwrap().to_owned(),
                change["name"].as_str().map(str::to_owned),
            )
        })
        .collect();
    for number in items {
        assert_eq!(
            named[&poster(number)],
            (number % 5 != 0).then(|| format!("Film {number}")),
            "{number}"
        );
    }
}

#[test]
fn two_imported_zips_are_compared_like_snapshots() {
    let program = Program::new();
    for version in ["10.11.11", "12.0"] {
        program.run(&[
            "import",
            servers("attic-servers").join(format!("zips/{version}.zip")).to_str().unwrap(),
            "--label",
            version,
        ]);
    }
    let (document, _) = program.json(&["diff", "10.11.11", "12.0", "--rows"]);
    assert_eq!(document["summary"]["rows"]["upgraded"], true);
    assert!(document["summary"]["rows"]["tables"]["BaseItems"]["changed"].as_u64().unwrap() >= 71);
    let paths: Vec<_> = document["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["change"] == "modified")
        .map(|c| c["path"].as_str().unwrap())
        .collect();
    assert!(
        paths.contains(&"config/encoding.xml") && paths.contains(&"data/jellyfin.db"),
        "{paths:?}"
    );
}

#[test]
fn the_same_bytes_with_holes_and_without_are_no_change() {
    let dir = temp();
    let source = dir.path().join("source");
    let mut bytes = vec![0u8; 3 << 20];
    bytes[..4].copy_from_slice(b"head");
    write(source.join("file"), &bytes);
    let mtime = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    let stamp = |path: &Path| {
        std::fs::File::options().write(true).open(path).unwrap().set_modified(mtime).unwrap()
    };
    stamp(&source.join("file"));
    let (_, repository) = memory();
    let before = taken(&repository, &source);
    std::fs::remove_file(source.join("file")).unwrap();
    let sparse = std::fs::File::create(source.join("file")).unwrap();
    use std::os::unix::fs::FileExt;
    sparse.write_all_at(b"head", 0).unwrap();
    sparse.set_len(3 << 20).unwrap();
    drop(sparse);
    stamp(&source.join("file"));
    let after = taken(&repository, &source);
    assert_ne!(
        before.1.categories, after.1.categories,
        "the file system keeps no holes: nothing was tried"
    );
    let (found, _) = told(&repository, &before.1, &after.1);
    assert_eq!(found.iter().filter(|(path, ..)| path == "file").count(), 0, "{found:?}");
    let spec = SourceSpec::plain(&source).unwrap();
    let look = ops::look(
        &repository,
        &spec,
        &SnapshotOptions { host: "test".into(), ..Default::default() },
        &Monitor::default(),
    )
    .unwrap();
    assert_eq!(look.record.categories["other"].manifest, after.1.categories["other"].manifest);
}

#[test]
fn a_damaged_node_is_an_error_and_never_a_difference() {
    let dir = temp();
    let source = dir.path().join("source");
    for item in 0..2000u32 {
        write(source.join(format!("{:02x}/{item}", item % 64)), item.to_le_bytes());
    }
    let (backend, repository) = memory();
    let before = taken(&repository, &source);
    write(source.join("00/0"), "changed");
    let after = taken(&repository, &source);
    let files = backend.files();
    let (mut errors, mut right) = (0, 0);
    for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with("packs/")) {
        for at in (64..bytes.len()).step_by(bytes.len() / 40) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            backend.put(name, damaged);
            let outcome = compared(&repository, &before.1, &after.1);
            match outcome {
                Ok(diff) => {
                    let mut found = BTreeSet::new();
                    diff.for_each(|change| {
                        if matches!(
                            change.after.as_ref().map(|entry| &entry.kind),
                            Some(Kind::File { .. })
                        ) {
                            found.insert(change.path().to_vec());
                        }
                        Ok(())
                    })
                    .unwrap();
                    assert_eq!(
                        found,
                        BTreeSet::from([std::ffi::OsStr::new("00/0").as_bytes().to_vec()])
                    );
                    right += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), jellyvault::ops::ErrorKind::Damaged, "{error}");
                    errors += 1;
                }
            }
            backend.put(name, bytes.clone());
        }
    }
    assert!(errors > 3 && right > 3, "{errors} errors, {right} right");
}

#[test]
fn an_error_on_the_way_is_one_document_and_trouble_is_no_change() {
    let program = Program::new();
    let source = program.home.path().join("data");
    copy_tree(&own_fixture(), &source);
    program.ok(&["snapshot", source.to_str().unwrap(), "--label", "one"]);
    let db = rusqlite::Connection::open(source.join("data/jellyfin.db")).unwrap();
    db.execute_batch("UPDATE UserData SET Played = 1 - Played").unwrap();
    db.close().unwrap();
    program.ok(&["snapshot", source.to_str().unwrap(), "--label", "two"]);
    // Program::json asserts that it is one document.
    for args in [
        &["diff", "one", "two", "--user", "nobody"][..],
        &["diff", "one", "two", "--table", "Nope"],
    ] {
        let (error, code) = program.json(args);
        assert_eq!((code, error["error"]["kind"].as_str()), (1, Some("not-found")));
    }
    assert_eq!(program.run(&["diff", "one", "two", "--exit-code"]).status.code(), Some(1));
    assert_eq!(program.run(&["diff", "one", "one", "--exit-code"]).status.code(), Some(0));
    assert_eq!(program.run(&["diff", "one", "nope", "--exit-code"]).status.code(), Some(2));
    // A path that is on neither side is a slip of the pen, not an answer.
    assert_eq!(
        program.json(&["diff", "one", "two", "--path", "confg"]).0["error"]["kind"],
        "not-found"
    );
    // A directory whose time alone changed is told, and is no change.
    std::fs::File::open(source.join("config"))
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH)
        .unwrap();
    program.ok(&["snapshot", source.to_str().unwrap(), "--label", "three"]);
    let output = program.run(&["diff", "two", "three", "--exit-code"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("Nothing changed, except the times of 1 directory.")
    );
    // What is compared when nothing is named is the newest snapshot of all, not of a part.
    program.ok(&["snapshot", source.to_str().unwrap(), "--only", "database"]);
    write(source.join("config/new.txt"), "new");
    let (live, _) = program.json(&["diff"]);
    assert!(
        live["changes"].as_array().unwrap().iter().any(|change| change["path"] == "config/new.txt")
    );
    let (part, _) = program.json(&["diff", "latest"]);
    assert!(part["remarks"].to_string().contains("does not contain config"), "{}", part["remarks"]);
}

#[test]
fn names_from_elsewhere_order_no_terminal_about_and_forge_no_line() {
    let program = Program::new();
    let source = program.home.path().join("data");
    copy_tree(&own_fixture(), &source);
    program.ok(&["snapshot", source.to_str().unwrap(), "--label", "one"]);
    let db = rusqlite::Connection::open(source.join("data/jellyfin.db")).unwrap();
    db.execute_batch(
        "UPDATE BaseItems SET Name = 'evil' || char(27) || ']0;pwn' || char(7) || char(10) || 'Users' || char(10) || '  root: password changed', Overview = 'x', SeriesName = char(27) || 'S' WHERE Type NOT LIKE '%UserView';
         UPDATE UserData SET Played = 1 - Played; UPDATE Users SET Username = Username || char(27) || '[31m' || char(10) || 'forged';
         UPDATE Devices SET DeviceName = char(27) || 'D' || char(10), AccessToken = AccessToken || 'x'; INSERT INTO ApiKeys (DateCreated, DateLastActivity, Name, AccessToken) VALUES ('2026-01-01 00:00:00', '2026-01-01 00:00:00', char(27) || 'K', 'tok-SECRET');",
    )
    .unwrap();
    db.close().unwrap();
    for entry in walkdir::WalkDir::new(source.join("metadata"))
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
    {
        std::fs::write(entry.path(), "replaced").unwrap();
    }
    program.ok(&["snapshot", source.to_str().unwrap(), "--label", "two"]);
    for args in [
        &["diff", "one", "two"][..],
        &["diff", "one", "two", "--tree"],
        &["diff", "one", "two", "--rows", "--verbose", "--patch"],
        &["diff", "one", "two", "--table", "BaseItems,Users,Devices,ApiKeys"],
    ] {
        let text = program.ok(args);
        assert!(!text.contains(['\u{1b}', '\u{7}']), "{args:?}");
        assert!(
            !text
                .lines()
                .any(|line| line.starts_with("  root: password") || line.starts_with("forged")),
            "{args:?}: {text}"
        );
        assert!(!text.contains("tok-SECRET"), "{args:?}");
    }
    assert!(program.ok(&["diff", "one", "two", "--rows"]).contains("evil"));
}

#[test]
fn secrets_of_plugins_are_hidden_in_files_settings_and_rows() {
    let program = Program::new();
    let source = program.home.path().join("data");
    copy_tree(&own_fixture(), &source);
    let plugin = |secret: &str| {
        write(
            source.join("plugins/configurations/P.xml"),
            format!("<C><ApiKey>{secret}</ApiKey><Days>{}</Days></C>", secret.len()),
        );
        write(
            source.join("config/livetv.xml"),
            format!(
                "<L><Url>http://u:{secret}@h/get.php?username=u&amp;password={secret}</Url></L>"
            ),
        );
        write(
            source.join("config/logging.json"),
            format!("{{\"Key\":\"ApiKey\",\"Value\":\"{secret}\"}}"),
        );
        let path = source.join("data/playback_reporting.db");
        let _existed = std::fs::remove_file(&path);
        let db = rusqlite::Connection::open(path).unwrap();
        db.execute_batch(&format!("CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT); INSERT INTO settings VALUES ('api_key', '{secret}'), ('days', '{}'); CREATE TABLE u (id INTEGER PRIMARY KEY, pw TEXT); INSERT INTO u VALUES (1, '{secret}');", secret.len())).unwrap();
        db.close().unwrap();
    };
    plugin("S3CRETone");
    program.ok(&["snapshot", source.to_str().unwrap(), "--label", "one"]);
    plugin("S3CRETthree");
    program.ok(&["snapshot", source.to_str().unwrap(), "--label", "two"]);
    for args in [
        &["diff", "one", "two", "--rows", "--patch"][..],
        &["--json", "diff", "one", "two", "--rows", "--patch"],
        &[
            "diff",
            "one",
            "two",
            "--database",
            "data/playback_reporting.db",
            "--table",
            "settings,u",
        ],
        &["--json", "diff", "one", "two", "--database", "data/playback_reporting.db"],
    ] {
        let text = program.ok(args);
        assert!(!text.contains("S3CRET"), "{args:?}: {text}");
        assert!(text.contains("(secret)"), "{args:?}: {text}");
    }
    let text = program.ok(&["diff", "one", "two", "--rows", "--stat"]);
    assert!(text.contains("plugins/configurations/P.xml: Days: 9 → 11"), "{text}");
    let (document, _) = program.json(&["diff", "one", "two", "--rows", "--stat"]);
    assert!(
        document["summary"]["settings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|setting| setting["name"] == "Days" && setting["after"] == "11"),
        "{}",
        document["summary"]
    );
}

#[test]
fn watch_state_that_waited_is_told_by_what_became_of_it_and_replaced_keys_are_told() {
    let program = Program::new();
    let source = program.home.path().join("data");
    copy_tree(&own_fixture(), &source);
    let edit = |sql: &str| {
        let db = rusqlite::Connection::open(source.join("data/jellyfin.db")).unwrap();
        db.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
        db.close().unwrap();
    };
    edit(
        "INSERT INTO ApiKeys (DateCreated, DateLastActivity, Name, AccessToken) VALUES ('2026-01-01 00:00:00', '2026-01-01 00:00:00', 'scripts', 'first')",
    );
    program.ok(&["snapshot", source.to_str().unwrap(), "--label", "one"]);
    let waiting =
        "SELECT rowid FROM UserData WHERE ItemId = '00000000-0000-0000-0000-000000000001'";
    edit(&format!(
        "DELETE FROM UserData WHERE rowid IN ({waiting});
         DELETE FROM ApiKeys WHERE Name = 'scripts'; INSERT INTO ApiKeys (DateCreated, DateLastActivity, Name, AccessToken) VALUES ('2026-01-01 00:00:00', '2026-01-01 00:00:00', 'scripts', 'second');
         UPDATE Devices SET DateLastActivity = '2026-11-24 00:00:00'; UPDATE TrickplayInfos SET ItemId = 'no id' WHERE rowid = (SELECT min(rowid) FROM TrickplayInfos)"
    ));
    program.ok(&["snapshot", source.to_str().unwrap(), "--label", "two"]);
    let text = program.ok(&["diff", "one", "two", "--rows", "--stat"]);
    assert!(
        text.contains("that did not come back was cleared")
            && !text.contains("came back was restored"),
        "{text}"
    );
    assert!(
        text.contains("1 API key new: scripts") && text.contains("1 API key gone: scripts"),
        "{text}"
    );
    assert!(!text.contains("signed in again"), "{text}");
    // One row is gone and one came; the one that came is of nobody knows what.
    assert!(text.contains("table TrickplayInfos: 1 row with an invalid id"), "{text}");
}
