//! A mounted snapshot is its source: for find, cp, sha256sum and four readers at once; and nobody
//! can write to it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use needs::needs;

use super::support::*;

/// A mount that goes away with the test.
struct Mounted {
    program: Child,
    dir: PathBuf,
    /// What it says on standard error.
    told: PathBuf,
}

impl Mounted {
    fn new(program: &Program, args: &[&str], dir: &Path) -> Mounted {
        std::fs::create_dir(dir).unwrap();
        let told = dir.with_extension("told");
        let errors = std::fs::File::create(&told).unwrap();
        let child = program
            .command(&[&["mount"], args, &[dir.to_str().unwrap()]].concat())
            .stderr(errors)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mounted = Mounted { program: child, dir: dir.to_path_buf(), told };
        let start = Instant::now();
        let device = std::fs::metadata(dir.parent().unwrap()).unwrap().dev();
        while std::fs::metadata(dir).map_or(device, |found| found.dev()) == device {
            assert!(start.elapsed() < Duration::from_secs(20), "nothing was mounted");
            std::thread::sleep(Duration::from_millis(20));
        }
        mounted
    }

    /// Ctrl-C; the exit code.
    fn interrupt(mut self) -> Option<i32> {
        let id = rustix::process::Pid::from_raw(i32::try_from(self.program.id()).unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        self.program.wait().unwrap().code()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.program.try_wait().unwrap().is_none() {
            Command::new("umount").arg("-l").arg(&self.dir).status().unwrap();
            self.program.wait().unwrap();
        }
    }
}

fn output(script: &str, dir: &Path) -> String {
    let output = Command::new("sh").arg("-c").arg(script).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A tree with all that a mount may stumble over.
fn odd_tree(source: &Path) {
    copy_tree(&own_fixture(), source);
    write(source.join("odd/Ödön – 100% Pure/“quoted” 'name'.txt"), "text");
    write(source.join("odd/empty"), "");
    write(source.join("odd/large.bin"), noise("large", 9 << 20));
    write(source.join("odd/one"), "linked");
    std::fs::hard_link(source.join("odd/one"), source.join("odd/two")).unwrap();
    std::os::unix::fs::symlink("../config/system.xml", source.join("odd/link")).unwrap();
    let sparse = std::fs::File::create(source.join("odd/sparse")).unwrap();
    use std::os::unix::fs::FileExt;
    sparse.write_all_at(&noise("middle", 5000), 3_000_000).unwrap();
    sparse.set_len(8_000_000).unwrap();
    for number in 0..3000 {
        write(source.join(format!("odd/many/{number}")), number.to_string());
    }
}

#[needs(fuse)]
#[test]
fn a_mounted_snapshot_equals_its_source_for_the_programs_that_people_use() {
    let program = Program::new();
    let source = program.home.path().join("source");
    odd_tree(&source);
    program.ok(&["snapshot", "--plain", source.to_str().unwrap(), "--label", "before / 12.1"]);
    let mounted = Mounted::new(&program, &["latest"], &program.home.path().join("mnt"));
    let leave_out = |path: &[u8]| path.ends_with(b"-wal") || path.ends_with(b"-shm");
    // The database of the fixture was copied with its log folded in: it is compared with a restore
    // instead.
    let list = "find . -mindepth 1 ! -name '*.db*' \\( -type d -printf '%p %m %u %g %T@ %y\\n' -o -printf '%p %m %u %g %T@ %s %y %l\\n' \\) | sort";
    assert_eq!(output(list, &mounted.dir), output(list, &source));
    let sums = "find . -type f ! -name '*.db*' -print0 | sort -z | xargs -0 sha256sum";
    let expected = output(sums, &source);
    assert_eq!(output(sums, &mounted.dir), expected);
    let restored = program.home.path().join("restored");
    program.ok(&["restore", "latest", "--to", restored.to_str().unwrap()]);
    let copied = program.home.path().join("copied");
    assert!(
        Command::new("cp").arg("-a").arg(&mounted.dir).arg(&copied).status().unwrap().success()
    );
    assert_same_trees(&facts(&restored, &leave_out), &facts(&copied, &leave_out));
    // Any part of a file, not only from its beginning.
    use std::os::unix::fs::FileExt;
    for name in ["odd/large.bin", "odd/sparse", "data/jellyfin.db"] {
        let (own, other) = (
            std::fs::File::open(mounted.dir.join(name)).unwrap(),
            std::fs::File::open(restored.join(name)).unwrap(),
        );
        let size = other.metadata().unwrap().len();
        for (offset, len) in [(0, 10), (size / 3, 200_000), (size - 5, 5), (size / 2 + 1, 4097)] {
            let mut bytes = [
                vec![0; len.min((size - offset) as usize)],
                vec![1; len.min((size - offset) as usize)],
            ];
            own.read_exact_at(&mut bytes[0], offset).unwrap();
            other.read_exact_at(&mut bytes[1], offset).unwrap();
            assert!(bytes[0] == bytes[1], "{name} at {offset}");
        }
    }
    // Four readers at once.
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4).map(|_| scope.spawn(|| output(sums, &mounted.dir))).collect();
        readers.into_iter().for_each(|reader| assert!(reader.join().unwrap() == expected));
    });
    assert_eq!(mounted.interrupt(), Some(0));
    assert_eq!(
        std::fs::read_dir(program.home.path().join("mnt")).unwrap().count(),
        0,
        "nothing is mounted any more"
    );
}

