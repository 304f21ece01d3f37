//! What people call the things of a library, and what of them they can see.

/// What an item is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// It lies in a library: a film, an episode, an album.
    Media,
    /// A library itself.
    Library,
    /// A playlist or a collection.
    List,
    /// A person, studio, genre or year, which is there because media name it.
    ByName,
    /// The server's own: folders, views.
    Own,
}

/// The kinds of items (the last part of `BaseItems.Type`): one, several, and what they are for
/// people.
const KINDS: [(&str, &str, &str, Group); 32] = [
    ("Movie", "film", "films", Group::Media),
    ("Series", "series", "series", Group::Media),
    ("Season", "season", "seasons", Group::Media),
    ("Episode", "episode", "episodes", Group::Media),
    ("Audio", "song", "songs", Group::Media),
    ("MusicAlbum", "album", "albums", Group::Media),
    ("MusicArtist", "artist", "artists", Group::Media),
    ("MusicVideo", "music video", "music videos", Group::Media),
    ("AudioBook", "audiobook", "audiobooks", Group::Media),
    ("Book", "book", "books", Group::Media),
    ("Video", "video", "videos", Group::Media),
    ("Trailer", "trailer", "trailers", Group::Media),
    ("Photo", "photo", "photos", Group::Media),
    ("PhotoAlbum", "photo album", "photo albums", Group::Media),
    ("LiveTvChannel", "channel", "channels", Group::Media),
    ("LiveTvProgram", "programme", "programmes", Group::Media),
    ("LiveTvVideoRecording", "recording", "recordings", Group::Media),
    ("Channel", "channel", "channels", Group::Media),
    ("BoxSet", "collection", "collections", Group::List),
    ("Playlist", "playlist", "playlists", Group::List),
    ("CollectionFolder", "library", "libraries", Group::Library),
    ("Person", "person", "people", Group::ByName),
    ("Studio", "studio", "studios", Group::ByName),
    ("Genre", "genre", "genres", Group::ByName),
    ("MusicGenre", "music genre", "music genres", Group::ByName),
    ("Year", "year", "years", Group::ByName),
    ("UserView", "view", "views", Group::Own),
    ("UserRootFolder", "folder", "folders", Group::Own),
    ("AggregateFolder", "folder", "folders", Group::Own),
    ("PlaylistsFolder", "folder", "folders", Group::Own),
    ("Folder", "folder", "folders", Group::Own),
    ("PLACEHOLDER", "placeholder", "placeholders", Group::Own),
];

/// The number of a kind, for [`words`] and [`group`]; one behind the last for kinds of plugins.
pub fn kind_of(class: &str) -> u8 {
    let last = class.rsplit('.').next().unwrap_or(class);
    KINDS.iter().position(|(name, ..)| *name == last).unwrap_or(KINDS.len()) as u8
}

/// One of a kind, and several.
pub fn words(kind: u8) -> (&'static str, &'static str) {
    KINDS.get(usize::from(kind)).map_or(("item", "items"), |(_, one, several, _)| (one, several))
}

/// What a kind is for people.
pub fn group(kind: u8) -> Group {
    KINDS.get(usize::from(kind)).map_or(Group::Media, |(.., group)| *group)
}

/// What of an item can change, in people's words; the place is the bit.
pub const FIELDS: [&str; 24] = [
    "name",
    "description",
    "genres",
    "tags",
    "studios",
    "rating",
    "age rating",
    "date",
    "file path",
    "length",
    "place",
    "sort name",
    "locks",
    "language",
    "number",
    "artists",
    "versions",
    "contents",
    "cast",
    "streams",
    "chapters",
    "preview sheets",
    "segments",
    "details",
];

/// The bit of a field.
pub fn field(word: &str) -> u32 {
    FIELDS.iter().position(|known| *known == word).map_or(0, |at| 1 << at)
}

/// The fields of some bits.
pub fn fields(bits: u32) -> Vec<&'static str> {
    FIELDS
        .iter()
        .enumerate()
        .filter(|(at, _)| bits & (1 << at) != 0)
        .map(|(_, word)| *word)
        .collect()
}

