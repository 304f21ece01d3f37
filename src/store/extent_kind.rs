//! What an extent holds, and how it is stored.

/// How an extent's bytes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// As they are.
    Raw,
    /// One zstd frame.
    Zstd,
}

impl Codec {
    pub(super) fn code(self) -> u8 {
        match self {
            Codec::Raw => 0,
            Codec::Zstd => 1,
        }
    }
    pub(super) fn from_code(code: u8) -> Option<Codec> {
        match code {
            0 => Some(Codec::Raw),
            1 => Some(Codec::Zstd),
            _ => None,
        }
    }
}

/// What an extent's chunks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtentKind {
    /// Content of files.
    Data,
    /// Manifest nodes.
    Node,
    /// Lists: the pieces of large files, large sets of extended attributes.
    List,
    /// Pages of databases: each chunk is a row of pages.
    Pages,
    /// A recipe of a database. Its id is the database's identity, not the hash of its bytes, so
    /// there may be several with one id.
    Recipe {
        /// How many recipes lie between it and a whole one. The one with the fewest counts: so
        /// chains come to an end.
        depth: u8,
    },
}

impl ExtentKind {
    pub(super) fn code(self) -> u8 {
        match self {
            ExtentKind::Data => 0,
            ExtentKind::Node => 1,
            ExtentKind::List => 2,
            ExtentKind::Pages => 3,
            ExtentKind::Recipe { .. } => 4,
        }
    }

    /// A number for each kind, whatever the depth.
    pub fn number(self) -> u8 {
        self.code()
    }

    pub(super) fn from_code(code: u8, depth: u8) -> Option<ExtentKind> {
        use ExtentKind::{Data, List, Node, Pages, Recipe};
        [Data, Node, List, Pages, Recipe { depth }]
            .into_iter()
            .find(|kind| kind.code() == code && kind.depth() == depth)
    }

    /// The depth of a recipe; 0 for all else.
    pub(super) fn depth(self) -> u8 {
        match self {
            ExtentKind::Recipe { depth } => depth,
            _ => 0,
        }
    }

    /// Whether chunks of this extent take the place of chunks with the same ids in another that was
    /// there before. Where ids are hashes it is all one; of recipes of one depth the later counts,
    /// which a prune wrote that moved its pages.
    pub(super) fn replaces(self, other: ExtentKind) -> bool {
        match (self, other) {
            (ExtentKind::Recipe { depth }, ExtentKind::Recipe { depth: other }) => depth <= other,
            _ => true,
        }
    }

    /// Whether it holds a recipe.
    pub fn is_recipe(self) -> bool {
        matches!(self, ExtentKind::Recipe { .. })
    }

    /// Whether the ids of its chunks are the hashes of their bytes.
    pub(super) fn is_named_by_hash(self) -> bool {
        !self.is_recipe()
    }

    /// Whether it holds bytes of files, not what describes them.
    pub fn is_content(self) -> bool {
        matches!(self, ExtentKind::Data | ExtentKind::Pages)
    }
}
