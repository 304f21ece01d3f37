//! Copies that are made, and killed, while other processes take snapshots, forget and prune: what is
//! in the target is whole each time.
//!
//! `JELLYVAULT_BESIDE_KILLS=200` is the long run, some minutes for each kind; here are fewer.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::support::*;

fn kills() -> u64 {
    std::env::var("JELLYVAULT_BESIDE_KILLS").map_or(6, |kills| kills.parse().unwrap())
}

struct Stage {
    program: Program,
    data: PathBuf,
    copy: PathBuf,
    is_over: AtomicBool,
}

impl Stage {
    fn new() -> Stage {
        let program = Program::new();
        let home = program.home.path().to_path_buf();
        let stage = Stage {
            data: home.join("jellyfin"),
            copy: home.join("copy"),
            program,
            is_over: AtomicBool::new(false),
        };
        copy_tree(&own_fixture(), &stage.data);
        (0..3).for_each(|n| stage.snapshot(n));
        stage
    }

    /// Whether there was anything to wait for does not matter.
    fn snapshot(&self, n: u64) {
        write(
            self.data.join(format!("metadata/library/{:02}/poster.jpg", n % 7)),
            noise(&n.to_string(), 300_000),
        );
        let_settle();
        self.program.ok(&["-q", "snapshot", self.data.to_str().unwrap()]);
    }

    /// Snapshots come and go, until it is over.
    fn change(&self) {
        for n in 3.. {
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            self.snapshot(n);
            if n % 3 == 0 {
                self.program.ok(&["-q", "forget", "--keep-last", "3", "--prune"]);
            }
        }
    }

    fn target(&self) -> Program {
        Program { repo: self.copy.clone(), ..Program::new() }
    }

    fn start(&self, args: &[&str]) -> Child {
        let mut command = self.program.command(args);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Kills it again and again, and looks at the target each time.
    fn kill_and_look(&self, args: &[&str]) {
        let target = self.target();
        for round in 0..kills() {
            let mut running = self.start(args);
            std::thread::sleep(Duration::from_millis(round * 13 % 250));
            running.kill().unwrap();
            running.wait().unwrap();
            if !self.copy.join("repo.copy.toml").exists() {
                continue;
            }
            let (found, code) = target.json(&["check", "--read-data"]);
            let is_unlisted = found["files"].as_array().is_some_and(|files| {
                files.iter().all(|file| {
                    file["what"].as_str().unwrap().contains("the snapshot is not in the list")
                })
            });
            assert!(code == 0 || is_unlisted, "{args:?}, round {round}: {found}");
        }
    }

    fn is_whole(&self, out: &Path) {
        let target = self.target();
        assert_eq!(target.json(&["check", "--read-data"]).1, 0);
        let newest = target.json(&["list"]).0["snapshots"].as_array().unwrap().last().cloned();
        let id = newest.unwrap()["id"].as_str().unwrap().to_owned();
        let (report, code) = target.json(&["restore", &id, "--to", out.to_str().unwrap()]);
        assert_eq!(code, 0, "{report}");
        assert_same_trees(
            &facts(&out.join("metadata"), &|_| false),
            &facts(&self.data.join("metadata"), &|_| false),
        );
    }
}

fn beside(args: impl Fn(&Path) -> Vec<String>, prepare: impl Fn(&Stage)) {
    let stage = Stage::new();
    prepare(&stage);
    let args = args(&stage.copy);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    std::thread::scope(|scope| {
        let changing = scope.spawn(|| stage.change());
        let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            stage.kill_and_look(&args);
        }));
        stage.is_over.store(true, Ordering::Relaxed);
        changing.join().unwrap();
        if let Err(panic) = looked {
            std::panic::resume_unwind(panic);
        }
    });
    stage.program.ok(&args);
    stage.is_whole(&stage.program.home.path().join("out"));
}

#[test]
fn sync_is_killed_beside_snapshots_and_prunes_and_its_copy_is_whole() {
    beside(|copy| vec!["sync".to_owned(), "--to".to_owned(), copy.display().to_string()], |_| {});
}

#[test]
fn copy_is_killed_beside_snapshots_and_prunes_and_its_target_is_whole() {
    beside(
        |copy| vec!["copy".to_owned(), "--to".to_owned(), copy.display().to_string()],
        |stage| {
            stage.target().ok(&["init"]);
        },
    );
}
