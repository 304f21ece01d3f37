//! Snapshots copied into another repository: with other keys, or none.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::support::*;

struct Two {
    program: Program,
    locked: PathBuf,
    passphrase: PathBuf,
    data: PathBuf,
}

impl Two {
    /// A plain repository with snapshots, and an empty encrypted one.
    fn new(snapshots: usize) -> Two {
        let program = Program::plain();
        let (locked, passphrase, data) = (
            program.home.path().join("locked"),
            program.home.path().join("passphrase"),
            program.home.path().join("jellyfin"),
        );
        write(&passphrase, "four random words here");
        copy_tree(&own_fixture(), &data);
        write(data.join("metadata/large.bin"), noise("large", 5_000_000));
        write(data.join("metadata/empty.jpg"), "");
        std::fs::hard_link(data.join("metadata/large.bin"), data.join("metadata/linked.bin"))
            .unwrap();
        std::os::unix::fs::symlink("large.bin", data.join("metadata/link")).unwrap();
        let sparse = std::fs::File::create(data.join("metadata/sparse.bin")).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", 3_000_000).unwrap();
        rustix::fs::setxattr(
            data.join("metadata/empty.jpg"),
            "user.note",
            &[7; 900],
            rustix::fs::XattrFlags::empty(),
        )
        .unwrap();
        let two = Two { program, locked, passphrase, data };
        (0..snapshots).for_each(|n| two.snapshot(n));
        assert_eq!(two.at(&two.locked, &["init", "--encrypt", "--no-recovery-key"]).1, 0);
        two
    }

    fn snapshot(&self, n: usize) {
        write(
            self.data.join("config/system.xml"),
            format!("<ServerConfiguration><N>{n}</N></ServerConfiguration>"),
        );
        let db = rusqlite::Connection::open(self.data.join("data/jellyfin.db")).unwrap();
        db.execute_batch(&format!("CREATE TABLE t{n} (x); INSERT INTO t{n} VALUES ({n})")).unwrap();
        drop(db);
        let_settle();
        let (taken, code) = self.program.json(&["snapshot", self.data.to_str().unwrap()]);
        assert_eq!(code, 0, "{taken}");
    }

    fn command(&self, repo: &Path, args: &[&str]) -> std::process::Command {
        let mut command =
            self.program.command(&[&["--json", "--repo", repo.to_str().unwrap()], args].concat());
        command
            .env("JELLYVAULT_PASSPHRASE_FILE", &self.passphrase)
            .env("JELLYVAULT_TEST_FAST_KDF", "1")
            .stdin(Stdio::null());
        command
    }

