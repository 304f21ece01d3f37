//! Odd names, odd files, odd trees: captured and restored, or a named problem and exit code 3.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;

use jellyvault::backend::MemoryBackend;
use jellyvault::ops::{self, SnapshotOptions, SourceSpec};
use jellyvault::progress::Monitor;
use jellyvault::store::Repository;
use needs::needs;

use super::support::*;

fn comes_back(source: &Path) {
    let program = Program::new();
    let_settle();
    let (report, code) = program.json(&["snapshot", "--plain", source.to_str().unwrap()]);
    assert_eq!(code, 0, "{report}");
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert_same_trees(&facts(source, &|_| false), &facts(&out, &|_| false));
}

#[test]
fn names_of_every_kind_come_back() {
    let dir = temp();
    let long = vec![b'n'; 255];
    let names: [&[u8]; 13] = [
        b"\xff\xfe not UTF-8",
        b"new\nline",
        &long,
        b"-rf",
        b"..a",
        b"...",
        b" ",
        b"a\\b",
        b"TWIN",
        b"twin",
        "Ödön – 100% Pure".as_bytes(),
        b"\x01\x7f",
        b"a.b",
    ];
    for name in names {
        write(dir.path().join("files").join(OsStr::from_bytes(name)), name);
        write(dir.path().join("folders").join(OsStr::from_bytes(name)).join("inner"), name);
    }
    write(dir.path().join("a/x"), "sorted before a.b and a-b");
    write(dir.path().join("a-b"), "");
    comes_back(dir.path());
}

#[test]
fn paths_of_four_thousand_bytes_and_a_hundred_levels_come_back() {
    let dir = temp();
    let mut deep = dir.path().to_path_buf();
    for level in 0..100 {
        deep.push(format!("level {level}"));
    }
    write(deep.join("bottom"), "here");
    let part = "p".repeat(200);
    let mut long = dir.path().join("long");
    while long.as_os_str().len() < 3_700 {
        long.push(&part);
    }
    write(long.join("end"), "there");
    comes_back(dir.path());
}

#[test]
fn a_directory_of_a_hundred_thousand_files_comes_back() {
    let dir = temp();
    let folder = dir.path().join("source/many");
    std::fs::create_dir_all(&folder).unwrap();
    for n in 0..100_000u32 {
        std::fs::write(folder.join(format!("{n:x}")), n.to_le_bytes()).unwrap();
    }
    let program = Program::new();
    let (report, code) =
        program.json(&["snapshot", "--plain", dir.path().join("source").to_str().unwrap()]);
    assert_eq!((code, report["files"]["total"].as_u64()), (0, Some(100_000)));
    let out = program.home.path().join("out");
    let (report, _) = program.json(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert_eq!(report["restored"]["files"], 100_000);
    for n in (0..100_000u32).step_by(997) {
        assert_eq!(std::fs::read(out.join(format!("many/{n:x}"))).unwrap(), n.to_le_bytes());
    }
}

#[test]
fn links_sparse_files_attributes_and_times_come_back() {
    let dir = temp();
    let at = |name: &str| dir.path().join(name);
    write(at("original"), noise("original", 5000));
    std::fs::create_dir(at("folder")).unwrap();
    std::fs::hard_link(at("original"), at("folder/second name")).unwrap();
    std::fs::hard_link(at("original"), at("zz")).unwrap();
    std::os::unix::fs::symlink("folder/second name", at("link")).unwrap();
    std::os::unix::fs::symlink("/nowhere/at all", at("dangling")).unwrap();
    write(at("empty"), "");
    write(at("large"), noise("large", 3 << 20));
    write(at("text"), "line of text\n".repeat(200_000));
    std::fs::set_permissions(at("empty"), std::fs::Permissions::from_mode(0o4711)).unwrap();
    std::fs::set_permissions(at("folder"), std::fs::Permissions::from_mode(0o1750)).unwrap();
    // An ACL is the attribute system.posix_acl_access: version 2, then (tag, permissions, id).
    let acl: Vec<u8> = [
        &[2u8, 0, 0, 0][..],
        &acl_entry(1, 6, u32::MAX),
        &acl_entry(2, 4, 12_345),
        &acl_entry(4, 4, u32::MAX),
        &acl_entry(16, 4, u32::MAX),
        &acl_entry(32, 0, u32::MAX),
    ]
    .concat();
    for (path, name, value) in [
        ("original", "user.note", b"\0\xff".to_vec()),
        ("folder", "user.folder", vec![7; 2000]),
        ("text", "user.big", vec![9; 2000]),
        ("large", "system.posix_acl_access", acl),
    ] {
        match rustix::fs::setxattr(at(path), name, &value, rustix::fs::XattrFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOTSUP) => {}
            Err(e) => panic!("{name}: {e}"),
        }
    }
    let stamp = |seconds, nanos| rustix::fs::Timestamps {
        last_access: rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanos },
        last_modification: rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanos },
    };
    for (name, seconds) in [("empty", -100), ("link", 1_000_000_000), ("folder", 5_000_000_000)] {
        rustix::fs::utimensat(
            rustix::fs::CWD,
            at(name),
            &stamp(seconds, 123_456_789),
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )
        .unwrap();
    }
    comes_back(dir.path());
}

