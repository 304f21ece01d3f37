//! A storm: a real instance changes at random, and random commands of the real program are held
//! against plain copies of what was there.
//!
//! `JELLYVAULT_STORM=2000 JELLYVAULT_STORM_SEED=7 cargo test storm` runs longer, or the same again.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::Value;

use super::rows::Random;
use super::support::*;

/// Sizes around every limit of the engine.
const SIZES: [usize; 14] = [
    0,
    1,
    511,
    512,
    4095,
    4097,
    65_536,
    262_144,
    262_145,
    (1 << 20) - 1,
    (1 << 20) + 1,
    2_300_000,
    6_000_000,
    12_000_001,
];
/// Steps in a usual run.
const STEPS: u64 = 200;
/// Snapshots that are kept to be compared with.
const KEPT_MAX: usize = 6;
const FOLDERS: [&str; 8] = [
    "metadata/library/11/11faabb81f9dcd6ad0913dc529c1f927",
    "metadata/People/Z/Zoë “x”",
    "data/trickplay/69/320 - 10x10",
    "data/attachments/ab",
    "data/subtitles/cd",
    "config/users/Ana",
    "plugins/Made Up/lib",
    "root/default/Films",
];

/// What was there when a snapshot was taken.
struct Kept {
    id: String,
    facts: BTreeMap<Vec<u8>, Facts>,
    rows: [Vec<String>; 2],
}

struct Storm {
    random: Random,
    program: Program,
    data: PathBuf,
    /// Connections that are open: what they wrote is in their logs.
    open: Vec<Connection>,
    kept: Vec<Kept>,
    log: Vec<String>,
    number: u64,
}

fn left_out(path: &[u8]) -> bool {
    let text = String::from_utf8_lossy(path);
    ["data/backups", "data/SQLiteBackups", "cache", "log"].contains(&text.as_ref())
        || text.contains(".db")
}

impl Storm {
    fn new(seed: u64) -> Storm {
        let program = Program::new();
        let data = program.home.path().join("jellyfin");
        copy_tree(&own_fixture(), &data);
        for folder in FOLDERS {
            std::fs::create_dir_all(data.join(folder)).unwrap();
        }
        let plugin = Connection::open(data.join("data/plugin.db")).unwrap();
        plugin
            .execute_batch(
                "PRAGMA journal_mode = WAL; CREATE TABLE storm(n INTEGER PRIMARY KEY, t TEXT);",
            )
            .unwrap();
        let main = Connection::open(data.join("data/jellyfin.db")).unwrap();
        main.execute_batch("CREATE TABLE storm(n INTEGER PRIMARY KEY, t TEXT);").unwrap();
        drop((plugin, main));
        Storm {
            random: Random(seed),
            program,
            data,
            open: Vec::new(),
            kept: Vec::new(),
            log: Vec::new(),
            number: 0,
        }
    }

    fn databases(&self) -> [PathBuf; 2] {
        ["data/jellyfin.db", "data/plugin.db"].map(|name| self.data.join(name))
    }

    fn path(&mut self) -> PathBuf {
        let folder = FOLDERS[self.random.below(FOLDERS.len() as u64) as usize];
        let below = if self.random.below(3) == 0 {
            format!("deeper {}/", self.random.below(3))
        } else {
            String::new()
        };
        self.data.join(format!(
            "{folder}/{below}file {}.{}",
            self.random.below(9),
            ["jpg", "txt", "bin", "nfo"][self.random.below(4) as usize]
        ))
    }

    fn content(&mut self) -> Vec<u8> {
        // The large ones are rarer: they cost a debug build seconds.
        let size =
            SIZES[self.random.below(SIZES.len() as u64).min(self.random.below(SIZES.len() as u64))
                as usize];
        self.number += 1;
        let seed = format!("storm {} {}", self.number, self.random.next());
        match self.random.below(4) {
            0 => vec![0; size],
            1 => format!("<film seed=\"{seed}\"/>\n")
                .into_bytes()
                .into_iter()
                .cycle()
                .take(size)
                .collect(),
            2 => {
                let mut jpeg = noise(&seed, size);
                jpeg.splice(..size.min(3), [0xff, 0xd8, 0xff].into_iter().take(size.min(3)));
                jpeg
            }
            _ => noise(&seed, size),
        }
    }

