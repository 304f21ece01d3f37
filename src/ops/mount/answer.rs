//! The answers to the kernel's questions.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use fuser::{Errno, Generation, ReplyDirectory, ReplyDirectoryPlus, ReplyXattr};

use crate::manifest::{Entry, Kind, XattrPairs, Xattrs, decode_xattrs, display};

use super::super::Error;
use super::inodes::Place;
use super::requests::Question;
use super::serve::Server;

/// How long the kernel may believe what it was told: snapshots never change.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

impl Server<'_, '_> {
    pub(super) fn answer(&mut self, question: Question) {
        match question {
            Question::Lookup { parent, name, reply } => match self.child(parent, &name) {
                Ok(Some(found)) => {
                    self.mounted.inodes.tell(found.attributes.ino.0, found.place);
                    reply.entry(&FOREVER, &found.attributes, Generation(0));
                }
                Ok(None) => reply.error(Errno::ENOENT),
                Err(error) => reply.error(self.errno(parent, &error)),
            },
            Question::Attributes { number, reply } => match self.attributes(number) {
                Ok(Some(attributes)) => reply.attr(&FOREVER, &attributes),
                Ok(None) => reply.error(Errno::ENOENT),
                Err(error) => reply.error(self.errno(number, &error)),
            },
            Question::Link { number, reply } => match self.entry(number) {
                Ok(Some(Entry { kind: Kind::Symlink { target }, .. })) => reply.data(&target),
                Ok(_) => reply.error(Errno::EINVAL),
                Err(error) => reply.error(self.errno(number, &error)),
            },
            Question::Read { number, offset, bytes, reply } => {
                match self.read(number, offset, bytes as usize) {
                    Ok(Some(bytes)) => reply.data(&bytes),
                    Ok(None) => reply.error(Errno::ENOENT),
                    Err(error) => reply.error(self.errno(number, &error)),
                }
            }
            Question::List { number, offset, reply } => self.answer_list(number, offset, reply),
            Question::ListWithAttributes { number, offset, reply } => {
                self.answer_list_with_attributes(number, offset, reply)
            }
            Question::Xattr { number, name, bytes, reply } => match self.xattrs(number) {
                Ok(pairs) => match pairs.into_iter().find(|(own, _)| *own == name) {
                    Some((_, value)) => sized(reply, bytes, &value),
                    None => reply.error(Errno::NO_XATTR),
                },
                Err(error) => reply.error(self.errno(number, &error)),
            },
            Question::Xattrs { number, bytes, reply } => match self.xattrs(number) {
                Ok(pairs) => sized(
                    reply,
                    bytes,
                    &pairs
                        .iter()
                        .flat_map(|(name, _)| name.iter().copied().chain([0]))
                        .collect::<Vec<u8>>(),
                ),
                Err(error) => reply.error(self.errno(number, &error)),
            },
            Question::Forget { number, lookups } => self.mounted.inodes.forget(number, lookups),
        }
    }

    fn answer_list(&mut self, number: u64, offset: u64, mut reply: ReplyDirectory) {
        match self.list(number) {
            Ok(all) => {
                for (at, named) in all.iter().enumerate().skip(offset as usize) {
                    if reply.add(
                        named.attributes.ino,
                        at as u64 + 1,
                        named.attributes.kind,
                        OsStr::from_bytes(&named.name),
                    ) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(self.errno(number, &error)),
        }
    }

    fn answer_list_with_attributes(
        &mut self,
        number: u64,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        match self.list(number) {
            Ok(all) => {
                for (at, named) in all.into_iter().enumerate().skip(offset as usize) {
                    let is_dot = named.name == b"." || named.name == b"..";
                    if reply.add(
                        named.attributes.ino,
                        at as u64 + 1,
                        OsStr::from_bytes(&named.name),
                        &FOREVER,
                        &named.attributes,
                        Generation(0),
                    ) {
                        break;
                    }
                    // The kernel counts those that it is told of, but for the dots.
                    if !is_dot {
                        self.mounted.inodes.tell(named.attributes.ino.0, named.place);
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(self.errno(number, &error)),
        }
    }

    /// Damage is an I/O error for whoever reads, never other bytes; and it is told when the mount
    /// ends.
    fn errno(&self, number: u64, error: &Error) -> Errno {
        let path = match self.place(number) {
            Some(Place::Path { snapshot, path }) => {
                let id = self
                    .mounted
                    .snapshots
                    .get(snapshot)
                    .map(|mounted| super::super::ls::short(&mounted.snapshot.0))
                    .unwrap_or_default();
                format!("{id}:{}", display(&path))
            }
            _ => "the mount".to_owned(),
        };
        self.mounted.damage.note(path, error);
        Errno::EIO
    }

    fn read(&mut self, number: u64, offset: u64, bytes: usize) -> Result<Option<Vec<u8>>, Error> {
        match self.entry(number)? {
            Some(entry) => self.files.read(&entry, offset, bytes).map(Some),
            None => Ok(None),
        }
    }

    fn xattrs(&mut self, number: u64) -> Result<XattrPairs, Error> {
        match self.entry(number)?.map(|entry| entry.xattrs) {
            None | Some(Xattrs::None) => Ok(Vec::new()),
            Some(Xattrs::Inline(pairs)) => Ok(pairs),
            Some(Xattrs::Chunk(id)) => {
                let bytes = self.files.reader.read(&id)?;
                Ok(decode_xattrs(&bytes).map_err(|_| crate::manifest::Error::Node {
                    id,
                    what: "a set of attributes cannot be read",
                })?)
            }
        }
    }
}

/// A value, or its length where that is asked for.
fn sized(reply: ReplyXattr, bytes: u32, value: &[u8]) {
    if bytes == 0 {
        reply.size(value.len() as u32);
    } else if value.len() <= bytes as usize {
        reply.data(value);
    } else {
        reply.error(Errno::ERANGE);
    }
}
