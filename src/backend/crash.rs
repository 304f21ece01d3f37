//! A disk in memory that keeps live and durable bytes apart, and can fail or crash at any call; for
//! tests.
//!
//! The model: a file's bytes become durable by its own sync; a name (of a file or folder: creation,
//! rename, removal) by the sync of the folder that it is in. After a crash each name that was not
//! synced may be there or not, and of what was written to a file since its last sync each sector
//! may be there or not, whatever the order.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::crash_image::{Change, Image, Survival, Target};
use super::disk::{Disk, DiskFile, RandomFile};
use super::{Mark, NO_FOLDER};

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

#[derive(Debug, Default)]
struct State {
    image: Image,
    calls: usize,
    fault: Option<(usize, Fault)>,
    recording: Option<Recording>,
    listed: Vec<PathBuf>,
    unreadable: Option<Unreadable>,
}

/// Bytes of a file that no read gives any more.
#[derive(Debug)]
struct Unreadable {
    path: PathBuf,
    bytes: Range<u64>,
    /// Reads that still succeed.
    spared: usize,
    /// Reads that failed.
    failed: usize,
}

/// All calls of some work, and the disk before it: every moment at which it could have been cut
/// off.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    before: Image,
    changes: Vec<Change>,
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

    fn of(image: Image) -> CrashDisk {
        CrashDisk { state: Arc::new(Mutex::new(State { image, ..State::default() })) }
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

    /// From now on every read that touches these bytes of a file fails, after the first `spared` of
    /// them.
    pub fn make_unreadable(&self, path: &Path, bytes: Range<u64>, spared: usize) {
        self.state().unreadable =
            Some(Unreadable { path: path.to_path_buf(), bytes, spared, failed: 0 });
    }

    /// Takes that back; how many reads failed.
    pub fn make_readable(&self) -> usize {
        self.state().unreadable.take().map_or(0, |unreadable| unreadable.failed)
    }

    /// Changing calls since the last arming.
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    /// Folders that were listed since this was asked last.
    pub fn take_listed(&self) -> Vec<PathBuf> {
        std::mem::take(&mut self.state().listed)
    }

    /// A disk of its own with the same files.
    pub fn copy(&self) -> CrashDisk {
        CrashDisk::of(self.state().image.clone())
    }

    /// Begins to record.
    pub fn record(&self) {
        let mut state = self.state();
        state.recording = Some(Recording { before: state.image.clone(), changes: Vec::new() });
    }

    /// Ends the recording; one that was never begun has no calls, which who asks for crashes
    /// counts.
    pub fn recorded(&self) -> Recording {
        self.state().recording.take().unwrap_or_default()
    }

    /// What a machine finds after the power cut.
    pub fn after_crash(&self, survival: Survival) -> CrashDisk {
        CrashDisk::of(self.state().image.after_crash(survival))
    }

    /// Every file with its bytes.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.state();
        let bytes = |target: &Target| {
            if let Target::File(number) = target {
                state.image.contents.get(*number).map(|c| c.live.clone())
            } else {
                None
            }
        };
        state
            .image
            .live
            .iter()
            .filter_map(|(path, target)| Some((path.clone(), bytes(target)?)))
            .collect()
    }

    /// Puts bytes under a name, durable, whatever was there; nothing takes the file away. For tests
    /// that do damage.
    pub fn put(&self, path: &Path, bytes: Option<Vec<u8>>) {
        self.state().image.put(path, bytes);
    }
}

impl Recording {
    /// How many changing calls were recorded.
    pub fn calls(&self) -> usize {
        self.changes.len()
    }

    /// Calls `each` with (calls that were made, what is found after a power cut then) for each
    /// number of calls and each survival.
    pub fn each_crash(
        &self,
        survivals: impl Fn(usize) -> Vec<Survival>,
        mut each: impl FnMut(usize, Survival, CrashDisk),
    ) {
        let mut image = self.before.clone();
        for at in 0..=self.changes.len() {
            for survival in survivals(at) {
                each(at, survival, CrashDisk::of(image.after_crash(survival)));
            }
            if let Some(change) = self.changes.get(at) {
                // It was possible when it was recorded.
                crate::tolerate(image.apply(change));
            }
        }
    }
}

