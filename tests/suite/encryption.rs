//! Encrypted repositories, as their users have them: passphrases, recovery keys, and what somebody
//! with the disk can see or do.

use std::path::{Path, PathBuf};

use jellyvault::store::NO_CIPHER;
use serde_json::Value;

use super::support::*;

/// A user with an encrypted repository.
pub struct Locked {
    pub program: Program,
    pub passphrase: PathBuf,
    pub recovery: PathBuf,
}

const PASSPHRASE: &str = "four random words here";

impl Locked {
    pub fn new(more: &[&str]) -> Locked {
        let program = Program::plain();
        let (passphrase, recovery) =
            (program.home.path().join("passphrase"), program.home.path().join("recovery"));
        secret_file(&passphrase, PASSPHRASE);
        let locked = Locked { program, passphrase, recovery };
        let recovery = locked.recovery.to_str().unwrap();
        let (made, code) =
            locked.json(&[&["init", "--encrypt", "--recovery-key-file", recovery], more].concat());
        assert_eq!((code, &made["repository"]["encrypted"]), (0, &Value::Bool(true)), "{made}");
        locked
    }

    pub fn json(&self, args: &[&str]) -> (Value, i32) {
        self.with(&self.passphrase, args)
    }

    pub fn with(&self, passphrase: &Path, args: &[&str]) -> (Value, i32) {
        let mut command = self.program.command(&[&["--json"], args].concat());
        command
            .env("JELLYVAULT_PASSPHRASE_FILE", passphrase)
            .env("JELLYVAULT_TEST_FAST_KDF", "1")
            .stdin(std::process::Stdio::null());
        let done = command.output().unwrap();
        let document = serde_json::from_slice(&done.stdout)
            .unwrap_or_else(|error| panic!("{error}: {args:?} {done:?}"));
        (document, done.status.code().unwrap())
    }

    pub fn instance(&self) -> PathBuf {
        let data = self.program.home.path().join("jellyfin");
        copy_tree(&own_fixture(), &data);
        let_settle();
        data
    }

    pub fn snapshot(&self, data: &Path) {
        let (taken, code) = self.json(&["snapshot", data.to_str().unwrap()]);
        assert_eq!(code, 0, "{taken}");
    }

    fn restores(&self, name: &str) -> (Value, i32) {
        let to = self.program.home.path().join(name);
        self.json(&["restore", "latest", "--to", to.to_str().unwrap()])
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(dir)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.into_path())
        .collect()
}

fn kind(document: &Value) -> &str {
    document["error"]["kind"].as_str().unwrap_or_default()
}

#[test]
fn a_server_comes_back_from_an_encrypted_repository_and_no_name_or_content_is_in_it() {
    let locked = Locked::new(&["--parity", "5%"]);
    let data = locked.instance();
    // A server's id, a file's name, a title, a picture's bytes, a password's hash: none may be
    // found.
    let picture = files_below(&data)
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "jpg"))
        .unwrap();
    let picture = std::fs::read(picture).unwrap();
    write(
        data.join("config/secret-note.xml"),
        "<secret>the quick brown fox jumps over the lazy dog</secret>",
    );
    locked.snapshot(&data);
    for args in [
        &["list"][..],
        &["ls", "-r", "latest"],
        &["check", "--read-data"],
        &["stats"],
        &["find", "jellyfin.db"],
        &["diff", "latest"],
        &["show", "latest"],
    ] {
        let (document, code) = locked.json(args);
        assert_eq!(code, 0, "{args:?} {document}");
    }
    let (report, code) = locked.restores("out");
    assert_eq!(code, 0, "{report}");
    let out = locked.program.home.path().join("out");
    assert_same_trees(
        &facts(&data.join("metadata"), &|_| false),
        &facts(&out.join("metadata"), &|_| false),
    );
    assert_eq!(
        std::fs::read(data.join("config/secret-note.xml")).unwrap(),
        std::fs::read(out.join("config/secret-note.xml")).unwrap()
    );

    let device = std::fs::read_to_string(data.join("data/device.txt")).unwrap();
    let needles: [&[u8]; 7] = [
        b"jellyfin.db",
        b"poster.jpg",
        b"secret-note",
        b"quick brown fox",
        b"PBKDF2",
        device.trim().as_bytes(),
        picture.get(100..132).unwrap(),
    ];
    for file in files_below(&locked.program.repo) {
        let bytes = std::fs::read(&file).unwrap();
        for needle in needles {
            assert!(
                !bytes.windows(needle.len()).any(|window| window == needle),
                "{} has {:?}",
                file.display(),
                String::from_utf8_lossy(needle)
            );
        }
    }
    let names: Vec<_> = std::fs::read_dir(&locked.program.repo)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for derived in ["index.redb", "newest", "scan", "checked", "pages"] {
        assert!(
            !names.iter().any(|name| name == derived),
            "{derived} lies beside what it is derived from: {names:?}"
        );
    }
    // What this machine keeps is its user's alone, and no copy of a database is left in it.
    let cache = locked.program.home.path().join(".cache/jellyvault");
    let own = std::fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&own).unwrap()) & 0o077, 0);
    assert_eq!(files_below(&own.join("tmp")), Vec::<PathBuf>::new());
}

