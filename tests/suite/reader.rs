//! Your data can be read without jellyvault: `docs/read_repository.py`, written from `docs/format.md` alone, gives what a restore gives.

use std::path::{Path, PathBuf};
use std::process::Command;

use needs::needs;

use super::support::*;

/// A Python with what the reader needs: the one that `.ci/run` sets up, or the system's.
fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    let named = std::env::var_os("JELLYVAULT_PYTHON").map(PathBuf::from);
    let works = |python: &PathBuf| Command::new(python).args(["-c", "import blake3, zstandard"]).output().is_ok_and(|done| done.status.success());
    named.into_iter().chain([own, PathBuf::from("python3")]).find(works).unwrap()
}

fn read(python: &Path, arguments: &[&str]) -> String {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/read_repository.py");
    let done = Command::new(python).arg(reader).args(arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// Every snapshot of a repository, read by the one and by the other.
fn assert_reads_the_same(program: &Program, python: &Path, repo: &Path) -> usize {
    let repo = repo.to_str().unwrap();
    let listed = read(python, &[repo]);
    let ids: Vec<&str> = listed.lines().map(|line| line.split(' ').next().unwrap()).collect();
    for (number, id) in ids.iter().enumerate() {
        let [own, other] = ["own", "other"].map(|name| program.home.path().join(format!("{name}-{number}")));
        program.ok(&["--repo", repo, "restore", id, "--to", own.to_str().unwrap()]);
        read(python, &[repo, id, other.to_str().unwrap()]);
        let content = |dir: &Path| {
            let mut found: Vec<(String, Vec<u8>)> = Vec::new();
            for entry in walkdir::WalkDir::new(dir).sort_by_file_name() {
                let entry = entry.unwrap();
                let bytes = match entry.file_type() {
                    kind if kind.is_symlink() => std::fs::read_link(entry.path()).unwrap().to_string_lossy().into_owned().into_bytes(),
                    kind if kind.is_file() => std::fs::read(entry.path()).unwrap(),
                    _ => Vec::new(),
                };
                found.push((entry.path().strip_prefix(dir).unwrap().to_string_lossy().into_owned(), bytes));
            }
            found
        };
        let (own, other) = (content(&own), content(&other));
        assert_eq!(own.iter().map(|(path, _)| path).collect::<Vec<_>>(), other.iter().map(|(path, _)| path).collect::<Vec<_>>());
        assert!(own == other, "{id} differs");
    }
    ids.len()
}

#[needs(python)]
#[test]
fn a_reader_written_from_the_format_document_reads_every_snapshot() {
    let python = python();
    for format in ["repository-format-1", "repository-format-2"] {
        let program = Program::new();
        let fixture = program.home.path().join(format);
        copy_tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format), &fixture);
        assert!(assert_reads_the_same(&program, &python, &fixture) > 1);
    }
    // A chain of states of a database, large and sparse files, links of both kinds.
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    write(data.join("plugins/large.bin"), noise("large", 9 << 20));
    std::fs::hard_link(data.join("plugins/large.bin"), data.join("plugins/again.bin")).unwrap();
    std::os::unix::fs::symlink("large.bin", data.join("plugins/link.bin")).unwrap();
    std::fs::File::create(data.join("plugins/sparse.bin")).unwrap().set_len(40 << 20).unwrap();
    let db = rusqlite::Connection::open(data.join("data/jellyfin.db")).unwrap();
    for state in 0..4 {
        db.execute("UPDATE BaseItems SET Overview = ?1 WHERE rowid % 4 = ?2", (format!("{state} {}", "x".repeat(500)), state)).unwrap();
        let_settle();
        program.ok(&["snapshot", data.to_str().unwrap()]);
    }
    program.ok(&["prune"]);
    assert_eq!(assert_reads_the_same(&program, &python, &program.repo), 4);
}
