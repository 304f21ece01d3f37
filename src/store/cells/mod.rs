//! A SQLite database taken apart into what VACUUM keeps, the cells of its B-trees in the order of
//! their keys, and what it changes, the shapes of its pages; and put together again byte for byte
//! (`docs/format.md`, "Cells and shapes").

mod before;
mod cell;
mod compared;
mod cut;
mod follow;
mod layout;
mod map;
mod schema_row;
mod shape;
mod walk;

pub use before::Before;
pub use cut::{Cutter, GROUP_BYTES_MAX};
pub use map::{Content, PagePlan, Shapes};
pub use walk::{Host, walk, walk_after};

pub(crate) use cell::{PageKind, local_bytes, varint};

/// Deepest tree that is followed, in pages: SQLite itself allows 20.
const DEPTH_MAX: usize = 40;
