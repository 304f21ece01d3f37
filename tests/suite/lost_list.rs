//! A repository that lost its list of snapshots, its records or its settings is told as damaged,
//! keeps its data, and gets them back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jellyvault::manifest::{Catalog, SnapshotRecord};
use jellyvault::store::Repository;

use super::support::*;

/// What a snapshot holds, with what its record says of its taking.
type Told = (i64, Option<String>, Option<String>, Held);

fn told(repo: &Path) -> Vec<Told> {
    let repository = Repository::open(repo).unwrap();
    let catalog = Catalog::load(&repository).unwrap();
    assert!(catalog.damaged.is_empty());
    let of = |record: &SnapshotRecord| {
        (record.time_ns, record.label.clone(), record.server.id.clone(), held(&repository, record))
    };
    catalog.snapshots.iter().map(|(_, record)| of(record)).collect()
}

/// A repository of a server that changed between its snapshots.
fn three_snapshots() -> (Program, PathBuf) {
    // Without its settings nobody has the keys of an encrypted one.
    let program = Program::plain();
    let source = program.home.path().join("jf");
    copy_tree(&own_fixture(), &source);
    for (number, label) in ["first", "before 12.1", "last"].into_iter().enumerate() {
        write(source.join("data/attachments/00/font.otf"), noise(label, 40_000));
        write(source.join(format!("config/{number}.xml")), format!("<a>{label}</a>"));
        program.ok(&["snapshot", source.to_str().unwrap(), "--label", label]);
    }
    (program, source)
}

fn lose(repo: &Path, names: &[&str]) {
    for name in names {
        let path = repo.join(name);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap()
        } else {
            drop(std::fs::remove_file(path))
        }
    }
}

#[test]
fn a_lost_list_is_damage_and_no_prune_takes_what_it_named() {
    let (program, source) = three_snapshots();
    let whole = told(&program.repo);
    lose(&program.repo, &["snapshots", "list", "newest"]);
    let (document, code) = program.json(&["check"]);
    assert_eq!((code, &document["ok"]), (3, &serde_json::json!(false)), "{document}");
    // A new snapshot does not make it well.
    let (document, code) = program.json(&["snapshot", source.to_str().unwrap()]);
    assert_eq!(code, 3, "{document}");
    assert!(
        document["problems"].to_string().contains("list of snapshots is missing"),
        "{document}"
    );
    let (document, code) = program.json(&["check"]);
    assert_eq!(code, 3, "{document}");
    let (document, code) = program.json(&["prune", "--max-unused", "0%"]);
    assert_eq!(code, 3, "{document}");
    assert!(document["problems"].to_string().contains("repair"), "{document}");
    program.ok(&["repair"]);
    let back = told(&program.repo);
    assert_eq!(back.len(), 4);
    for snapshot in &whole {
        assert!(back.contains(snapshot), "snapshot {:?} is not what it was", snapshot.1);
    }
    program.ok(&["check", "--read-data"]);
    program.ok(&["prune", "--max-unused", "0%"]);
    assert_eq!(told(&program.repo), back);
}

#[test]
fn trees_that_no_snapshot_names_go_only_when_they_are_named() {
    let (program, source) = three_snapshots();
    lose(&program.repo, &["snapshots", "list", "newest"]);
    program.run(&["snapshot", source.to_str().unwrap()]);
    let (before, _) = program.json(&["prune", "--dry-run"]);
    let words = before["problems"].to_string();
    let names: Vec<&str> = words
        .split("--remove-tree: ")
        .nth(1)
        .unwrap()
        .split(", ")
        .map(|name| &name[..12])
        .collect();
    assert!(names.len() >= 3, "{words}");
    let (_, code) = program.json(&["prune", "--remove-tree", "0123456789ab"]);
    assert_eq!(code, 1);
    let mut args = vec!["prune", "--max-unused", "0%"];
    names.iter().for_each(|name| args.extend(["--remove-tree", name]));
    let (document, code) = program.json(&args);
    assert_eq!(code, 0, "{document}");
    assert!(document["freed"].as_u64().unwrap() > 0, "{document}");
    program.ok(&["check", "--read-data"]);
    assert_eq!(told(&program.repo).len(), 1);
}