impl State {
    /// Counts a changing call, lets the fault happen, or does it.
    fn change(&mut self, change: Change) -> io::Result<()> {
        let writes = !matches!(change, Change::Remove(_) | Change::SyncFolder(_));
        let call = self.calls;
        self.calls += 1;
        let outcome = match self.fault {
            Some((at, Fault::Crash)) if call >= at => Err(io::Error::other("the power is gone")),
            Some((at, Fault::InputOutput)) if call == at => {
                Err(io::Error::other("input/output error"))
            }
            Some((at, Fault::DiskFull)) if call >= at && writes => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        };
        let done = match (&outcome, change) {
            (Ok(()), change) => change,
            // A failed write may have written a part.
            (Err(_), Change::Write { content, offset, bytes }) => {
                Change::Write { content, offset, bytes: bytes.split_at(bytes.len() / 2).0.into() }
            }
            (Err(_), _) => return outcome,
        };
        self.image.apply(&done)?;
        if let Some(recording) = &mut self.recording {
            recording.changes.push(done);
        }
        outcome
    }

    fn size(&self, content: usize) -> usize {
        self.image.contents.get(content).map_or(0, |content| content.live.len())
    }

    fn read(&self, content: usize, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let content = self.image.contents.get(content).ok_or(io::ErrorKind::NotFound)?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.checked_add(len).ok_or(io::ErrorKind::UnexpectedEof)?;
        content.live.get(start..end).map(<[u8]>::to_vec).ok_or(io::ErrorKind::UnexpectedEof.into())
    }
}

/// A file of the disk that is open.
#[derive(Debug)]
struct CrashFile {
    disk: CrashDisk,
    content: usize,
}

impl DiskFile for CrashFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let offset = state.size(self.content);
        state.change(Change::Write { content: self.content, offset, bytes: bytes.into() })
    }
    fn sync(&mut self) -> io::Result<()> {
        self.disk.state().change(Change::Sync { content: self.content })
    }
}

impl RandomFile for CrashFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.state().size(self.content) as u64)
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        out.copy_from_slice(&self.disk.state().read(self.content, offset, out.len())?);
        Ok(())
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        self.disk.state().change(Change::Write {
            content: self.content,
            offset,
            bytes: bytes.into(),
        })
    }
    fn set_size(&self, bytes: u64) -> io::Result<()> {
        let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
        self.disk.state().change(Change::Resize { content: self.content, bytes })
    }
    fn sync(&self) -> io::Result<()> {
        self.disk.state().change(Change::Sync { content: self.content })
    }
}

impl Disk for CrashDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.change(Change::Create(path.to_path_buf()))?;
        let content = state.image.file(path)?;
        Ok(Box::new(CrashFile { disk: self.clone(), content }))
    }
    fn read(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        if let Some(unreadable) = state.unreadable.as_mut().filter(|bad| {
            bad.path == path && offset < bad.bytes.end && bad.bytes.start < offset + len as u64
        }) {
            if unreadable.spared == 0 {
                unreadable.failed += 1;
                return Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error()));
            }
            unreadable.spared -= 1;
        }
        state.read(state.image.file(path)?, offset, len)
    }
    fn size(&self, path: &Path) -> io::Result<u64> {
        let state = self.state();
        Ok(state.size(state.image.file(path)?) as u64)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state().change(Change::Rename(from.to_path_buf(), to.to_path_buf()))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state().change(Change::Remove(path.to_path_buf()))
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.state().change(Change::Folder(path.to_path_buf()))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.state().change(Change::SyncFolder(path.to_path_buf()))
    }
    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        let mut state = self.state();
        state.listed.push(path.to_path_buf());
        let inside = state.image.live.iter().filter(|(name, _)| name.parent() == Some(path));
        let row = |(name, target): (&PathBuf, &Target)| {
            let name = name.file_name()?.to_string_lossy().into_owned();
            Some((name, matches!(target, Target::Folder)))
        };
        Ok(inside.filter_map(row).collect())
    }
    fn mark(&self, path: &Path) -> Option<Mark> {
        // A disk without a clock: its looks are its names.
        let state = self.state();
        if !state.image.live.contains_key(path) {
            return Some(Mark { looks: NO_FOLDER, is_settled: true });
        }
        let mut hasher = blake3::Hasher::new();
        for name in state.image.live.keys().filter(|name| name.parent() == Some(path)) {
            hasher.update(name.as_os_str().as_encoded_bytes()).update(&[0]);
        }
        Some(Mark { looks: *hasher.finalize().as_bytes(), is_settled: true })
    }
    fn random(&self, path: &Path, create: bool) -> io::Result<Option<Box<dyn RandomFile>>> {
        let mut state = self.state();
        if create && state.image.file(path).is_err() {
            state.change(Change::Create(path.to_path_buf()))?;
        }
        let content = state.image.file(path)?;
        Ok(Some(Box::new(CrashFile { disk: self.clone(), content })))
    }
}
