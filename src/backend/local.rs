//! A repository in a folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::disk::{Disk, RealDisk};
use super::durable::{Draft, TEMP_PREFIX, temp_name};
use super::{Backend, Error, Listed, Mark, NewFile, Span};

/// The verbs over a folder of some [`Disk`].
pub struct LocalBackend {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Folders with removals that are not durable yet.
    removed_in: Mutex<Vec<PathBuf>>,
    /// The file that says that files are being written; it goes with the backend.
    at_work: Mutex<Option<PathBuf>>,
}

impl LocalBackend {
    /// A backend over `root` on the operating system's disk.
    pub fn new(root: &Path) -> LocalBackend {
        LocalBackend::on(Arc::new(RealDisk::default()), root)
    }

    /// A backend over `root` on any disk.
    pub fn on(disk: Arc<dyn Disk>, root: &Path) -> LocalBackend {
        LocalBackend {
            disk,
            root: root.to_path_buf(),
            removed_in: Mutex::default(),
            at_work: Mutex::default(),
        }
    }

    /// Whether a process was killed while it wrote, or is at it. One file tells, so that not all
    /// folders have to be looked through; scan caches are written without it, into a folder that
    /// has a file for each source.
    pub fn was_cut_off(&self) -> Result<bool, Error> {
        for (name, folder) in [("", self.root.clone()), ("scan", self.root.join("scan"))] {
            let names = self.disk.list(&folder).map_err(|e| io_error("list", name, e))?;
            if names.iter().any(|(name, _)| name.starts_with(TEMP_PREFIX)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Says that files are being written.
    fn begin_work(&self) {
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        if at_work.is_none() {
            *at_work = temp_name()
                .and_then(|name| {
                    let path = self.root.join(name);
                    self.disk.create(&path).map(|_| path)
                })
                // On a disk that takes no file the files themselves cannot be written either, and
                // tell why. Else what a killed run leaves waits for a prune.
                .ok();
        }
    }

    /// Removes the temporary files that a killed process left. Only while no other process writes:
    /// the caller holds the repository's lock exclusively.
    pub fn sweep(&self) -> Result<(), Error> {
        // What tells that there may be some goes last.
        self.sweep_folders()?.iter().try_for_each(|path| self.remove_temporary(path))
    }

    /// The same but for the repository's own folder, where whoever writes says so; the temporary
    /// files there.
    pub fn sweep_folders(&self) -> Result<Vec<PathBuf>, Error> {
        let (mut folders, mut own) = (vec![self.root.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            for (name, is_dir) in self
                .disk
                .list(&folder)
                .map_err(|e| io_error("list", &folder.to_string_lossy(), e))?
            {
                let path = folder.join(&name);
                if is_dir {
                    folders.push(path);
                } else if name.starts_with(TEMP_PREFIX) {
                    if folder == self.root { own.push(path) } else { self.remove_temporary(&path)? }
                }
            }
        }
        Ok(own)
    }

    fn remove_temporary(&self, path: &Path) -> Result<(), Error> {
        self.disk.remove(path).map_err(|e| io_error("remove", &path.to_string_lossy(), e))
    }

    /// Hands on the names of files that begin with `prefix`. Only the folder that the prefix names
    /// is gone through.
    fn files(
        &self,
        prefix: &str,
        found: &mut dyn FnMut(String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.walk(prefix.rsplit_once('/').map_or("", |(folder, _)| folder), prefix, found)
    }

    fn walk(
        &self,
        folder: &str,
        prefix: &str,
        found: &mut dyn FnMut(String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for (child, is_dir) in
            self.disk.list(&self.root.join(folder)).map_err(|e| io_error("list", folder, e))?
        {
            let is_temporary = child.starts_with(TEMP_PREFIX);
            let full = if folder.is_empty() { child } else { [folder, "/", &child].concat() };
            if !full.starts_with(prefix) {
                continue;
            }
            if is_dir {
                self.walk(&full, prefix, found)?;
            } else if !is_temporary {
                found(full)?;
            }
        }
        Ok(())
    }
}

fn io_error(verb: &'static str, name: &str, source: io::Error) -> Error {
    Error::Io { verb, name: name.to_owned(), source }
}

struct LocalFile {
    disk: Arc<dyn Disk>,
    writer: Option<Writer>,
    name: String,
    /// Bytes appended so far.
    len: usize,
}

/// Who writes a file's bytes.
enum Writer {
    /// Whoever appends.
    Caller(Draft),
    /// A thread of its own: copying bytes into the page cache takes as long as reading and hashing
    /// them, and runs beside it.
    Thread(SyncSender<Vec<u8>>, JoinHandle<(Draft, io::Result<()>)>),
}

/// A file that grows beyond this gets a thread, in bytes; a small one is not worth it.
const THREAD_BYTES: usize = 1 << 20;
/// Appends that may wait for the thread.
const WAITING_MAX: usize = 8;

impl Writer {
    fn start_thread(mut draft: Draft) -> Writer {
        let (bytes, waiting) = sync_channel::<Vec<u8>>(WAITING_MAX);
        let thread = std::thread::spawn(move || {
            let outcome = waiting.into_iter().try_for_each(|bytes| draft.append(&bytes));
            (draft, outcome)
        });
        Writer::Thread(bytes, thread)
    }

    /// Waits until all bytes are written.
    fn end(self) -> (Draft, io::Result<()>) {
        match self {
            Writer::Caller(draft) => (draft, Ok(())),
            Writer::Thread(bytes, thread) => {
                drop(bytes);
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
        }
    }
}

impl LocalFile {
    fn failed(&self, verb: &'static str, source: io::Error) -> Error {
        io_error(verb, &self.name, source)
    }

    /// The thread ended early: the reason, and the file never was.
    fn reason(&mut self) -> Error {
        let source = self.writer.take().map(Writer::end).and_then(|(draft, outcome)| {
            draft.abandon(&*self.disk);
            outcome.err()
        });
        self.failed("write", source.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()))
    }
}

impl NewFile for LocalFile {
    fn append(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        self.len += bytes.len();
        if self.len > THREAD_BYTES
            && let Some(Writer::Caller(draft)) =
                self.writer.take_if(|writer| matches!(writer, Writer::Caller(_)))
        {
            self.writer = Some(Writer::start_thread(draft));
        }
        match &mut self.writer {
            Some(Writer::Caller(draft)) => {
                draft.append(&bytes).map_err(|e| io_error("write", &self.name, e))
            }
            Some(Writer::Thread(queue, _)) => match queue.send(bytes) {
                Ok(()) => Ok(()),
                Err(_) => Err(self.reason()),
            },
            None => Err(self.failed("write", io::ErrorKind::InvalidInput.into())),
        }
    }
    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        let Some(writer) = self.writer.take() else {
            return Err(self.failed("write", io::ErrorKind::InvalidInput.into()));
        };
        let (draft, written) = writer.end();
        if let Err(error) = written {
            draft.abandon(&*self.disk);
            return Err(self.failed("write", error));
        }
        draft.finish(&*self.disk).map_err(|e| self.failed("make durable", e))
    }
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.end().0.abandon(&*self.disk);
        }
    }
}

impl Drop for LocalBackend {
    fn drop(&mut self) {
        if let Some(path) = self.at_work.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // One that stays costs a look through all folders, once.
            crate::tolerate(self.disk.remove(&path));
        }
    }
}

impl Backend for LocalBackend {
    fn read(&self, name: &str, span: Span) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.read_into(name, span, &mut bytes)?;
        Ok(bytes)
    }

    fn read_into(&self, name: &str, span: Span, out: &mut Vec<u8>) -> Result<(), Error> {
        let path = self.root.join(name);
        let failed = |e: io::Error| match e.kind() {
            io::ErrorKind::NotFound => Error::Missing { name: name.to_owned() },
            _ => io_error("read", name, e),
        };
        let (offset, len) = match span {
            Span::At { offset, len } => (offset, len),
            Span::Tail { len } => {
                let size = self.disk.size(&path).map_err(failed)?;
                let len = size.min(len as u64);
                (size - len, usize::try_from(len).map_err(io::Error::other).map_err(failed)?)
            }
            Span::Whole { limit } => {
                let size = self.disk.size(&path).map_err(failed)?;
                match usize::try_from(size) {
                    Ok(len) if len <= limit => (0, len),
                    _ => return Err(Error::TooLarge { name: name.to_owned(), size, limit }),
                }
            }
        };
        self.disk.read_into(&path, offset, len, out).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => Error::Short {
                name: name.to_owned(),
                offset,
                end: offset.saturating_add(len as u64),
            },
            _ => failed(e),
        })
    }

    fn size(&self, name: &str) -> Result<u64, Error> {
        self.disk.size(&self.root.join(name)).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::Missing { name: name.to_owned() },
            _ => io_error("look at", name, e),
        })
    }

    fn create(&self, name: &str) -> Result<Box<dyn NewFile>, Error> {
        self.begin_work();
        let draft = Draft::begin(&*self.disk, &self.root.join(name))
            .map_err(|e| io_error("create", name, e))?;
        Ok(Box::new(LocalFile {
            disk: self.disk.clone(),
            writer: Some(Writer::Caller(draft)),
            name: name.to_owned(),
            len: 0,
        }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let mut found = Vec::new();
        self.files(prefix, &mut |name| match self.disk.size(&self.root.join(&name)) {
            Ok(size_bytes) => {
                found.push(Listed { name, size_bytes });
                Ok(())
            }
            // Removed by another process between the listing and this.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io_error("look at", &name, error)),
        })?;
        found.sort_unstable();
        Ok(found)
    }

    fn names(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        self.files(prefix, &mut |name| {
            found.push(name);
            Ok(())
        })?;
        found.sort_unstable();
        Ok(found)
    }

    fn mark(&self, folder: &str) -> Option<Mark> {
        self.disk.mark(&self.root.join(folder))
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.root.join(name);
        self.disk.remove(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::Missing { name: name.to_owned() },
            _ => io_error("remove", name, e),
        })?;
        if let Some(folder) = path.parent() {
            self.removed_in
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(folder.to_path_buf());
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        let mut folders =
            std::mem::take(&mut *self.removed_in.lock().unwrap_or_else(PoisonError::into_inner));
        folders.sort_unstable();
        folders.dedup();
        for folder in folders {
            self.disk
                .sync_dir(&folder)
                .map_err(|e| io_error("make durable", &folder.to_string_lossy(), e))?;
        }
        Ok(())
    }
}
