//! Trees to capture, ways to compare them, and the program itself in a hermetic environment.

use std::collections::BTreeMap;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use jellyvault::manifest::{Catalog, SnapshotId, SnapshotRecord};
use jellyvault::ops::{
    self, Destination, RestoreOptions, RestoreReport, SnapshotOptions, SnapshotReport, SourceSpec,
};
use jellyvault::progress::{Interrupt, Monitor};
use jellyvault::store::Repository;

/// Nobody watches, and `interrupt` stops the work.
pub fn watch(interrupt: &Interrupt) -> Monitor {
    Monitor { interrupt: interrupt.clone(), ..Monitor::default() }
}

pub fn temp() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("jellyvault-test-").tempdir().unwrap()
}

/// The small Jellyfin data directory that the project carries: a server's, copied live, its WAL not
/// in its database yet.
pub fn own_fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/attic")
}

/// What real servers wrote (`tests/fixtures/README.md`), by the name of its archive. Every test
/// sees the same files: copy what you open or change.
pub fn servers(name: &str) -> PathBuf {
    static UNPACKING: Mutex<()> = Mutex::new(());
    let _alone = UNPACKING.lock().unwrap_or_else(PoisonError::into_inner);
    let archive = std::fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures")
            .join(format!("{name}.tar.zst")),
    )
    .unwrap();
    // The hash in the name makes sure that a later archive is unpacked again. Only a complete
    // directory gets that name.
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let dir = place.join(format!("{name}-{}", blake3::hash(&archive).to_hex().split_at(16).0));
    if !dir.exists() {
        std::fs::create_dir_all(place).unwrap();
        let unpacked = tempfile::tempdir_in(place).unwrap();
        let mut tar = Command::new("tar")
            .args(["-xf", "-", "-C"])
            .arg(unpacked.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        zstd::stream::copy_decode(&archive[..], tar.stdin.take().unwrap()).unwrap();
        assert!(tar.wait().unwrap().success());
        // Tests in another process may have been faster.
        let renamed = std::fs::rename(unpacked.path(), &dir);
        assert!(dir.exists(), "{renamed:?}");
        std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
    }
    dir
}

