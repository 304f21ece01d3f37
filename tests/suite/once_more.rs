//! What a second tester found of situations that people report (`situations.rs`): files that are
//! only links, directories that are not ours, advice that led elsewhere, repositories that nobody
//! remembered.

use std::os::unix::fs::symlink;
use std::path::Path;

use needs::needs;

use super::support::*;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_file_of_the_server_that_is_only_a_link_makes_no_complete_snapshot() {
    for path in [
        "data/library.db",
        "plugins/own.db",
        "config/system.xml",
        "config/network.xml",
        "data/device.txt",
    ] {
        let program = Program::new();
        let (data, ssd) = (program.home.path().join("jf"), program.home.path().join("ssd"));
        copy_tree(&servers("cellar-10.10").join("10.10.7/data"), &data);
        if path == "plugins/own.db" {
            std::fs::create_dir_all(data.join("plugins")).unwrap();
            rusqlite::Connection::open(data.join(path))
                .unwrap()
                .execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
                .unwrap();
        }
        program.run(&["snapshot", text(&data)]);
        std::fs::create_dir(&ssd).unwrap();
        let target = ssd.join(Path::new(path).file_name().unwrap());
        std::fs::rename(data.join(path), &target).unwrap();
        symlink(&target, data.join(path)).unwrap();
        let (report, code) = program.json(&["snapshot", text(&data)]);
        let told: Vec<_> = report["problems"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|problem| problem["path"] == path)
            .collect();
        assert!(
            code == 3
                && told.len() == 1
                && told[0]["what"].as_str().unwrap().contains("is a link to"),
            "{path}: {report}"
        );
        // The last one that has it stays.
        if path.starts_with("data/") {
            let (kept, _) = program.json(&["forget", "--keep-last", "1", "--dry-run"]);
            assert!(!kept.to_string().contains("\"forget\":[{"), "{path}: {kept}");
        }
        // A link to what is captured anyway is none of these.
        std::fs::remove_file(data.join(path)).unwrap();
        std::fs::rename(&target, data.join("data/elsewhere.bin")).unwrap();
        symlink(data.join("data/elsewhere.bin"), data.join(path)).unwrap();
        let (report, _) = program.json(&["snapshot", text(&data)]);
        assert!(!report["problems"].to_string().contains("is a link to"), "{path}: {report}");
    }
}

#[test]
fn delete_asks_in_a_directory_that_had_something_in_it_or_is_another_now() {
    let program = Program::new();
    program.ok(&["snapshot", text(&own_fixture())]);
    let place = |name: &str| program.home.path().join(name);
    let (full, moved, other) = (place("full"), place("moved"), place("other"));
    write(full.join("photo.jpg"), "x");
    program.ok(&["restore", "latest", "--to", text(&full), "--only", "config"]);
    for dir in [&moved, &other] {
        program.ok(&["restore", "latest", "--to", text(dir)]);
    }
    // Another disk at this path.
    std::fs::rename(&moved, place("was")).unwrap();
    write(moved.join("photo.jpg"), "x");
    // Another repository's restore made this one.
    write(other.join("photo.jpg"), "x");
    let second = place("second");
    program.ok(&["--repo", text(&second), "snapshot", "--init", text(&own_fixture())]);
    for (repo, dir) in [(&program.repo, &full), (&program.repo, &moved), (&second, &other)] {
        let (report, code) = program.json(&[
            "--repo",
            text(repo),
            "restore",
            "latest",
            "--to",
            text(dir),
            "--delete",
        ]);
        assert!(
            matches!(code, 1 | 2) && dir.join("photo.jpg").exists(),
            "{}: {report}",
            dir.display()
        );
    }
    // The one that made it may.
    program.ok(&["restore", "latest", "--to", text(&other), "--delete"]);
    assert!(!other.join("photo.jpg").exists());
}

#[test]
fn copies_and_restores_go_to_no_address_on_another_machine() {
    let program = Program::new();
    program.ok(&["snapshot", text(&own_fixture())]);
    for address in
        ["s3:bucket/x", "sftp:host:/p", "user@nas:/backup", "//no-such-nas/share", "C:\\backup"]
    {
        for args in [
            &["sync", "--to", address][..],
            &["restore", "latest", "--to", address],
            &["--repo", address, "snapshot", text(&own_fixture())],
        ] {
            let (report, code) = program.json(args);
            assert!(
                code == 2
                    && report["error"]["message"].as_str().unwrap().contains("another machine"),
                "{args:?}: {report}"
            );
        }
    }
}

#[test]
fn the_command_that_brings_a_lost_server_back_finds_its_places() {
    // linuxserver.io's volume has the data directory in it.
    let program = Program::new();
    let volume = program.home.path().join("ls");
    std::fs::create_dir(&volume).unwrap();
    copy_tree(&own_fixture(), &volume.join("data"));
    for entry in std::fs::read_dir(volume.join("data/config")).unwrap().map(Result::unwrap) {
        std::fs::rename(entry.path(), volume.join(entry.file_name())).unwrap();
    }
    std::fs::remove_dir(volume.join("data/config")).unwrap();
    program.ok(&["snapshot", text(&volume)]);
    // The state before a restore of watch state has the database alone: it is not the one to bring
    // back.
    program.ok(&[
        "restore",
        "latest",
        "--watch-state",
        "--user",
        "Ana",
        "--data-dir",
        text(&volume),
    ]);
    std::fs::remove_dir_all(&volume).unwrap();
    let (report, code) = program.json(&["snapshot", text(&volume.join("data"))]);
    let hint = report["error"]["hint"].as_str().unwrap().to_owned();
    assert_eq!(code, 1, "{report}");
    let command = hint.split("restore it: jellyvault ").nth(1).unwrap().to_owned();
    program.ok(&command.split_whitespace().collect::<Vec<_>>());
    assert!(
        volume.join("data/data/jellyfin.db").exists() && volume.join("system.xml").exists(),
        "{command}"
    );
    assert!(volume.join("data/metadata/library").exists(), "{command}");
}