#[needs(fuse)]
#[test]
fn nothing_can_be_written_and_all_snapshots_lie_side_by_side() {
    let program = Program::new();
    let source = program.home.path().join("source");
    write(source.join("a/file"), "one");
    program.ok(&["snapshot", "--plain", source.to_str().unwrap(), "--label", "first/day"]);
    write(source.join("a/file"), "two");
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    let repository = facts(&program.repo, &|_| false);
    let mounted = Mounted::new(&program, &[], &program.home.path().join("mnt"));
    let mut names: Vec<String> = std::fs::read_dir(&mounted.dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 2);
    assert!(names.iter().any(|name| name.ends_with(" first_day")), "{names:?}");
    let texts: Vec<String> = names
        .iter()
        .map(|name| std::fs::read_to_string(mounted.dir.join(name).join("a/file")).unwrap())
        .collect();
    assert!(texts.contains(&"one".to_owned()) && texts.contains(&"two".to_owned()));
    let inside = mounted.dir.join(&names[0]);
    let refused = |outcome: std::io::Result<()>| {
        assert_eq!(
            outcome.unwrap_err().raw_os_error(),
            Some(rustix::io::Errno::ROFS.raw_os_error())
        )
    };
    refused(std::fs::write(inside.join("new"), "x"));
    refused(std::fs::write(inside.join("a/file"), "x"));
    refused(std::fs::remove_file(inside.join("a/file")));
    refused(std::fs::create_dir(inside.join("dir")));
    refused(std::fs::rename(inside.join("a/file"), inside.join("b")));
    refused(std::os::unix::fs::symlink("x", inside.join("link")));
    refused(std::fs::hard_link(inside.join("a/file"), inside.join("hard")));
    refused(std::fs::set_permissions(
        inside.join("a/file"),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    ));
    refused(std::fs::File::options().append(true).open(inside.join("a/file")).map(drop));
    // Unmounted from outside, the program ends by itself.
    assert!(Command::new("umount").arg(&mounted.dir).status().unwrap().success());
    let mut mounted = mounted;
    assert_eq!(mounted.program.wait().unwrap().code(), Some(0));
    let after = facts(&program.repo, &|_| false);
    assert!(repository.iter().all(|(path, facts)| after[path].bytes == facts.bytes));
    let output = program.run(&["mount", source.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not empty"));
}

#[needs(fuse)]
#[test]
fn damage_is_an_error_for_whoever_reads_and_the_rest_stays_readable() {
    let program = Program::new();
    let source = program.home.path().join("source");
    for number in 0..40 {
        write(
            source.join(format!("{number}.jpg")),
            [b"\xff\xd8\xff".as_slice(), &noise(&number.to_string(), 200_000)].concat(),
        );
    }
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    for entry in walkdir::WalkDir::new(program.repo.join("packs")) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() && entry.metadata().unwrap().len() > 1 << 20 {
            let mut bytes = std::fs::read(entry.path()).unwrap();
            bytes[3_000_000] ^= 1;
            std::fs::write(entry.path(), bytes).unwrap();
        }
    }
    let mounted = Mounted::new(&program, &["latest"], &program.home.path().join("mnt"));
    let (mut right, mut errors) = (0, 0);
    for number in 0..40 {
        match std::fs::read(mounted.dir.join(format!("{number}.jpg"))) {
            Ok(bytes) => {
                assert!(bytes == std::fs::read(source.join(format!("{number}.jpg"))).unwrap());
                right += 1;
            }
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()));
                errors += 1;
            }
        }
    }
    assert_eq!((right, errors), (39, 1));
    // What was damaged is told at the end.
    assert_eq!(mounted.interrupt(), Some(3));
}

