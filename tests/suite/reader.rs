//! Your data can be read without jellyvault: `docs/read_repository.py`, written from
//! `docs/format.md` alone, gives what a restore gives.

use std::path::{Path, PathBuf};
use std::process::Command;

use needs::needs;

use super::support::*;

/// A Python with what the reader needs: the one that `.ci/run` sets up, or the system's.
pub(super) fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    let named = std::env::var_os("JELLYVAULT_PYTHON").map(PathBuf::from);
    let needed = "import blake3, zstandard, tomllib, cryptography.hazmat.primitives.kdf.argon2";
    let works = |python: &PathBuf| {
        Command::new(python).args(["-c", needed]).output().is_ok_and(|done| done.status.success())
    };
    named.into_iter().chain([own, PathBuf::from("python3")]).find(works).unwrap()
}

fn read(python: &Path, arguments: &[&str]) -> String {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/read_repository.py");
    let done = Command::new(python).arg(reader).args(arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// Every snapshot of a repository, read by the one and by the other. What opens the repository: a
/// file for the program, a file for the reader.
fn assert_reads_the_same(
    program: &Program,
    python: &Path,
    repo: &Path,
    keys: Option<(&Path, &Path)>,
) -> usize {
    let repo = repo.to_str().unwrap();
    let option = |file: Option<&Path>| {
        file.map(|file| vec!["--passphrase-file".to_owned(), file.to_str().unwrap().to_owned()])
            .unwrap_or_default()
    };
    let (ours, theirs) = (option(keys.map(|keys| keys.0)), option(keys.map(|keys| keys.1)));
    let with = |option: &[String], args: &[&str]| {
        [option, &args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>()].concat()
    };
    let read = |args: &[&str]| {
        read(python, &with(&theirs, args).iter().map(String::as_str).collect::<Vec<_>>())
    };
    let ok = |args: &[&str]| {
        program.ok(&with(&ours, args).iter().map(String::as_str).collect::<Vec<_>>())
    };
    let listed = read(&[repo]);
    let ids: Vec<&str> = listed.lines().map(|line| line.split(' ').next().unwrap()).collect();
    for (number, id) in ids.iter().enumerate() {
        let [own, other] =
            ["own", "other"].map(|name| program.home.path().join(format!("{name}-{number}")));
        ok(&["--repo", repo, "restore", id, "--to", own.to_str().unwrap()]);
        read(&[repo, id, other.to_str().unwrap()]);
        let content = |dir: &Path| {
            let mut found: Vec<(String, Vec<u8>)> = Vec::new();
            for entry in walkdir::WalkDir::new(dir).sort_by_file_name() {
                let entry = entry.unwrap();
                let bytes = match entry.file_type() {
                    kind if kind.is_symlink() => std::fs::read_link(entry.path())
                        .unwrap()
                        .to_string_lossy()
                        .into_owned()
                        .into_bytes(),
                    kind if kind.is_file() => std::fs::read(entry.path()).unwrap(),
                    _ => Vec::new(),
                };
                found.push((
                    entry.path().strip_prefix(dir).unwrap().to_string_lossy().into_owned(),
                    bytes,
                ));
            }
            found
        };
        let (own, other) = (content(&own), content(&other));
        assert_eq!(
            own.iter().map(|(path, _)| path).collect::<Vec<_>>(),
            other.iter().map(|(path, _)| path).collect::<Vec<_>>()
        );
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
        copy_tree(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format),
            &fixture,
        );
        assert!(assert_reads_the_same(&program, &python, &fixture, None) > 1);
    }
    let program = Program::plain();
    states(&program, &[]);
    assert_eq!(assert_reads_the_same(&program, &python, &program.repo, None), 4);
}

/// A chain of states of a database, large and sparse files, links of both kinds.
fn states(program: &Program, option: &[&str]) {
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    write(data.join("plugins/large.bin"), noise("large", 9 << 20));
    std::fs::hard_link(data.join("plugins/large.bin"), data.join("plugins/again.bin")).unwrap();
    std::os::unix::fs::symlink("large.bin", data.join("plugins/link.bin")).unwrap();
    std::fs::File::create(data.join("plugins/sparse.bin")).unwrap().set_len(40 << 20).unwrap();
    let db = rusqlite::Connection::open(data.join("data/jellyfin.db")).unwrap();
    for state in 0..4 {
        db.execute(
            "UPDATE BaseItems SET Overview = ?1 WHERE rowid % 4 = ?2",
            (format!("{state} {}", "x".repeat(500)), state),
        )
        .unwrap();
        let_settle();
        program.ok(&[option, &["snapshot", data.to_str().unwrap()]].concat());
    }
    program.ok(&[option, &["prune"]].concat());
}

#[needs(python)]
#[test]
fn the_reader_reads_every_snapshot_of_an_encrypted_repository() {
    let python = python();
    for (cipher, is_fast) in [("chacha20-poly1305", true), ("aes-256-gcm", false)] {
        let program = Program::plain();
        let [passphrase, recovery, wrong] =
            ["passphrase", "recovery", "wrong"].map(|name| program.home.path().join(name));
        // As a keyboard may compose it, and as an editor may end the line.
        secret_file(&passphrase, "Zoe\u{308}’s four words\r\n");
        secret_file(&wrong, "Zoe’s four words\n");
        let option = ["--passphrase-file", passphrase.to_str().unwrap()];
        let init = [
            "init",
            "--encrypt",
            "--cipher",
            cipher,
            "--parity",
            "5%",
            "--recovery-key-file",
            recovery.to_str().unwrap(),
        ];
        // Once with the work that a passphrase is worth.
        let mut made = program.command(&[&option[..], &init].concat());
        made.envs(is_fast.then_some(("JELLYVAULT_TEST_FAST_KDF", "1")));
        assert!(made.output().unwrap().status.success());
        states(&program, &option);
        let secret = if is_fast { &recovery } else { &passphrase };
        assert_eq!(
            assert_reads_the_same(&program, &python, &program.repo, Some((&passphrase, secret))),
            4
        );
        let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/read_repository.py");
        for keys in [vec![], vec!["--passphrase-file", wrong.to_str().unwrap()]] {
            let refused =
                Command::new(&python).arg(&reader).args(keys).arg(&program.repo).output().unwrap();
            assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
        }
    }
}