#[test]
fn who_has_no_key_reads_nothing_and_changes_nothing() {
    let locked = Locked::new(&[]);
    let data = locked.instance();
    locked.snapshot(&data);
    let before = facts(&locked.program.repo, &|_| false);
    let wrong = locked.program.home.path().join("wrong");
    secret_file(&wrong, "four other words here");
    for args in [
        &["list"][..],
        &["snapshot", data.to_str().unwrap()],
        &["check"],
        &["repair"],
        &["prune"],
        &["key", "add"],
        &["restore", "latest", "--to", "/nowhere"],
    ] {
        let (refused, code) = locked.with(&wrong, args);
        assert_eq!((code, kind(&refused)), (1, "locked"), "{args:?} {refused}");
        assert!(!refused.to_string().contains("four other words"), "{refused}");
        let (refused, code) = locked.with(Path::new("/does/not/exist"), args);
        assert_eq!((code, kind(&refused)), (1, "locked"), "{args:?} {refused}");
    }
    // Without any passphrase and without a terminal it says how to give one.
    let done = locked
        .program
        .command(&["--json", "list"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let refused: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert!(
        kind(&refused) == "locked"
            && refused["error"]["hint"].as_str().unwrap().contains("--passphrase-file"),
        "{refused}"
    );
    assert_same_trees(&before, &facts(&locked.program.repo, &|_| false));
}

#[test]
fn keys_are_added_changed_removed_and_recovered_and_no_pack_is_written() {
    let locked = Locked::new(&[]);
    let data = locked.instance();
    locked.snapshot(&data);
    let packs = || files_below(&locked.program.repo.join("packs"));
    let before = packs();
    let file = |name: &str, text: &str| {
        let path = locked.program.home.path().join(name);
        secret_file(&path, text);
        path
    };
    let opens = |passphrase: &Path| locked.with(passphrase, &["show", "latest"]).1 == 0;
    let (second, third, fourth) = (
        file("second", "Zoë's other words\n"),
        file("third", "changed words"),
        file("fourth", "new after the loss"),
    );
    assert_eq!(
        locked
            .json(&[
                "key",
                "add",
                "--label",
                "NAS",
                "--new-passphrase-file",
                second.to_str().unwrap()
            ])
            .1,
        0
    );
    assert!(opens(&second) && opens(&locked.passphrase));
    let (keys, _) = locked.json(&["key", "list"]);
    let kinds: Vec<_> = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (key["kind"].as_str().unwrap(), key["label"].as_str().unwrap()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("passphrase", "first passphrase"),
            ("recovery-key", "recovery key"),
            ("passphrase", "NAS")
        ]
    );
    // Changing replaces the one that was given.
    assert_eq!(
        locked
            .with(&second, &["key", "change", "--new-passphrase-file", third.to_str().unwrap()])
            .1,
        0
    );
    assert!(opens(&third) && !opens(&second) && opens(&locked.passphrase));
    assert_eq!(locked.json(&["key", "remove", "1", "--yes"]).1, 0);
    assert!(!opens(&locked.passphrase) && opens(&third));
    // The recovery key sets a new one.
    let recover = [
        "key",
        "recover",
        "--recovery-key-file",
        locked.recovery.to_str().unwrap(),
        "--new-passphrase-file",
        fourth.to_str().unwrap(),
    ];
    let (recovered, code) = locked.with(Path::new("/does/not/exist"), &recover);
    assert!(code == 0 && opens(&fourth), "{recovered}");
    // The last key stays.
    for key in locked.with(&fourth, &["key", "list"]).0["keys"].as_array().unwrap() {
        locked.with(&fourth, &["key", "remove", &key["id"].to_string(), "--yes"]);
    }
    assert_eq!(locked.with(&fourth, &["key", "list"]).0["keys"].as_array().unwrap().len(), 1);
    assert_eq!(packs(), before);
}

#[test]
fn what_somebody_with_the_disk_swaps_truncates_or_puts_back_is_refused_or_named() {
    let locked = Locked::new(&[]);
    let data = locked.instance();
    locked.snapshot(&data);
    write(data.join("config/later.xml"), "<later />");
    let_settle();
    locked.snapshot(&data);
    let other = Locked::new(&[]);
    other.snapshot(&other.instance());
    let repo = &locked.program.repo;
    let is_well = || {
        locked.json(&["check", "--read-data"]).1 == 0
            && locked.restores(&format!("out{}", rand_name())).1 == 0
    };
    assert!(is_well());
    let saved = locked.program.home.path().join("saved");
    copy_tree(repo, &saved);
    let packs: Vec<_> = files_below(&repo.join("packs"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "pack"))
        .collect();
    let other_pack = files_below(&other.program.repo.join("packs"))
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "pack"))
        .unwrap();
    let settings = std::fs::read_to_string(repo.join("repo.toml")).unwrap();
    let plain = jellyvault_settings(&settings);
    let cache = locked.program.home.path().join(".cache");
    type Attack<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let attacks: Vec<Attack> = vec![
        (
            "another repository's pack under this one's name",
            Box::new(|| put(&other_pack, &packs[0])),
        ),
        (
            "a pack cut short",
            Box::new(|| {
                std::fs::File::options().write(true).open(&packs[0]).unwrap().set_len(2000).unwrap()
            }),
        ),
        (
            "two packs swapped",
            Box::new(|| {
                let (a, b) = (std::fs::read(&packs[0]).unwrap(), std::fs::read(&packs[1]).unwrap());
                std::fs::write(&packs[0], b).unwrap();
                std::fs::write(&packs[1], a).unwrap();
            }),
        ),
        (
            "settings that say it is not encrypted",
            Box::new(|| {
                ["repo.toml", "repo.copy.toml"]
                    .iter()
                    .for_each(|name| std::fs::write(repo.join(name), &plain).unwrap())
            }),
        ),
        (
            "the same without keys",
            Box::new(|| {
                ["repo.toml", "repo.copy.toml"]
                    .iter()
                    .for_each(|name| std::fs::write(repo.join(name), &plain).unwrap());
                std::fs::remove_dir_all(repo.join("keys")).unwrap();
            }),
        ),
        (
            "another repository's settings",
            Box::new(|| {
                ["repo.toml", "repo.copy.toml"]
                    .iter()
                    .for_each(|name| put(&other.program.repo.join(name), &repo.join(name)))
            }),
        ),
        (
            "another repository's keys",
            Box::new(|| {
                std::fs::remove_dir_all(repo.join("keys")).unwrap();
                copy_tree(&other.program.repo.join("keys"), &repo.join("keys"));
            }),
        ),
        ("no keys", Box::new(|| std::fs::remove_dir_all(repo.join("keys")).unwrap())),
        (
            "one snapshot's record under the other's name",
            Box::new(|| {
                let records = files_below(&repo.join("snapshots"));
                std::fs::copy(&records[0], &records[1]).unwrap();
            }),
        ),
        (
            "the newest snapshot taken away",
            Box::new(|| {
                let newest = files_below(&repo.join("snapshots"))
                    .into_iter()
                    .max_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap())
                    .unwrap();
                std::fs::remove_file(newest).unwrap();
            }),
        ),
    ];
    for (name, attack) in attacks {
        attack();
        // Another machine has no cache that knows better.
        std::fs::remove_dir_all(&cache).unwrap();
        let (found, code) = locked.json(&["check", "--read-data"]);
        assert_ne!(code, 0, "{name}: {found}");
        let (restored, code) = locked.restores("attacked");
        assert!(
            code != 0
                || name == "the newest snapshot taken away"
                || !restored["problems"].as_array().is_none_or(Vec::is_empty)
                || name.contains("record"),
            "{name}: {restored}"
        );
        std::fs::remove_dir_all(repo).unwrap();
        copy_tree(&saved, repo);
        assert!(is_well(), "{name}");
    }
}