#[needs(fuse)]
#[test]
fn a_mount_in_use_is_taken_away_at_once_and_ends_when_the_last_file_is_closed() {
    let program = Program::new();
    let source = program.home.path().join("source");
    write(source.join("file"), noise("held", 600_000));
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    let dir = program.home.path().join("mnt");
    let mut mounted = Mounted::new(&program, &["latest"], &dir);
    let held = std::fs::File::open(dir.join("file")).unwrap();
    let id = rustix::process::Pid::from_raw(i32::try_from(mounted.program.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::HUP).unwrap();
    let start = Instant::now();
    while dir.join("file").exists() {
        assert!(start.elapsed() < Duration::from_secs(20), "the directory is not free");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Whoever has the file open reads it to its end.
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut &held, &mut bytes).unwrap();
    assert!(bytes == noise("held", 600_000));
    assert!(mounted.program.try_wait().unwrap().is_none(), "it serves whoever still reads");
    drop(held);
    let code = mounted.program.wait().unwrap().code();
    assert_eq!(code, Some(0), "{}", std::fs::read_to_string(&mounted.told).unwrap());
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
}

#[needs(fuse)]
#[test]
fn titles_lead_to_the_folders_that_the_server_names_by_ids() {
    let program = Program::new();
    program.ok(&["snapshot", own_fixture().to_str().unwrap()]);
    let mounted = Mounted::new(&program, &["latest", "--titles"], &program.home.path().join("mnt"));
    let titles = mounted.dir.join("titles");
    // Every link leads to a folder of this snapshot, and every folder of an item or a person that
    // the database names has one.
    let mut reached = std::collections::BTreeSet::new();
    for entry in walkdir::WalkDir::new(&titles) {
        let entry = entry.unwrap();
        if entry.path_is_symlink() {
            let to = entry.path().canonicalize().unwrap();
            assert!(
                to.is_dir() && to.starts_with(&mounted.dir),
                "{} leads to {}",
                entry.path().display(),
                to.display()
            );
            reached.insert(to);
        }
    }
    assert!(reached.len() > 5, "{reached:?}");
    // Those that `find` tells by title are the same.
    let found: serde_json::Value =
        serde_json::from_str(&program.ok(&["find", "Garden", "--json"])).unwrap();
    let told: Vec<&str> = found["titles"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|title| title["paths"].as_array().unwrap())
        .map(|path| path.as_str().unwrap())
        .collect();
    assert!(!told.is_empty(), "{found}");
    for path in told {
        assert!(
            reached.contains(&mounted.dir.join(path).canonicalize().unwrap()),
            "{path} has no link"
        );
    }
    // Nothing can be written there either, and what is not there is not there.
    assert!(std::fs::write(titles.join("x"), "x").is_err());
    assert_eq!(
        std::fs::read_dir(titles.join("nothing")).unwrap_err().kind(),
        std::io::ErrorKind::NotFound
    );
    assert_eq!(mounted.interrupt(), Some(0));
}
