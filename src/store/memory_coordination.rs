//! Coordination of the users of a repository in one process: for what is in memory.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Error;
use super::coordination::{Coordination, Held, Work};

/// How long to wait for another.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often somebody who waits is asked whether to go on.
const STEP: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
struct State {
    /// Who has the repository open.
    users: u32,
    is_somebody_alone: bool,
    is_list_taken: bool,
    is_reorganised: bool,
}

impl State {
    fn taken(&mut self, work: Work) -> &mut bool {
        match work {
            Work::List => &mut self.is_list_taken,
            Work::Reorganise => &mut self.is_reorganised,
        }
    }
}

#[derive(Debug, Default)]
struct Room {
    state: Mutex<State>,
    changed: Condvar,
}

impl Room {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `is_free`, then changes the state; false where `go_on` said no.
    fn when(
        &self,
        is_free: impl Fn(&mut State) -> bool,
        go_on: &mut dyn FnMut(Duration) -> bool,
        change: impl FnOnce(&mut State),
    ) -> bool {
        let start = Instant::now();
        let mut state = self.state();
        while !is_free(&mut state) {
            if !go_on(start.elapsed()) {
                return false;
            }
            state =
                self.changed.wait_timeout(state, STEP).unwrap_or_else(PoisonError::into_inner).0;
        }
        change(&mut state);
        self.changed.notify_all();
        true
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }
}

/// Where the users of one repository meet. Each of them is a [`MemoryCoordination`].
#[derive(Clone, Debug, Default)]
pub struct MeetingPlace(Arc<Room>);

/// One user of a repository in this process.
#[derive(Debug)]
pub struct MemoryCoordination(Arc<Room>);

fn busy() -> Error {
    Error::Busy { path: PathBuf::from("memory") }
}

impl MeetingPlace {
    /// Shares the repository with its other users.
    ///
    /// # Errors
    /// [`Error::Busy`] where somebody is alone with it for longer than anybody waits.
    pub fn join(&self) -> Result<MemoryCoordination, Error> {
        let room = self.0.clone();
        let joined = room.when(
            |state| !state.is_somebody_alone,
            &mut |waited| waited < PATIENCE,
            |state| state.users += 1,
        );
        if joined { Ok(MemoryCoordination(room)) } else { Err(busy()) }
    }
}

impl Coordination for MemoryCoordination {
    fn begin_alone(&self, go_on: &mut dyn FnMut(Duration) -> bool) -> Result<bool, Error> {
        Ok(self.0.when(
            |state| state.users == 1 && !state.is_somebody_alone,
            go_on,
            |state| state.is_somebody_alone = true,
        ))
    }

    fn end_alone(&self) -> Result<(), Error> {
        self.0.change(|state| state.is_somebody_alone = false);
        Ok(())
    }

    fn is_alone(&self) -> Result<bool, Error> {
        Ok(self.0.state().users == 1)
    }

    fn step_aside(&self, pause: Duration) -> Result<(), Error> {
        self.0.change(|state| state.users -= 1);
        std::thread::sleep(pause);
        // Whoever is alone is so only for a moment: the lock must be had back, or dropping it would
        // count wrongly.
        self.0.when(|state| !state.is_somebody_alone, &mut |_| true, |state| state.users += 1);
        Ok(())
    }

    fn take(&self, work: Work) -> Result<Box<dyn Held>, Error> {
        let patience = if work == Work::List { PATIENCE } else { Duration::ZERO };
        let taken = self.0.when(
            |state| !*state.taken(work),
            &mut |waited| waited < patience,
            |state| *state.taken(work) = true,
        );
        if taken { Ok(Box::new(Taken { room: self.0.clone(), work })) } else { Err(busy()) }
    }

    fn keeps_others_out(&self) -> bool {
        true
    }
}

impl Drop for MemoryCoordination {
    fn drop(&mut self) {
        self.0.change(|state| state.users -= 1);
    }
}

#[derive(Debug)]
struct Taken {
    room: Arc<Room>,
    work: Work,
}

impl Held for Taken {}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.change(|state| *state.taken(self.work) = false);
    }
}
