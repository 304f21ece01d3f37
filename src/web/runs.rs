//! Commands that were started from the page. Each is a separate process that runs the command
//! shown, and its output is that of the terminal.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};

use crate::figures::argument;

use super::board::{Board, Far, Order};
use super::oops::Oops;
use super::run::{Outcome, Run};
use super::run_log::RunLog;

/// Bytes of a command's output that are kept, at most.
const WORDS_BYTES_MAX: usize = 256 << 10;
/// Bytes of a line; a longer line is read as several.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// Commands that are listed, at most.
const KEPT: usize = 100;

/// How this program is called for the same repository.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program.
    pub program: PathBuf,
    /// Arguments before the command's name.
    pub arguments: Vec<OsString>,
    /// The program as it is typed in a terminal.
    pub shown: String,
}

/// The commands that were started from the page.
pub struct Runs {
    command: Command,
    log: RunLog,
    board: Arc<Board>,
    orders: Sender<Order>,
    list: Mutex<VecDeque<Run>>,
    last: AtomicU64,
    /// Commands that somebody waits for.
    asked: Mutex<Vec<i32>>,
}

/// Commands that are waited for at the same time.
const ASKED_MAX: usize = 2;

impl Runs {
    pub(super) fn new(
        (command, log): (Command, RunLog),
        board: Arc<Board>,
        orders: Sender<Order>,
    ) -> Runs {
        let list = log.read();
        Runs {
            command,
            log,
            board,
            orders,
            last: AtomicU64::new(list.iter().map(|run| run.id).max().unwrap_or_default()),
            list: Mutex::new(list),
            asked: Mutex::default(),
        }
    }

    fn list(&self) -> MutexGuard<'_, VecDeque<Run>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All, the newest first.
    pub fn all(&self) -> Vec<Run> {
        self.list().iter().rev().cloned().collect()
    }

    /// Whether a command is running.
    pub fn is_busy(&self) -> bool {
        self.list().iter().any(|run| run.outcome.is_none())
    }

    /// Refuses while a command is running.
    ///
    /// # Errors
    /// Names that command.
    pub fn check_free(&self) -> Result<(), Oops> {
        check_free(&self.list())
    }

    /// One of them.
    pub fn get(&self, id: u64) -> Option<Run> {
        self.list().iter().find(|run| run.id == id).cloned()
    }

    /// How a command is typed in a terminal.
    pub fn shown(&self, arguments: &[OsString]) -> String {
        let words = arguments.iter().map(|word| argument(Path::new(word)));
        std::iter::once(self.command.shown.clone()).chain(words).collect::<Vec<_>>().join(" ")
    }

    fn spawn(&self, arguments: &[OsString]) -> std::io::Result<Child> {
        let mut command = std::process::Command::new(&self.command.program);
        command.args(&self.command.arguments).arg("--progress-json").args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }

    /// Runs a command that changes nothing, and waits for its output.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn ask(&self, arguments: &[OsString]) -> Result<Outcome, Oops> {
        let busy = || {
            let what = "other pages are waiting for their commands";
            Oops::new(
                axum::http::StatusCode::SERVICE_UNAVAILABLE,
                what,
                "Wait until they are shown, then reload this page.",
            )
        };
        let (child, pid) = {
            let mut asked = self.asked();
            if asked.len() >= ASKED_MAX {
                return Err(busy());
            }
            let child = self.spawn(arguments).map_err(|error| cannot_start(&error))?;
            let pid = child.id().cast_signed();
            asked.push(pid);
            (child, pid)
        };
        let outcome = wait(child, |_| {});
        self.asked().retain(|own| *own != pid);
        Ok(outcome)
    }

    fn asked(&self) -> MutexGuard<'_, Vec<i32>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a command and returns its number. Only one runs at a time, because a second one would
    /// only wait for the first.
    ///
    /// # Errors
    /// If another command is running, or if this one cannot be started.
    pub fn start(self: &Arc<Runs>, title: String, arguments: &[OsString]) -> Result<u64, Oops> {
        self.start_with(title, arguments, arguments, ())
    }

    /// The same; the page shows the command with `shown` as its arguments, and `needed` is dropped
    /// when the command has ended, or if it is not started.
    ///
    /// # Errors
    /// As above.
    pub fn start_with(
        self: &Arc<Runs>,
        title: String,
        arguments: &[OsString],
        shown: &[OsString],
        needed: impl Send + 'static,
    ) -> Result<u64, Oops> {
        let mut list = self.list();
        check_free(&list)?;
        let child = self.spawn(arguments).map_err(|error| cannot_start(&error))?;
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let shown = self.shown(shown);
        let pid = i32::try_from(child.id()).ok();
        list.push_back(Run {
            id,
            title,
            shown,
            began: Timestamp::now(),
            outcome: None,
            far: Far { phase: "Starting".to_owned(), ..Far::default() },
            pid,
            is_cancelled: false,
        });
        if list.len() > KEPT {
            list.pop_front();
        }
        self.log.write(&list);
        drop(list);
        self.board.turn();
        let runs = self.clone();
        std::thread::spawn(move || {
            let outcome = wait(child, |far| {
                runs.list()
                    .iter_mut()
                    .filter(|run| run.id == id)
                    .for_each(|run| run.far = far.clone())
            });
            drop(needed);
            runs.finish(id, outcome);
        });
        Ok(id)
    }

    fn finish(&self, id: u64, outcome: Outcome) {
        let mut list = self.list();
        if let Some(run) = list.iter_mut().find(|run| run.id == id) {
            (run.outcome, run.pid) = (Some(outcome), None);
        }
        self.log.write(&list);
        drop(list);
        // Fails only if the service is stopping.
        crate::tolerate(self.orders.send(Order::Look));
        self.board.turn();
    }

    /// Asks a command to end. Ctrl-C's own signal is ignored by what a script starts in the background.
    pub fn cancel(&self, id: u64) {
        for run in self.list().iter_mut().filter(|run| run.id == id || id == 0) {
            if let Some(pid) = run.pid.and_then(Pid::from_raw) {
                run.is_cancelled = true;
                // The command may have just ended.
                crate::tolerate(kill_process(pid, Signal::TERM));
            }
        }
    }

    /// Asks all to end, and waits for them.
    pub fn end_all(&self, patience: std::time::Duration) {
        self.cancel(0);
        for pid in self.asked().iter().filter_map(|pid| Pid::from_raw(*pid)) {
            // It may have ended this moment.
            crate::tolerate(kill_process(pid, Signal::TERM));
        }
        let begun = std::time::Instant::now();
        while (self.is_busy() || !self.asked().is_empty()) && begun.elapsed() < patience {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

fn check_free(list: &VecDeque<Run>) -> Result<(), Oops> {
    let Some(busy) = list.iter().find(|run| run.outcome.is_none()) else { return Ok(()) };
    Err(Oops::new(
        axum::http::StatusCode::CONFLICT,
        format!("nothing was started, because this is still running: {}", busy.title),
        "Wait until it is done, or cancel it under Activity.",
    ))
}

fn cannot_start(error: &std::io::Error) -> Oops {
    let what = format!("the command could not be started: {error}");
    Oops::new(
        axum::http::StatusCode::INTERNAL_SERVER_ERROR,
        what,
        "If jellyvault was updated, restart the service.",
    )
}

/// Waits for a command, collects its output, and reports its progress.
fn wait(mut child: Child, mut tell: impl FnMut(&Far)) -> Outcome {
    // Both are read at once, because a full pipe would block the command.
    let stdout =
        child.stdout.take().map(|stdout| std::thread::spawn(move || said(stdout, |_| false)));
    let errors = child.stderr.take().map(|stderr| {
        said(stderr, |line| {
            let far = far_of(line);
            far.iter().for_each(&mut tell);
            far.is_some()
        })
    });
    let mut words = stdout.and_then(|said| said.join().ok()).unwrap_or_default();
    words.push_str(&errors.unwrap_or_default());
    let code = match child.wait() {
        Ok(status) => status.code().unwrap_or(130),
        Err(_) => 1,
    };
    Outcome { code, words, ended: Timestamp::now() }
}

/// The output from a pipe, up to the limit, without the lines that `is_taken` takes. The rest is
/// read and dropped, so that the command is not blocked.
fn said(from: impl Read, mut is_taken: impl FnMut(&[u8]) -> bool) -> String {
    let (mut from, mut words, mut line) = (BufReader::new(from), Vec::new(), Vec::new());
    loop {
        line.clear();
        // If reading fails, the output up to then is kept.
        if from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return String::from_utf8_lossy(&words).into_owned();
        }
        if !is_taken(&line) {
            line.truncate(WORDS_BYTES_MAX.saturating_sub(words.len()));
            words.append(&mut line);
        }
    }
}

/// The progress of the command, if the line reports it.
fn far_of(line: &[u8]) -> Option<Far> {
    let line = line.strip_prefix(b"{\"progress\":").map(|_| line)?;
    let document: serde_json::Value = serde_json::from_slice(line).ok()?;
    let progress = document.get("progress")?;
    let of = |name: &str, part: &str| {
        progress
            .get(name)
            .and_then(|counts| counts.get(part))
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0)
    };
    let counts = |name: &str| (of(name, "done"), of(name, "expected"));
    Some(Far {
        phase: progress.get("phase")?.as_str()?.to_owned(),
        files: counts("files"),
        bytes: counts("bytes"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(dir: &tempfile::TempDir) -> (Arc<Runs>, std::sync::mpsc::Receiver<Order>) {
        let log = dir.path().join("runs.json");
        let (orders, heard) = std::sync::mpsc::channel();
        let command = Command {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), "shift; exec \"$@\"".into(), "sh".into()],
            shown: "jellyvault".to_owned(),
        };
        (Arc::new(Runs::new((command, RunLog(log)), Arc::default(), orders)), heard)
    }

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_command_is_started_told_and_cancelled() {
        let dir = tempfile::tempdir().unwrap();
        let (own, heard) = runs(&dir);
        let outcome = own.ask(&words(&["sh", "-c", "echo out; echo err >&2; exit 3"])).unwrap();
        assert_eq!((outcome.code, outcome.words.as_str()), (3, "out\nerr\n"));
        let id = own.start("A long one".to_owned(), &words(&["sleep", "60"])).unwrap();
        let busy = own.start("Another".to_owned(), &words(&["true"])).unwrap_err();
        assert!(busy.what.contains("A long one"), "{busy:?}");
        // The service is killed and starts again while it runs: its result is not known.
        let lost = runs(&dir).0.get(id).unwrap();
        assert!(lost.outcome.unwrap().words.contains("result is not known"));
        // A shell that is about to become the other program loses a signal now and then.
        let told = std::iter::repeat_with(|| {
            own.cancel(id);
            heard.recv_timeout(std::time::Duration::from_millis(200)).ok()
        });
        assert_eq!(told.flatten().next(), Some(Order::Look));
        let run = own.get(id).unwrap();
        assert!(run.is_cancelled && run.outcome.unwrap().code == 130);
        let after = runs(&dir).0;
        let known = after.get(id).unwrap();
        assert!(known.is_cancelled && known.outcome.unwrap().code == 130);
        let next = after
            .start("Much".to_owned(), &words(&["sh", "-c", "yes ä | head -c 30000; echo end"]))
            .unwrap();
        assert_eq!(next, id + 1);
        while after.is_busy() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let kept = runs(&dir).0.get(next).unwrap().outcome.unwrap().words;
        assert!(
            kept.len() < 10_000 && kept.starts_with("[The beginning") && kept.ends_with("end\n")
        );
        assert_eq!(own.shown(&words(&["show", "a b"])), "jellyvault show 'a b'");
    }

    #[test]
    fn endless_words_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        let (runs, _heard) = runs(&dir);
        let outcome = runs.ask(&words(&["sh", "-c", "head -c 3000000 /dev/zero"])).unwrap();
        assert_eq!((outcome.code, outcome.words.len()), (0, WORDS_BYTES_MAX));
    }

    #[test]
    fn progress_is_told_and_is_no_word() {
        let script = "echo '{\"progress\":{\"phase\":\"Restoring\",\"files\":{\"done\":1,\"expected\":2},\"bytes\":{\"done\":3,\"expected\":0}}}' >&2; echo a >&2";
        let dir = tempfile::tempdir().unwrap();
        let (runs, _heard) = runs(&dir);
        let mut told = Vec::new();
        let outcome =
            wait(runs.spawn(&words(&["sh", "-c", script])).unwrap(), |far| told.push(far.clone()));
        assert_eq!(outcome.words, "a\n");
        assert_eq!(told, [Far { phase: "Restoring".to_owned(), files: (1, 2), bytes: (3, 0) }]);
    }
}
