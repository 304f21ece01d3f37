//! Commands that were started from the page: each a process of its own, the very command that is shown. Its words are those of the terminal.

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

/// What a command says is kept up to so many bytes.
const WORDS_BYTES_MAX: usize = 256 << 10;
/// A longer line counts as several.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// Commands that are remembered.
const KEPT: usize = 100;

/// How this program is called for the same repository.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program.
    pub program: PathBuf,
    /// What goes before the verb.
    pub arguments: Vec<OsString>,
    /// The same as people type it.
    pub shown: String,
}

/// A command that was started.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its number.
    pub id: u64,
    /// What it is for: `Restore 3 paths from 01jd…`.
    pub title: String,
    /// As it is typed in a terminal.
    pub shown: String,
    /// When it began.
    pub began: Timestamp,
    /// What came of it; nothing while it runs.
    pub outcome: Option<Outcome>,
    /// How far it is.
    pub far: Far,
    pid: Option<i32>,
    /// Somebody wanted it to end.
    pub is_cancelled: bool,
}

/// What came of a command.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its exit code: 0 done, 3 done with problems, 130 cancelled.
    pub code: i32,
    /// What it said.
    pub words: String,
    /// When it ended.
    pub ended: Timestamp,
}

/// All that were started since the service was.
pub struct Runs {
    command: Command,
    board: Arc<Board>,
    orders: Sender<Order>,
    list: Mutex<VecDeque<Run>>,
    last: AtomicU64,
}

impl Runs {
    pub(super) fn new(command: Command, board: Arc<Board>, orders: Sender<Order>) -> Runs {
        Runs { command, board, orders, list: Mutex::default(), last: AtomicU64::new(0) }
    }

    fn list(&self) -> MutexGuard<'_, VecDeque<Run>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All, the newest first.
    pub fn all(&self) -> Vec<Run> {
        self.list().iter().rev().cloned().collect()
    }

    /// Whether one runs.
    pub fn is_busy(&self) -> bool {
        self.list().iter().any(|run| run.outcome.is_none())
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

    /// Runs a command that changes nothing, and waits for what it says.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn ask(&self, arguments: &[OsString]) -> Result<Outcome, Oops> {
        self.spawn(arguments).map(|child| wait(child, |_| {})).map_err(|error| cannot_start(&error))
    }

    /// Starts a command; its number. One at a time: the next would only wait for it.
    ///
    /// # Errors
    /// Where another is at work, or it cannot be started.
    pub fn start(self: &Arc<Runs>, title: String, arguments: &[OsString]) -> Result<u64, Oops> {
        let mut list = self.list();
        if let Some(busy) = list.iter().find(|run| run.outcome.is_none()) {
            let what = format!("nothing was started, because this is still running: {}", busy.title);
            return Err(Oops::new(axum::http::StatusCode::CONFLICT, what, "Wait until it is done, or cancel it under Activity."));
        }
        let child = self.spawn(arguments).map_err(|error| cannot_start(&error))?;
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let shown = self.shown(arguments);
        let pid = i32::try_from(child.id()).ok();
        list.push_back(Run { id, title, shown, began: Timestamp::now(), outcome: None, far: Far::default(), pid, is_cancelled: false });
        if list.len() > KEPT {
            list.pop_front();
        }
        drop(list);
        self.board.turn();
        let runs = self.clone();
        std::thread::spawn(move || {
            let outcome = wait(child, |far| runs.list().iter_mut().filter(|run| run.id == id).for_each(|run| run.far = far.clone()));
            runs.finish(id, outcome);
        });
        Ok(id)
    }

    fn finish(&self, id: u64, outcome: Outcome) {
        if let Some(run) = self.list().iter_mut().find(|run| run.id == id) {
            (run.outcome, run.pid) = (Some(outcome), None);
        }
        // The service may be ending.
        crate::tolerate(self.orders.send(Order::Look));
        self.board.turn();
    }

    /// Asks a command to end, as Ctrl-C does.
    pub fn cancel(&self, id: u64) {
        for run in self.list().iter_mut().filter(|run| run.id == id || id == 0) {
            if let Some(pid) = run.pid.and_then(Pid::from_raw) {
                run.is_cancelled = true;
                // It may have ended this moment.
                crate::tolerate(kill_process(pid, Signal::INT));
            }
        }
    }

