//! A repository in memory that records which verbs were called; for tests that count instead of
//! time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Backend, Error, Listed, NewFile, Span};

/// One call, as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Read of (name, bytes).
    Read(String, u64),
    /// A finished write of (name, bytes).
    Write(String, u64),
    /// Asking for a file's length.
    Size(String),
    /// A listing of a prefix.
    List(String),
    /// A removal.
    Remove(String),
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Arc<Vec<u8>>>,
    calls: Vec<Verb>,
}

/// The verbs over a map; clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryBackend {
    state: Arc<Mutex<State>>,
}

impl MemoryBackend {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The calls since the last taking.
    pub fn take_calls(&self) -> Vec<Verb> {
        std::mem::take(&mut self.state().calls)
    }

    /// Every file with its bytes.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.state().files.iter().map(|(name, bytes)| (name.clone(), bytes.to_vec())).collect()
    }

    /// Puts bytes under a name, whatever was there: for tests that do damage.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        self.state().files.insert(name.to_owned(), Arc::new(bytes));
    }

    /// Takes a file away: for tests that do damage.
    pub fn lose(&self, name: &str) {
        self.state().files.remove(name);
    }
}

struct MemoryFile {
    backend: MemoryBackend,
    name: String,
    bytes: Vec<u8>,
}

impl NewFile for MemoryFile {
    fn append(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }
    fn finish(self: Box<Self>) -> Result<(), Error> {
        let mut state = self.backend.state();
        state.calls.push(Verb::Write(self.name.clone(), self.bytes.len() as u64));
        state.files.insert(self.name.clone(), Arc::new(self.bytes));
        Ok(())
    }
}

impl Backend for MemoryBackend {
    fn read(&self, name: &str, span: Span) -> Result<Vec<u8>, Error> {
        let mut state = self.state();
        let Some(bytes) = state.files.get(name).cloned() else {
            // It is a call all the same.
            state.calls.push(Verb::Read(name.to_owned(), 0));
            return Err(Error::Missing { name: name.to_owned() });
        };
        let (start, len) = match span {
            Span::At { offset, len } => (usize::try_from(offset).unwrap_or(usize::MAX), len),
            Span::Tail { len } => (bytes.len().saturating_sub(len), bytes.len().min(len)),
            Span::Whole { limit } if bytes.len() > limit => {
                return Err(Error::TooLarge {
                    name: name.to_owned(),
                    size: bytes.len() as u64,
                    limit,
                });
            }
            Span::Whole { .. } => (0, bytes.len()),
        };
        let end = start.saturating_add(len);
        let part = bytes.get(start..end).ok_or_else(|| Error::Short {
            name: name.to_owned(),
            offset: start as u64,
            end: end as u64,
        })?;
        state.calls.push(Verb::Read(name.to_owned(), part.len() as u64));
        Ok(part.to_vec())
    }
    fn size(&self, name: &str) -> Result<u64, Error> {
        let mut state = self.state();
        state.calls.push(Verb::Size(name.to_owned()));
        state
            .files
            .get(name)
            .map(|bytes| bytes.len() as u64)
            .ok_or_else(|| Error::Missing { name: name.to_owned() })
    }
    fn create(&self, name: &str) -> Result<Box<dyn NewFile>, Error> {
        Ok(Box::new(MemoryFile { backend: self.clone(), name: name.to_owned(), bytes: Vec::new() }))
    }
    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let mut state = self.state();
        state.calls.push(Verb::List(prefix.to_owned()));
        Ok(state
            .files
            .range(prefix.to_owned()..)
            .take_while(|(name, _)| name.starts_with(prefix))
            .map(|(name, bytes)| Listed { name: name.clone(), size_bytes: bytes.len() as u64 })
            .collect())
    }
    fn remove(&self, name: &str) -> Result<(), Error> {
        let mut state = self.state();
        state.calls.push(Verb::Remove(name.to_owned()));
        state.files.remove(name).map(drop).ok_or_else(|| Error::Missing { name: name.to_owned() })
    }
    fn sync(&self) -> Result<(), Error> {
        Ok(())
    }
}
