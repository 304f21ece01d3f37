//! Keeping a repository small and whole, as the user does it: forget, keep, prune, check, repair.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use jellyvault::backend::MemoryBackend;
use jellyvault::ops;
use jellyvault::progress::{Interrupt, Monitor};
use jellyvault::store::{ChunkReader, Index, IndexMode, Repository};
use serde_json::Value;

use super::rows::Random;
use super::support::*;

fn jpeg(seed: &str, len: usize) -> Vec<u8> {
    [b"\xff\xd8\xff".as_slice(), &noise(seed, len)].concat()
}

fn snapshot(program: &Program, source: &Path, more: &[&str]) -> String {
    let (report, code) =
        program.json(&[&["snapshot", "--plain", source.to_str().unwrap()], more].concat());
    assert_eq!(code, 0, "{report}");
    report["snapshot"]["id"].as_str().unwrap().to_owned()
}

fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn packs(program: &Program) -> Vec<PathBuf> {
    let all = walkdir::WalkDir::new(program.repo.join("packs")).into_iter().map(Result::unwrap);
    all.filter(|entry| entry.file_name().to_string_lossy().ends_with(".pack"))
        .map(walkdir::DirEntry::into_path)
        .collect()
}

fn pack_bytes(program: &Program) -> u64 {
    packs(program).iter().map(|pack| pack.metadata().unwrap().len()).sum()
}