/// Held by tests that start a process which looks like a server, and by those that would find one.
pub fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub fn copy_tree(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

pub fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A file that only its owner can read.
pub fn secret_file(path: &Path, text: &str) {
    write(path, text);
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

/// Waits until files made before now are older than the clock's grain: the racy timestamp rule
/// would have them read again.
pub fn let_settle() {
    std::thread::sleep(std::time::Duration::from_millis(60));
}

/// Bytes that no compressor shrinks, the same for the same seed.
pub fn noise(seed: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new_derive_key("jellyvault suite")
        .update(seed.as_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// The settings of a repository that is not encrypted, whatever the run is.
pub fn plain_settings() -> jellyvault::store::RepoConfig {
    jellyvault::store::RepoConfig {
        cipher: jellyvault::store::NO_CIPHER.to_owned(),
        ..jellyvault::store::RepoConfig::new().unwrap()
    }
}

pub fn capture(repository: &Repository, folder: &Path) -> Result<SnapshotReport, ops::Error> {
    let spec = SourceSpec::plain(folder)?;
    ops::snapshot(
        repository,
        &spec,
        &SnapshotOptions { host: "test".into(), threads: 2, ..SnapshotOptions::default() },
        &Monitor::default(),
    )
}

pub fn restore_to(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    dir: &Path,
) -> Result<RestoreReport, ops::Error> {
    ops::restore(
        repository,
        snapshot,
        &Destination::Directory(dir.to_path_buf()),
        &RestoreOptions { threads: 2, ..RestoreOptions::default() },
        &Monitor::default(),
    )
}

/// All that a snapshot holds, read through the library alone: path to what it is, with the hash of
/// a file's bytes.
pub type Held = BTreeMap<Vec<u8>, String>;

pub fn held(repository: &Repository, record: &SnapshotRecord) -> Held {
    use jellyvault::manifest::{Entries, Kind};
    let index =
        jellyvault::store::Index::open(repository, jellyvault::store::IndexMode::Use).unwrap();
    let mut reader = jellyvault::store::ChunkReader::new(repository, &index);
    let mut found = Held::new();
    for category in record.categories.values() {
        let entries: Vec<_> =
            Entries::all(&mut reader, category.manifest).map(Result::unwrap).collect();
        for entry in entries {
            let bytes = match &entry.kind {
                Kind::File { size, content } => {
                    let mut bytes = vec![0; *size as usize];
                    ops::write_content(&mut reader, content, *size, |at, part| {
                        bytes[at as usize..at as usize + part.len()].copy_from_slice(part);
                        Ok(())
                    })
                    .unwrap();
                    blake3::hash(&bytes).to_hex().to_string()
                }
                other => format!("{other:?}"),
            };
            found.insert(entry.path.clone(), format!("{:o} {:?} {bytes}", entry.mode, entry.mtime));
        }
    }
    found
}

pub fn prune_to(
    repository: &Repository,
    max_unused: ops::MaxUnused,
) -> Result<ops::PruneReport, ops::Error> {
    let options = ops::PruneOptions { max_unused, ..Default::default() };
    ops::prune(repository, &options, &Monitor::default())
}

pub fn check_all(repository: &Repository) -> ops::CheckReport {
    ops::check(
        repository,
        &ops::CheckOptions { read: ops::Share::All, threads: 2 },
        &Monitor::default(),
    )
    .unwrap()
}

pub fn assert_clean(repository: &Repository, when: &str) {
    let report = check_all(repository);
    assert!(report.is_ok(), "{when}: {:?} {:?}", report.findings, report.damage);
}

pub fn repair_all(repository: &Repository) -> Result<ops::RepairReport, ops::Error> {
    let options = ops::RepairOptions {
        quick: false,
        dry_run: false,
        add_parity: None,
        give_up_missing: true,
        threads: 2,
        ..Default::default()
    };
    ops::repair(repository, &options, &Monitor::default())
}

pub fn newest(repository: &Repository) -> (SnapshotId, SnapshotRecord) {
    Catalog::load(repository).unwrap().snapshots.pop().unwrap()
}

/// All that a restore must bring back of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub mode: u32,
    pub owner: (u32, u32),
    pub mtime: (i64, i64),
    pub bytes: Option<blake3::Hash>,
    pub target: Option<Vec<u8>>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Paths of the same file.
    pub linked: Vec<Vec<u8>>,
}

/// An own comparer, which shares no code with the engine's walk or restore.
pub fn facts(root: &Path, leave_out: &dyn Fn(&[u8]) -> bool) -> BTreeMap<Vec<u8>, Facts> {
    let mut found = BTreeMap::new();
    let mut links: BTreeMap<(u64, u64), Vec<Vec<u8>>> = BTreeMap::new();
    let mut walk = walkdir::WalkDir::new(root).min_depth(1).into_iter();
    while let Some(entry) = walk.next() {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
        let metadata = entry.metadata().unwrap();
        if leave_out(&path) {
            if metadata.is_dir() {
                walk.skip_current_dir();
            }
            continue;
        }
        if metadata.is_file() {
            links.entry((metadata.dev(), metadata.ino())).or_default().push(path.clone());
        }
        let hash = |path: &Path| {
            let mut hasher = blake3::Hasher::new();
            std::io::copy(&mut std::fs::File::open(path).unwrap(), &mut hasher).unwrap();
            hasher.finalize()
        };
        let names = rustix_list(entry.path());
        let facts = Facts {
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            bytes: metadata.is_file().then(|| hash(entry.path())),
            target: metadata
                .is_symlink()
                .then(|| std::fs::read_link(entry.path()).unwrap().into_os_string().into_vec()),
            xattrs: names,
            linked: Vec::new(),
        };
        found.insert(path, facts);
    }
    for paths in links.into_values().filter(|paths| paths.len() > 1) {
        for path in &paths {
            found.get_mut(path).unwrap().linked.clone_from(&paths);
        }
    }
    found
}

fn rustix_list(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut names = vec![0; 65_536];
    let len = rustix::fs::llistxattr(path, &mut names).unwrap_or(0);
    let mut pairs: Vec<_> = names[..len]
        .split(|b| *b == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 65_536];
            let len = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
            (name.to_vec(), value[..len].to_vec())
        })
        .collect();
    pairs.sort();
    pairs
}

pub fn assert_same_trees(expected: &BTreeMap<Vec<u8>, Facts>, found: &BTreeMap<Vec<u8>, Facts>) {
    for (path, facts) in expected {
        let path_text = String::from_utf8_lossy(path);
        assert_eq!(found.get(path), Some(facts), "{path_text}");
    }
    let extra: Vec<_> = found
        .keys()
        .filter(|path| !expected.contains_key(*path))
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect();
    assert!(extra.is_empty(), "not in the original: {extra:?}");
}

/// The program, seeing nothing of this machine's settings.
pub struct Program {
    pub home: tempfile::TempDir,
    pub repo: PathBuf,
    /// The cipher that a run of all tests over sealed repositories asks for.
    pub cipher: Option<std::ffi::OsString>,
}

impl Program {
    pub fn new() -> Program {
        let home = temp();
        let repo = home.path().join("repo");
        Program { home, repo, cipher: std::env::var_os("JELLYVAULT_TEST_CIPHER") }
    }

    /// The same whose repositories are not encrypted, whatever the run is.
    pub fn plain() -> Program {
        Program { cipher: None, ..Program::new() }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jellyvault"));
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("TZ", "UTC")
            .env("JELLYVAULT_REPO", &self.repo)
            .env("PATH", "/usr/bin:/bin");
        command.env("JELLYVAULT_TEST_FAST_KDF", "1");
        command.envs(self.cipher.as_ref().map(|cipher| ("JELLYVAULT_TEST_CIPHER", cipher)));
        command.args(args);
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs with `--json`; the document and the exit code.
    pub fn json(&self, args: &[&str]) -> (serde_json::Value, i32) {
        let output = self.run(&[&["--json"], args].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let document = serde_json::from_str(&text).unwrap_or_else(|e| {
            panic!("{e}: {text:?}; {}", String::from_utf8_lossy(&output.stderr))
        });
        (document, output.status.code().unwrap())
    }

    /// Runs and must succeed.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(
            output.status.success(),
            "{args:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Every row of every table of a database, as text; opened from a private copy.
pub fn rows(database: &Path) -> Vec<String> {
    let dir = temp();
    let copy = dir.path().join("db");
    std::fs::copy(database, &copy).unwrap();
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).exists() {
        std::fs::copy(&log, dir.path().join("db-wal")).unwrap();
    }
    let db = rusqlite::Connection::open(copy).unwrap();
    let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let tables: Vec<String> = db
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut all = Vec::new();
    for table in tables {
        let mut statement = db.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns = statement.column_count();
        let mut of_table: Vec<String> = statement
            .query_map([], |row| {
                Ok((0..columns)
                    .map(|at| match row.get_ref(at).unwrap() {
                        rusqlite::types::ValueRef::Text(text) => {
                            format!("{:?}", String::from_utf8_lossy(text))
                        }
                        other => format!("{other:?}"),
                    })
                    .collect::<Vec<_>>()
                    .join("|"))
            })
            .unwrap()
            .map(|row| format!("{table}: {}", row.unwrap()))
            .collect();
        of_table.sort();
        all.extend(of_table);
    }
    all
}

/// Changes a database, and waits until its files count as settled.
pub fn run_sql(database: &Path, sql: &str) {
    let db = rusqlite::Connection::open(database).unwrap();
    db.execute_batch(sql).unwrap();
    db.close().unwrap();
    let_settle();
}

/// The media that a library has below `prefix`, as empty files below `media` with the times that
/// the library knows.
pub fn make_media(database: &Path, prefix: &str, media: &Path) {
    let db = rusqlite::Connection::open(database).unwrap();
    let mut statement = db.prepare("SELECT Path, IsFolder, DateModified FROM BaseItems WHERE Path LIKE ?1 || '/%' ORDER BY Path").unwrap();
    let rows =
        statement.query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let all: Vec<(String, bool, Option<String>)> = rows.map(Result::unwrap).collect();
    assert!(all.len() > 20);
    for (path, is_folder, modified) in all {
        let path = media.join(path.strip_prefix(prefix).unwrap().trim_start_matches('/'));
        if is_folder {
            std::fs::create_dir_all(&path).unwrap();
            continue;
        }
        write(&path, "");
        let modified: jiff::Timestamp = format!("{}Z", modified.unwrap()).parse().unwrap();
        std::fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(modified.into())
            .unwrap();
    }
}