/// Which field a column of `BaseItems` is of; nothing for the server's own book-keeping.
pub fn field_of_column(column: &str) -> u32 {
    let word = match column {
        "Name" | "OriginalTitle" | "Tagline" | "EpisodeTitle" => "name",
        "Overview" => "description",
        "Genres" => "genres",
        "Tags" => "tags",
        "Studios" | "ProductionLocations" => "studios",
        "CommunityRating" | "CriticRating" => "rating",
        "OfficialRating" | "CustomRating" => "age rating",
        "ProductionYear" | "PremiereDate" | "StartDate" | "EndDate" => "date",
        "Path" => "file path",
        "RunTimeTicks" => "length",
        "ParentId" | "TopParentId" | "SeriesId" | "SeasonId" | "ChannelId" => "place",
        "ForcedSortName" => "sort name",
        "IsLocked" => "locks",
        "PreferredMetadataLanguage" | "PreferredMetadataCountryCode" | "OriginalLanguage" => {
            "language"
        }
        "IndexNumber" | "ParentIndexNumber" => "number",
        "Album" | "Artists" | "AlbumArtists" => "artists",
        "OwnerId" | "PrimaryVersionId" | "ExtraType" | "ExtraIds" => "versions",
        "Width" | "Height" | "Size" | "TotalBitrate" | "Audio" | "MediaType" => "streams",
        "ExternalId" | "ExternalServiceId" | "ExternalSeriesId" | "ShowId" | "SeriesName"
        | "SeasonName" => "details",
        _ => return 0,
    };
    field(word)
}

/// What an image of an item shows (`ImageInfoImageType`).
pub fn image_word(kind: i64) -> &'static str {
    match kind {
        0 => "poster",
        1 => "art",
        2 => "backdrop",
        3 => "banner",
        4 => "logo",
        5 => "thumbnail",
        6 => "disc",
        7 => "box",
        8 => "screenshot",
        9 => "menu",
        10 => "chapter image",
        11 => "box rear",
        12 => "profile",
        _ => "image",
    }
}

/// The same of a file's name in an item's folder (`reference/jellyfin.md` 1.4).
pub fn image_word_of_file(name: &str) -> Option<&'static str> {
    let (stem, kind) = name.rsplit_once('.')?;
    if !["jpg", "jpeg", "png", "webp", "gif", "bmp", "svg", "avif"]
        .contains(&kind.to_ascii_lowercase().as_str())
    {
        return None;
    }
    let stem = stem.trim_end_matches(|c: char| c.is_ascii_digit()).to_ascii_lowercase();
    Some(match stem.as_str() {
        "poster" | "folder" | "cover" | "default" | "movie" | "show" => "poster",
        "backdrop" | "fanart" | "background" => "backdrop",
        "landscape" | "thumb" => "thumbnail",
        "clearart" | "art" => "art",
        "disc" | "cdart" => "disc",
        "logo" | "clearlogo" => "logo",
        "banner" => "banner",
        _ => "image",
    })
}

/// A setting of a user's (`PermissionKind`), in people's words.
pub fn permission_word(kind: i64) -> String {
    let words = [
        "administrator",
        "hidden",
        "disabled",
        "shared device control",
        "remote access",
        "Live TV management",
        "Live TV access",
        "media playback",
        "audio transcoding",
        "video transcoding",
        "deleting media",
        "downloading",
        "sync transcoding",
        "media conversion",
        "all devices",
        "all channels",
        "all libraries",
        "sharing",
        "remote control of others",
        "playback remuxing",
        "forced remote transcoding",
        "collection management",
        "subtitle management",
        "lyrics management",
        "public registration",
    ];
    usize::try_from(kind)
        .ok()
        .and_then(|at| words.get(at))
        .map_or_else(|| format!("permission {kind}"), |word| (*word).to_owned())
}

/// A list among a user's settings (`PreferenceKind`), in people's words.
pub fn preference_word(kind: i64) -> String {
    let words = [
        "blocked tags",
        "blocked channels",
        "blocked libraries",
        "allowed devices",
        "allowed channels",
        "allowed libraries",
        "libraries to delete from",
        "libraries left out of the latest items",
        "libraries left out of My Media",
        "grouped libraries",
        "blocked unrated items",
        "order of the libraries",
        "allowed tags",
        "libraries to move from",
    ];
    usize::try_from(kind)
        .ok()
        .and_then(|at| words.get(at))
        .map_or_else(|| format!("setting {kind}"), |word| (*word).to_owned())
}