    fn change(&mut self) {
        let path = self.path();
        let parent = path.parent().unwrap().to_path_buf();
        std::fs::create_dir_all(&parent).unwrap();
        let is_there = path.symlink_metadata().is_ok();
        let kind = self.random.below(12);
        self.log.push(format!("change {kind} {}", path.display()));
        match kind {
            0..=3 => {
                let content = self.content();
                if path.is_symlink() {
                    std::fs::remove_file(&path).unwrap();
                }
                write(&path, content);
            }
            4 if is_there => std::fs::remove_file(&path).unwrap(),
            5 if is_there => {
                std::fs::rename(&path, parent.join(format!("moved {}.bin", self.random.below(5))))
                    .unwrap()
            }
            6 if is_there && !path.is_symlink() => {
                let mode = [0o600, 0o644, 0o755, 0o640][self.random.below(4) as usize];
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            }
            7 if is_there && !path.is_symlink() => {
                let value = self.random.next().to_string();
                rustix::fs::setxattr(
                    &path,
                    "user.storm",
                    value.as_bytes(),
                    rustix::fs::XattrFlags::empty(),
                )
                .unwrap();
            }
            8 if !is_there => {
                std::os::unix::fs::symlink(format!("target {}", self.random.below(9)), &path)
                    .unwrap()
            }
            9 if !is_there => {
                let other = self.path();
                if other.is_file() && !other.is_symlink() {
                    std::fs::hard_link(other, &path).unwrap();
                }
            }
            10 => {
                let folder = parent.join(format!("folder {}", self.random.below(3)));
                if folder.is_dir() {
                    std::fs::remove_dir_all(folder)
                } else {
                    std::fs::create_dir(folder)
                }
                .unwrap();
            }
            11 => self.write_rows(),
            _ => {}
        }
    }

    fn write_rows(&mut self) {
        let which = self.random.below(2) as usize;
        let database = Connection::open(&self.databases()[which]).unwrap();
        for _ in 0..self.random.below(200) {
            let text = "x".repeat(self.random.below(700) as usize);
            database.execute("INSERT INTO storm(t) VALUES(?1)", [text]).unwrap();
        }
        match self.random.below(4) {
            0 => drop(database.execute("DELETE FROM storm WHERE n % 3 = 0", []).unwrap()),
            1 => database.execute_batch("VACUUM").unwrap(),
            // It stays open, with what it wrote in its log.
            _ => self.open.push(database),
        }
    }

    fn json(&mut self, args: &[&str]) -> Value {
        self.log.push(args.join(" "));
        let (document, code) = self.program.json(args);
        assert_eq!(code, 0, "{args:?} {document}");
        document
    }

    fn snapshot(&mut self) {
        let data = self.data.to_str().unwrap().to_owned();
        let report = self.json(&["snapshot", &data]);
        let id = report["snapshot"]["id"].as_str().unwrap().to_owned();
        let rows = self.databases().map(|database| rows(&database));
        self.kept.push(Kept { id, facts: facts(&self.data, &left_out), rows });
        if self.kept.len() > KEPT_MAX {
            let at = self.random.below(self.kept.len() as u64 - 1) as usize;
            let gone = self.kept.remove(at).id;
            self.json(&["forget", &gone, "--prune", "--max-unused", "0%"]);
        }
    }

    fn any(&mut self) -> usize {
        self.random.below(self.kept.len() as u64) as usize
    }

    /// A restored tree against the copy.
    fn same(&self, kept: &Kept, tree: &Path) {
        assert_same_trees(&kept.facts, &facts(tree, &left_out));
        for (name, expected) in ["data/jellyfin.db", "data/plugin.db"].iter().zip(&kept.rows) {
            assert_eq!(&rows(&tree.join(name)), expected, "{name}");
        }
    }

    fn restore(&mut self) {
        let at = self.any();
        let out = self.program.home.path().join("out");
        let id = self.kept[at].id.clone();
        self.json(&["restore", &id, "--to", out.to_str().unwrap(), "--layout", "docker"]);
        self.same(&self.kept[at], &out);
        std::fs::remove_dir_all(out).unwrap();
    }

    fn restore_in_place(&mut self) {
        self.open.clear();
        let at = self.any();
        let (id, data) = (self.kept[at].id.clone(), self.data.to_str().unwrap().to_owned());
        self.json(&[
            "restore",
            &id,
            "--in-place",
            "--data-dir",
            &data,
            "--delete",
            "--no-safety-snapshot",
        ]);
        self.same(&self.kept[at], &self.data);
    }