fn damage(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

fn clean(program: &Program) {
    let (report, code) = program.json(&["check", "--read-data"]);
    assert_eq!((code, report["ok"].as_bool()), (0, Some(true)), "{report}");
}

#[test]
fn forget_gives_a_reason_for_each_and_labels_and_marks_protect() {
    let program = Program::new();
    let source = program.home.path().join("source");
    write(source.join("a"), "1");
    let labelled = snapshot(&program, &source, &["--label", "before 12.0"]);
    let marked = snapshot(&program, &source, &["--keep"]);
    let plain = snapshot(&program, &source, &[]);
    let last = snapshot(&program, &source, &[]);
    let (usage, code) = program.json(&["forget"]);
    assert_eq!((code, usage["error"]["kind"].as_str()), (2, Some("usage")), "{usage}");
    let (dry, code) = program.json(&["forget", "--keep-last", "1", "--dry-run"]);
    assert_eq!(code, 0);
    assert_eq!(
        (ids(&dry["kept"]), ids(&dry["forgotten"])),
        (vec![labelled.clone(), marked.clone(), last.clone()], vec![plain.clone()])
    );
    assert!(
        dry["kept"]
            .as_array()
            .unwrap()
            .iter()
            .chain(dry["forgotten"].as_array().unwrap())
            .all(|row| !row["reason"].as_str().unwrap().is_empty())
    );
    assert!(dry["would_free"].is_u64());
    assert_eq!(
        program.json(&["list"]).0["snapshots"].as_array().unwrap().len(),
        4,
        "a dry run changes nothing"
    );
    // Other labels named: this one protects no more. The mark still does.
    let (other, _) = program.json(&["forget", "--keep-last", "1", "--keep-label", "other"]);
    assert_eq!(ids(&other["forgotten"]), [labelled, plain]);
    let (refused, code) = program.json(&["forget", &marked]);
    assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")));
    program.ok(&["keep", "--off", &marked]);
    assert_eq!(ids(&program.json(&["forget", &marked]).0["forgotten"]), [marked]);
    assert_eq!(ids(&program.json(&["list"]).0["snapshots"]), [last]);
    let (kept, code) = program.json(&["forget", "--keep-label", "none has it"]);
    assert_eq!(
        (code, &kept["kept"][0]["reason"]),
        (0, &"newest complete".into()),
        "no rule drops the last complete snapshot"
    );
    assert_eq!(
        program.json(&["forget", "2026-01-01"]).1,
        2,
        "a time does not say which snapshot goes"
    );
    assert_eq!(
        program.json(&["snapshot", "--plain", source.to_str().unwrap(), "--label", "latest"]).1,
        2
    );
    clean(&program);
}

#[test]
fn prune_frees_what_forget_said_and_all_that_is_left_is_whole() {
    let program = Program::new();
    let source = program.home.path().join("source");
    for n in 0..30 {
        write(source.join(format!("{n}.jpg")), jpeg(&n.to_string(), 40_000));
    }
    let first = snapshot(&program, &source, &[]);
    for n in 0..20 {
        write(source.join(format!("{n}.jpg")), jpeg(&format!("new {n}"), 40_000));
    }
    snapshot(&program, &source, &[]);
    let before = pack_bytes(&program);
    let (forgotten, _) = program.json(&["forget", &first]);
    let would_free = forgotten["would_free"].as_u64().unwrap();
    assert!((800_000..830_000).contains(&would_free), "{would_free}");
    let (plan, code) = program.json(&["prune", "--dry-run", "--max-unused", "0%"]);
    assert_eq!((code, pack_bytes(&program)), (0, before), "{plan}");
    let (report, code) = program.json(&["prune", "--max-unused", "0%"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["plan"], plan["plan"], "what is done is what was shown");
    let freed = report["freed"].as_u64().unwrap();
    assert_eq!(before - pack_bytes(&program), freed);
    assert!(freed.abs_diff(would_free) < 30_000, "{freed} freed, {would_free} told");
    assert_eq!(
        program.json(&["prune", "--max-unused", "0%"]).0["removed"],
        0,
        "a second one has nothing to do"
    );
    clean(&program);
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert_same_trees(&facts(&source, &|_| false), &facts(&out, &|_| false));
}

#[test]
fn what_is_needed_is_the_same_for_one_reader_and_for_many() {
    let dir = temp();
    let source = dir.path().join("source");
    for item in 0..6_000u32 {
        write(source.join(format!("{:02x}/{item:05}.jpg", item % 64)), item.to_le_bytes());
    }
    let backend = MemoryBackend::default();
    Repository::init_on(&backend).unwrap();
    let repository = Repository::open_on(Box::new(backend)).unwrap();
    let first = capture(&repository, &source).unwrap();
    for item in 0..3_000u32 {
        write(source.join(format!("{:02x}/{item:05}.jpg", item % 64)), format!("another {item}"));
    }
    let second = capture(&repository, &source).unwrap();
    let snapshots = [first, second].map(|report| (report.id.unwrap(), report.record));
    let index = Index::open(&repository, IndexMode::Use).unwrap();
    let interrupt = Interrupt::default();
    let mark = |readers: usize| {
        let mut all = ops::Reached::default();
        let mut readers: Vec<_> =
            (0..readers).map(|_| ChunkReader::new(&repository, &index)).collect();
        snapshots
            .iter()
            .for_each(|snapshot| all.add(snapshot, &mut readers, &watch(&interrupt)).unwrap());
        all
    };
    let (one, many) = (mark(1), mark(5));
    assert!(one.chunks.len() > 9_000, "{one:?}");
    assert_eq!(format!("{one:?}"), format!("{many:?}"));
    let mut readers = ops::Reached::readers(&repository, &index);
    let (mut kept, mut beyond) = (ops::Reached::default(), ops::Reached::default());
    kept.add(&snapshots[1], &mut readers, &watch(&interrupt)).unwrap();
    beyond.add_beyond(&kept, &snapshots[0], &mut readers, &watch(&interrupt)).unwrap();
    let mut chunks = 0;
    index
        .for_each_chunk(|id, _| {
            chunks += 1;
            assert!(one.needs(id) && many.needs(id));
            assert_eq!(one.needs(id), kept.needs(id) || beyond.needs(id));
            Ok(())
        })
        .unwrap();
    assert!(
        beyond.chunks.len() < one.chunks.len() && chunks == one.chunks.len(),
        "{chunks} chunks, {one:?}, {beyond:?}"
    );
    // It is a help only to a prune of no fewer snapshots, and while the packs are those that were
    // marked.
    kept.note_packs(&index).unwrap();
    let mut one = one;
    one.note_packs(&index).unwrap();
    let only = [snapshots[1].0].into();
    assert!(kept.still_holds(&only, &index).unwrap() && !one.still_holds(&only, &index).unwrap());
    write(source.join("another.jpg"), noise("another", 5_000));
    capture(&repository, &source).unwrap();
    assert!(!kept.still_holds(&only, &Index::open(&repository, IndexMode::Use).unwrap()).unwrap());
}

#[test]
fn forget_with_prune_frees_what_prune_alone_frees() {
    let program = Program::new();
    let source = program.home.path().join("data");
    for round in 0..3 {
        write(source.join("config/system.xml"), "<ServerConfiguration />");
        write(source.join("metadata/poster.jpg"), jpeg(&format!("{round}"), 300_000));
        snapshot(&program, &source, &[]);
    }
    let other = program.home.path().join("other");
    copy_tree(&program.repo, &other);
    let (together, code) = program.json(&["forget", "--keep-last", "1", "--prune"]);
    assert_eq!(code, 0, "{together}");
    let other = other.to_str().unwrap();
    let (alone, _) = program.json(&["forget", "--keep-last", "1", "--repo", other]);
    let (pruned, _) = program.json(&["prune", "--repo", other]);
    assert_eq!(together["would_free"], alone["would_free"]);
    assert_eq!(
        (&together["prune"]["plan"], &together["prune"]["freed"]),
        (&pruned["plan"], &pruned["freed"])
    );
    assert!(pruned["freed"].as_u64().unwrap() > 500_000, "{pruned}");
    clean(&program);
}

#[test]
fn prune_removes_nothing_while_records_are_missing_that_nothing_forgot() {
    let program = Program::new();
    let source = program.home.path().join("source");
    write(source.join("a.jpg"), jpeg("a", 50_000));
    let id = snapshot(&program, &source, &[]);
    let records = program.repo.join("snapshots");
    std::fs::rename(&records, program.home.path().join("away")).unwrap();
    let (refused, code) = program.json(&["prune"]);
    assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
    std::fs::rename(program.repo.join("list"), program.home.path().join("list")).unwrap();
    let (refused, code) = program.json(&["prune"]);
    assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
    std::fs::rename(program.home.path().join("away"), &records).unwrap();
    std::fs::rename(program.home.path().join("list"), program.repo.join("list")).unwrap();
    clean(&program);
    assert_eq!(ids(&program.json(&["list"]).0["snapshots"]), [id]);
}

#[test]
fn check_tells_damage_as_files_and_snapshots_and_remembers_what_it_read() {
    let program = Program::new();
    let source = program.home.path().join("source");
    for n in 0..4 {
        write(source.join(format!("{n}.jpg")), jpeg(&n.to_string(), 3_000_000));
        snapshot(&program, &source, &[]);
    }
    let (report, code) = program.json(&["check"]);
    assert_eq!((code, report["read"]["packs"].as_u64()), (0, Some(0)), "{report}");
    let of_packs = report["read"]["of_packs"].as_u64().unwrap();
    // Share by share all are read, none twice.
    let mut rounds = 0;
    while program.json(&["check"]).0["read"]["never_read"] != 0 {
        assert_eq!(program.json(&["check", "--read-data=20%"]).1, 0);
        rounds += 1;
        assert!(rounds <= of_packs);
    }
    assert_eq!(program.json(&["check", "--read-data=unread:30d"]).0["read"]["packs"], 0);
    assert_eq!(program.json(&["check", "--read-data=10m"]).0["read"]["packs"], of_packs);
    assert_eq!(program.json(&["check", "--read-data=some"]).1, 2);
    let largest =
        packs(&program).into_iter().max_by_key(|pack| pack.metadata().unwrap().len()).unwrap();
    damage(&largest, 1_000_000);
    assert_eq!(program.json(&["check"]).1, 0, "the structure alone does not show it");
    let (report, code) = program.json(&["check", "--read-data"]);
    assert_eq!((code, report["ok"].as_bool()), (3, Some(false)));
    let name = largest.file_name().unwrap().to_str().unwrap();
    assert!(report["files"][0]["name"].as_str().unwrap().ends_with(name), "{report}");
    let damaged: Vec<_> = report["damage"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| !row["snapshot"].is_null())
        .collect();
    assert!(
        !damaged.is_empty() && damaged.iter().all(|row| row["path"] == damaged[0]["path"]),
        "one file, in each snapshot that has it: {report}"
    );
    let text = program.run(&["check", "--read-data"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains(damaged[0]["path"].as_str().unwrap()) && text.contains("jellyvault repair"),
        "{text}"
    );
}

#[test]
fn check_tells_each_small_file_that_is_damaged() {
    // Not sealed, whatever the run is: the pictures' bytes are looked for.
    let program = Program::plain();
    let source = program.home.path().join("source");
    let fill = |folder: &str, files: u32| {
        (0..files).for_each(|n| {
            write(source.join(format!("{folder}/{n}.jpg")), jpeg(&format!("{folder}{n}"), 2_000))
        })
    };
    fill("stays", 300);
    snapshot(&program, &source, &[]);
    let before = packs(&program);
    fill("goes", 100);
    let second = snapshot(&program, &source, &[]);
    let content = packs(&program)
        .into_iter()
        .filter(|pack| !before.contains(pack))
        .max_by_key(|pack| pack.metadata().unwrap().len())
        .unwrap();
    let told = |args: &[&str]| -> (BTreeSet<String>, i32) {
        let (report, code) = program.json(args);
        let rows =
            || report["damage"].as_array().unwrap().iter().filter(|row| !row["snapshot"].is_null());
        assert!(rows().all(|row| row["snapshot"] == second.as_str()), "{report}");
        (rows().map(|row| row["path"].as_str().unwrap().to_owned()).collect(), code)
    };
    assert_eq!(told(&["check", "--read-data"]), (BTreeSet::new(), 0));
    // Pictures lie as they are: a byte of every tenth of the new ones.
    let bytes = std::fs::read(&content).unwrap();
    let hit: BTreeSet<String> = (0..100).step_by(10).map(|n| format!("goes/{n}.jpg")).collect();
    for path in &hit {
        let picture = std::fs::read(source.join(path)).unwrap();
        let at = bytes.windows(64).position(|window| picture.starts_with(window)).unwrap();
        damage(&content, at + 1000);
    }
    assert_eq!(told(&["check", "--read-data"]), (hit, 3));
    assert_eq!(told(&["check"]), (BTreeSet::new(), 0), "the structure alone does not show it");
}

#[test]
fn repair_takes_what_the_source_still_has_and_names_what_is_lost() {
    let program = Program::new();
    let source = program.home.path().join("source");
    write(source.join("stays.jpg"), jpeg("stays", 300_000));
    write(source.join("goes.jpg"), jpeg("goes", 300_000));
    let first = snapshot(&program, &source, &["--label", "the first"]);
    std::fs::remove_file(source.join("goes.jpg")).unwrap();
    let second = snapshot(&program, &source, &[]);
    // Both files lie in one pack: zeros over most of it.
    let pack =
        packs(&program).into_iter().max_by_key(|pack| pack.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    bytes[1000..550_000].fill(0);
    std::fs::write(&pack, bytes).unwrap();
    let (dry, code) = program.json(&["repair", "--dry-run"]);
    assert_eq!(code, 3);
    assert_eq!(
        dry["lost"]
            .as_array()
            .unwrap()
            .iter()
            .map(|lost| lost["path"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["goes.jpg"],
        "{dry}"
    );
    assert!(dry["mended"].to_string().contains("stays.jpg"), "{dry}");
    let (report, code) = program.json(&["repair"]);
    assert_eq!((code, report["lost_count"].as_u64()), (3, Some(1)), "{report}");
    assert_eq!(
        (report["lost"][0]["path"].as_str(), report["lost"][0]["snapshot"].as_str()),
        (Some("goes.jpg"), Some(first.as_str()))
    );
    clean(&program);
    let (list, _) = program.json(&["list"]);
    let now = report["lost"][0]["now"].as_str().unwrap();
    assert_eq!(ids(&list["snapshots"]), [now.to_owned(), second]);
    assert_eq!(
        (list["snapshots"][0]["label"].as_str(), list["snapshots"][0]["problem_count"].as_u64()),
        (Some("the first"), Some(1)),
        "{list}"
    );
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert_same_trees(&facts(&source, &|_| false), &facts(&out, &|_| false));
    program.ok(&[
        "restore",
        "the first",
        "--to",
        program.home.path().join("first").to_str().unwrap(),
    ]);
}

#[test]
fn repair_loses_nothing_that_can_still_be_read() {
    for parity in ["0%", "3%"] {
        for (what, at) in
            [("the first byte", 0i64), ("the last byte", -1), ("its table of contents", -200)]
        {
            let program = Program::new();
            program.ok(&["init", "--parity", parity]);
            let source = program.home.path().join("source");
            for n in 0..5 {
                write(source.join(format!("{n}.jpg")), jpeg(&n.to_string(), 100_000));
            }
            write(source.join("a.xml"), "<text/>");
            let id = snapshot(&program, &source, &[]);
            let expected = facts(&source, &|_| false);
            std::fs::rename(&source, program.home.path().join("away")).unwrap();
            let pack = packs(&program)
                .into_iter()
                .max_by_key(|pack| pack.metadata().unwrap().len())
                .unwrap();
            let len = pack.metadata().unwrap().len() as i64;
            damage(&pack, if at < 0 { len + at } else { at } as usize);
            let (found, code) = program.json(&["check", "--read-data"]);
            assert_eq!(
                (code, found["damage_count"].as_u64()),
                (3, Some(0)),
                "{what}, parity {parity}: {found}"
            );
            let (report, code) = program.json(&["repair"]);
            assert_eq!(
                (code, report["lost_count"].as_u64()),
                (0, Some(0)),
                "{what}, parity {parity}: {report}"
            );
            clean(&program);
            let out = program.home.path().join("out");
            program.ok(&["restore", &id, "--to", out.to_str().unwrap()]);
            assert_same_trees(&expected, &facts(&out, &|_| false));
        }
    }
}

#[test]
fn swapped_files_are_found_where_they_are() {
    let program = Program::new();
    let source = program.home.path().join("source");
    for n in 0..2 {
        write(source.join(format!("{n}.jpg")), jpeg(&n.to_string(), 100_000));
        snapshot(&program, &source, &[]);
    }
    std::fs::rename(&source, program.home.path().join("away")).unwrap();
    let swap = |a: &Path, b: &Path| {
        let (first, second) = (std::fs::read(a).unwrap(), std::fs::read(b).unwrap());
        std::fs::write(a, second).unwrap();
        std::fs::write(b, first).unwrap();
    };
    let before = program.json(&["list"]).0["snapshots"].clone();
    let found = packs(&program);
    swap(&found[0], &found[1]);
    let records: Vec<_> = std::fs::read_dir(program.repo.join("snapshots"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    swap(&records[0], &records[1]);
    assert_eq!(program.json(&["check"]).1, 3);
    let (report, code) = program.json(&["repair"]);
    assert_eq!((code, report["lost_count"].as_u64()), (0, Some(0)), "{report}");
    assert_eq!(program.json(&["list"]).0["snapshots"], before);
    clean(&program);
}

#[test]
fn repair_gives_nothing_up_because_a_disk_is_not_there() {
    let program = Program::new();
    let source = program.home.path().join("source");
    write(source.join("a.jpg"), jpeg("a", 100_000));
    snapshot(&program, &source, &[]);
    std::fs::rename(&source, program.home.path().join("away")).unwrap();
    std::fs::rename(program.repo.join("packs"), program.home.path().join("packs")).unwrap();
    for arguments in [["repair", "--quick"].as_slice(), &["repair"], &["repair", "--dry-run"]] {
        let (refused, code) = program.json(arguments);
        assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
    }
    std::fs::rename(program.home.path().join("packs"), program.repo.join("packs")).unwrap();
    clean(&program);
    std::fs::remove_dir_all(program.repo.join("packs")).unwrap();
    assert_eq!(program.json(&["repair", "--give-up-missing"]).1, 3);
    clean(&program);
}

#[test]
fn prune_says_that_something_needed_is_missing_and_waits_for_another_only_as_long_as_it_may() {
    let program = Program::new();
    let source = program.home.path().join("source");
    for n in 0..2 {
        write(source.join(format!("{n}.jpg")), jpeg(&n.to_string(), 3_000_000));
        snapshot(&program, &source, &[]);
    }
    let largest =
        packs(&program).into_iter().max_by_key(|pack| pack.metadata().unwrap().len()).unwrap();
    std::fs::rename(&largest, program.home.path().join("pack")).unwrap();
    let (report, code) = program.json(&["prune"]);
    assert_eq!((code, report["problems"][0]["path"].as_str()), (3, Some("packs")), "{report}");
    std::fs::rename(program.home.path().join("pack"), &largest).unwrap();
    assert_eq!(program.json(&["prune"]).1, 0);
    let repository = jellyvault::store::Repository::open(&program.repo).unwrap();
    let lock = repository.lock_work().unwrap();
    let (refused, code) = program.json(&["prune", "--wait", "1s"]);
    assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
    drop(lock);
    assert_eq!(program.json(&["prune", "--wait", "1s"]).1, 0);
    clean(&program);
}

#[test]
fn prune_believes_the_packs_and_not_an_index_that_lies() {
    use redb::ReadableTable;
    let program = Program::new();
    let source = program.home.path().join("source");
    let mut last = String::new();
    for n in 0..3 {
        write(source.join(format!("{n}.jpg")), jpeg(&n.to_string(), 100_000));
        last = snapshot(&program, &source, &[]);
    }
    let expected = facts(&source, &|_| false);
    // All chunks of the second pack are said to lie in the first one: nothing in it would be
    // needed.
    let chunks = redb::TableDefinition::<[u8; 32], [u8; 16]>::new("chunks");
    let database = redb::Database::open(program.repo.join("index.redb")).unwrap();
    let write = database.begin_write().unwrap();
    {
        let mut table = write.open_table(chunks).unwrap();
        let rows: Vec<_> = table
            .iter()
            .unwrap()
            .map(|row| row.map(|(id, place)| (id.value(), place.value())).unwrap())
            .collect();
        for (id, mut place) in rows.into_iter().filter(|(_, place)| place[0] == 1) {
            place[0] = 0;
            table.insert(id, place).unwrap();
        }
    }
    write.commit().unwrap();
    drop(database);
    let (told, code) =
        program.json(&["forget", "--keep-last", "1", "--prune", "--max-unused", "0%"]);
    assert_eq!(code, 1, "{told}");
    assert_eq!(packs(&program).len(), 3, "nothing was removed");
    assert_eq!(program.json(&["prune", "--max-unused", "0%"]).1, 0);
    clean(&program);
    let out = program.home.path().join("out");
    program.ok(&["restore", &last, "--to", out.to_str().unwrap()]);
    assert_same_trees(&expected, &facts(&out, &|_| false));
}

#[test]
fn repair_never_touches_what_a_newer_program_wrote() {
    for newer_pack in [true, false] {
        let program = Program::new();
        let source = program.home.path().join("source");
        write(source.join("a.jpg"), jpeg("a", 100_000));
        let id = snapshot(&program, &source, &[]);
        let path = if newer_pack {
            packs(&program).remove(0)
        } else {
            program.repo.join(format!("snapshots/{id}.snap"))
        };
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[6] = 9;
        let end = bytes.len() - 20;
        bytes[end] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let before = facts(&program.repo, &|path| path == b"checked" || path.starts_with(b"lock"));
        let (refused, code) = program.json(&["repair", "--quick"]);
        assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains("newer"), "{refused}");
        assert_same_trees(
            &before,
            &facts(&program.repo, &|path| path == b"checked" || path.starts_with(b"lock")),
        );
    }
}

#[test]
fn an_index_of_another_time_put_back_loses_nothing() {
    let program = Program::new();
    let source = program.home.path().join("source");
    let mut whole = Vec::new();
    for n in 0..3 {
        write(source.join(format!("{n}.jpg")), jpeg(&n.to_string(), 100_000));
        whole.push((snapshot(&program, &source, &[]), facts(&source, &|_| false)));
    }
    // An older one: what it does not know is read from the packs.
    let older = program.home.path().join("older");
    copy_tree(&program.repo, &older);
    write(source.join("3.jpg"), jpeg("3", 100_000));
    whole.push((snapshot(&program, &source, &[]), facts(&source, &|_| false)));
    let newer_index = std::fs::read(program.repo.join("index.redb")).unwrap();
    std::fs::copy(older.join("index.redb"), program.repo.join("index.redb")).unwrap();
    clean(&program);
    std::fs::write(program.repo.join("index.redb"), newer_index).unwrap();
    // One of a later state, in which packs were given up that are needed here.
    let later = program.home.path().join("later");
    copy_tree(&program.repo, &later);
    let in_later = |arguments: &[&str]| {
        program.json(&[&["--repo", later.to_str().unwrap()], arguments].concat())
    };
    assert_eq!(in_later(&["forget", "--keep-last", "1", "--prune", "--max-unused", "0%"]).1, 0);
    std::fs::copy(later.join("index.redb"), program.repo.join("index.redb")).unwrap();
    std::fs::rename(&source, program.home.path().join("away")).unwrap();
    let (report, code) = program.json(&["repair"]);
    assert_eq!((code, report["lost_count"].as_u64()), (0, Some(0)), "{report}");
    clean(&program);
    for (id, expected) in whole {
        let out = temp();
        program.ok(&["restore", &id, "--to", out.path().join("out").to_str().unwrap()]);
        assert_same_trees(&expected, &facts(&out.path().join("out"), &|_| false));
    }
}

#[test]
fn a_restore_goes_on_behind_a_part_of_the_list_that_cannot_be_read() {
    let program = Program::new();
    let data = program.home.path().join("data");
    copy_tree(&own_fixture(), &data);
    let (report, code) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert!(code == 0 || code == 3, "{report}");
    // The manifest of one category is lost: its node is the only chunk of its extent that is named
    // so.
    let config =
        report["snapshot"]["categories"]["config"]["manifest"].as_str().unwrap().to_owned();
    let repository = jellyvault::store::Repository::open(&program.repo).unwrap();
    let index =
        jellyvault::store::Index::open(&repository, jellyvault::store::IndexMode::Use).unwrap();
    let id = jellyvault::chunk::ChunkId(*blake3::Hash::from_hex(config).unwrap().as_bytes());
    let place = index.locate(&id).unwrap().unwrap();
    let pack = program.repo.join(place.pack_name());
    drop((index, repository));
    damage(&pack, place.row.offset as usize + 12);
    let out = program.home.path().join("out");
    let (restored, code) = program.json(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert_eq!(code, 3, "{restored}");
    assert!(restored["problems"].to_string().contains("config"), "{restored}");
}

#[test]
fn two_hundred_kills_at_random_moments_lose_nothing() {
    let program = Program::new();
    let source = program.home.path().join("source");
    let mut random = Random(20261124);
    for n in 0..40 {
        write(source.join(format!("{n}.jpg")), jpeg(&n.to_string(), 60_000));
    }
    let database = rusqlite::Connection::open(source.join("library.db")).unwrap();
    database.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, value BLOB); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) INSERT INTO t SELECT i, randomblob(2000) FROM n").unwrap();
    drop(database);
    let first = snapshot(&program, &source, &["--keep"]);
    let expected = facts(&source, &|_| false);
    let out = program.home.path().join("out");
    let mut ended = 0;
    for round in 0..200u64 {
        let changed = source.join(format!("{}.jpg", 40 + random.below(20)));
        write(&changed, jpeg(&random.next().to_string(), 80_000));
        let arguments: Vec<&str> = match round % 3 {
            0 => vec!["snapshot", "--plain", source.to_str().unwrap()],
            1 => vec!["forget", "--keep-last", "2", "--prune", "--max-unused", "0%"],
            _ => vec!["restore", &first, "--to", out.to_str().unwrap()],
        };
        let mut child = program
            .command(&arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(random.below(50_000)));
        ended += u64::from(child.try_wait().unwrap().is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        if round % 20 == 19 {
            let (list, code) = program.json(&["list"]);
            assert_eq!((code, ids(&list["snapshots"]).contains(&first)), (0, true), "{list}");
        }
    }
    println!("200 kills, {ended} of them came too late");
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    program.ok(&["prune", "--max-unused", "0%"]);
    clean(&program);
    let again = program.home.path().join("again");
    program.ok(&["restore", &first, "--to", again.to_str().unwrap()]);
    assert_same_trees(&expected, &facts(&again, &|_| false));
    // An interrupted restore is finished by the next one; a killed one may leave files with names
    // of its own.
    program.ok(&["restore", &first, "--to", out.to_str().unwrap()]);
    assert_same_trees(&expected, &facts(&out, &|path| path.starts_with(b".jellyvault-")));
}

#[test]
fn five_processes_at_once_disturb_nothing() {
    let seconds = std::env::var("JELLYVAULT_TOGETHER_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20);
    let program = Program::new();
    let sources = ["one", "two"].map(|name| program.home.path().join(name));
    for source in &sources {
        for n in 0..30 {
            write(
                source.join(format!("{n}.jpg")),
                jpeg(&format!("{} {n}", source.display()), 50_000),
            );
        }
    }
    let first = snapshot(&program, &sources[0], &["--keep"]);
    let expected = facts(&sources[0], &|_| false);
    let end = Instant::now() + Duration::from_secs(seconds);
    let program = &program;
    let counts: Vec<u64> = std::thread::scope(|scope| {
        let repeat = |work: Box<dyn Fn(u64) + Send>| {
            scope.spawn(move || {
                let mut rounds = 0;
                while Instant::now() < end {
                    work(rounds);
                    rounds += 1;
                }
                rounds
            })
        };
        let capture = |source: PathBuf| -> Box<dyn Fn(u64) + Send> {
            Box::new(move |round| {
                write(
                    source.join(format!("{}.jpg", round % 40)),
                    jpeg(&format!("{} {round}", source.display()), 50_000),
                );
                let (report, code) =
                    program.json(&["snapshot", "--plain", source.to_str().unwrap()]);
                assert_eq!(code, 0, "{report}");
            })
        };
        let first = first.clone();
        let restore: Box<dyn Fn(u64) + Send> = Box::new(move |_| {
            let out = temp();
            let (report, code) =
                program.json(&["restore", &first, "--to", out.path().to_str().unwrap()]);
            assert_eq!(code, 0, "{report}");
            assert_eq!(report["problems"].as_array().map(Vec::len), Some(0), "{report}");
        });
        let list: Box<dyn Fn(u64) + Send> = Box::new(move |_| {
            let (report, code) = program.json(&["list"]);
            assert_eq!(code, 0, "{report}");
        });
        let prune: Box<dyn Fn(u64) + Send> = Box::new(move |_| {
            let (report, code) =
                program.json(&["forget", "--keep-last", "3", "--prune", "--max-unused", "0%"]);
            assert_eq!(code, 0, "{report}");
        });
        let workers = [
            repeat(capture(sources[0].clone())),
            repeat(capture(sources[1].clone())),
            repeat(restore),
            repeat(list),
            repeat(prune),
        ];
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    println!(
        "{seconds} s: captures {} and {}, restores {}, lists {}, prunes {}",
        counts[0], counts[1], counts[2], counts[3], counts[4]
    );
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    clean(program);
    let out = program.home.path().join("out");
    program.ok(&["restore", &first, "--to", out.to_str().unwrap()]);
    assert_same_trees(&expected, &facts(&out, &|_| false));
    // No lock is left: whoever wants to be alone is.
    program.ok(&["prune", "--wait", "1s"]);
    program.ok(&["repair", "--wait", "1s"]);
}

#[test]
fn of_two_that_prune_the_second_waits_for_the_first_and_not_the_first_for_the_second() {
    let dir = temp();
    let root = dir.path().join("repo");
    let folder = dir.path().join("source");
    write(folder.join("file"), "content");
    ops::init(&root, 0).unwrap();
    let (first, second) = (Repository::open(&root).unwrap(), Repository::open(&root).unwrap());
    capture(&first, &folder).unwrap();
    let work = first.lock_work().unwrap();
    let waits = std::sync::Arc::new(Waits::default());
    std::thread::scope(|scope| {
        let pruned = scope.spawn(|| {
            let options =
                ops::PruneOptions { max_unused: ops::MaxUnused::Unlimited, ..Default::default() };
            ops::prune(
                &second,
                &options,
                &Monitor { progress: waits.clone(), ..Monitor::default() },
            )
        });
        while waits.0.load(std::sync::atomic::Ordering::Relaxed) == 0 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        // The first is at its last step, for which it must be alone.
        let give_up = |waited: std::time::Duration| {
            if waited.as_secs() < 60 { Ok(()) } else { Err(ops::Error::Interrupted) }
        };
        first.exclusively(&give_up, || Ok(())).unwrap();
        drop((work, first));
        pruned.join().unwrap().unwrap();
    });
}

/// Counts how often it is told of waiting.
#[derive(Default)]
struct Waits(std::sync::atomic::AtomicU64);

impl jellyvault::progress::Progress for Waits {
    fn phase(&self, _: jellyvault::progress::Phase, _: u64, _: u64) {}
    fn advance(&self, _: u64, _: u64) {}
    fn problem(&self, _: &jellyvault::progress::Problem) {}
    fn waiting(&self, _: std::time::Duration) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}