fn acl_entry(tag: u16, permissions: u16, id: u32) -> Vec<u8> {
    [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
}

#[test]
fn ten_gigabytes_of_holes_take_no_space_and_come_back_as_holes() {
    let dir = temp();
    let file = std::fs::File::create(dir.path().join("sparse")).unwrap();
    let size: u64 = 10 << 30;
    file.set_len(size).unwrap();
    use std::os::unix::fs::FileExt;
    file.write_all_at(b"in the middle", 5 << 30).unwrap();
    file.write_all_at(b"end", size - 3).unwrap();
    drop(file);
    let program = Program::new();
    let (report, code) = program.json(&["snapshot", "--plain", dir.path().to_str().unwrap()]);
    assert_eq!(code, 0);
    assert!(report["bytes"]["new_stored"].as_u64().unwrap() < 100_000, "{report}");
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    let metadata = std::fs::metadata(out.join("sparse")).unwrap();
    assert_eq!(metadata.len(), size);
    assert!(metadata.blocks() * 512 < 1 << 20, "the holes were filled");
    let back = std::fs::File::open(out.join("sparse")).unwrap();
    let mut buffer = [0; 15];
    back.read_exact_at(&mut buffer, (5 << 30) - 1).unwrap();
    assert_eq!(&buffer, b"\0in the middle\0");
    back.read_exact_at(&mut buffer[..3], size - 3).unwrap();
    assert_eq!(&buffer[..3], b"end");
}

/// Two TiB in a thousand places: the restore asks for no room for what lies between.
#[test]
fn holes_in_a_long_list_of_pieces_ask_for_no_room() {
    use std::os::unix::fs::FileExt;
    let dir = temp();
    let size: u64 = 2 << 40;
    let file = std::fs::File::create(dir.path().join("sparse")).unwrap();
    file.set_len(size).unwrap();
    for place in 0..1000u64 {
        file.write_all_at(format!("place {place}").as_bytes(), place << 30).unwrap();
    }
    drop(file);
    let program = Program::new();
    program.ok(&["snapshot", "--plain", dir.path().to_str().unwrap()]);
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    let back = std::fs::File::open(out.join("sparse")).unwrap();
    assert_eq!(back.metadata().unwrap().len(), size);
    let mut buffer = [0; 9];
    back.read_exact_at(&mut buffer, 999 << 30).unwrap();
    assert_eq!(&buffer, b"place 999");
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_captured() {
    let dir = temp();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let source = dir.path().join("source");
    write(source.join("fine"), "fine");
    write(source.join("closed"), "closed");
    write(source.join("shut/inner"), "inner");
    std::fs::set_permissions(source.join("closed"), std::fs::Permissions::from_mode(0o000))
        .unwrap();
    std::fs::set_permissions(source.join("shut"), std::fs::Permissions::from_mode(0o000)).unwrap();
    std::os::unix::net::UnixListener::bind(source.join("socket")).unwrap();
    let program = Program::new();
    let repo = dir.path().join("repo");
    std::fs::create_dir(&repo).unwrap();
    // Not as root, whom nothing stops.
    let mut command = program.command(&[
        "--json",
        "--repo",
        repo.to_str().unwrap(),
        "snapshot",
        "--plain",
        source.to_str().unwrap(),
    ]);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&repo, Some(65_534), Some(65_534)).unwrap();
        // The program itself must be reachable for that user.
        let copy = dir.path().join("jellyvault");
        std::fs::copy(env!("CARGO_BIN_EXE_jellyvault"), &copy).unwrap();
        command = std::process::Command::new(copy);
        command
            .env_clear()
            .args([
                "--json",
                "--repo",
                repo.to_str().unwrap(),
                "snapshot",
                "--plain",
                source.to_str().unwrap(),
            ])
            .uid(65_534)
            .gid(65_534);
    }
    let output = command.output().unwrap();
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e} {output:?}"));
    assert_eq!(output.status.code(), Some(3), "{report}");
    let mut named: Vec<_> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["path"].as_str().unwrap())
        .collect();
    named.sort_unstable();
    assert_eq!(named, ["closed", "shut"]);
    assert_eq!(report["files"]["total"], 1);
    assert!(report["remarks"].to_string().contains("socket"), "{report}");
    std::fs::set_permissions(source.join("shut"), std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_file_that_grows_while_it_is_read_is_named() {
    let dir = temp();
    let path = dir.path().join("growing");
    write(&path, noise("growing", 1 << 20));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::io::Write;
            let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                file.write_all(b"more").unwrap();
            }
        });
        let program = Program::new();
        // Where the machine is busy the writer may rest just then.
        let mut caught = (serde_json::Value::Null, 0);
        for _ in 0..50 {
            caught = program.json(&["snapshot", "--plain", dir.path().to_str().unwrap()]);
            if caught.1 != 0 {
                break;
            }
        }
        let (report, code) = caught;
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(code, 3, "{report}");
        assert_eq!(report["problems"][0]["path"], "growing");
        assert!(
            report["problems"][0]["what"].as_str().unwrap().contains("changed every time"),
            "{report}"
        );
        // What was read last is kept all the same.
        assert!(
            program.command(&["cat", "latest:growing"]).output().unwrap().stdout.len() >= 1 << 20
        );
    });
}