#[test]
fn packs_alone_bring_back_everything() {
    let (program, _) = three_snapshots();
    let whole = told(&program.repo);
    for entry in std::fs::read_dir(&program.repo).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "packs" {
            lose(&program.repo, &[entry.file_name().to_str().unwrap()]);
        }
    }
    let (document, code) = program.json(&["check"]);
    assert_eq!(
        (code, &document["error"]["kind"]),
        (1, &serde_json::json!("damaged")),
        "{document}"
    );
    assert!(document["error"]["hint"].as_str().unwrap().contains("jellyvault repair"));
    let (document, code) = program.json(&["repair"]);
    assert_eq!((code, &document["lost_count"]), (0, &serde_json::json!(0)), "{document}");
    assert_eq!(told(&program.repo), whole);
    program.ok(&["check", "--read-data"]);
}

#[test]
fn packs_of_an_older_program_bring_back_their_trees() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/repository-format-1");
    let program = Program::new();
    copy_tree(&fixture, &program.repo);
    let whole = told(&program.repo);
    lose(&program.repo, &["snapshots", "list", "newest", "copies"]);
    let (document, code) = program.json(&["repair"]);
    assert_eq!((code, &document["lost_count"]), (0, &serde_json::json!(0)), "{document}");
    let all = |told: &[Told]| -> BTreeMap<Vec<u8>, Vec<String>> {
        let mut all: BTreeMap<Vec<u8>, Vec<String>> = BTreeMap::new();
        for (path, what) in told.iter().flat_map(|(.., held)| held) {
            let versions = all.entry(path.clone()).or_default();
            versions.push(what.clone());
            versions.sort();
            versions.dedup();
        }
        all
    };
    // Each version of each file is in some snapshot.
    assert_eq!(all(&told(&program.repo)), all(&whole));
    program.ok(&["check", "--read-data"]);
}

#[test]
fn what_was_forgotten_is_not_taken_for_lost() {
    let (program, _) = three_snapshots();
    program.ok(&["forget", "first"]);
    program.ok(&["check"]);
    let (document, code) = program.json(&["prune", "--max-unused", "0%"]);
    assert_eq!((code, &document["problems"]), (0, &serde_json::json!([])), "{document}");
    assert_eq!(told(&program.repo).len(), 2);
}

#[test]
fn a_damaged_record_is_written_again_from_its_copy_in_a_pack() {
    type Damage<'a> = (&'a str, &'a dyn Fn(&mut Vec<u8>));
    let damages: [Damage<'_>; 4] = [
        ("cut", &|bytes| bytes.truncate(50)),
        ("empty", &|bytes| bytes.clear()),
        ("flipped", &|bytes| bytes[60] ^= 0x20),
        ("noise", &|bytes| *bytes = noise("record", 100)),
    ];
    for (name, damage) in damages {
        let (program, source) = three_snapshots();
        // One that shares all its trees with another.
        program.ok(&["snapshot", source.to_str().unwrap(), "--label", "the same"]);
        let whole = told(&program.repo);
        let mut records: Vec<PathBuf> = std::fs::read_dir(program.repo.join("snapshots"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        records.sort();
        for record in records {
            let mut bytes = std::fs::read(&record).unwrap();
            damage(&mut bytes);
            std::fs::remove_file(&record).unwrap();
            write(&record, bytes);
            assert_eq!(program.json(&["check"]).1, 3, "{name}");
            let (report, code) = program.json(&["repair"]);
            assert_eq!(
                (code, &report["lost"]),
                (0, &serde_json::json!([])),
                "{name} {} {}",
                report["lost"],
                report["mended"]
            );
            assert_eq!(told(&program.repo), whole, "{name}");
            program.ok(&["check", "--read-data"]);
        }
    }
}

#[test]
fn settings_that_are_both_damaged_are_written_again() {
    for damaged in [noise("settings", 200), Vec::new(), b"format = 2".to_vec()] {
        let (program, _) = three_snapshots();
        let whole = told(&program.repo);
        for name in ["repo.toml", "repo.copy.toml"] {
            std::fs::remove_file(program.repo.join(name)).unwrap();
            write(program.repo.join(name), &damaged);
        }
        assert_eq!(program.json(&["list"]).1, 1);
        let (report, code) = program.json(&["repair"]);
        assert_eq!(code, 0, "{report}");
        assert_eq!(told(&program.repo), whole);
    }
}
