//! Who may do what at the same time, in all processes that use a repository. Without it a prune
//! could remove what a capture counts on.

use std::time::Duration;

use super::Error;

/// Work that one process does at a time, beside others' reading and captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Changing the list of snapshots; takes some milliseconds, and others wait for their turn.
    List,
    /// Pruning or repairing; whoever comes second is told that another is at it.
    Reorganise,
}

/// Held while [`Work`] is done; dropping it lets go.
pub trait Held: Send + std::fmt::Debug {}

/// How the users of one repository keep out of each other's way.
///
/// Whoever has it open shares it with the others, for as long as this value lives. It may be alone
/// with it for a moment, in which packs can be removed. The files of a folder are guarded by the
/// operating system's locks; [`Coordination`] says what any other way must do.
pub trait Coordination: Send + Sync {
    /// Waits until nobody else uses the repository, and keeps newcomers out. `go_on` is asked now
    /// and then, with the time that passed, whether to wait on; false where it said no.
    ///
    /// # Errors
    /// [`Error::NoLocks`] or [`Error::Local`] where nobody can be kept out.
    fn begin_alone(&self, go_on: &mut dyn FnMut(Duration) -> bool) -> Result<bool, Error>;

    /// Lets the others in again.
    ///
    /// # Errors
    /// [`Error::Local`] where the lock could not be had back: what was read before may have
    /// changed.
    fn end_alone(&self) -> Result<(), Error>;

    /// Whether nobody else uses the repository at this moment.
    ///
    /// # Errors
    /// [`Error::Local`] where that cannot be told.
    fn is_alone(&self) -> Result<bool, Error>;

    /// Lets go of the repository for a while, for somebody who wants to be alone with it and whom
    /// the caller waits for.
    ///
    /// # Errors
    /// [`Error::Busy`] where somebody is alone with it for longer than anybody waits.
    fn step_aside(&self, pause: Duration) -> Result<(), Error>;

    /// Takes a piece of work.
    ///
    /// # Errors
    /// [`Error::Busy`] where another does it, [`Error::NoLocks`] where nobody can be kept from it.
    fn take(&self, work: Work) -> Result<Box<dyn Held>, Error>;

    /// Whether others are kept out at all: not so on a file system without locks.
    fn keeps_others_out(&self) -> bool;
}
