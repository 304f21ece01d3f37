//! What a capture or a restore by root looks at is swapped for a link of the server's user at each
//! of its calls of the kernel that take or give a name, one run for each: `strace` stops the
//! program there, so no luck is needed.
//!
//! `JELLYVAULT_RACE_STRIDE=1` tries every call, which takes an hour; what is set here tries one in
//! 101.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use needs::needs;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::security::{Stage, USER, sh};
use super::support::*;

/// Calls that take a name, list names, or change what a name stands for.
const CALLS: &str = "%file,getdents64,fchown,fchmod,ftruncate";
/// Every so many calls one is tried.
const STRIDE: usize = 101;
/// More calls than any of these commands makes in one thread.
const CALLS_MAX: usize = 20_000;

/// How long what was swapped stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stays {
    /// To the end.
    Long,
    /// For one call.
    Short,
}

/// A stage with few files, of which a copy is made for each run.
struct Theatre {
    stage: Stage,
    /// The instance as it was.
    kept: PathBuf,
}

impl Theatre {
    fn new() -> Theatre {
        let stage = Stage::new();
        sh(
            "cd \"$1\"; rm -r data/subtitles metadata/People data/ScheduledTasks config/users root/default/*; mkdir data/backups",
            &stage.data,
        );
        stage.settle();
        stage.program.ok(&["snapshot", stage.at()]);
        let kept = stage.program.home.path().join("kept");
        copy_tree(&stage.data, &kept);
        Theatre { stage, kept }
    }

    /// The instance as it was, or as one that a restore has something to do for.
    fn set(&self, is_damaged: bool) {
        std::fs::remove_dir_all(&self.stage.data).unwrap();
        copy_tree(&self.kept, &self.stage.data);
        if is_damaged {
            sh(
                "cd \"$1\"; rm -r plugins/* metadata/library/*; echo '<x/>' > config/branding.xml; touch plugins/extra config/extra",
                &self.stage.data,
            );
            sh(&format!("chown -hR {USER}:{USER} \"$1\""), &self.stage.data);
        }
    }

    /// Runs a command that is stopped at a call, where `own` and `trap` change places. How often it
    /// was stopped, and how often they did.
    fn run_with_a_swap(
        &self,
        args: &[&str],
        call: usize,
        stays: Stays,
        own: &Path,
        trap: &Path,
    ) -> (usize, usize) {
        let when =
            if stays == Stays::Long { format!("{call}") } else { format!("{call}..{}", call + 1) };
        let program = self.stage.program.command(args);
        let mut command = Command::new("strace");
        command
            .env_clear()
            .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.args([
            "-D",
            "-f",
            "-qqq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={CALLS}"),
            "-e",
            &format!("inject={CALLS}:signal=STOP:when={when}"),
        ]);
        command
            .arg(program.get_program())
            .args(program.get_args())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = Started { child: command.spawn().unwrap(), is_over: false };
        let id = Pid::from_raw(i32::try_from(child.child.id()).unwrap()).unwrap();
        let (mut stops, mut swaps) = (0, 0);
        loop {
            let (_, status) = waitpid(Some(id), WaitOptions::UNTRACED).unwrap().unwrap();
            if !status.stopped() {
                child.is_over = true;
                let code = status.exit_status();
                assert!(
                    matches!(code, Some(0 | 1 | 3)),
                    "{args:?}, swapped at call {call}: {status:?}"
                );
                return (stops, swaps);
            }
            stops += 1;
            // What is not there at this moment cannot be swapped.
            let swapped = renameat_with(CWD, own, CWD, trap, RenameFlags::EXCHANGE);
            swaps += usize::from(swapped.is_ok());
            kill_process(id, Signal::CONT).unwrap();
        }
    }
}

/// Ends the program where an assertion fails.
struct Started {
    child: std::process::Child,
    is_over: bool,
}

impl Drop for Started {
    fn drop(&mut self) {
        if !self.is_over {
            drop(self.child.kill());
        }
    }
}

fn stride() -> usize {
    std::env::var("JELLYVAULT_RACE_STRIDE").map_or(STRIDE, |stride| stride.parse().unwrap())
}

