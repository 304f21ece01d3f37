//! File systems without locks, kernels without newer calls, repositories that cannot be written to.

use std::process::{Command, Output};

use needs::needs;

use super::support::*;

/// Runs the program while a call of the kernel fails.
pub fn failing(program: &Program, call: &str, args: &[&str]) -> Output {
    let mut command = Command::new("strace");
    command
        .env_clear()
        .env("HOME", program.home.path())
        .env("TZ", "UTC")
        .env("PATH", "/usr/bin:/bin")
        .env("JELLYVAULT_REPO", &program.repo);
    command.envs(program.cipher.as_ref().map(|cipher| ("JELLYVAULT_TEST_CIPHER", cipher)));
    command
        .args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("inject={call}"),
            env!("CARGO_BIN_EXE_jellyvault"),
        ])
        .args(args);
    command.output().unwrap()
}

fn attic(program: &Program) -> String {
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let_settle();
    data.to_str().unwrap().to_owned()
}

#[needs(strace)]
#[test]
fn without_locks_reading_works_and_writing_asks_first() {
    for error in ["ENOLCK", "EOPNOTSUPP", "ENOSYS"] {
        let program = Program::new();
        let data = attic(&program);
        let call = format!("flock:error={error}");
        program.ok(&["snapshot", &data]);
        let out = program.home.path().join("out");
        for args in [
            vec!["list"],
            vec!["cat", "latest:config/system.xml"],
            vec!["restore", "latest", "--to", out.to_str().unwrap()],
            vec!["check"],
        ] {
            let done = failing(&program, &call, &args);
            assert_eq!(done.status.code(), Some(0), "{error} {args:?} {done:?}");
            assert!(
                String::from_utf8_lossy(&done.stderr).contains("does not support locks"),
                "{done:?}"
            );
        }
        for args in [
            vec!["snapshot", &data],
            vec!["forget", "latest"],
            vec!["prune"],
            vec!["repair"],
            vec!["keep", "latest"],
        ] {
            let refused = failing(&program, &call, &args);
            assert_eq!(refused.status.code(), Some(1), "{error} {args:?} {refused:?}");
            assert!(String::from_utf8_lossy(&refused.stderr).contains("--no-lock"), "{refused:?}");
        }
        for args in [
            vec!["snapshot", &data],
            vec!["forget", "latest"],
            vec!["prune"],
            vec!["repair"],
            vec!["check"],
        ] {
            let done = failing(&program, &call, &[&args[..], &["--no-lock"]].concat());
            assert_eq!(done.status.code(), Some(0), "{error} {args:?} {done:?}");
        }
        program.ok(&["check", "--read-data"]);
    }
}

#[needs(strace)]
#[test]
fn older_kernels_and_narrow_sandboxes_are_enough() {
    for call in [
        "openat2:error=ENOSYS",
        "openat2:error=EPERM",
        "statx:error=ENOSYS",
        "statx:error=EPERM",
        "copy_file_range:error=ENOSYS",
    ] {
        let program = Program::new();
        let data = attic(&program);
        let taken = failing(&program, call, &["snapshot", &data]);
        assert_eq!(taken.status.code(), Some(0), "{call} {taken:?}");
        let out = program.home.path().join("out");
        let restored =
            failing(&program, call, &["restore", "latest", "--to", out.to_str().unwrap()]);
        assert_eq!(restored.status.code(), Some(0), "{call} {restored:?}");
        assert_eq!(
            rows(&out.join("data/jellyfin.db")),
            rows(&own_fixture().join("data/jellyfin.db"))
        );
        // What is found by the one call is known by the other.
        let (again, _) = program.json(&["snapshot", &data]);
        assert_eq!(again["files_read"], 0, "{call} {again}");
    }
}

#[needs(mount)]
#[test]
fn a_repository_that_cannot_be_written_to_is_read_in_every_way() {
    let program = Program::new();
    let data = attic(&program);
    program.ok(&["snapshot", &data]);
    let there = program.home.path().join("read-only");
    std::fs::create_dir(&there).unwrap();
    let run = |script: &str| {
        let done = Command::new("sh")
            .args(["-ec", script, "-", program.repo.to_str().unwrap(), there.to_str().unwrap()])
            .status()
            .unwrap();
        assert!(done.success(), "{script}");
    };
    run("mount --bind \"$1\" \"$2\"; mount -o remount,ro,bind \"$2\"");
    let zip = program.home.path().join("a.zip");
    let scratch = program.home.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let repo = ["--repo", there.to_str().unwrap()];
    let outcomes: Vec<(i32, String)> = [
        vec!["export", "latest", zip.to_str().unwrap()],
        vec![
            "export",
            "latest",
            zip.to_str().unwrap(),
            "--force",
            "--exact",
            "--scratch-dir",
            scratch.to_str().unwrap(),
        ],
        vec!["diff", "latest", "--rows", "--data-dir", &data],
        vec!["check", "--read-data"],
        vec![
            "restore",
            "latest",
            "--user",
            "root",
            "--watch-state",
            "--dry-run",
            "--data-dir",
            &data,
        ],
    ]
    .iter()
    .map(|args| {
        let (document, code) = program.json(&[&repo[..], args].concat());
        (code, document.to_string())
    })
    .collect();
    run("umount \"$2\"");
    for (code, document) in outcomes {
        assert_eq!(code, 0, "{document}");
    }
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0, "private copies are gone");
}
