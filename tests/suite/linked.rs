//! Whole folders of Jellyfin on another disk, where a link leads to them.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use needs::needs;
use serde_json::Value;

use super::support::*;

/// An instance whose trickplay, People and one plugin are links to another disk.
fn instance(program: &Program) -> (PathBuf, PathBuf) {
    let (data, disk) = (program.home.path().join("jellyfin"), program.home.path().join("disk"));
    copy_tree(&own_fixture(), &data);
    std::fs::create_dir(&disk).unwrap();
    for (own, there) in [
        ("data/trickplay", "trickplay"),
        ("metadata/People", "people"),
        ("plugins/Made Up_1.0.0.0", "plugin"),
    ] {
        std::fs::rename(data.join(own), disk.join(there)).unwrap();
        symlink(disk.join(there), data.join(own)).unwrap();
    }
    let_settle();
    (data, disk)
}

fn problems(report: &Value) -> Vec<(String, String)> {
    let list = report["problems"].as_array().unwrap_or_else(|| panic!("{report}"));
    list.iter()
        .map(|problem| {
            (
                problem["path"].as_str().unwrap().to_owned(),
                problem["what"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

fn everything(dir: &Path) -> std::collections::BTreeMap<Vec<u8>, Facts> {
    facts(dir, &|path| path.starts_with(b"data/jellyfin.db"))
}

#[test]
fn linked_folders_are_named_and_are_followed_when_the_user_says_so() {
    let program = Program::new();
    let (data, disk) = instance(&program);
    let at = data.to_str().unwrap();
    let (report, code) = program.json(&["snapshot", at]);
    let named = problems(&report);
    let paths: Vec<&str> = named.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        (code, paths),
        (3, vec!["data/trickplay", "metadata/People", "plugins/Made Up_1.0.0.0"]),
        "{report}"
    );
    assert!(named.iter().all(|(_, what)| what.contains("--follow-roots")), "{named:?}");

    let (report, code) = program.json(&["snapshot", at, "--follow-roots"]);
    assert_eq!(code, 0, "{report}");
    let (listed, _) = program.json(&["ls", "latest:data/trickplay", "--recursive"]);
    let pictures = facts(&disk.join("trickplay"), &|_| false).len();
    assert!(
        pictures > 3 && listed["entries"].as_array().unwrap().len() >= pictures - 1,
        "{listed}"
    );
    // What came to each folder is seen, and nothing is read twice.
    write(disk.join("people/N/Nobody/folder.jpg"), "a face");
    let (diff, code) = program.json(&["diff", "latest"]);
    assert!(
        code == 0 && diff["changes"].to_string().contains("metadata/People/N/Nobody/folder.jpg"),
        "{diff}"
    );
    assert!(
        !diff["changes"].to_string().contains("data/trickplay"),
        "what the snapshot followed is followed: {diff}"
    );
    let (report, _) = program.json(&["snapshot", at, "--follow-roots"]);
    assert_eq!(
        (report["files"]["new"].as_u64(), report["files"]["changed"].as_u64()),
        (Some(1), Some(0)),
        "{report}"
    );

    // Elsewhere they are plain folders, with all that the links lead to.
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert_same_trees(
        &facts(&disk.join("people"), &|_| false),
        &facts(&out.join("metadata/People"), &|_| false),
    );
    assert_same_trees(
        &facts(&disk.join("trickplay"), &|_| false),
        &facts(&out.join("data/trickplay"), &|_| false),
    );
}

#[test]
fn a_restore_writes_through_a_link_only_when_the_user_says_so() {
    let program = Program::new();
    let (data, disk) = instance(&program);
    let at = data.to_str().unwrap();
    program.ok(&["snapshot", at, "--follow-roots"]);
    let before = everything(&disk);
    let restore = ["restore", "latest", "--in-place", "--data-dir", at, "--no-safety-snapshot"];
    let picture = facts(&disk.join("trickplay"), &|_| false)
        .into_keys()
        .find(|path| path.ends_with(b".jpg"))
        .unwrap();
    let picture = disk.join("trickplay").join(std::str::from_utf8(&picture).unwrap());
    std::fs::remove_file(&picture).unwrap();
    write(disk.join("people/new.jpg"), "not in the snapshot");
    for dry_run in [&["--dry-run"][..], &[]] {
        let (refused, code) = program.json(&[&restore[..], dry_run].concat());
        let named = problems(&refused);
        assert_eq!((code, named.len()), (3, 3), "{refused}");
        assert!(
            named.iter().all(|(_, what)| what.contains("it is a symbolic link to")
                && what.contains("--follow-roots")),
            "{refused}"
        );
        assert!(!picture.exists(), "nothing was written through it");
    }
    program.ok(&[&restore[..], &["--follow-roots", "--delete"]].concat());
    assert_same_trees(&before, &everything(&disk));
    for link in ["data/trickplay", "metadata/People", "plugins/Made Up_1.0.0.0"] {
        assert!(data.join(link).is_symlink(), "{link} is a link still");
    }
}

#[test]
fn a_link_of_the_snapshot_that_is_followed_now_stays_a_link_and_what_is_behind_it_too() {
    let program = Program::new();
    let (data, disk) = instance(&program);
    let at = data.to_str().unwrap();
    // The links alone are in it.
    assert_eq!(program.json(&["snapshot", at]).1, 3);
    let before = everything(&disk);
    let restore = ["restore", "latest", "--in-place", "--data-dir", at, "--delete", "--yes"];
    for more in [&["--follow-roots", "--dry-run"][..], &["--follow-roots"], &[]] {
        let (report, _) = program.json(&[&restore[..], more].concat());
        assert!(problems(&report).is_empty(), "{report}");
        assert_same_trees(&before, &everything(&disk));
        for link in ["data/trickplay", "metadata/People", "plugins/Made Up_1.0.0.0"] {
            assert!(data.join(link).is_symlink(), "{link} is a link still");
        }
    }
}

#[test]
fn links_that_lead_back_into_the_instance_or_to_one_folder_twice_are_captured_once() {
    let program = Program::new();
    let (data, disk) = instance(&program);
    symlink(&data, data.join("data/all-of-it")).unwrap();
    symlink(program.home.path(), data.join("metadata/above")).unwrap();
    symlink(data.join("metadata/library"), data.join("data/library")).unwrap();
    symlink(disk.join("trickplay"), data.join("data/twice")).unwrap();
    symlink("/nowhere", data.join("data/nowhere")).unwrap();
    let (report, code) = program.json(&["snapshot", data.to_str().unwrap(), "--follow-roots"]);
    assert_eq!(code, 0, "{report}");
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    for link in ["data/all-of-it", "metadata/above", "data/library", "data/twice", "data/nowhere"] {
        assert!(out.join(link).is_symlink(), "{link} is kept as a link");
    }
    assert!(out.join("data/trickplay").is_dir() && !out.join("data/trickplay").is_symlink());
}

#[test]
fn excluded_and_unwanted_linked_folders_are_neither_named_nor_entered() {
    let program = Program::new();
    let (data, _) = instance(&program);
    let at = data.to_str().unwrap();
    let (report, code) = program.json(&["snapshot", at, "--only", "config"]);
    assert_eq!((code, problems(&report).len()), (0, 0), "{report}");
    let skipped = ["--exclude", "data/trickplay", "--exclude", "People", "--skip", "plugins"];
    let (report, code) =
        program.json(&[&["snapshot", at, "--follow-roots"][..], &skipped].concat());
    assert_eq!(code, 0, "{report}");
    let (listed, _) = program.json(&["ls", "latest", "--recursive"]);
    let paths = listed["entries"].to_string();
    assert!(
        !paths.contains("trickplay/")
            && !paths.contains("People/")
            && !paths.contains("plugins/Made Up"),
        "{paths}"
    );
}

/// Metadata on another disk, reached through a link: an installation that Jellyfin's own
/// documentation suggests.
#[test]
fn metadata_that_is_a_link_is_one_folder_whichever_way_it_is_named() {
    let _alone = alone();
    let program = Program::new();
    let (data, disk) = (program.home.path().join("jellyfin"), program.home.path().join("disk"));
    copy_tree(&own_fixture(), &data);
    std::fs::rename(data.join("metadata"), &disk).unwrap();
    symlink(&disk, data.join("metadata")).unwrap();
    let_settle();
    let before = facts(&disk, &|_| false);
    let (first, _) = program.json(&["snapshot", data.to_str().unwrap()]);
    // By the source that is remembered, and with the link's own target named.
    let (diff, _) = program.json(&["diff"]);
    assert_eq!(diff["changes"].as_array().map(Vec::len), Some(0), "{diff}");
    let (again, _) = program.json(&["snapshot"]);
    let (named, _) = program.json(&[
        "snapshot",
        data.to_str().unwrap(),
        "--metadata-dir",
        disk.to_str().unwrap(),
    ]);
    for report in [&again, &named] {
        assert_eq!(report["files"]["total"], first["files"]["total"], "{report}");
        assert!(
            report["snapshot"]["source"]["directories"]["metadata-default"].is_null(),
            "{report}"
        );
    }
    let (report, code) = program.json(&["restore", "latest", "--in-place", "--delete", "--yes"]);
    assert_eq!((code, report["restored"]["deleted"].as_u64()), (0, Some(0)), "{report}");
    assert_eq!(facts(&disk, &|_| false), before);
}

#[needs(root)]
#[test]
fn a_linked_metadata_folder_that_root_does_not_follow_is_told_with_the_options_that_work() {
    for owner_of_disk in ["1234", "0"] {
        let program = Program::new();
        let (data, disk) =
            (program.home.path().join("jellyfin"), program.home.path().join("big disk"));
        copy_tree(&own_fixture(), &data);
        std::fs::rename(data.join("metadata"), &disk).unwrap();
        symlink(&disk, data.join("metadata")).unwrap();
        let chown = |owner: &str, dir: &Path| {
            assert!(
                std::process::Command::new("chown")
                    .args(["-hR", owner])
                    .arg(dir)
                    .status()
                    .unwrap()
                    .success()
            )
        };
        chown("1234", &data);
        chown(owner_of_disk, &disk);
        let at = data.to_str().unwrap();
        let (report, code) = program.json(&["snapshot", at]);
        let named = problems(&report);
        assert_eq!((code, named.len(), named[0].0.as_str()), (3, 1, "metadata"), "{report}");
        let what = &named[0].1;
        assert!(what.contains(&format!("--metadata-dir '{}'", disk.display())), "{what}");
        // A link to what is another's is nothing to be given to root without a look.
        assert_eq!(what.contains("chown -h root"), owner_of_disk == "1234", "{what}");
        assert!(!what.contains("--database") && !what.contains("--config-dir"), "{what}");
        assert_eq!(what.contains("--follow-roots"), owner_of_disk == "1234", "{what}");
        let followed = program.json(&["snapshot", at, "--follow-roots"]).1;
        assert_eq!(followed == 0, owner_of_disk == "1234");
        let (report, code) =
            program.json(&["snapshot", at, "--metadata-dir", disk.to_str().unwrap()]);
        assert_eq!((code, report["problems"].as_array().map(Vec::len)), (0, Some(0)), "{report}");
    }
}
