//! How large may anything become? Every length that is read from disk is held against one of these
//! before it allocates.

/// Largest extent before compression, in bytes; also the largest chunk.
pub const EXTENT_RAW_BYTES_MAX: usize = 16 << 20;
/// Largest pack trailer, in bytes: about 1.8 million chunks.
pub const TRAILER_BYTES_MAX: usize = 64 << 20;
/// Largest file of a pack, in bytes: one may be a little more than the largest `pack_bytes`.
pub const PACK_FILE_BYTES_MAX: usize =
    (1 << 30) + EXTENT_RAW_BYTES_MAX + TRAILER_BYTES_MAX + (1 << 20);
/// Largest snapshot record, in bytes.
pub const RECORD_BYTES_MAX: usize = 8 << 20;
/// Most links of the list of snapshots, before a capture states the list anew.
pub const LINKS_MAX: usize = 256;
/// Largest `repo.toml`, in bytes.
pub const CONFIG_BYTES_MAX: usize = 64 << 10;
/// Most entries in one manifest node; a node is cut here even where no key asks for it.
pub const NODE_ENTRIES_MAX: usize = 512;
/// Deepest manifest tree: 64 children a level reach 10¹⁶ entries long before.
pub const NODE_LEVEL_MAX: u8 = 12;
/// Longest path inside a snapshot, in bytes.
pub const PATH_BYTES_MAX: usize = 64 << 10;
/// Longest path that a capture takes in, in bytes: a manifest node of the longest paths stays
/// within a chunk. No program that names whole paths reaches beyond 4,096.
pub const PATH_TAKEN_BYTES_MAX: usize = 16 << 10;
/// Longest symbolic link target, in bytes (Linux: PATH_MAX).
pub const TARGET_BYTES_MAX: usize = 4096;
/// Largest value of one extended attribute (Linux: XATTR_SIZE_MAX), in bytes.
pub const XATTR_BYTES_MAX: usize = 64 << 10;
/// Extended attributes up to this size stand in the entry itself; larger sets become a chunk, in
/// bytes.
pub const XATTRS_INLINE_BYTES_MAX: usize = 1 << 10;
/// Most pieces of a file's content that stand in its entry; more become a list chunk.
pub const PIECES_INLINE_MAX: usize = 8;
/// Largest list chunk, in bytes.
pub const LIST_BYTES_MAX: usize = 1 << 20;
/// Most list chunks of one file: some 7 TiB of content.
pub const LISTS_MAX: usize = 256;
/// Most pages of a database that is stored page by page: 8 GiB of the usual 4 KiB; a larger one is
/// stored as bytes. Bounds memory.
pub const PAGES_MAX: usize = 2 << 20;
/// Most groups of cells of a database: some 12 GiB of them.
pub const GROUPS_MAX: usize = 8 << 20;
/// Largest recipe, in bytes: its pages' hashes and places, and what names their extents.
pub const RECIPE_BYTES_MAX: usize = 96 << 20;
/// Recipes larger than this are stored in parts of this size, in bytes.
pub const RECIPE_PART_BYTES: usize = 4 << 20;
/// Most recipes of pages that are read one behind another to know one database. Of recipes of cells
/// the depths fall from 255 at most.
pub const RECIPE_DEPTH_MAX: u8 = 64;
/// Most problems that a snapshot record names; beyond them they are counted.
pub const PROBLEMS_NAMED_MAX: usize = 10_000;
/// Most bytes of the problems that a snapshot record names, so that the record stays within its own
/// limit however long the paths are.
pub const PROBLEMS_NAMED_BYTES_MAX: usize = 4 << 20;
/// Most remarks that a snapshot record keeps.
pub const REMARKS_MAX: usize = 1_000;
/// Most bytes of its remarks.
pub const REMARKS_BYTES_MAX: usize = 1 << 20;
/// Longest text of one problem, in bytes: what SQLite says may quote a schema of megabytes.
pub const PROBLEM_BYTES_MAX: usize = 4 << 10;
/// Largest configuration file of Jellyfin's that is read to find the instance, in bytes.
pub const XML_BYTES_MAX: u64 = 16 << 20;