/// The settings as somebody without the key would write them who wants snapshots in the clear.
fn jellyvault_settings(settings: &str) -> String {
    let body: String = settings
        .lines()
        .skip(1)
        .filter(|line| !line.starts_with("tag"))
        .map(|line| format!("{line}\n"))
        .collect();
    let cipher = body.lines().find(|line| line.starts_with("cipher")).unwrap().to_owned();
    let body = body.replace(&cipher, &format!("cipher = \"{NO_CIPHER}\""));
    format!("checksum = \"{}\"\n{body}", blake3::hash(body.as_bytes()).to_hex())
}

fn put(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
}

fn rand_name() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

#[test]
fn an_older_state_that_was_put_back_is_told_until_it_is_accepted() {
    let locked = Locked::new(&[]);
    let data = locked.instance();
    locked.snapshot(&data);
    let saved = locked.program.home.path().join("saved");
    copy_tree(&locked.program.repo, &saved);
    write(data.join("config/later.xml"), "<later />");
    let_settle();
    locked.snapshot(&data);
    std::fs::remove_dir_all(&locked.program.repo).unwrap();
    copy_tree(&saved, &locked.program.repo);
    let (found, code) = locked.json(&["check"]);
    assert!(
        code == 3 && found.to_string().contains("older than the one that this machine saw"),
        "{found}"
    );
    // Whoever copies it brings the copy what is there, and hears that something is missing.
    let at = |name: &str| locked.program.home.path().join(name).to_str().unwrap().to_owned();
    locked.program.ok(&["--repo", &at("second"), "init"]);
    for args in [["sync", "--to", &at("mirror")], ["copy", "--to", &at("second")]] {
        let (report, code) = locked.json(&args);
        assert!(
            code == 3
                && report["snapshots"].as_array().unwrap().len() == 1
                && report.to_string().contains("older than the one that this machine saw"),
            "{report}"
        );
    }
    write(data.join("config/latest.xml"), "<latest />");
    let_settle();
    std::fs::remove_dir_all(&locked.program.repo).unwrap();
    copy_tree(&saved, &locked.program.repo);
    let (taken, code) = locked.json(&["snapshot", data.to_str().unwrap()]);
    assert!(
        code == 3
            && taken["problems"]
                .to_string()
                .contains("an earlier state of the repository was put back"),
        "{taken}"
    );
    let (mended, code) = locked.json(&["repair"]);
    assert_eq!(code, 0, "{mended}");
    assert_eq!(locked.json(&["check"]).1, 0);
}