    /// Asks all to end, and waits for them.
    pub fn end_all(&self, patience: std::time::Duration) {
        self.cancel(0);
        let begun = std::time::Instant::now();
        while self.list().iter().any(|run| run.outcome.is_none()) && begun.elapsed() < patience {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

fn cannot_start(error: &std::io::Error) -> Oops {
    let what = format!("the command could not be started: {error}");
    Oops::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, what, "Was jellyvault replaced by another version? Restart the service.")
}

/// Waits for a command, takes what it says, and tells how far it is.
fn wait(mut child: Child, mut tell: impl FnMut(&Far)) -> Outcome {
    // Both are read at once: a full pipe would hold the command up.
    let stdout = child.stdout.take().map(|stdout| std::thread::spawn(move || said(stdout, |_| false)));
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

/// What comes from a pipe but the lines that somebody else takes, up to the limit; the rest is read and dropped, so that nobody waits.
fn said(from: impl Read, mut is_taken: impl FnMut(&[u8]) -> bool) -> String {
    let (mut from, mut words, mut line) = (BufReader::new(from), Vec::new(), Vec::new());
    loop {
        line.clear();
        // What was said until it broke off is all that there is.
        if from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return String::from_utf8_lossy(&words).into_owned();
        }
        if !is_taken(&line) {
            line.truncate(WORDS_BYTES_MAX.saturating_sub(words.len()));
            words.append(&mut line);
        }
    }
}

/// How far the command is, where a line says so.
fn far_of(line: &[u8]) -> Option<Far> {
    let line = line.strip_prefix(b"{\"progress\":").map(|_| line)?;
    let document: serde_json::Value = serde_json::from_slice(line).ok()?;
    let progress = document.get("progress")?;
    let of = |name: &str, part: &str| progress.get(name).and_then(|counts| counts.get(part)).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let counts = |name: &str| (of(name, "done"), of(name, "expected"));
    Some(Far { phase: progress.get("phase")?.as_str()?.to_owned(), files: counts("files"), bytes: counts("bytes") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs() -> (Arc<Runs>, std::sync::mpsc::Receiver<Order>) {
        let (orders, heard) = std::sync::mpsc::channel();
        let command = Command { program: "/bin/sh".into(), arguments: vec!["-c".into(), "shift; \"$@\"".into(), "sh".into()], shown: "jellyvault".to_owned() };
        (Arc::new(Runs::new(command, Arc::default(), orders)), heard)
    }

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_command_is_started_told_and_cancelled() {
        let (runs, heard) = runs();
        let outcome = runs.ask(&words(&["sh", "-c", "echo out; echo err >&2; exit 3"])).unwrap();
        assert_eq!((outcome.code, outcome.words.as_str()), (3, "out\nerr\n"));
        let id = runs.start("A long one".to_owned(), &words(&["sleep", "60"])).unwrap();
        let busy = runs.start("Another".to_owned(), &words(&["true"])).unwrap_err();
        assert!(busy.what.contains("A long one"), "{busy:?}");
        runs.cancel(id);
        assert_eq!(heard.recv().unwrap(), Order::Look);
        let run = runs.get(id).unwrap();
        assert!(run.is_cancelled && run.outcome.unwrap().code == 130);
        assert_eq!(runs.shown(&words(&["show", "a b"])), "jellyvault show 'a b'");
    }

    #[test]
    fn endless_words_are_cut() {
        let (runs, _heard) = runs();
        let outcome = runs.ask(&words(&["sh", "-c", "head -c 3000000 /dev/zero"])).unwrap();
        assert_eq!((outcome.code, outcome.words.len()), (0, WORDS_BYTES_MAX));
    }

    #[test]
    fn progress_is_told_and_is_no_word() {
        let script =
            "echo '{\"progress\":{\"phase\":\"Restoring\",\"files\":{\"done\":1,\"expected\":2},\"bytes\":{\"done\":3,\"expected\":0}}}' >&2; echo a >&2";
        let (runs, _heard) = runs();
        let mut told = Vec::new();
        let outcome = wait(runs.spawn(&words(&["sh", "-c", script])).unwrap(), |far| told.push(far.clone()));
        assert_eq!(outcome.words, "a\n");
        assert_eq!(told, [Far { phase: "Restoring".to_owned(), files: (1, 2), bytes: (3, 0) }]);
    }
}
