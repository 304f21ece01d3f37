//! What a look at the program by hand found: small things that mislead, each in the words of
//! somebody who lives with it.

use std::path::PathBuf;

use super::support::*;

/// A program, and a server in a folder beside its repository, of which nothing was snapshotted yet.
fn server() -> (Program, PathBuf) {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let_settle();
    (program, data)
}

fn snapshot(program: &Program, data: &std::path::Path) -> (serde_json::Value, i32) {
    let_settle();
    program.json(&["snapshot", data.to_str().unwrap()])
}

/// The paths that a snapshot has problems with.
fn problems(answer: &serde_json::Value) -> Vec<String> {
    let list = answer["snapshot"]["problems"]
        .as_array()
        .or(answer["problems"].as_array())
        .unwrap_or_else(|| panic!("{answer}"));
    list.iter().map(|problem| problem["path"].as_str().unwrap().to_owned()).collect()
}

fn said(output: &std::process::Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn a_restore_makes_a_folder_of_the_current_directory() {
    let (program, data) = server();
    snapshot(&program, &data);
    let here = program.home.path().join("here");
    std::fs::create_dir(&here).unwrap();
    for target in ["out", "new/below", "./dotted"] {
        let output = program
            .command(&["restore", "latest", "--to", target])
            .current_dir(&here)
            .output()
            .unwrap();
        assert!(output.status.success(), "{target}: {}", said(&output));
        assert!(here.join(target).join("config/system.xml").exists(), "{target}");
    }
}

#[test]
fn a_diff_after_a_restore_compares_with_what_was_restored() {
    let (program, data) = server();
    snapshot(&program, &data);
    write(data.join("config/network.xml"), "<NetworkConfiguration/>");
    program.ok(&["restore", "latest", "--in-place", "--data-dir", data.to_str().unwrap()]);
    let output = program.run(&["diff", "--data-dir", data.to_str().unwrap()]);
    assert!(!said(&output).contains("does not contain all categories"), "{}", said(&output));
    let (diff, code) = program.json(&["diff", "--data-dir", data.to_str().unwrap()]);
    assert_eq!((code, &diff["changes"]), (0, &serde_json::json!([])), "{diff}");
}

#[test]
fn a_containers_snapshot_is_made_no_native_server_in_silence() {
    let (program, data) = server();
    snapshot(&program, &data);
    let new = program.home.path().join("new");
    for (layout, more) in [
        ("portable", Vec::new()),
        ("debian", vec!["--config-dir", "CONFIG"]),
        ("linuxserver", Vec::new()),
    ] {
        let config = new.join("config").to_str().unwrap().to_owned();
        let more: Vec<&str> = more
            .into_iter()
            .map(|word| if word == "CONFIG" { config.as_str() } else { word })
            .collect();
        let args = [
            &[
                "restore",
                "latest",
                "--in-place",
                "--data-dir",
                new.to_str().unwrap(),
                "--layout",
                layout,
            ],
            more.as_slice(),
        ]
        .concat();
        let (answer, code) = program.json(&args);
        assert_eq!(code, 1, "{layout}: {answer}");
        assert!(
            answer["error"]["message"]
                .as_str()
                .unwrap()
                .contains("The paths in the database would be wrong"),
            "{layout}: {answer}"
        );
        assert!(!new.exists(), "{layout}: nothing was made");
        let (answer, code) =
            program.json(&[args.as_slice(), &["--same-directories", "--dry-run"]].concat());
        assert_eq!(code, 0, "{layout}: {answer}");
        let elsewhere = program.home.path().join(format!("to-{layout}"));
        let (answer, code) = program.json(&[
            "restore",
            "latest",
            "--to",
            elsewhere.to_str().unwrap(),
            "--layout",
            layout,
            "--dry-run",
        ]);
        let remarks = answer["remarks"].to_string();
        assert!(
            code == 0 && remarks.contains("the database still contains the paths"),
            "{layout}: {answer}"
        );
    }
    let (answer, code) = program.json(&[
        "restore",
        "latest",
        "--in-place",
        "--data-dir",
        new.to_str().unwrap(),
        "--layout",
        "docker",
    ]);
    assert_eq!(code, 0, "{answer}");
}

#[test]
fn a_folder_that_was_full_and_is_empty_is_missed_and_the_whole_snapshot_stays() {
    for gone in ["metadata/People", "metadata/library", "root/default"] {
        for is_mount_point_left in [true, false] {
            let (program, data) = server();
            write(
                data.join("metadata/People/A/Ann/folder.jpg"),
                [b"\xff\xd8\xff".as_slice(), &noise("ann", 500)].concat(),
            );
            let whole = snapshot(&program, &data).0["snapshot"]["id"].as_str().unwrap().to_owned();
            std::fs::remove_dir_all(data.join(gone)).unwrap();
            if is_mount_point_left {
                std::fs::create_dir(data.join(gone)).unwrap();
            }
            let (answer, code) = snapshot(&program, &data);
            assert!(code == 3 && problems(&answer).contains(&gone.to_owned()), "{gone}: {answer}");
            program.ok(&["forget", "--keep-last", "1"]);
            assert!(
                program.json(&["list"]).0.to_string().contains(&whole),
                "{gone}: the whole one was forgotten"
            );
            // On purpose.
            let (answer, code) =
                program.json(&["snapshot", data.to_str().unwrap(), "--accept-loss"]);
            assert_eq!(code, 0, "{gone}: {answer}");
        }
    }
}

#[test]
fn settings_that_are_gone_or_empty_are_missed_and_the_whole_snapshot_stays() {
    for (file, is_emptied) in [
        ("config/network.xml", true),
        ("config/network.xml", false),
        ("config/system.xml", false),
        ("data/device.txt", true),
    ] {
        let (program, data) = server();
        let whole = snapshot(&program, &data).0["snapshot"]["id"].as_str().unwrap().to_owned();
        if is_emptied {
            write(data.join(file), "");
        } else {
            std::fs::remove_file(data.join(file)).unwrap();
        }
        let (answer, code) = snapshot(&program, &data);
        assert!(code == 3 && problems(&answer).contains(&file.to_owned()), "{file}: {answer}");
        program.ok(&["forget", "--keep-last", "1"]);
        assert!(
            program.json(&["list"]).0.to_string().contains(&whole),
            "{file}: the whole one was forgotten"
        );
    }
}

#[test]
fn a_repository_that_lost_its_records_is_not_called_empty() {
    for lost in [["snapshots", "list"].as_slice(), &["snapshots"]] {
        let (program, data) = server();
        snapshot(&program, &data);
        for folder in lost {
            std::fs::remove_dir_all(program.repo.join(folder)).unwrap();
        }
        for args in [
            ["list"].as_slice(),
            &["show", "latest"],
            &["restore", "latest", "--to", "x"],
            &["ls", "latest"],
        ] {
            let (answer, code) = program.json(args);
            assert_eq!(
                (code, answer["error"]["kind"].as_str()),
                (1, Some("damaged")),
                "{args:?}: {answer}"
            );
            assert!(
                answer["error"]["hint"].as_str().unwrap().contains("jellyvault repair"),
                "{answer}"
            );
        }
        program.run(&["repair"]);
        assert_eq!(program.json(&["list"]).0["snapshots"].as_array().unwrap().len(), 1);
    }
    // One that has none is empty still, and so is one whose snapshots were all forgotten.
    let (program, data) = server();
    program.ok(&["init"]);
    assert!(program.ok(&["list"]).contains("No snapshots yet"));
    let id = snapshot(&program, &data).0["snapshot"]["id"].as_str().unwrap().to_owned();
    program.ok(&["forget", &id]);
    assert!(program.ok(&["list"]).contains("No snapshots yet"));
}

#[test]
fn a_dry_run_of_keep_old_counts_what_will_be_written() {
    let (program, data) = server();
    snapshot(&program, &data);
    write(data.join("config/network.xml"), "<NetworkConfiguration/>");
    let args =
        ["restore", "latest", "--in-place", "--data-dir", data.to_str().unwrap(), "--keep-old"];
    let (dry, _) = program.json(&[args.as_slice(), &["--dry-run"]].concat());
    let (done, code) = program.json(&args);
    assert_eq!(code, 0, "{done}");
    for count in ["files", "unchanged"] {
        assert!(done["restored"][count].is_u64(), "{done}");
        assert_eq!(dry["restored"][count], done["restored"][count], "{count}: {dry} {done}");
    }
}

#[test]
fn a_label_of_another_server_is_told_as_such_and_taken_where_that_is_meant() {
    let (program, data) = server();
    snapshot(&program, &data);
    let other = program.home.path().join("other");
    copy_tree(&own_fixture(), &other);
    write(other.join("data/device.txt"), "0123456789abcdef0123456789abcdef");
    let_settle();
    program.ok(&["snapshot", other.to_str().unwrap(), "--label", "theirs"]);
    let args =
        ["restore", "theirs", "--in-place", "--data-dir", data.to_str().unwrap(), "--dry-run"];
    let (answer, code) = program.json(&args);
    assert_eq!(code, 2, "{answer}");
    assert!(
        answer["error"]["message"].as_str().unwrap().contains("not of the selected server"),
        "{answer}"
    );
    let (answer, code) = program.json(&[args.as_slice(), &["--other-server"]].concat());
    assert_eq!(code, 0, "{answer}");
    // What there is to choose from stands on lines of its own.
    let output = said(&program.run(&["show", "latest"]));
    assert!(output.lines().filter(|line| line.contains("newest 20")).count() == 2, "{output}");
}

#[test]
fn what_a_snapshot_left_out_is_known_from_the_next_one_on_and_did_not_appear() {
    let (program, data) = server();
    write(data.join("metadata/Q/a.jpg"), [b"\xff\xd8\xff".as_slice(), &noise("a", 500)].concat());
    let_settle();
    program.ok(&["snapshot", data.to_str().unwrap(), "--exclude", "metadata/Q/**"]);
    let nothing = said(&program.run(&["find", "a.jpg"]));
    assert!(nothing.contains("Nothing found") && nothing.contains("left them out"), "{nothing}");
    snapshot(&program, &data);
    let (history, _) = program.json(&["history", "metadata/Q/a.jpg"]);
    assert_eq!(history["versions"][0]["change"], "known", "{history}");
    assert!(
        program
            .ok(&["history", "metadata/Q/a.jpg"])
            .contains("present; the previous snapshot could not read it")
    );
}

#[test]
fn the_directory_that_was_snapshotted_is_remembered_by_every_command() {
    let (program, data) = server();
    snapshot(&program, &data);
    for args in [
        ["source"].as_slice(),
        &["snapshot", "--dry-run"],
        &["restore", "latest", "--user", "root", "--watch-state", "--dry-run"],
    ] {
        let output = program.command(args).current_dir("/").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", said(&output));
    }
    write(data.join("data/device.txt"), "0123456789abcdef0123456789abcdef");
    let (answer, code) = program.json(&["restore", "latest", "--in-place"]);
    assert_eq!(code, 2, "{answer}");
    assert!(
        answer["error"]["message"].as_str().unwrap().contains("now belongs to a different server"),
        "{answer}"
    );
}

/// A server paints `data/splashscreen.png` anew at each library scan: some 4 MB, twice a day.
#[test]
fn what_the_server_makes_anew_is_left_out_said_and_left_alone() {
    let (program, data) = server();
    let splash = data.join("data/splashscreen.png");
    let paint =
        |seed: &str| write(&splash, [b"\x89PNG".as_slice(), &noise(seed, 200_000)].concat());
    write(data.join("data/splashscreen-upload.png"), noise("the user's own", 5000));
    paint("first");
    let (first, _) = snapshot(&program, &data);
    paint("second");
    let (second, code) = snapshot(&program, &data);
    assert_eq!(code, 0, "{second}");
    let id = |answer: &serde_json::Value| answer["snapshot"]["id"].as_str().unwrap().to_owned();
    let listed = program.ok(&["ls", "latest:data"]);
    assert!(
        listed.contains("splashscreen-upload.png") && !listed.contains("splashscreen.png"),
        "{listed}"
    );
    assert!(second["snapshot"]["bytes"]["new_stored"].as_u64().unwrap() < 1000, "{second}");
    assert!(
        program
            .ok(&["show", "latest"])
            .contains("Left out: data/splashscreen.png (the server generates it again by itself)")
    );
    // With an older snapshot that holds it nothing is said of it, and a restore lets it stand.
    let included = program.json(&["snapshot", data.to_str().unwrap(), "--include-generated"]).0;
    assert!(program.ok(&["ls", &format!("{}:data", id(&included))]).contains("splashscreen.png"));
    paint("third");
    snapshot(&program, &data);
    let (diff, _) = program.json(&["diff", &id(&included), "latest"]);
    assert_eq!(
        (&diff["changes"], &diff["remarks"]),
        (&serde_json::json!([]), &serde_json::json!([])),
        "{diff}"
    );
    let painted = std::fs::read(&splash).unwrap();
    program.ok(&[
        "restore",
        &id(&first),
        "--in-place",
        "--data-dir",
        data.to_str().unwrap(),
        "--delete",
    ]);
    assert_eq!(std::fs::read(&splash).unwrap(), painted, "it is the server's");
    // It is in a zip where it is in the snapshot.
    for (of, is_there) in [(&first, false), (&included, true)] {
        let file = program.home.path().join(format!("{is_there}.zip"));
        program.ok(&["export", &id(of), file.to_str().unwrap(), "--exact"]);
        let names: Vec<String> = zip::ZipArchive::new(std::fs::File::open(&file).unwrap())
            .unwrap()
            .file_names()
            .map(|name| name.unwrap().into_owned())
            .collect();
        assert_eq!(names.iter().any(|name| name == "Data/splashscreen.png"), is_there);
        assert!(names.iter().any(|name| name == "Data/splashscreen-upload.png"));
    }
}

/// `database.xml` may name a database anywhere: the option names it, and every command finds it
/// again.
#[test]
fn a_database_elsewhere_is_captured_compared_and_restored_by_its_option() {
    let (program, data) = server();
    let elsewhere = program.home.path().join("ssd/jellyfin.db");
    std::fs::create_dir(elsewhere.parent().unwrap()).unwrap();
    for end in ["", "-wal", "-shm"] {
        let from = data.join(format!("data/jellyfin.db{end}"));
        if from.exists() {
            std::fs::rename(from, program.home.path().join(format!("ssd/jellyfin.db{end}")))
                .unwrap();
        }
    }
    let (missing, code) = snapshot(&program, &data);
    assert!(code == 3 && problems(&missing).contains(&"data/jellyfin.db".to_owned()), "{missing}");
    let there = elsewhere.to_str().unwrap();
    let expected = rows(&elsewhere);
    let (answer, code) = program.json(&["snapshot", data.to_str().unwrap(), "--database", there]);
    assert_eq!(code, 0, "{answer}");
    // A live comparison knows the place from the snapshot.
    let output = program.run(&["diff", "--rows"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    std::fs::write(&elsewhere, "").unwrap();
    program.ok(&[
        "restore",
        "latest",
        "--in-place",
        "--data-dir",
        data.to_str().unwrap(),
        "--database",
        there,
    ]);
    assert_eq!(rows(&elsewhere), expected);
    assert!(!data.join("data/jellyfin.db").exists(), "it goes to its own place alone");
}

/// The answer could not be written, but the work is done: the user is told so.
#[test]
fn a_snapshot_whose_answer_meets_a_full_disk_is_told_as_taken() {
    let (program, data) = server();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output =
        program.command(&["snapshot", data.to_str().unwrap()]).stdout(full).output().unwrap();
    assert_ne!(output.status.code(), Some(0));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("was taken") && words.contains("could not be written"), "{words}");
    assert_eq!(program.json(&["list"]).0["snapshots"].as_array().unwrap().len(), 1);
}

/// Words that misled people.
#[test]
fn words_that_misled_are_not_said_again() {
    let (program, data) = server();
    let first = said(&program.run(&["snapshot", data.to_str().unwrap()]));
    assert!(
        !first.contains("Against the snapshot before") && !first.contains("programdata"),
        "{first}"
    );
    let source = said(&program.run(&["source", data.to_str().unwrap()]));
    assert!(
        !source.contains("Version not found") && !source.contains("Version        not found"),
        "{source}"
    );
    let list = program.ok(&["list"]);
    assert!(!list.contains("ONLY BEFORE*"), "{list}");
    let check = program.ok(&["check"]);
    assert!(
        check.contains("not read") || check.contains("--read-data"),
        "what was not read is said: {check}"
    );
    assert!(!said(&program.run(&["show", "latest"])).contains("programdata"));
    for page in ["README.md", "docs/compare.md", "docs/recipes.md"] {
        let text =
            std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(page))
                .unwrap();
        assert!(!text.contains("monday"), "{page} names a snapshot in a way that no command takes");
    }
}

/// Whoever names a film is told of that film.
#[test]
fn a_diff_of_one_item_shows_nothing_else() {
    let (program, data) = server();
    snapshot(&program, &data);
    let db = rusqlite::Connection::open(data.join("data/jellyfin.db")).unwrap();
    db.execute("UPDATE Users SET Username = 'zed' WHERE rowid = 1", []).unwrap();
    drop(db);
    snapshot(&program, &data);
    let all = program.ok(&["diff", "latest~1", "latest", "--rows"]);
    assert!(all.contains("zed"), "{all}");
    let one = program.ok(&["diff", "latest~1", "latest", "--item", "Crimson Signal 4"]);
    assert!(!one.contains("zed") && !one.contains("Users"), "{one}");
}