#[test]
fn who_keeps_a_copy_verifies_it_without_a_key() {
    let locked = Locked::new(&["--parity", "5%"]);
    locked.snapshot(&locked.instance());
    let scrub = || {
        let done = locked
            .program
            .command(&["--json", "check", "--without-key"])
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        (serde_json::from_slice::<Value>(&done.stdout).unwrap(), done.status.code().unwrap())
    };
    let (found, code) = scrub();
    assert!(code == 0 && found["read"]["packs"].as_u64().unwrap() > 0, "{found}");
    let repo = &locked.program.repo;
    let files = |folder: &str, end: &str| {
        let all = files_below(&repo.join(folder));
        all.into_iter().find(|path| path.to_str().unwrap().ends_with(end)).unwrap()
    };
    for file in [
        files("packs", ".pack"),
        files("snapshots", ".snap"),
        files("copies", ".snap"),
        files("list", ".link"),
        files("keys", ".key"),
    ] {
        let bytes = std::fs::read(&file).unwrap();
        for at in [bytes.len() / 2, bytes.len() - 20] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            std::fs::write(&file, damaged).unwrap();
            let (found, code) = scrub();
            let name = file.strip_prefix(repo).unwrap().to_str().unwrap();
            assert!(
                code == 3 && found["files"].to_string().contains(name),
                "{name}, byte {at}: {found}"
            );
        }
        std::fs::write(&file, bytes).unwrap();
    }
    assert_eq!(scrub().1, 0);
    let plain = Program::plain();
    let (refused, code) = plain.json(&["init"]);
    assert_eq!(code, 0, "{refused}");
    assert_eq!(plain.json(&["check", "--without-key"]).1, 1);
}

#[test]
fn a_damaged_key_is_told_and_mended_by_its_copy_and_lost_settings_come_back_from_the_key() {
    let locked = Locked::new(&[]);
    let data = locked.instance();
    locked.snapshot(&data);
    let repo = &locked.program.repo;
    std::fs::write(repo.join("keys/1.key"), "damaged").unwrap();
    std::fs::remove_file(repo.join("keys/2.copy.key")).unwrap();
    let (found, code) = locked.json(&["check"]);
    assert!(
        code == 3
            && found.to_string().contains("keys/1.key")
            && found.to_string().contains("keys/2.copy.key"),
        "{found}"
    );
    let (mended, code) = locked.json(&["repair"]);
    assert_eq!(code, 0, "{mended}");
    assert_eq!(locked.json(&["check"]).1, 0);
    for name in ["repo.toml", "repo.copy.toml"] {
        std::fs::remove_file(repo.join(name)).unwrap();
    }
    assert_eq!(locked.json(&["list"]).1, 1);
    let (mended, code) = locked.json(&["repair"]);
    assert_eq!(code, 0, "{mended}");
    assert_eq!(locked.restores("out").1, 0);
}