    /// What a diff must tell: paths that came, went, or hold something else. Times and modes have a
    /// word of their own.
    fn compare(
        &self,
        before: &BTreeMap<Vec<u8>, Facts>,
        after: &BTreeMap<Vec<u8>, Facts>,
        document: &Value,
    ) {
        let differs = |path: &&Vec<u8>| match (before.get(*path), after.get(*path)) {
            (Some(a), Some(b)) => {
                (a.bytes, &a.target, a.mode & 0o170_000) != (b.bytes, &b.target, b.mode & 0o170_000)
            }
            _ => true,
        };
        let text = |path: &Vec<u8>| String::from_utf8(path.clone()).unwrap();
        let expected: BTreeSet<String> =
            before.keys().chain(after.keys()).filter(differs).map(text).collect();
        let mut told = BTreeSet::new();
        for change in document["changes"].as_array().unwrap() {
            if change["change"] == "metadata" {
                let path = change["path"].as_str().unwrap().as_bytes().to_vec();
                assert!(
                    path.ends_with(b".db") || before.get(&path) != after.get(&path),
                    "{change}"
                );
                continue;
            }
            for side in ["before", "after"] {
                told.extend(
                    change[side]["path"]
                        .as_str()
                        .filter(|path| !path.contains(".db"))
                        .map(str::to_owned),
                );
            }
        }
        assert_eq!(told, expected, "{document}");
    }

    fn diff(&mut self) {
        let (a, b) = (self.any(), self.any());
        let (before, after) = (self.kept[a].id.clone(), self.kept[b].id.clone());
        let document = self.json(&["diff", &before, &after]);
        self.compare(&self.kept[a].facts, &self.kept[b].facts, &document);
    }

    fn live_diff(&mut self) {
        let at = self.any();
        let (id, data) = (self.kept[at].id.clone(), self.data.to_str().unwrap().to_owned());
        let document = self.json(&["diff", &id, "--data-dir", &data]);
        self.compare(&self.kept[at].facts, &facts(&self.data, &left_out), &document);
    }

    fn cat(&mut self) {
        let at = self.any();
        let files: Vec<&Vec<u8>> = self.kept[at]
            .facts
            .iter()
            .filter(|(_, facts)| facts.bytes.is_some())
            .map(|(path, _)| path)
            .collect();
        let path = String::from_utf8(files[self.random.below(files.len() as u64) as usize].clone())
            .unwrap();
        if !["config/", "data/", "metadata/", "plugins/", "root/"]
            .iter()
            .any(|folder| path.starts_with(folder))
        {
            return;
        }
        let bytes = self
            .program
            .command(&["cat", &format!("{}:{path}", self.kept[at].id)])
            .output()
            .unwrap()
            .stdout;
        assert_eq!(
            Some(blake3::hash(&bytes)),
            self.kept[at].facts[path.as_bytes()].bytes,
            "{path}"
        );
    }

    fn step(&mut self) {
        for _ in 0..=self.random.below(6) {
            self.change();
        }
        if self.kept.is_empty() {
            return self.snapshot();
        }
        match self.random.below(12) {
            0..=3 => self.snapshot(),
            4 => self.restore(),
            5 => self.restore_in_place(),
            6 | 7 => self.live_diff(),
            8 | 9 => self.diff(),
            10 => self.cat(),
            _ => drop(self.json(&["check", "--read-data"])),
        }
    }
}

impl Drop for Storm {
    #[expect(clippy::print_stderr, reason = "whoever sees it fail must know what led to it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "the last of {} things that were done:\n{}",
                self.log.len(),
                self.log[self.log.len().saturating_sub(25)..].join("\n")
            );
        }
    }
}

#[test]
fn whatever_changes_and_whatever_is_done_every_answer_is_that_of_plain_copies() {
    let number = |name: &str, usual: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let mut storm = Storm::new(number("JELLYVAULT_STORM_SEED", 1));
    for _ in 0..number("JELLYVAULT_STORM", STEPS) {
        storm.step();
    }
    while let Some(kept) = storm.kept.pop() {
        let out = storm.program.home.path().join("out");
        storm.json(&["restore", &kept.id, "--to", out.to_str().unwrap(), "--layout", "docker"]);
        storm.same(&kept, &out);
        std::fs::remove_dir_all(out).unwrap();
    }
    storm.json(&["check", "--read-data"]);
}