/// Removes a file as soon as another one was dealt with; may bring it back for the next walk.
struct Remover(std::path::PathBuf, bool);

impl jellyvault::progress::Progress for Remover {
    fn phase(&self, phase: jellyvault::progress::Phase, _: u64, _: u64) {
        if self.1 && phase == jellyvault::progress::Phase::Capture {
            write(&self.0, "back again");
        }
    }
    fn advance(&self, _: u64, _: u64) {
        drop(std::fs::remove_file(&self.0));
    }
    fn problem(&self, _: &jellyvault::progress::Problem) {}
}

#[test]
fn only_a_file_that_vanishes_at_each_walk_is_named() {
    for comes_back in [false, true] {
        let problems = problems_of_vanishing(comes_back);
        let named: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(named, if comes_back { vec!["z"] } else { vec![] });
        assert!(
            problems
                .iter()
                .all(|problem| problem.what.starts_with("it disappeared while the snapshot was taken, and files disappeared at each further attempt")),
            "{problems:?}"
        );
    }
}

fn problems_of_vanishing(comes_back: bool) -> Vec<jellyvault::progress::Problem> {
    let source = temp();
    write(source.path().join("a"), "read first");
    write(source.path().join("z"), "gone before its turn");
    let backend = MemoryBackend::default();
    Repository::init_on(&backend).unwrap();
    let repository = Repository::open_on(Box::new(backend)).unwrap();
    let monitor = Monitor::new(Remover(source.path().join("z"), comes_back));
    let spec = SourceSpec::plain(source.path()).unwrap();
    let report = ops::snapshot(
        &repository,
        &spec,
        &SnapshotOptions { threads: 1, ..SnapshotOptions::default() },
        &monitor,
    )
    .unwrap();
    assert_eq!(report.record.files.total, 1);
    report.record.problems
}

