//! The keys of encrypted repositories where something is not as it should be: keys of others,
//! removals that were cut off, copies with keys of their own, passphrases that nobody gave or that
//! do not fit; and the service and its page over such a repository.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use super::encryption::Locked;
use super::http::Service;
use super::support::*;

fn file(locked: &Locked, name: &str, text: &str) -> PathBuf {
    let path = locked.program.home.path().join(name);
    secret_file(&path, text);
    path
}

fn words(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn configure(locked: &Locked, data: &Path, passphrase: &Path, more: &str) {
    write(
        locked.program.home.path().join(".config/jellyvault/config.toml"),
        format!(
            "[server]\ndata_dir = {:?}\n[encryption]\npassphrase_file = {:?}\n{more}",
            words(data),
            words(passphrase)
        ),
    );
}

fn message(answer: &Value) -> &str {
    answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn every_page_reads_an_encrypted_repository_with_the_key_of_the_service() {
    let locked = Locked::new(&[]);
    let data = locked.instance();
    locked.snapshot(&data);
    write(data.join("config/branding.xml"), "<BrandingOptions/>");
    let_settle();
    locked.snapshot(&data);
    configure(
        &locked,
        &data,
        &locked.passphrase,
        "[snapshot]\nenabled = false\n[check]\nenabled = false\n[drill]\nenabled = false\n[web]\nlisten = \"127.0.0.1:0\"\n",
    );
    let mut child = locked
        .program
        .command(&["-q", "web", "password"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "correct horse").unwrap();
    assert!(child.wait().unwrap().success());
    let service = Service::start(&locked.program);
    let cookie = service.sign_in("correct horse");
    service.wait_for(&cookie, "/", |text| text.contains("rotected"));
    for page in [
        "/",
        "/snapshots",
        "/snapshots/latest",
        "/snapshots/latest/browse/config",
        "/compare/latest~1/latest",
        "/library?q=crimson",
        "/restore",
        "/health",
        "/settings",
        "/snapshots/latest/file/config/branding.xml",
        "/api/v1/snapshots/latest/happened",
    ] {
        let answer = service.ask("GET", page, &[("Cookie", &cookie)], &[]);
        let text = answer.text();
        assert_eq!(answer.status, 200, "{page}: {text}");
        assert!(!text.contains("did not work") && !text.contains("passphrase was given"), "{page}");
    }
}

#[test]
fn a_passphrase_that_does_not_open_the_repository_is_an_alarm() {
    let locked = Locked::new(&[]);
    let data = locked.instance();
    locked.snapshot(&data);
    let told = locked.program.home.path().join("told");
    let notify = format!(
        "[notify]\ncommand = [\"/bin/sh\", \"-c\", 'echo \"$1 $2\" >> {}', \"sh\"]\n",
        words(&told)
    );
    let wrong = file(&locked, "wrong", "not the passphrase");
    for (number, passphrase) in
        [wrong, locked.program.home.path().join("missing")].iter().enumerate()
    {
        configure(&locked, &data, passphrase, &notify);
        let _told_before = std::fs::remove_file(&told);
        let done = locked.program.command(&["-q", "run"]).output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{done:?}");
        let text = std::fs::read_to_string(&told).unwrap_or_default();
        // The same fault is told once.
        assert_eq!(
            text.contains("Not protected") && text.contains("passphrase"),
            number == 0,
            "{text}"
        );
        let status = locked.program.command(&["status", "--healthy"]).output().unwrap();
        let words = String::from_utf8_lossy(&status.stdout).into_owned();
        assert!(status.status.code() == Some(1) && words.contains("passphrase_file"), "{words}");
    }
}

#[test]
fn a_passphrase_may_look_like_a_recovery_key() {
    let program = Program::plain();
    let passphrase = program.home.path().join("hex");
    secret_file(&passphrase, "0123456789abcdef0123456789abcdef0123456789abcdef01234567");
    let recovery = program.home.path().join("recovery");
    let locked = Locked { program, passphrase, recovery };
    let made = locked.json(&["init", "--encrypt", "--no-recovery-key"]);
    assert_eq!(made.1, 0, "{}", made.0);
    assert_eq!(locked.json(&["list"]).1, 0);
    let other = file(&locked, "other", "1123456789abcdef0123456789abcdef0123456789abcdef01234567");
    let (refused, code) = locked.with(&other, &["list"]);
    assert!(code == 1 && message(&refused).contains("typing mistake"), "{refused}");
}

#[test]
fn who_gives_a_passphrase_gets_no_repository_in_the_clear() {
    let program = Program::plain();
    let passphrase = program.home.path().join("passphrase");
    secret_file(&passphrase, "four random words here");
    let recovery = program.home.path().join("recovery");
    let locked = Locked { program, passphrase, recovery };
    let data = locked.instance();
    for args in [&["init"][..], &["snapshot", words(&data)]] {
        let (refused, code) = locked.json(args);
        assert!(code == 2 && message(&refused).contains("would not be encrypted"), "{refused}");
    }
    configure(&locked, &data, &locked.passphrase, "");
    let run = locked.program.command(&["-q", "run"]).output().unwrap();
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    assert!(!locked.program.repo.join("repo.toml").exists());
    // Nor where an encrypted one was.
    assert_eq!(locked.json(&["init", "--encrypt", "--no-recovery-key"]).1, 0);
    std::fs::remove_dir_all(&locked.program.repo).unwrap();
    std::fs::remove_file(locked.program.home.path().join(".config/jellyvault/config.toml"))
        .unwrap();
    let (refused, code) = locked.program.json(&["init"]);
    assert!(code == 1 && message(&refused).contains("was encrypted"), "{refused}");
}

#[test]
fn a_copy_keeps_keys_of_its_own_and_those_that_were_lost_and_not_those_that_were_removed() {
    let locked = Locked::new(&[]);
    let data = locked.instance();
    locked.snapshot(&data);
    let copy = locked.program.home.path().join("copy");
    let sync = || assert_eq!(locked.json(&["sync", "--to", words(&copy)]).1, 0);
    let opens =
        |repo: &Path, secret: &Path| locked.with(secret, &["--repo", words(repo), "list"]).1 == 0;
    let add = |repo: &Path, secret: &Path| {
        let (added, code) = locked.json(&[
            "--repo",
            words(repo),
            "key",
            "add",
            "--new-passphrase-file",
            words(secret),
        ]);
        assert_eq!(code, 0, "{added}");
        added["key"]["id"].to_string()
    };
    let repo = &locked.program.repo;
    let (removed, at_copy, later) = (
        file(&locked, "removed", "words that go away"),
        file(&locked, "at_copy", "words of the copy"),
        file(&locked, "later", "words that came later"),
    );
    let number = add(repo, &removed);
    sync();
    assert!(opens(&copy, &removed));
    // Both get a key of the same number.
    add(&copy, &at_copy);
    add(repo, &later);
    assert_eq!(locked.json(&["key", "remove", &number, "--yes"]).1, 0);
    // Lost, not removed.
    for name in ["keys/2.key", "keys/2.copy.key"] {
        std::fs::remove_file(repo.join(name)).unwrap();
    }
    sync();
    sync();
    assert!(opens(&copy, &at_copy) && opens(&copy, &later) && opens(&copy, &locked.recovery));
    assert!(opens(&copy, &locked.passphrase) && !opens(&copy, &removed));
    // What was removed at the copy does not come back.
    let keys = locked.json(&["--repo", words(&copy), "key", "list"]).0;
    assert_eq!(keys["keys"].as_array().unwrap().len(), 4, "{keys}");
    assert_eq!(locked.json(&["--repo", words(&copy), "key", "remove", "1", "--yes"]).1, 0);
    sync();
    assert!(!opens(&copy, &locked.passphrase) && opens(repo, &locked.passphrase));
    // Half of a slot that was written is completed.
    let half = files_named(&copy, ".key").pop().unwrap();
    std::fs::remove_file(&half).unwrap();
    sync();
    assert!(half.exists());
    let (checked, code) = locked.with(&later, &["--repo", words(&copy), "check"]);
    assert_eq!(code, 0, "{checked}");
}

#[test]
fn setup_gives_the_service_the_passphrase_that_it_was_given() {
    let program = Program::plain();
    let passphrase = program.home.path().join("passphrase");
    secret_file(&passphrase, "four random words here");
    let recovery = program.home.path().join("recovery");
    let locked = Locked { program, passphrase, recovery };
    let data = locked.instance();
    let (repo, config) =
        (locked.program.home.path().join("new"), locked.program.home.path().join("c.toml"));
    let (done, code) = locked.json(&[
        "--repo",
        words(&repo),
        "--config",
        words(&config),
        "setup",
        "--yes",
        "--data-dir",
        words(&data),
        "--encrypt",
        "--no-recovery-key",
    ]);
    assert_eq!(code, 0, "{done}");
    // Nothing but the configuration says it from now on.
    let of_config = |args: &[&str]| {
        let command = [&["--config", words(&config)], args].concat();
        locked.program.command(&command).env_remove("JELLYVAULT_REPO").output().unwrap()
    };
    let run = of_config(&["-q", "run"]);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let status = of_config(&["status"]);
    assert!(String::from_utf8_lossy(&status.stdout).contains("Protected."), "{status:?}");
}

fn files_named(repo: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(repo.join("keys"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(ending))
        .collect();
    found.sort();
    found
}

#[test]
fn a_removal_that_was_cut_off_is_finished_and_not_mended() {
    let locked = Locked::new(&[]);
    let second = file(&locked, "second", "more words for it");
    let repo = locked.program.repo.clone();
    assert_eq!(locked.json(&["key", "add", "--new-passphrase-file", words(&second)]).1, 0);
    let half = std::fs::read(repo.join("keys/3.copy.key")).unwrap();
    assert_eq!(locked.json(&["key", "remove", "3", "--yes"]).1, 0);
    std::fs::write(repo.join("keys/3.copy.key"), half).unwrap();
    assert_eq!(locked.with(&second, &["list"]).1, 1);
    let (checked, code) = locked.json(&["check"]);
    assert_eq!(code, 0, "{checked}");
    assert_eq!(locked.json(&["repair"]).1, 0);
    assert_eq!(locked.with(&second, &["list"]).1, 1);
}

#[test]
fn keys_of_another_repository_are_named_and_neither_believed_nor_counted() {
    let (locked, other) = (Locked::new(&[]), Locked::new(&[]));
    let data = locked.instance();
    locked.snapshot(&data);
    let keys = locked.program.repo.join("keys");
    let settings = std::fs::read(locked.program.repo.join("repo.toml")).unwrap();
    // Theirs first, opened by the same passphrase.
    for end in ["key", "copy.key"] {
        std::fs::rename(keys.join(format!("1.{end}")), keys.join(format!("9.{end}"))).unwrap();
        std::fs::copy(
            other.program.repo.join(format!("keys/1.{end}")),
            keys.join(format!("1.{end}")),
        )
        .unwrap();
    }
    assert_eq!(locked.json(&["list"]).1, 0);
    for check in [&["check"][..], &["check", "--without-key"]] {
        let (found, code) = locked.json(check);
        assert!(code == 3 && found.to_string().contains("of another repository"), "{found}");
    }
    let (list, code) = locked.json(&["key", "list"]);
    let foreign: Vec<_> = list["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["foreign"].as_bool().unwrap())
        .collect();
    assert_eq!((code, foreign), (3, vec![true, false, false]), "{list}");
    // Settings that are lost come from the key that opens the packs.
    for name in ["repo.toml", "repo.copy.toml"] {
        std::fs::remove_file(locked.program.repo.join(name)).unwrap();
    }
    let (mended, _) = locked.json(&["repair"]);
    assert_eq!(std::fs::read(locked.program.repo.join("repo.toml")).unwrap(), settings, "{mended}");
    assert_eq!(locked.json(&["show", "latest"]).1, 0);
    assert_eq!(locked.json(&["key", "remove", "2", "--yes"]).1, 0);
    let (refused, code) = locked.json(&["key", "remove", "9", "--yes"]);
    assert!(code == 1 && message(&refused).contains("only key"), "{refused}");
    assert_eq!(locked.json(&["key", "remove", "1", "--yes"]).1, 0);
    assert_eq!(locked.json(&["check"]).1, 0);
}

#[test]
fn both_files_of_a_slot_are_tried_and_what_cannot_be_mended_is_not_promised() {
    let locked = Locked::new(&[]);
    let keys = locked.program.repo.join("keys");
    std::fs::copy(keys.join("2.key"), keys.join("1.key")).unwrap();
    assert_eq!(locked.json(&["list"]).1, 0);
    let (found, code) = locked.json(&["check"]);
    assert!(code == 3 && found.to_string().contains("another key than"), "{found}");
    for end in ["key", "copy.key"] {
        std::fs::write(keys.join(format!("2.{end}")), "gone").unwrap();
    }
    let (found, _) = locked.json(&["check"]);
    assert!(found.to_string().contains("key remove"), "{found}");
    assert_eq!(locked.json(&["key", "remove", "2", "--yes"]).1, 0);
    assert!(!keys.join("2.key").exists() && !keys.join("2.copy.key").exists());
}

#[test]
fn no_recovery_key_is_left_that_opens_nothing() {
    let locked = Locked::new(&[]);
    let dead = locked.program.home.path().join("dead");
    let (refused, code) = locked.json(&["init", "--encrypt", "--recovery-key-file", words(&dead)]);
    assert!(code == 1 && !dead.exists(), "{refused}");
    for number in 3..=64 {
        for end in ["key", "copy.key"] {
            let keys = locked.program.repo.join("keys");
            std::fs::copy(keys.join(format!("2.{end}")), keys.join(format!("{number}.{end}")))
                .unwrap();
        }
    }
    let (refused, code) =
        locked.json(&["key", "add", "--recovery-key", "--recovery-key-file", words(&dead)]);
    assert!(code == 1 && message(&refused).contains("64 keys") && !dead.exists(), "{refused}");
    let same = file(&locked, "same", "four random words here");
    let (refused, code) = locked.json(&["key", "add", "--new-passphrase-file", words(&same)]);
    assert!(code == 2 && message(&refused).contains("opens the repository already"), "{refused}");
}

#[test]
fn copies_of_databases_that_a_killed_command_left_go_with_the_next_one_whatever_it_is() {
    let locked = Locked::new(&[]);
    let data = locked.instance();
    locked.snapshot(&data);
    let cache = locked.program.home.path().join(".cache/jellyvault");
    let of_repository = std::fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    let left = of_repository.join("tmp/jellyvault-copy-killed/database");
    std::fs::create_dir_all(left.parent().unwrap()).unwrap();
    std::fs::write(&left, "SQLite format 3").unwrap();
    assert_eq!(locked.json(&["list"]).1, 0);
    assert!(!left.exists());
}
