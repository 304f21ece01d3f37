//! Where repositories appear: where the user wants one, and nowhere else.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use needs::needs;

use super::support::*;

fn message(document: &serde_json::Value) -> &str {
    document["error"]["message"].as_str().unwrap_or_else(|| panic!("{document}"))
}

#[test]
fn a_repository_that_is_gone_is_not_made_anew_unless_the_user_says_so() {
    let program = Program::new();
    let source = program.home.path().join("source");
    write(source.join("file"), "content");
    let snapshot = ["snapshot", "--plain", source.to_str().unwrap()];
    program.ok(&snapshot);
    // The disk is not mounted: its folder is there, and empty, or is not there.
    for is_left in [true, false] {
        std::fs::remove_dir_all(&program.repo).unwrap();
        if is_left {
            std::fs::create_dir(&program.repo).unwrap();
        }
        let import = program.home.path().join("some.zip");
        write(&import, "no zip");
        for args in [
            &snapshot[..],
            &[&snapshot[..], &["--dry-run"]].concat(),
            &["list"],
            &["restore", "latest", "--to", "x"],
            &["import", import.to_str().unwrap()],
        ] {
            let (refused, code) = program.json(args);
            assert_eq!(
                (code, refused["error"]["kind"].as_str()),
                (1, Some("no-repository")),
                "{args:?} {refused}"
            );
            assert!(
                message(&refused).contains("is missing: it existed before (last used on 20"),
                "{args:?} {refused}"
            );
            assert!(refused["error"]["hint"].as_str().unwrap().contains("--init"), "{refused}");
        }
        // However it is written.
        let around =
            program.repo.parent().unwrap().join("x/..").join(program.repo.file_name().unwrap());
        let (refused, code) =
            program.json(&[&["--repo", around.to_str().unwrap()], &snapshot[..]].concat());
        assert_eq!(
            (code, refused["error"]["kind"].as_str()),
            (1, Some("no-repository")),
            "{refused}"
        );
        assert_eq!(
            std::fs::read_dir(&program.repo).map_or(0, Iterator::count),
            0,
            "nothing was made"
        );
        program.ok(&[&snapshot[..], &["--init"]].concat());
        program.ok(&snapshot);
    }
    // Another user, or a machine that never saw it, makes one, and says so to programs as well.
    std::fs::remove_dir_all(&program.repo).unwrap();
    std::fs::remove_dir_all(program.home.path().join(".local")).unwrap();
    assert_eq!(program.json(&snapshot).0["made_repository"], true);
    assert_eq!(program.json(&snapshot).0["made_repository"], serde_json::Value::Null);
}

#[test]
fn a_memory_that_cannot_be_kept_keeps_nobody_from_a_snapshot() {
    let program = Program::new();
    let source = program.home.path().join("source");
    write(source.join("file"), "content");
    write(program.home.path().join(".local"), "a file where the folder would be");
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    std::fs::remove_file(program.home.path().join(".local")).unwrap();
    write(program.home.path().join(".local/state/jellyvault/repositories.toml"), "no = [table");
    std::fs::remove_dir_all(&program.repo).unwrap();
    let made = program.run(&["snapshot", "--plain", source.to_str().unwrap()]);
    assert!(
        made.status.success()
            && String::from_utf8_lossy(&made.stderr)
                .contains("could not find out whether there was a repository at this path before"),
        "{made:?}"
    );
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
}

#[test]
fn places_on_other_machines_are_refused_and_no_folder_of_that_name_is_made() {
    let program = Program::new();
    let home = program.home.path();
    let source = home.join("source");
    write(source.join("file"), "content");
    for place in [
        "s3:bucket/jelly",
        "sftp:nas:/backup",
        "rclone:drive:jelly",
        "ssh://nas/backup",
        "user@nas:/backup",
        "nas:/backup",
    ] {
        let refused = program
            .command(&["--json", "--repo", place, "snapshot", "--plain", source.to_str().unwrap()])
            .current_dir(home)
            .output()
            .unwrap();
        let document: serde_json::Value = serde_json::from_slice(&refused.stdout).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{document}");
        assert!(message(&document).starts_with(place), "{document}");
    }
    assert_eq!(std::fs::read_dir(home).unwrap().count(), 1, "only the source is there");
    let made = program
        .command(&["--repo", "./s3:bucket", "snapshot", "--plain", source.to_str().unwrap()])
        .current_dir(home)
        .output()
        .unwrap();
    assert!(made.status.success() && home.join("s3:bucket/repo.toml").is_file());
}

#[test]
fn a_dry_run_makes_no_repository() {
    let program = Program::new();
    let source = program.home.path().join("source");
    copy_tree(&own_fixture(), &source);
    let (report, code) = program.json(&["snapshot", source.to_str().unwrap(), "--dry-run"]);
    assert_eq!((code, report["files"]["new"].as_u64()), (0, Some(87)), "{report}");
    assert_eq!(
        std::fs::read_dir(program.home.path()).unwrap().count(),
        1,
        "only the source is there"
    );
}

#[test]
fn nobody_s_default_place_is_inside_of_jellyfin_s_directories() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    std::fs::set_permissions(program.home.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o777)).unwrap();
    for args in [&["--json", "snapshot", data.to_str().unwrap()][..], &["--json", "init"]] {
        let mut command = program.command(args);
        command.env_remove("JELLYVAULT_REPO").env("HOME", &data);
        if rustix::process::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        let refused = command.output().unwrap();
        let document: serde_json::Value = serde_json::from_slice(&refused.stdout).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{document}");
        assert!(message(&document).contains("inside Jellyfin's own directory"), "{document}");
        assert!(!data.join(".local").exists());
    }
}

/// Whoever may not read the repository is told by whom it can be read, not that its disk is away.
#[needs(root)]
#[test]
fn a_repository_of_somebody_else_is_said_to_be_theirs() {
    let program = Program::new();
    let source = program.home.path().join("source");
    copy_tree(&own_fixture(), &source);
    program.ok(&["snapshot", source.to_str().unwrap()]);
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(program.home.path(), 0o755);
    mode(&program.repo, 0o700);
    let mut command = program.command(&["status"]);
    let told = command.uid(65534).gid(65534).env("HOME", "/nonexistent").output().unwrap();
    let told = format!("{told:?}");
    assert!(
        told.contains("The repository is unavailable")
            && told.contains("Run jellyvault as the user who owns the repository, or as root."),
        "{told}"
    );
}