#[test]
fn a_folder_that_moves_during_the_walk_is_in_the_snapshot_or_named() {
    const FOLDERS: usize = 100;
    let source = temp();
    for number in 0..FOLDERS {
        let file = source.path().join(format!(
            "{}/{number:03}/poster.jpg",
            if number % 2 == 0 { "attachments" } else { "subtitles" }
        ));
        write(file, number.to_string());
    }
    let repository = Repository::open_on(Box::new({
        let backend = MemoryBackend::default();
        Repository::init_on(&backend).unwrap();
        backend
    }))
    .unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut found = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in (0..FOLDERS)
                .cycle()
                .take_while(|_| !stop.load(std::sync::atomic::Ordering::Relaxed))
            {
                let [a, b] = ["attachments", "subtitles"]
                    .map(|parent| source.path().join(format!("{parent}/{number:03}")));
                let (from, to) = if a.exists() { (a, b) } else { (b, a) };
                std::fs::rename(from, to).unwrap();
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
        });
        for _ in 0..20 {
            let spec = SourceSpec::plain(source.path()).unwrap();
            let report =
                ops::snapshot(&repository, &spec, &SnapshotOptions::default(), &Monitor::default());
            found.push(
                report.map(|report| (report.record.files.total, report.record.problem_count)),
            );
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let found: Vec<(u64, u64)> = found.into_iter().map(Result::unwrap).collect();
    assert!(
        found.iter().all(|(files, problems)| *files >= FOLDERS as u64 || *problems > 0),
        "(files, problems): {found:?}"
    );
    assert!(found.iter().any(|(_, problems)| *problems > 0), "nothing moved: {found:?}");
    // At rest, nothing is said.
    let_settle();
    let report = ops::snapshot(
        &repository,
        &SourceSpec::plain(source.path()).unwrap(),
        &SnapshotOptions::default(),
        &Monitor::default(),
    )
    .unwrap();
    assert_eq!((report.record.files.total, report.record.problems), (FOLDERS as u64, vec![]));
}

/// A new exFAT file system in a file.
struct ExFat {
    dir: tempfile::TempDir,
    device: String,
}

impl ExFat {
    fn new() -> ExFat {
        let dir = temp();
        let made = std::process::Command::new("sh")
            .arg("-ec")
            .arg("truncate -s 64M image; mkfs.exfat image >/dev/null; device=$(losetup -f --show image); mkdir m; mount.exfat-fuse $device m >/dev/null || { losetup -d $device; exit 1; }; echo $device")
            .current_dir(dir.path())
            .output();
        let made = made.unwrap();
        assert!(made.status.success(), "{made:?}");
        ExFat { device: String::from_utf8(made.stdout).unwrap().trim().to_owned(), dir }
    }
}

impl Drop for ExFat {
    fn drop(&mut self) {
        let script = format!("umount m; losetup -d {}", self.device);
        std::process::Command::new("sh")
            .arg("-c")
            .arg(script)
            .current_dir(self.dir.path())
            .status()
            .unwrap();
    }
}

