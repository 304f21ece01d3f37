//! Which instance is meant: the folder above or below, the server that runs, and what may not be
//! looked at.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use needs::needs;

use super::support::*;

fn message(document: &serde_json::Value) -> &str {
    document["error"]["message"].as_str().unwrap_or_else(|| panic!("{document}"))
}

#[test]
fn a_folder_above_or_below_is_answered_with_the_right_one() {
    let program = Program::new();
    let srv = program.home.path().join("srv");
    copy_to(&srv.join("jellyfin"));
    // linuxserver.io: settings on top, the data directory below.
    let volume = program.home.path().join("lsio/config");
    copy_to(&volume.join("data"));
    std::fs::rename(volume.join("data/config/system.xml"), volume.join("system.xml")).unwrap();
    for (named, right) in [
        ("srv", "srv/jellyfin"),
        ("srv/jellyfin/metadata", "srv/jellyfin"),
        ("srv/jellyfin/metadata/People", "srv/jellyfin"),
        ("srv/jellyfin/root/default", "srv/jellyfin"),
        ("srv/jellyfin/config/users", "srv/jellyfin"),
        ("lsio", "lsio/config"),
    ] {
        let (named, right) = (program.home.path().join(named), program.home.path().join(right));
        let right = std::fs::canonicalize(right).unwrap();
        for command in ["snapshot", "source"] {
            let (refused, code) = program.json(&[command, named.to_str().unwrap()]);
            assert_eq!(code, 1, "{refused}");
            assert!(
                message(&refused).ends_with(&format!("but {} is one", right.display())),
                "{refused}"
            );
        }
    }
    assert!(!program.repo.exists());
    for right in ["srv/jellyfin", "srv/jellyfin/data", "lsio/config"] {
        program.ok(&["source", program.home.path().join(right).to_str().unwrap()]);
    }
}

#[needs(root)]
#[test]
fn what_may_not_be_looked_at_is_not_taken_for_nothing() {
    let program = Program::new();
    std::fs::set_permissions(program.home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let data = program.home.path().join(".local/share/jellyfin");
    copy_to(&data);
    let copy = program.home.path().join("jellyvault");
    std::fs::copy(env!("CARGO_BIN_EXE_jellyvault"), &copy).unwrap();
    let as_nobody = |args: &[&str]| {
        let mut command = Command::new(&copy);
        command
            .env_clear()
            .env("HOME", program.home.path())
            .env("JELLYVAULT_REPO", "/nonexistent")
            .arg("--json")
            .args(args)
            .uid(65_534)
            .gid(65_534);
        let output = command.output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&output.stdout)
            .unwrap_or_else(|e| panic!("{e} {output:?}"))
    };
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    for args in [
        vec!["source"],
        vec!["source", data.to_str().unwrap()],
        vec!["source", data.join("data").to_str().unwrap()],
    ] {
        let refused = as_nobody(&args);
        assert!(
            refused.to_string().to_lowercase().contains("permission denied"),
            "{args:?} {refused}"
        );
    }
}

/// Runs a script with processes and mounts of its own.
fn apart(program: &Program, script: &str) -> serde_json::Value {
    let mut command = Command::new("unshare");
    command
        .args(["--pid", "--fork", "--mount-proc", "--kill-child", "bash", "-c", script])
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    command
        .env("HOME", program.home.path())
        .env("JELLYVAULT_REPO", &program.repo)
        .env("JV", env!("CARGO_BIN_EXE_jellyvault"))
        .current_dir(program.home.path());
    let output = command.output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e} {output:?}"))
}

fn copy_to(to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    copy_tree(&own_fixture(), to);
}

/// A process that is called as the server is.
const SERVER: &str = "exec -a /usr/bin/jellyfin bash -c 'sleep 60; true' jellyfin";

#[needs(mount)]
#[test]
fn a_running_server_says_where_it_is_in_a_container_too() {
    let _alone = alone();
    let program = Program::new();
    let data = program.home.path().join("volumes/jelly fin");
    copy_to(&data);
    let owner = format!(
        "chown {}:{} -R .",
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw()
    );
    let shown = data.to_str().unwrap();
    let is_found = |found: &serde_json::Value| {
        assert_eq!(found["instance"]["paths"]["data"], shown, "{found}");
        assert!(
            found["instance"]["how"].as_str().unwrap().contains("the running server, process"),
            "{found}"
        );
    };
    let found = apart(
        &program,
        &format!(
            "{owner}; ({SERVER} --datadir \"$PWD/volumes/jelly fin\") & sleep 0.3; $JV --json source"
        ),
    );
    is_found(&found);
    let found = apart(
        &program,
        &format!(
            "{owner}; (JELLYFIN_DATA_DIR=\"$PWD/volumes/jelly fin\" {SERVER}) & sleep 0.3; $JV --json source"
        ),
    );
    is_found(&found);
    // In a container the directory has another name.
    let container = format!(
        "{owner}; unshare --mount bash -c 'mount --bind \"volumes/jelly fin\" /mnt; {} --datadir=/mnt' & sleep 0.5; $JV --json source",
        SERVER.replace('\'', "\"")
    );
    let found = apart(&program, &container);
    is_found(&found);
    assert!(found["instance"]["how"].as_str().unwrap().contains("in a container"), "{found}");
    // Somebody else's process only proposes.
    let others = format!(
        "chown -R 4711 volumes; ({SERVER} --datadir \"$PWD/volumes/jelly fin\") & sleep 0.3; $JV --json source"
    );
    let refused = apart(&program, &others);
    assert_eq!(refused["error"]["kind"], "no-source", "{refused}");
    assert!(refused["error"]["hint"].as_str().unwrap().contains(shown), "{refused}");
    assert!(Path::new(shown).is_dir());
}
