//! What happened from each snapshot to the next: found out once, by a thread that has time, and
//! kept in a small file of the repository.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::manifest::{SnapshotId, SnapshotRecord, instance_of};
use crate::ops::{Error, ErrorKind, Happened, Monitor, Session, Snapshot, happened};
use crate::progress::Interrupt;
use crate::service::{read_json, write_json};

use super::board::Board;
use super::doorway::Doorway;

/// Snapshots whose stories are kept: the newest ones.
const KEPT: usize = 2000;
/// Names that are told of a list.
const NAMED: usize = 8;
/// So long they are found out before they are written, and the repository is closed.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Stories by the id of the later snapshot: the id of the earlier one, and what happened. Nothing
/// happened where nothing could be found out.
type Known = HashMap<SnapshotId, (SnapshotId, Arc<Happened>)>;

/// The stories that are known.
pub struct Stories {
    known: Mutex<Known>,
    wake: Sender<()>,
    woken: Mutex<Option<Receiver<()>>>,
    interrupt: Interrupt,
}

impl Default for Stories {
    fn default() -> Stories {
        let (wake, woken) = channel();
        Stories {
            known: Mutex::default(),
            wake,
            woken: Mutex::new(Some(woken)),
            interrupt: Interrupt::default(),
        }
    }
}

/// The snapshot before one, of the same server; safety snapshots and zips are beside the line.
pub fn before<'c>(all: &'c [Snapshot], after: &Snapshot) -> Option<&'c Snapshot> {
    let at = all.iter().position(|(id, _)| *id == after.0)?;
    all.get(..at)?
        .iter()
        .rev()
        .find(|(_, record)| is_in_line(record) && instance_of(record) == instance_of(&after.1))
}

fn is_in_line(record: &SnapshotRecord) -> bool {
    !record.is_safety() && !record.is_zip()
}

impl Stories {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happened up to a snapshot since the one before, if that is known.
    pub fn of(&self, after: &SnapshotId, before: &SnapshotId) -> Option<Arc<Happened>> {
        self.lock()
            .get(after)
            .filter(|(known, _)| known == before)
            .map(|(_, happened)| happened.clone())
    }

    /// The same, found out now if it is not known.
    ///
    /// # Errors
    /// Where a snapshot cannot be read.
    pub fn told(
        &self,
        session: &Session,
        before: &Snapshot,
        after: &Snapshot,
    ) -> Result<Arc<Happened>, Error> {
        if let Some(known) = self.of(&after.0, &before.0) {
            return Ok(known);
        }
        let told =
            Arc::new(happened(session.repository(), before, after, NAMED, &Monitor::default())?);
        self.lock().insert(after.0, (before.0, told.clone()));
        Ok(told)
    }

    /// Something may be new: whoever finds out looks.
    pub fn wake(&self) {
        // Who ended does not look any more.
        crate::tolerate(self.wake.send(()));
    }

    /// Ends who finds out.
    pub fn end(&self) {
        self.interrupt.raise();
        self.wake();
    }

    /// Finds out what is not known, whenever woken, until ended. For a thread of its own.
    pub fn find_out(&self, repository: &Doorway, board: &Board) {
        let Some(woken) = self.woken.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let mut is_first = true;
        while woken.recv().is_ok() && !self.interrupt.is_raised() {
            while woken.try_recv().is_ok() {}
            // A repository that is away is told by the overview; who is woken the next time tries
            // again.
            while self.find_some(repository, std::mem::take(&mut is_first)).unwrap_or(false)
                && !self.interrupt.is_raised()
            {
                board.turn();
            }
            board.turn();
        }
    }

    /// Finds out some of what is not known; whether there is more. The repository is open for
    /// seconds only: pruning waits for those who read.
    fn find_some(&self, repository: &Doorway, is_first: bool) -> Result<bool, Error> {
        let session = repository.open()?;
        let file = session.repository().stories_file();
        if let (true, Some(file)) = (is_first, &file) {
            self.lock().extend(read(file));
        }
        let all = session.snapshots()?;
        let wanted: Vec<(&Snapshot, &Snapshot)> = all
            .iter()
            .rev()
            .take(KEPT)
            .filter_map(|after| Some((before(&all, after)?, after)))
            .collect();
        let there: HashSet<SnapshotId> = wanted.iter().map(|(_, after)| after.0).collect();
        self.lock().retain(|id, _| there.contains(id));
        let unknown: Vec<_> = wanted
            .into_iter()
            .filter(|(before, after)| self.of(&after.0, &before.0).is_none())
            .collect();
        let begun = Instant::now();
        let mut found = 0;
        for (before, after) in &unknown {
            if found > 0 && begun.elapsed() >= AT_ONCE {
                break;
            }
            let monitor = Monitor { interrupt: self.interrupt.clone(), ..Monitor::default() };
            let told = match happened(session.repository(), before, after, NAMED, &monitor) {
                Ok(told) => told,
                // The page of the snapshot tells what is wrong with it; it is not tried again and
                // again.
                Err(error) if error.kind() == ErrorKind::Damaged => Happened::default(),
                Err(error) => return Err(error),
            };
            self.lock().insert(after.0, (before.0, Arc::new(told)));
            found += 1;
        }
        if found > 0 {
            self.write(file.as_deref());
        }
        Ok(found < unknown.len())
    }

    fn write(&self, file: Option<&Path>) {
        // Where the disk was unplugged meanwhile, nothing is made in its place.
        let Some(file) = file.filter(|file| file.with_file_name("repo.toml").exists()) else {
            return;
        };
        let known: BTreeMap<SnapshotId, (SnapshotId, Happened)> = self
            .lock()
            .iter()
            .map(|(after, (before, told))| (*after, (*before, told.as_ref().clone())))
            .collect();
        // A repository that cannot be written to now gets the file another time; until then they
        // are in memory.
        crate::tolerate(write_json(file, &known));
    }
}

fn read(file: &Path) -> Known {
    let known: BTreeMap<SnapshotId, (SnapshotId, Happened)> = read_json(file);
    known.into_iter().map(|(after, (before, told))| (after, (before, Arc::new(told)))).collect()
}
