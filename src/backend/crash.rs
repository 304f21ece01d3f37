//! A disk in memory that keeps live and durable bytes apart, and can fail or crash at any call; for tests.
//!
//! The model: a file's bytes become durable by its own sync; a name (creation, rename, removal) by the sync of its folder.
//! After a crash each name that was not synced may be there or not, and each file may hold any prefix of its unsynced bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, DiskFile};

/// What happens at the chosen call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call and all later ones fail, as if the power were gone.
    Crash,
    /// This one call fails with an I/O error.
    InputOutput,
    /// This call and later writes fail: the disk is full.
    DiskFull,
}

#[derive(Clone, Debug, Default)]
struct Bytes {
    live: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    /// Contents by number; names point at them.
    contents: Vec<Bytes>,
    live: BTreeMap<PathBuf, usize>,
    durable: BTreeMap<PathBuf, usize>,
    folders: BTreeSet<PathBuf>,
    calls: usize,
    fault: Option<(usize, Fault)>,
}

/// The disk; clones share it.
#[derive(Clone, Debug, Default)]
pub struct CrashDisk {
    state: Arc<Mutex<State>>,
}

impl CrashDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arms a fault for the `at`-th changing call from now (0 is the next).
    pub fn arm(&self, at: usize, fault: Fault) {
        let mut state = self.state();
        state.calls = 0;
        state.fault = Some((at, fault));
    }

    /// Takes the fault away: room on the disk again.
    pub fn disarm(&self) {
        self.state().fault = None;
    }

    /// Changing calls since the last arming.
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    /// What a machine finds after the power cut; `choose` says for each thing that was not synced whether it made it.
    pub fn after_crash(&self, mut choose: impl FnMut() -> bool) -> CrashDisk {
        let state = self.state();
        let mut after = State { folders: state.folders.clone(), ..State::default() };
        let mut names: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for (name, content) in state.durable.iter().filter(|(name, content)| state.live.get(*name) == Some(content)) {
            names.insert(name.clone(), *content);
        }
        let unsynced = |name: &PathBuf| state.durable.get(name) != state.live.get(name);
        let touched: BTreeSet<&PathBuf> = state.durable.keys().chain(state.live.keys()).filter(|name| unsynced(name)).collect();
        for name in touched {
            let winner = if choose() { state.live.get(name) } else { state.durable.get(name) };
            if let Some(content) = winner {
                names.insert(name.clone(), *content);
            }
        }
        for (name, content) in names {
            let Some(bytes) = state.contents.get(content) else { continue };
            let kept = if choose() { bytes.live.clone() } else { bytes.durable.clone() };
            after.contents.push(Bytes { live: kept.clone(), durable: kept });
            let number = after.contents.len() - 1;
            after.live.insert(name.clone(), number);
            after.durable.insert(name, number);
        }
        CrashDisk { state: Arc::new(Mutex::new(after)) }
    }
}

impl State {
    /// Counts a changing call and lets the fault happen.
    fn step(&mut self, writes: bool) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        match self.fault {
            Some((at, Fault::Crash)) if call >= at => Err(io::Error::other("the power is gone")),
            Some((at, Fault::InputOutput)) if call == at => Err(io::Error::other("input/output error")),
            Some((at, Fault::DiskFull)) if call >= at && writes => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

struct CrashFile {
    disk: CrashDisk,
    content: usize,
}

impl DiskFile for CrashFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let outcome = state.step(true);
        let content = state.contents.get_mut(self.content).ok_or(io::ErrorKind::NotFound)?;
        // A failed write may have written a part.
        let part = if outcome.is_ok() { bytes } else { bytes.split_at(bytes.len() / 2).0 };
        content.live.extend_from_slice(part);
        outcome
    }
    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.step(true)?;
        let content = state.contents.get_mut(self.content).ok_or(io::ErrorKind::NotFound)?;
        content.durable = content.live.clone();
        Ok(())
    }
}

impl Disk for CrashDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        if !path.parent().is_some_and(|folder| state.folders.contains(folder)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.live.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.step(true)?;
        state.contents.push(Bytes::default());
        let content = state.contents.len() - 1;
        state.live.insert(path.to_path_buf(), content);
        Ok(Box::new(CrashFile { disk: self.clone(), content }))
    }
    fn read(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let state = self.state();
        let content = state.live.get(path).and_then(|number| state.contents.get(*number)).ok_or(io::ErrorKind::NotFound)?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.checked_add(len).ok_or(io::ErrorKind::UnexpectedEof)?;
        content.live.get(start..end).map(<[u8]>::to_vec).ok_or(io::ErrorKind::UnexpectedEof.into())
    }
    fn size(&self, path: &Path) -> io::Result<u64> {
        let state = self.state();
        let content = state.live.get(path).and_then(|number| state.contents.get(*number)).ok_or(io::ErrorKind::NotFound)?;
        Ok(content.live.len() as u64)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step(true)?;
        let content = state.live.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.live.insert(to.to_path_buf(), content);
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step(false)?;
        state.live.remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step(true)?;
        // Folders are taken as durable at once: losing one loses only names that were not synced either.
        state.folders.extend(path.ancestors().map(Path::to_path_buf));
        Ok(())
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step(false)?;
        let inside = |name: &PathBuf| name.parent() == Some(path);
        let live: Vec<_> = state.live.iter().filter(|(name, _)| inside(name)).map(|(name, content)| (name.clone(), *content)).collect();
        state.durable.retain(|name, _| !inside(name));
        state.durable.extend(live);
        Ok(())
    }
    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool, u64)>> {
        let state = self.state();
        let name_of = |full: &PathBuf| full.file_name().map(|name| name.to_string_lossy().into_owned());
        let folders = state.folders.iter().filter(|folder| folder.parent() == Some(path)).filter_map(|folder| Some((name_of(folder)?, true, 0)));
        let files = state
            .live
            .iter()
            .filter(|(name, _)| name.parent() == Some(path))
            .filter_map(|(name, content)| Some((name_of(name)?, false, state.contents.get(*content)?.live.len() as u64)));
        Ok(folders.chain(files).collect())
    }
}
