//! What a stored recipe of cells has beyond that of pages.

/// Groups that stand in the older state, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupCopy {
    /// Number of the first here …
    pub at: u32,
    /// … and there.
    pub from: u32,
    /// How many.
    pub count: u32,
}

/// What a stored recipe of cells has beyond places and hashes of its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellsBody {
    /// What the groups' hashes are salted with.
    pub salt: [u8; 16],
    /// Pages of the database.
    pub pages: u32,
    /// Groups of the recipe that this one builds on, in order.
    pub copies: Vec<GroupCopy>,
    /// Lengths in bytes of the groups that this recipe tells of.
    pub lens: Vec<u32>,
    /// Length of the shapes in bytes.
    pub shapes_bytes: u32,
    /// The shapes, compressed; behind those of the recipe that this one builds on.
    pub shapes: Vec<u8>,
    /// The first 16 bytes of the hash over what all this comes to.
    pub proof: [u8; 16],
}
