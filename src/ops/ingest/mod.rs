//! Bytes on their way into packs: files and databases are read, cut, compared with what is there,
//! and what is new is gathered and stored. A snapshot, an import, a repair and a prune all do it
//! this way.

pub(in crate::ops) mod collect;
mod draft;
mod groups;
pub(in crate::ops) mod item;
pub(in crate::ops) mod job;
pub(in crate::ops) mod known_pages;
pub(in crate::ops) mod leaf_run;
pub(in crate::ops) mod met;
mod namer;
pub(in crate::ops) mod old;
pub(in crate::ops) mod packer;
pub(in crate::ops) mod page_hashes;
pub(in crate::ops) mod pages;
mod placer;
pub(in crate::ops) mod read_file;
mod recipe_body;
mod recipe_proof;
pub(in crate::ops) mod refill;