    fn at(&self, repo: &Path, args: &[&str]) -> (Value, i32) {
        let done = self.command(repo, args).output().unwrap();
        (
            serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error} {done:?}")),
            done.status.code().unwrap(),
        )
    }

    fn copy(&self, from: &Path, to: &Path, more: &[&str]) -> (Value, i32) {
        self.at(from, &[&["copy", "--to", to.to_str().unwrap()], more].concat())
    }

    fn ids(&self, repo: &Path) -> Vec<String> {
        self.at(repo, &["list"]).0["snapshots"]
            .as_array()
            .unwrap()
            .iter()
            .map(|snapshot| snapshot["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Each snapshot of one repository gives what that of the other gives.
    fn give_the_same(&self, one: &Path, other: &Path) {
        let ids = self.ids(one);
        assert_eq!(ids, self.ids(other));
        for id in ids {
            let [a, b] = [one, other].map(|repo| {
                let out = self
                    .program
                    .home
                    .path()
                    .join(format!("out-{}", repo.file_name().unwrap().display()));
                let (report, code) =
                    self.at(repo, &["restore", &id, "--to", out.to_str().unwrap()]);
                assert_eq!(code, 0, "{report}");
                let found = facts(&out, &|_| false);
                std::fs::remove_dir_all(&out).unwrap();
                found
            });
            assert_same_trees(&a, &b);
        }
        assert_eq!(self.at(other, &["check", "--read-data"]).1, 0);
    }
}

#[test]
fn snapshots_go_into_an_encrypted_repository_and_back_and_nothing_is_stored_twice() {
    let two = Two::new(3);
    let plain = two.program.repo.clone();
    let (planned, _) = two.copy(&plain, &two.locked, &["--dry-run"]);
    assert_eq!(
        (planned["snapshots"].as_array().unwrap().len(), two.ids(&two.locked).len()),
        (3, 0),
        "{planned}"
    );
    let (copied, code) = two.copy(&plain, &two.locked, &[]);
    assert_eq!((code, copied["snapshots"].as_array().unwrap().len()), (0, 3), "{copied}");
    two.give_the_same(&plain, &two.locked);
    // What stays the same is known: a later snapshot costs what changed.
    let first = copied["stored"].as_u64().unwrap();
    two.snapshot(3);
    let (copied, code) = two.copy(&plain, &two.locked, &[]);
    assert_eq!(
        (code, copied["snapshots"].as_array().unwrap().len(), copied["were_there"].as_u64()),
        (0, 1, Some(3)),
        "{copied}"
    );
    assert!(copied["stored"].as_u64().unwrap() * 10 < first, "{copied} after {first}");
    assert_eq!(two.copy(&plain, &two.locked, &[]).0["stored"], 0);
    // One that was cut off between the record and the list is in the list after the next one.
    let links = std::fs::read_dir(two.locked.join("list")).unwrap();
    let links = links.map(|entry| entry.unwrap().path());
    let last = links.filter(|path| path.extension().is_some_and(|is| is == "link")).max().unwrap();
    std::fs::remove_file(last).unwrap();
    let stopped = two.at(&two.locked, &["check"]);
    assert_eq!(stopped.1, 3, "{}", stopped.0);
    assert_eq!(two.copy(&plain, &two.locked, &[]).1, 0);
    let whole = two.at(&two.locked, &["check"]);
    assert_eq!(whole.1, 0, "{}", whole.0);
    // Back again, into a third one.
    let back = two.program.home.path().join("back");
    let made = two.program.json(&["--repo", back.to_str().unwrap(), "init", "--parity", "3%"]);
    assert_eq!(made.1, 0, "{}", made.0);
    assert_eq!(two.copy(&two.locked, &back, &[]).1, 0);
    two.give_the_same(&plain, &back);
    // A capture goes on from what was copied.
    let (taken, code) = two.at(&two.locked, &["snapshot", two.data.to_str().unwrap()]);
    assert_eq!(code, 0, "{taken}");
    // Which files are hard links of one is numbered anew by each repository: a node, and the copy
    // of the record.
    assert!(
        taken["snapshot"]["bytes"]["new_raw"].as_u64().unwrap() < 10_000,
        "{}",
        taken["snapshot"]["bytes"]
    );
}

#[test]
fn what_is_named_is_copied_and_what_was_forgotten_there_stays_forgotten() {
    let two = Two::new(3);
    let plain = two.program.repo.clone();
    let all = two.ids(&plain);
    assert_eq!(two.copy(&plain, &two.locked, &[&all[1]]).1, 0);
    assert_eq!(two.ids(&two.locked), all[1..2]);
    assert_eq!(two.at(&two.locked, &["forget", &all[1], "--prune"]).1, 0);
    let (copied, _) = two.copy(&plain, &two.locked, &[]);
    assert_eq!(
        (copied["forgotten_there"].as_u64(), two.ids(&two.locked)),
        (Some(1), vec![all[0].clone(), all[2].clone()]),
        "{copied}"
    );
    assert_eq!(two.copy(&plain, &two.locked, &["--again"]).1, 0);
    two.give_the_same(&plain, &two.locked);
    let (refused, code) = two.copy(&plain, &plain, &[]);
    assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")));
    let (refused, code) = two.copy(&plain, &two.program.home.path().join("nowhere"), &[]);
    assert!(code == 1 && refused["error"]["hint"].as_str().unwrap().contains("init"), "{refused}");
}

#[test]
fn a_damaged_snapshot_is_named_and_the_others_are_copied() {
    let two = Two::new(1);
    let plain = two.program.repo.clone();
    two.snapshot(1);
    // The second one's own pack.
    let newest = walkdir::WalkDir::new(plain.join("packs"))
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "pack"));
    let newest = newest
        .max_by_key(|entry| entry.metadata().unwrap().modified().unwrap())
        .unwrap()
        .into_path();
    let mut bytes = std::fs::read(&newest).unwrap();
    (100..bytes.len() - 2000).step_by(500).for_each(|at| bytes[at] ^= 1);
    std::fs::write(&newest, bytes).unwrap();
    let (copied, code) = two.copy(&plain, &two.locked, &[]);
    assert_eq!(
        (
            code,
            copied["snapshots"].as_array().unwrap().len(),
            copied["problems"].as_array().unwrap().len()
        ),
        (3, 1, 1),
        "{copied}"
    );
    assert_eq!(two.at(&two.locked, &["check", "--read-data"]).1, 0);
}

