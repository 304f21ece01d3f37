//! What is one piece of content? Its class decides where it is cut and whether it is compressed;
//! the hash of its bytes is its name.

mod class;
mod cut;
mod id;

pub use class::{Class, HEAD_BYTES, gains, sqlite_page_bytes};
pub use cut::{CutParams, cuts};
pub use id::{ChunkId, ChunkIdHasher, Hashing, PageHash};
