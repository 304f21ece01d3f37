//! What nobody tells of, and tables that contradict each other: found where it has to be (decision
//! 0024).

use std::path::{Path, PathBuf};

use jellyvault::store::Repository;

use super::support::*;

fn jpeg(seed: &str) -> Vec<u8> {
    [b"\xff\xd8\xff".as_slice(), &noise(seed, 50_000)].concat()
}

/// Three snapshots of a folder, each with a file and a pack of its own.
fn three(program: &Program) -> PathBuf {
    let source = program.home.path().join("source");
    for n in 0..3 {
        write(source.join(format!("{n}.jpg")), jpeg(&n.to_string()));
        program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    }
    source
}

fn left(program: &Program) -> Vec<String> {
    let all = walkdir::WalkDir::new(&program.repo).into_iter().map(Result::unwrap);
    let mut left: Vec<_> = all
        .map(|entry| entry.path().strip_prefix(&program.repo).unwrap().display().to_string())
        .filter(|path| path.contains(".tmp-"))
        .collect();
    left.sort();
    left
}

fn a_pack_folder(program: &Program) -> String {
    let folder = std::fs::read_dir(program.repo.join("packs")).unwrap().next().unwrap().unwrap();
    format!("packs/{}", folder.file_name().to_str().unwrap())
}

#[test]
fn what_a_killed_run_left_is_swept_where_something_tells_of_it_and_else_by_a_prune() {
    let program = Program::new();
    let source = three(&program);
    assert!(left(&program).is_empty(), "a run that ends leaves nothing");
    let in_packs = format!("{}/.tmp-7-0123", a_pack_folder(&program));
    let put = |name: &str| write(program.repo.join(name), "half a file");
    let snapshot = || program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    // The file in the repository's own folder tells; so does one among the scan caches, and what is
    // in tmp.
    for teller in
        [".tmp-7-4567", "scan/.tmp-7-89ab", "tmp/jellyvault-copy-0123456789abcdef/database"]
    {
        put(&in_packs);
        put(teller);
        // Not while another process may be at it.
        let other = Repository::open(&program.repo).unwrap();
        snapshot();
        assert!(program.repo.join(&in_packs).exists(), "{teller}");
        drop(other);
        snapshot();
        assert!(left(&program).is_empty(), "{teller}: {:?}", left(&program));
        assert!(!program.repo.join(teller).exists());
    }
    // Nothing tells: no folder is gone through for it, until a prune removes something.
    put(&in_packs);
    snapshot();
    assert_eq!(left(&program), [in_packs.as_str()]);
    std::fs::remove_file(source.join("0.jpg")).unwrap();
    snapshot();
    assert_eq!(program.json(&["forget", "--keep-last", "1", "--prune", "--max-unused", "0%"]).1, 0);
    assert!(left(&program).is_empty(), "{:?}", left(&program));
}

#[test]
fn an_index_whose_tables_contradict_each_other_is_told_by_check_and_heals() {
    const PACKS: redb::TableDefinition<'_, u32, [u8; 16]> = redb::TableDefinition::new("packs");
    const IDS: redb::TableDefinition<'_, [u8; 16], u32> = redb::TableDefinition::new("ids");
    use redb::ReadableDatabase;
    type Change<'a> = &'a dyn Fn(&redb::WriteTransaction, [u8; 16]);
    let change: [Change<'_>; 4] = [
        &|write, mut id| {
            id[15] ^= 1;
            write.open_table(PACKS).unwrap().insert(1, id).unwrap();
        },
        &|write, _| drop(write.open_table(PACKS).unwrap().remove(1).unwrap()),
        &|write, id| drop(write.open_table(IDS).unwrap().insert(id, 0).unwrap()),
        &|write, id| drop(write.open_table(IDS).unwrap().remove(id).unwrap()),
    ];
    for (number, change) in change.into_iter().enumerate() {
        let program = Program::new();
        let source = three(&program);
        let damage = |path: &Path| {
            let database = redb::Database::open(path).unwrap();
            let id = database
                .begin_read()
                .unwrap()
                .open_table(PACKS)
                .unwrap()
                .get(1)
                .unwrap()
                .unwrap()
                .value();
            let write = database.begin_write().unwrap();
            change(&write, id);
            write.commit().unwrap();
        };
        let index = program.repo.join("index.redb");
        damage(&index);
        let (report, code) = program.json(&["check"]);
        // An id that is gone from the one table is a pack that the file does not know: it is read,
        // and that is all.
        let is_told = report["files"]
            .as_array()
            .unwrap()
            .iter()
            .any(|finding| finding["name"] == "index.redb");
        assert_eq!((code, is_told), (3, true), "{number}: {report}");
        // Whoever meets it either needs nothing of it or says so once, and then it is made anew.
        let out = program.home.path().join("out");
        let restore = || program.json(&["restore", "latest", "--to", out.to_str().unwrap()]);
        let (first, code) = restore();
        if code != 0 {
            assert_eq!(first["error"]["kind"], "index-damaged", "{number}: {first}");
            assert!(
                first["error"]["hint"].as_str().unwrap().starts_with("Run the same command again"),
                "{number}: {first}"
            );
            assert_eq!(restore().1, 0, "{number}");
        }
        assert_same_trees(&facts(&source, &|_| false), &facts(&out, &|_| false));
        program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
        assert_eq!(program.json(&["repair"]).1, 0);
        let (report, code) = program.json(&["check", "--read-data"]);
        assert_eq!(code, 0, "{number}: {report}");
    }
}