#[test]
fn sizes_of_posters_cannot_be_found_among_the_packs() {
    let locked = Locked::new(&[]);
    let folder = locked.program.home.path().join("posters");
    // Large ones are stored alone: the most that sizes could tell.
    let sizes: Vec<usize> = (0..60).map(|n| 150_000 + n * 4_931).collect();
    for (n, size) in sizes.iter().enumerate() {
        write(
            folder.join(format!("{n}/poster.jpg")),
            [b"\xff\xd8\xff".as_slice(), &noise(&n.to_string(), *size)].concat(),
        );
    }
    let_settle();
    assert_eq!(locked.json(&["snapshot", "--plain", folder.to_str().unwrap()]).1, 0);
    // Where extents begin can be seen: their heads have a mark. How long is each?
    let mut seen = Vec::new();
    for pack in files_below(&locked.program.repo.join("packs")) {
        let bytes = std::fs::read(&pack).unwrap();
        let marks: Vec<usize> = bytes
            .windows(4)
            .enumerate()
            .filter(|(_, window)| window == b"JVEX")
            .map(|(at, _)| at)
            .collect();
        seen.extend(marks.windows(2).map(|pair| pair[1] - pair[0]));
    }
    assert!(seen.len() > 20, "the attack must see something: {} extents", seen.len());
    // The attack: whose size is it? With exact sizes each poster would be alone; of sixty it must
    // not tell even every third.
    let overhead = 12 + 8 + 2 * 48 + 256;
    let told = |size: usize| {
        let fits = |seen: &usize| (size..=size + overhead).contains(seen);
        seen.iter().filter(|seen| fits(seen)).count()
    };
    let named = sizes.iter().filter(|size| told(**size) == 1).count();
    assert!(named * 3 < sizes.len(), "{named} of {} posters are told by their sizes", sizes.len());
}

/// What an error advises is what helps.
#[test]
fn the_hint_fits_what_keeps_an_encrypted_repository_shut() {
    let locked = Locked::new(&[]);
    let data = locked.instance();
    locked.snapshot(&data);
    let hint = |(refused, code): (Value, i32)| {
        assert_eq!(code, 1, "{refused}");
        refused["error"]["hint"].as_str().unwrap().to_owned()
    };
    let missing = hint(locked.with(Path::new("/does/not/exist"), &["list"]));
    assert!(missing.contains("Correct this"), "{missing}");
    // A cache that cannot be created: not the repository's directory is at fault.
    let mut command = locked.program.command(&["--json", "list"]);
    command.env("JELLYVAULT_PASSPHRASE_FILE", &locked.passphrase).env("HOME", "/proc");
    let done = command.stdin(std::process::Stdio::null()).output().unwrap();
    let refused: Value = serde_json::from_slice(&done.stdout).unwrap();
    let cache = hint((refused, done.status.code().unwrap()));
    assert!(cache.contains("XDG_CACHE_HOME"), "{cache}");
    // Settings of a plain repository: the hint is followed to the end.
    let plain = Program::plain();
    plain.ok(&["init"]);
    let repo = &locked.program.repo;
    std::fs::copy(plain.repo.join("repo.toml"), repo.join("repo.toml")).unwrap();
    let forged = hint(locked.json(&["list"]));
    assert!(forged.contains("Delete repo.toml") && forged.contains("repair"), "{forged}");
    std::fs::remove_file(repo.join("repo.toml")).unwrap();
    assert_eq!(locked.json(&["repair"]).1, 0);
    assert_eq!(locked.restores("out").1, 0);
    // The same of both copies.
    for name in ["repo.toml", "repo.copy.toml"] {
        std::fs::copy(plain.repo.join("repo.toml"), repo.join(name)).unwrap();
    }
    assert!(hint(locked.json(&["list"])).contains("Delete repo.toml"));
    std::fs::remove_file(repo.join("repo.toml")).unwrap();
    assert!(hint(locked.json(&["repair"])).contains("delete repo.copy.toml as well"));
    std::fs::remove_file(repo.join("repo.copy.toml")).unwrap();
    assert_eq!(locked.json(&["repair"]).1, 0);
    assert_eq!(locked.restores("again").1, 0);
}