#[test]
fn a_repository_that_was_only_read_is_remembered() {
    let program = Program::new();
    program.ok(&["snapshot", text(&own_fixture())]);
    let reader = Program { repo: program.repo.clone(), ..Program::new() };
    reader.ok(&["list"]);
    std::fs::rename(&program.repo, program.home.path().join("away")).unwrap();
    let (report, code) = reader.json(&["snapshot", text(&own_fixture())]);
    assert!(code == 1 && !program.repo.exists(), "{report}");
}

#[test]
fn an_older_server_is_seen_by_its_library() {
    let program = Program::new();
    let data = program.home.path().join("jf");
    copy_tree(&servers("cellar-10.10").join("10.10.7/data"), &data);
    program.run(&["snapshot", text(&data)]);
    let library = rusqlite::Connection::open(data.join("data/library.db")).unwrap();
    let _: i64 =
        library.query_row("SELECT count(*) FROM TypedBaseItems", [], |row| row.get(0)).unwrap();
    for more in [&["--only", "config"][..], &["--only", "plugins"], &["--path", "data/device.txt"]]
    {
        for dry in [&[][..], &["--dry-run"]] {
            let (report, code) = program.json(
                &[&["restore", "latest", "--in-place", "--data-dir", text(&data)], more, dry]
                    .concat(),
            );
            assert!(
                code == 1 && report["error"]["message"].as_str().unwrap().contains("library.db"),
                "{more:?}: {report}"
            );
        }
    }
}

#[test]
fn a_look_sees_what_a_snapshot_would_complain_about() {
    let program = Program::new();
    let data = program.home.path().join("jf");
    copy_tree(&own_fixture(), &data);
    program.ok(&["snapshot", text(&data)]);
    for entry in std::fs::read_dir(data.join("metadata")).unwrap().map(Result::unwrap) {
        std::fs::remove_dir_all(entry.path()).unwrap();
    }
    let (look, code) = program.json(&["snapshot", text(&data), "--dry-run"]);
    assert!(code == 3 && look["problems"].to_string().contains("metadata"), "{look}");
    let (diff, code) = program.json(&["diff"]);
    assert_eq!(code, 3, "{diff}");
    std::fs::File::create(data.join("data/jellyfin.db")).unwrap();
    let (look, code) = program.json(&["snapshot", text(&data), "--dry-run"]);
    assert!(code == 3 && look["problems"].to_string().contains("0 bytes"), "{look}");
}

#[needs(root, strace)]
#[test]
fn a_server_that_cannot_be_read_at_the_moment_gives_nothing_up() {
    let program = Program::plain();
    let source = program.home.path().join("source");
    for number in 0..40 {
        write(source.join(format!("{number}.bin")), noise(&number.to_string(), 9_000));
    }
    program.ok(&["snapshot", "--plain", text(&source)]);
    let pack = walkdir::WalkDir::new(program.repo.join("packs"))
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file());
    let pack = pack.max_by_key(|entry| entry.metadata().unwrap().len()).unwrap().into_path();
    let mut bytes = std::fs::read(&pack).unwrap();
    let at = bytes.len() / 2;
    bytes[at..at + 200].fill(0);
    write(&pack, &bytes);
    let (found, _) = program.json(&["check", "--read-data"]);
    assert!(found["damage"].as_array().is_some_and(|all| !all.is_empty()), "{found}");
    let of = program.command(&["repair", "--json"]);
    let mut command = std::process::Command::new("strace");
    command.env_clear().envs(of.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args(["-f", "-qqq", "-o", "/dev/null"]);
    for number in 0..40 {
        command.args(["-P", text(&source.join(format!("{number}.bin")))]);
    }
    command.args(["-e", "trace=read,pread64", "-e", "inject=read,pread64:error=EIO"]);
    let done = command.arg(of.get_program()).args(of.get_args()).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    let (list, _) = program.json(&["list"]);
    assert_eq!(list["snapshots"].as_array().unwrap().len(), 1, "{list}");
    // With the disk back everything is there again.
    let (repaired, _) = program.json(&["repair"]);
    assert!(repaired.to_string().contains("read again from the server"), "{repaired}");
    program.ok(&["check", "--read-data"]);
}

#[test]
fn a_directory_in_the_place_of_a_repository_s_file_is_named_as_one() {
    let program = Program::new();
    program.ok(&["snapshot", text(&own_fixture())]);
    let record = std::fs::read_dir(program.repo.join("snapshots")).unwrap().next().unwrap();
    for file in [program.repo.join("index.redb"), record.unwrap().path()] {
        std::fs::remove_file(&file).unwrap();
        write(file.join("own.txt"), "not ours");
        let words = String::from_utf8_lossy(&program.run(&["repair"]).stderr).into_owned();
        assert!(
            words.contains("A directory has the name of that file. Move the directory elsewhere"),
            "{words}"
        );
        assert!(file.join("own.txt").exists(), "{file:?}");
        std::fs::rename(&file, program.home.path().join("elsewhere")).unwrap();
        program.ok(&["repair"]);
        program.ok(&["check"]);
        assert_eq!(program.json(&["list"]).0["snapshots"].as_array().unwrap().len(), 1);
        std::fs::remove_dir_all(program.home.path().join("elsewhere")).unwrap();
    }
}