#[needs(exfat)]
#[test]
fn two_names_that_the_target_takes_for_one_are_both_named() {
    let exfat = ExFat::new();
    let program = Program::new();
    let source = program.home.path().join("source");
    for name in
        ["Poster.jpg", "poster.jpg", "A/one", "a/two", "ÄRGER", "ärger", "alone", "Alone.txt"]
    {
        write(source.join(name), name);
    }
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    let args = |dir: std::path::PathBuf| {
        [
            "restore".to_owned(),
            "latest".to_owned(),
            "--to".to_owned(),
            dir.to_str().unwrap().to_owned(),
        ]
    };
    let run = |dir: std::path::PathBuf| {
        program.json(&args(dir).iter().map(String::as_str).collect::<Vec<_>>())
    };
    let (report, code) = run(exfat.dir.path().join("m/out"));
    assert_eq!(code, 3, "{report}");
    // Two of the eight were written over; of the two folders both files are there.
    assert_eq!(report["restored"]["files"], 6, "{report}");
    let said: Vec<String> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| format!("{} {}", p["path"], p["what"]))
        .collect();
    assert_eq!(said.len(), 3, "{said:?}");
    for (number, pair) in
        [["a", "A"], ["Poster.jpg", "poster.jpg"], ["ÄRGER", "ärger"]].iter().enumerate()
    {
        assert!(
            said.iter().any(|text| pair.iter().all(|name| text.contains(*name))),
            "{number} {said:?}"
        );
    }
    // Where all of them can be, nothing is said.
    let (report, code) = run(program.home.path().join("out"));
    assert_eq!((code, &report["problems"]), (0, &serde_json::json!([])));
}

/// What the first snapshot of a new repository says.
fn said_of_a_new_repository(program: &Program, repo: &std::path::Path) -> String {
    let source = program.home.path().join("source");
    write(source.join("file"), "content");
    let output = program.run(&[
        "--repo",
        repo.to_str().unwrap(),
        "snapshot",
        "--plain",
        source.to_str().unwrap(),
    ]);
    assert!(output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_repository_that_nobody_else_can_read_is_said_to_be_private() {
    let program = Program::new();
    assert!(said_of_a_new_repository(&program, &program.repo).contains("Only you can read"));
}

#[needs(exfat)]
#[test]
fn a_repository_that_others_can_read_is_not_said_to_be_private() {
    let exfat = ExFat::new();
    let said = said_of_a_new_repository(&Program::new(), &exfat.dir.path().join("m/repo"));
    assert!(!said.contains("Only you") && said.contains("does not store permissions"), "{said}");
}

#[test]
fn names_are_shown_on_one_line_and_carried_exactly() {
    let program = Program::new();
    let source = program.home.path().join("source");
    let odd: [&[u8]; 4] = [b"a\nb", b"\xff\x00x".split_at(1).0, b"tab\there", "Zoë “x”".as_bytes()];
    for name in odd {
        write(source.join(OsStr::from_bytes(name)), "text");
    }
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    let shown = program.ok(&["ls", "latest"]);
    assert_eq!(shown.lines().count(), odd.len(), "{shown:?}");
    let (listed, _) = program.json(&["ls", "latest"]);
    let carried = |entry: &serde_json::Value| match entry["path_base64"].as_str() {
        Some(text) => base64::Engine::decode(&base64::prelude::BASE64_STANDARD, text).unwrap(),
        None => entry["path"].as_str().unwrap().as_bytes().to_vec(),
    };
    let mut found: Vec<Vec<u8>> =
        listed["entries"].as_array().unwrap().iter().map(carried).collect();
    found.sort();
    let mut expected = odd.map(<[u8]>::to_vec);
    expected.sort();
    assert_eq!(found, expected);
    let only_one = listed["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry.get("path_base64").is_some())
        .count();
    assert_eq!(only_one, 1, "{listed}");
}

#[test]
fn an_exclude_that_fits_nothing_is_said() {
    let program = Program::new();
    let source = program.home.path().join("source");
    write(source.join("a.bif"), "text");
    write(source.join("b"), "text");
    let (report, code) = program.json(&[
        "snapshot",
        "--plain",
        source.to_str().unwrap(),
        "--exclude",
        "*.bif",
        "--exclude",
        "*.biff",
        "--exclude",
        "c/**",
    ]);
    assert_eq!(code, 0);
    let said: Vec<_> = report["remarks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|remark| remark.as_str().unwrap())
        .collect();
    assert!(
        said.iter().any(|s| s.contains("*.biff:"))
            && said.iter().any(|s| s.contains("c/**:"))
            && said.iter().all(|s| !s.contains("*.bif:")),
        "{said:?}"
    );
}