/// Each path in turn is swapped for a link to root's directory (or a file of it) at the calls of a
/// command. A capture begins with no repository.
fn try_all(args: &[&str], paths: &[(&str, &str)], is_capture: bool) {
    let theatre = Theatre::new();
    let stage = &theatre.stage;
    let args: Vec<&str> =
        args.iter().map(|arg| if *arg == "AT" { stage.at() } else { arg }).collect();
    let trap = stage.program.home.path().join("trap");
    let mut runs = 0;
    for (number, (path, target)) in paths.iter().enumerate() {
        let own = stage.data.join(path);
        for (round, call) in (1 + number..CALLS_MAX).step_by(stride()).enumerate() {
            theatre.set(!is_capture);
            if trap.symlink_metadata().is_ok() {
                sh("rm -rf \"$1\"", &trap);
            }
            symlink(stage.etc.join(target), &trap).unwrap();
            sh(&format!("chown -h {USER}:{USER} \"$1\""), &trap);
            if is_capture {
                std::fs::remove_dir_all(&stage.program.repo).unwrap();
            }
            let stays = if round % 2 == 0 { Stays::Long } else { Stays::Short };
            let when = format!("{args:?}: {path} swapped at call {call}, {stays:?}");
            let args = if is_capture { [&args[..], &["--init"]].concat() } else { args.clone() };
            let (stops, swaps) = theatre.run_with_a_swap(&args, call, stays, &own, &trap);
            stage.assert_etc_is_roots(&when);
            if is_capture && stage.program.repo.exists() {
                stage.assert_secret_in_no_snapshot(&when);
            }
            if stops == 0 {
                break;
            }
            runs += usize::from(swaps > 0);
        }
    }
    assert!(runs >= 3 * paths.len(), "only {runs} runs had a swap");
}

const FOLDERS: [(&str, &str); 4] =
    [("plugins", ""), ("metadata", ""), ("data", ""), ("config", "")];

#[needs(root, strace)]
#[test]
fn a_swap_at_any_call_of_a_capture_gains_nothing() {
    try_all(
        &["snapshot", "AT"],
        &[&FOLDERS[..], &[("config/branding.xml", "shadow"), ("data/jellyfin.db-wal", "shadow")]]
            .concat(),
        true,
    );
}

#[needs(root, strace)]
#[test]
fn a_swap_at_any_call_of_a_restore_gains_nothing() {
    try_all(
        &[
            "restore",
            "latest",
            "--in-place",
            "--data-dir",
            "AT",
            "--no-safety-snapshot",
            "--only",
            "plugins,metadata,config",
        ],
        &FOLDERS,
        false,
    );
}

#[needs(root, strace)]
#[test]
fn a_swap_at_any_call_of_a_restore_that_deletes_gains_nothing() {
    try_all(
        &[
            "restore",
            "latest",
            "--in-place",
            "--data-dir",
            "AT",
            "--no-safety-snapshot",
            "--delete",
            "--only",
            "plugins,config",
        ],
        &[("plugins", ""), ("config", "")],
        false,
    );
}

#[needs(root, strace)]
#[test]
fn a_swap_at_any_call_of_a_restore_that_keeps_what_was_gains_nothing() {
    try_all(
        &[
            "restore",
            "latest",
            "--in-place",
            "--data-dir",
            "AT",
            "--no-safety-snapshot",
            "--keep-old",
            "--only",
            "plugins,database",
        ],
        &[("plugins", ""), ("data", "")],
        false,
    );
}

#[needs(root, strace)]
#[test]
fn a_swap_at_any_call_of_an_export_to_the_dashboard_gains_nothing() {
    try_all(
        &["export", "latest", "--to-jellyfin", "--force", "--data-dir", "AT", "--only", "config"],
        &[("data", ""), ("data/backups", ""), ("config", "")],
        false,
    );
}

#[needs(root, strace)]
#[test]
fn a_swap_at_any_call_of_a_restore_of_watch_state_gains_nothing() {
    try_all(
        &[
            "restore",
            "latest",
            "--user",
            "Ana",
            "--watch-state",
            "--data-dir",
            "AT",
            "--no-safety-snapshot",
        ],
        &[("data", ""), ("data/jellyfin.db", "shadow")],
        false,
    );
}