#[test]
fn a_copy_that_is_killed_goes_on_and_the_target_is_whole_each_time() {
    let two = Two::new(6);
    let plain = two.program.repo.clone();
    let mut kills = 0;
    for round in 0u64.. {
        let mut running = two
            .command(&plain, &["copy", "--to", two.locked.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(round * 2 + round * round / 8));
        if running.try_wait().unwrap().is_some_and(|status| status.success()) {
            break;
        }
        running.kill().unwrap();
        running.wait().unwrap();
        kills += 1;
        let (found, code) = two.at(&two.locked, &["check", "--read-data"]);
        let is_unlisted =
            found["files"].as_array().unwrap().iter().all(|file| {
                file["what"].as_str().unwrap().contains("the snapshot is not in the list")
            });
        assert!(code == 0 || is_unlisted, "after {kills} kills: {found}");
    }
    assert!(kills > 3, "it was never cut off");
    two.give_the_same(&plain, &two.locked);
}

#[test]
fn rules_and_servers_choose_what_is_copied() {
    let program = Program::plain();
    let place = |name: &str| program.home.path().join(name);
    let (own, other) = (place("own"), place("other"));
    copy_tree(&own_fixture(), &own);
    copy_tree(&own_fixture(), &other);
    write(other.join("data/device.txt"), "0123456789abcdef0123456789abcdef");
    for (n, data) in [&own, &other, &own, &other, &own].into_iter().enumerate() {
        write(data.join("config/note.txt"), n.to_string());
        program.ok(&["snapshot", data.to_str().unwrap()]);
    }
    let (all, _) = program.json(&["list"]);
    let ids: Vec<&str> = all["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    program.ok(&["keep", ids[0]]);
    let server = "0123456789abcdef0123456789abcdef";
    let cases: [(&[&str], &[usize]); 6] = [
        (&["latest", "--server", server], &[3]),
        (&["--keep-last", "1"], &[0, 3, 4]),
        (&["--keep-last", "1", "--server", server], &[3]),
        (&["--server", server], &[1, 3]),
        (&["--keep-within", "1h"], &[0, 1, 2, 3, 4]),
        (&[ids[2]], &[2]),
    ];
    for (number, (args, expected)) in cases.into_iter().enumerate() {
        let to = place(&format!("to{number}"));
        let target = Program { repo: to.clone(), ..Program::plain() };
        target.ok(&["init"]);
        let copy = [&["copy", "--to", to.to_str().unwrap()], args].concat();
        let expected: Vec<&str> = expected.iter().map(|at| ids[*at]).collect();
        for dry in [&["--dry-run"][..], &[]] {
            let (report, code) = program.json(&[&copy[..], dry].concat());
            assert_eq!(code, 0, "{report}");
            let copied: Vec<&str> = report["snapshots"]
                .as_array()
                .unwrap()
                .iter()
                .map(|id| id.as_str().unwrap())
                .collect();
            assert_eq!(copied, expected, "{args:?}");
        }
        target.ok(&["check", "--read-data"]);
    }
    let to = place("to0");
    // Of which server it would be is not said.
    let (refused, code) = program.json(&["copy", "latest", "--to", to.to_str().unwrap()]);
    assert_eq!(code, 2, "{refused}");
    let (refused, code) =
        program.json(&["copy", "latest", "--keep-last", "1", "--to", to.to_str().unwrap()]);
    assert_eq!(code, 2, "{refused}");
}

/// At a terminal: what was typed for the source is tried for the target before anybody is asked.
#[test]
fn a_typed_passphrase_is_tried_for_the_second_repository() {
    let two = Two::new(0);
    let (first, other) = ("four random words here", "four other words there");
    assert_eq!(two.at(&two.locked, &["snapshot", two.data.to_str().unwrap()]).1, 0);
    for (n, passphrase) in [first, other].into_iter().enumerate() {
        let target = two.program.home.path().join(format!("target-{n}"));
        write(&two.passphrase, passphrase);
        assert_eq!(two.at(&target, &["init", "--encrypt", "--no-recovery-key"]).1, 0);
        let line = format!(
            "{} --repo {} copy --to {}",
            env!("CARGO_BIN_EXE_jellyvault"),
            two.locked.display(),
            target.display()
        );
        let mut terminal = std::process::Command::new("script");
        terminal.args(["-qefc", &line, "/dev/null"]).env_clear().env("SHELL", "/bin/sh");
        let own = two.program.command(&[]);
        terminal.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
        terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = terminal.spawn().unwrap();
        let typed = [first, passphrase].map(|text| format!("{text}\n")).concat();
        std::io::Write::write_all(&mut running.stdin.take().unwrap(), typed.as_bytes()).unwrap();
        let done = running.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{said}");
        assert_eq!(said.matches("Passphrase of ").count(), n + 1, "{said}");
        assert_eq!(two.ids(&target).len(), 1);
    }
}
