//! What the kernel asks, handed to the threads that know the answers. Everything that would write
//! is left to FUSE's own refusal: the mount is read-only.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crossbeam_channel::Sender;
use fuser::{
    Errno, FileHandle, Filesystem, FopenFlags, INodeNo, InitFlags, KernelConfig, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEntry, ReplyOpen,
    ReplyXattr, Request,
};

/// A question with the way to answer it.
pub(super) enum Question {
    Lookup { parent: u64, name: Vec<u8>, reply: ReplyEntry },
    Attributes { number: u64, reply: ReplyAttr },
    Link { number: u64, reply: ReplyData },
    Read { number: u64, offset: u64, bytes: u32, reply: ReplyData },
    List { number: u64, offset: u64, reply: ReplyDirectory },
    ListWithAttributes { number: u64, offset: u64, reply: ReplyDirectoryPlus },
    Xattr { number: u64, name: Vec<u8>, bytes: u32, reply: ReplyXattr },
    Xattrs { number: u64, bytes: u32, reply: ReplyXattr },
    Forget { number: u64, lookups: u64 },
}

/// Takes the kernel's questions.
pub(super) struct FileSystem {
    questions: Sender<Question>,
}

impl FileSystem {
    pub(super) fn new(questions: Sender<Question>) -> FileSystem {
        FileSystem { questions }
    }

    fn ask(&self, question: Question) {
        // Nobody listens only once the mount ends, and with it the kernel's questions.
        crate::tolerate(self.questions.send(question));
    }
}

impl Filesystem for FileSystem {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        for wish in [
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_PARALLEL_DIROPS,
        ] {
            // A kernel without it asks one by one.
            crate::tolerate(config.add_capabilities(wish));
        }
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.ask(Question::Lookup { parent: parent.0, name: name.as_bytes().to_vec(), reply });
    }

    fn forget(&self, _: &Request, number: INodeNo, lookups: u64) {
        self.ask(Question::Forget { number: number.0, lookups });
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.ask(Question::Attributes { number: number.0, reply });
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        self.ask(Question::Link { number: number.0, reply });
    }

    fn open(&self, _: &Request, _: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        // Snapshots never change: what the kernel has read once it may keep.
        if flags.acc_mode() == fuser::OpenAccMode::O_RDONLY {
            reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE)
        } else {
            reply.error(Errno::EROFS)
        }
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.ask(Question::Read { number: number.0, offset, bytes, reply });
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        self.ask(Question::List { number: number.0, offset, reply });
    }

    fn readdirplus(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        self.ask(Question::ListWithAttributes { number: number.0, offset, reply });
    }

    fn getxattr(&self, _: &Request, number: INodeNo, name: &OsStr, bytes: u32, reply: ReplyXattr) {
        self.ask(Question::Xattr {
            number: number.0,
            name: name.as_bytes().to_vec(),
            bytes,
            reply,
        });
    }

    fn listxattr(&self, _: &Request, number: INodeNo, bytes: u32, reply: ReplyXattr) {
        self.ask(Question::Xattrs { number: number.0, bytes, reply });
    }
}
