//! Which columns of the database hold paths and ids.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// An id.
    Id,
    /// A text with ids in it.
    Ids,
    /// A path.
    Path,
    /// JSON with paths and ids.
    Json,
    /// A path, or a text with ids in it.
    Value,
}

/// A table, and its columns that hold paths and ids.
type Columns = (&'static str, &'static [(&'static str, Holds)]);

/// Tables and columns beside those that refer to items by name or by a foreign key
/// (`docs/moving.md`, "Rows").
pub(super) const COLUMNS: [Columns; 13] = [
    (
        "BaseItems",
        &[
            ("Id", Holds::Id),
            ("Path", Holds::Path),
            ("ParentId", Holds::Id),
            ("TopParentId", Holds::Id),
            ("PresentationUniqueKey", Holds::Ids),
            ("SeriesPresentationUniqueKey", Holds::Ids),
            ("SeasonId", Holds::Id),
            ("SeriesId", Holds::Id),
            ("OwnerId", Holds::Id),
            ("PrimaryVersionId", Holds::Id),
            ("ShowId", Holds::Id),
            ("Data", Holds::Json),
            ("ExtraIds", Holds::Ids),
            ("ChannelId", Holds::Id),
        ],
    ),
    ("UserData", &[("CustomDataKey", Holds::Ids)]),
    ("LinkedChildren", &[("ParentId", Holds::Id), ("ChildId", Holds::Id)]),
    ("BaseItemImageInfos", &[("Path", Holds::Path)]),
    ("Chapters", &[("ImagePath", Holds::Path)]),
    ("MediaStreamInfos", &[("Path", Holds::Path)]),
    ("ImageInfos", &[("Path", Holds::Path)]),
    ("ActivityLogs", &[("ItemId", Holds::Id)]),
    ("Preferences", &[("Value", Holds::Ids)]),
    ("DisplayPreferences", &[("ItemId", Holds::Id)]),
    ("ItemDisplayPreferences", &[("ItemId", Holds::Id)]),
    (
        "CustomItemDisplayPreferences",
        &[("ItemId", Holds::Id), ("Key", Holds::Ids), ("Value", Holds::Value)],
    ),
    ("AncestorIds", &[("ItemId", Holds::Id), ("ParentItemId", Holds::Id)]),
];
