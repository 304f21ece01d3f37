//! The watch state of one item: the columns of a row of `UserData` that people know of.

use rusqlite::Row;

/// The columns, in the order in which [`ItemState::read`] takes them.
pub(super) const STATE_COLUMNS: &str = "Played, PlaybackPositionTicks, PlayCount, IsFavorite, Rating, Likes, LastPlayedDate, AudioStreamIndex, SubtitleStreamIndex";

/// Jellyfin counts positions in units of 100 ns.
const TICKS_A_SECOND: i64 = 10_000_000;

/// A user's state of an item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemState {
    /// Watched to its end.
    pub played: bool,
    /// Where playback stopped, in units of 100 ns.
    pub position_ticks: i64,
    /// How often it was played.
    pub play_count: i64,
    /// A favourite.
    pub is_favourite: bool,
    /// The user's rating.
    pub rating: Option<f64>,
    /// Liked or disliked.
    pub likes: Option<bool>,
    /// When it was last played, as the database has it: UTC, `2026-11-29 15:26:23.7014022`.
    pub last_played: Option<String>,
    /// The audio stream that was chosen.
    pub audio_stream: Option<i64>,
    /// The subtitles that were chosen.
    pub subtitle_stream: Option<i64>,
}

impl ItemState {
    /// From a row with [`STATE_COLUMNS`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<ItemState> {
        Ok(ItemState {
            played: row.get(0)?,
            position_ticks: row.get(1)?,
            play_count: row.get(2)?,
            is_favourite: row.get(3)?,
            rating: row.get(4)?,
            likes: row.get(5)?,
            last_played: row.get(6)?,
            audio_stream: row.get(7)?,
            subtitle_stream: row.get(8)?,
        })
    }

    /// In people's words.
    pub fn words(&self) -> String {
        let mut parts =
            vec![if self.played { "watched".to_owned() } else { "not watched".to_owned() }];
        if self.position_ticks > 0 {
            let seconds = self.position_ticks / TICKS_A_SECOND;
            parts.push(format!(
                "stopped at {}:{:02}:{:02}",
                seconds / 3600,
                seconds / 60 % 60,
                seconds % 60
            ));
        }
        if self.is_favourite {
            parts.push("favourite".to_owned());
        }
        parts.extend(self.rating.map(|rating| format!("rated {rating}")));
        parts.extend(
            self.likes.map(|likes| if likes { "liked".to_owned() } else { "disliked".to_owned() }),
        );
        if self.play_count > 0 {
            parts.push(format!("played {} ×", self.play_count));
        }
        parts.extend(
            self.last_played
                .as_ref()
                .map(|date| format!("last on {}", date.chars().take(16).collect::<String>())),
        );
        parts.join(", ")
    }
}
