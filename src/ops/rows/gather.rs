//! Row by row, what happened to whom: compact, so that a million changed rows fit; put into words
//! by `story`.

use std::collections::{BTreeMap, HashMap};

use crate::database::{RowChange, Sides, Value};

use super::facts::{ApiKey, Device, ItemNews, UserNews, Watched};
use super::kinds::{self, field, field_of_column, kind_of};
use super::upgrade;
use super::view::{Id, PLACEHOLDER, View};

/// Names of a list that are kept.
const NAMED_MAX: usize = 1000;

/// All that happened.
#[derive(Debug, Default)]
pub struct Gathered {
    /// The migrations differ.
    pub upgraded: bool,
    pub migrations: Vec<String>,
    pub undone_migrations: u64,
    pub users: BTreeMap<Id, UserNews>,
    pub items: HashMap<Id, ItemNews>,
    /// By item, kind and path: a sum over what is said of the image before and after.
    pub images: HashMap<(Id, i64, u64), (u64, u64)>,
    pub devices: BTreeMap<(Option<Id>, String), Device>,
    /// API keys: name, what stands for the token; before and after.
    pub keys: (Vec<ApiKey>, Vec<ApiKey>),
    pub activities: u64,
    /// Lists (playlists, collections) and their members: came, gone.
    pub members: BTreeMap<Id, (Vec<Id>, Vec<Id>)>,
    /// Values of items (genres, tags) by the id of the value: what kind it is.
    pub values: HashMap<Id, (Option<i64>, Vec<Id>)>,
    /// Rows by table and column that the upgrade wrote.
    pub by_upgrade: BTreeMap<(String, String), u64>,
    /// Rows of items and users whose ids are no ids, by table: whom they are about cannot be told.
    pub unreadable: BTreeMap<String, u64>,
    /// Rows of other tables: the server's own, plugins'.
    pub others: BTreeMap<String, u64>,
}

impl Gathered {
    /// Takes a row.
    pub fn take(&mut self, sides: Sides<'_>, change: &RowChange) {
        let Some(table) = sides.table() else { return };
        let before =
            sides.before.zip(change.before.as_ref()).map(|(table, row)| View { table, row });
        let after = sides.after.zip(change.after.as_ref()).map(|(table, row)| View { table, row });
        if table.name == "__EFMigrationsHistory" {
            self.upgraded = true;
            match (before, after) {
                (None, Some(row)) => self.migrations.extend(row.text("MigrationId")),
                (Some(_), None) => self.undone_migrations += 1,
                _ => {}
            }
            return;
        }
        let mut columns: Vec<&str> = Vec::new();
        for pair in &change.changed {
            let Some(column) = sides.after.and_then(|table| table.columns.get(pair.1)) else {
                continue;
            };
            if upgrade::COUNTERS.contains(&column.name.as_str()) {
                continue;
            }
            if self.upgraded && upgrade::is_upgrades(sides, change, *pair) {
                *self.by_upgrade.entry((table.name.clone(), column.name.clone())).or_default() += 1;
            } else {
                columns.push(&column.name);
            }
        }
        if before.is_some() && after.is_some() && columns.is_empty() {
            return;
        }
        if sides.before.is_none() || sides.after.is_none() {
            *self.by_upgrade.entry((table.name.clone(), String::new())).or_default() += 1;
            return;
        }
        if [before, after].into_iter().flatten().any(|row| has_unreadable_id(&table.name, row)) {
            *self.unreadable.entry(table.name.clone()).or_default() += 1;
        }
        self.by_table(&table.name, before, after, &columns);
    }

    fn by_table(
        &mut self,
        table: &str,
        before: Option<View<'_>>,
        after: Option<View<'_>>,
        columns: &[&str],
    ) {
        let either = after.or(before);
        let id = |column: &str| either.and_then(|row| row.id(column));
        match table {
            "BaseItems" => self.item(before, after, columns),
            "Users" => self.user(before, after, columns),
            "UserData" => self.watch_state(before, after),
            "BaseItemImageInfos" => self.image(before, after),
            "Permissions" => self.permission(before, after),
            "Preferences" => self.preference(before, after),
            "ImageInfos" => self.avatar(before, after),
            "Devices" => self.device(before, after),
            "ApiKeys" => self.api_key(before, after),
            "ActivityLogs" => self.activities += u64::from(before.is_none()),
            "AccessSchedules" => self.with_user(id("UserId"), |user| user.schedules += 1),
            "DisplayPreferences" | "ItemDisplayPreferences" | "CustomItemDisplayPreferences" => {
                self.with_user(id("UserId"), |user| user.display += 1)
            }
            "LinkedChildren" => self.member(before, after),
            "ItemValues" => {
                if let (Some(value), Some(kind)) =
                    (id("ItemValueId"), either.and_then(|row| row.integer("Type")))
                {
                    self.values.entry(value).or_default().0 = Some(kind);
                }
            }
            "ItemValuesMap" => {
                if let (Some(value), Some(item)) = (id("ItemValueId"), id("ItemId")) {
                    self.values.entry(value).or_default().1.push(item);
                }
            }
            "PeopleBaseItemMap" => self.touch(id("ItemId"), "cast"),
            "MediaStreamInfos" | "AttachmentStreamInfos" => self.touch(id("ItemId"), "streams"),
            "Chapters" => self.touch(id("ItemId"), "chapters"),
            "TrickplayInfos" => self.touch(id("ItemId"), "preview sheets"),
            "MediaSegments" => self.touch(id("ItemId"), "segments"),
            "BaseItemProviders" => self.touch(id("ItemId"), "details"),
            "BaseItemMetadataFields" => self.touch(id("ItemId"), "locks"),
            // What the server works out from the rest.
            "AncestorIds"
            | "KeyframeData"
            | "Peoples"
            | "BaseItemTrailerTypes"
            | "sqlite_sequence"
            | "sqlite_stat1"
            | "sqlite_stat4" => {}
            other => *self.others.entry(other.to_owned()).or_default() += 1,
        }
    }

    fn permission(&mut self, before: Option<View<'_>>, after: Option<View<'_>>) {
        for (row, is_after) in sided(before, after) {
            let (Some(user), Some(kind)) = (row.id("UserId"), row.integer("Kind")) else {
                continue;
            };
            let slot = self.users.entry(user).or_default().permissions.entry(kind).or_default();
            *(if is_after { &mut slot.1 } else { &mut slot.0 }) = Some(row.flag("Value"));
        }
    }

    fn preference(&mut self, before: Option<View<'_>>, after: Option<View<'_>>) {
        for (row, is_after) in sided(before, after) {
            let (Some(user), Some(kind)) = (row.id("UserId"), row.integer("Kind")) else {
                continue;
            };
            let slot = self.users.entry(user).or_default().preferences.entry(kind).or_default();
            *(if is_after { &mut slot.1 } else { &mut slot.0 }) =
                Some(row.text("Value").unwrap_or_default());
        }
    }

    fn avatar(&mut self, before: Option<View<'_>>, after: Option<View<'_>>) {
        for (row, is_after) in sided(before, after) {
            let Some(user) = row.id("UserId") else { continue };
            let slot = &mut self.users.entry(user).or_default().avatar;
            *(if is_after { &mut slot.1 } else { &mut slot.0 }) =
                Some(format!("{:?}{:?}", row.text("Path"), row.text("LastModified")));
        }
    }

    fn device(&mut self, before: Option<View<'_>>, after: Option<View<'_>>) {
        for (row, is_after) in sided(before, after) {
            let (user, device) = (row.id("UserId"), row.text("DeviceId").unwrap_or_default());
            let slot = self.devices.entry((user, device)).or_default();
            let said = (
                user,
                row.name("DeviceName").unwrap_or_default(),
                row.name("AppName").unwrap_or_default(),
                hash(&[row.get("AccessToken")]),
            );
            *(if is_after { &mut slot.1 } else { &mut slot.0 }) = Some(said);
        }
    }

    fn api_key(&mut self, before: Option<View<'_>>, after: Option<View<'_>>) {
        for (row, is_after) in sided(before, after) {
            let list = if is_after { &mut self.keys.1 } else { &mut self.keys.0 };
            list.extend(row.name("Name").map(|name| (name, hash(&[row.get("AccessToken")]))));
        }
    }

    fn member(&mut self, before: Option<View<'_>>, after: Option<View<'_>>) {
        for (row, is_after) in sided(before, after) {
            let (Some(parent), Some(child)) = (row.id("ParentId"), row.id("ChildId")) else {
                continue;
            };
            let lists = self.members.entry(parent).or_default();
            let list = if is_after { &mut lists.1 } else { &mut lists.0 };
            if list.len() < NAMED_MAX {
                list.push(child);
            }
        }
    }

    fn with_user(&mut self, user: Option<Id>, change: impl FnOnce(&mut UserNews)) {
        if let Some(user) = user {
            change(self.users.entry(user).or_default());
        }
    }

    fn touch(&mut self, item: Option<Id>, what: &str) {
        if let Some(item) = item {
            self.items.entry(item).or_default().fields |= field(what);
        }
    }

    fn item(&mut self, before: Option<View<'_>>, after: Option<View<'_>>, columns: &[&str]) {
        let Some(row) = after.or(before) else { return };
        let Some(id) = row.id("Id") else { return };
        let news = self.items.entry(id).or_default();
        news.kind = kind_of(&row.text("Type").unwrap_or_default());
        news.top = row.id("TopParentId");
        match (before, after) {
            (None, Some(_)) => news.came = true,
            (Some(_), None) => news.gone = true,
            (Some(before), Some(after)) => {
                for column in columns {
                    let bits = if *column == "Data" {
                        data_fields(before, after)
                    } else {
                        field_of_column(column)
                    };
                    news.fields |= bits;
                    news.refreshed |= bits == 0;
                }
            }
            (None, None) => {}
        }
    }

    fn user(&mut self, before: Option<View<'_>>, after: Option<View<'_>>, columns: &[&str]) {
        let Some(id) = after.or(before).and_then(|row| row.id("Id")) else { return };
        let news = self.users.entry(id).or_default();
        (news.came, news.gone) = (before.is_none(), after.is_none());
        for column in columns {
            match *column {
                "Username" => news.renamed_from = before.and_then(|row| row.name("Username")),
                "Password" | "EasyPassword" => news.password = true,
                "LastActivityDate" => news.was_active = true,
                "LastLoginDate" => news.signed_in = true,
                "NormalizedUsername" | "InternalId" | "InvalidLoginAttemptCount" => {}
                other => news.settings.push(other.to_owned()),
            }
        }
    }

    fn watch_state(&mut self, before: Option<View<'_>>, after: Option<View<'_>>) {
        for (row, is_after) in sided(before, after) {
            let (Some(user), Some(item)) = (row.id("UserId"), row.id("ItemId")) else { continue };
            let user = self.users.entry(user).or_default();
            let key = hash(&[row.get("CustomDataKey")]);
            let is_whole = before.is_none() || after.is_none();
            if item == PLACEHOLDER {
                if is_whole {
                    (if is_after { &mut user.waiting.0 } else { &mut user.waiting.1 }).insert(key);
                }
                continue;
            }
            if is_whole {
                (if is_after { &mut user.keys.1 } else { &mut user.keys.0 }).insert(key, item);
            }
            let said = Watched {
                played: row.flag("Played"),
                favourite: row.flag("IsFavorite"),
                position: row.integer("PlaybackPositionTicks").unwrap_or(0),
                count: row.integer("PlayCount").unwrap_or(0),
                rating: row.get("Rating").and_then(|value| {
                    if let Value::Real(real) = value { Some(*real) } else { None }
                }),
                likes: row.integer("Likes"),
                streams: (row.integer("AudioStreamIndex"), row.integer("SubtitleStreamIndex")),
            };
            // An item has a row for each of its keys; they say the same.
            let news = user.watched.entry(item).or_default();
            let slot = if is_after { &mut news.after } else { &mut news.before };
            let known = slot.unwrap_or_default();
            *slot = Some(Watched {
                played: said.played || known.played,
                favourite: said.favourite || known.favourite,
                ..said
            });
        }
    }

    fn image(&mut self, before: Option<View<'_>>, after: Option<View<'_>>) {
        for (row, is_after) in sided(before, after) {
            let (Some(item), Some(kind)) = (row.id("ItemId"), row.integer("ImageType")) else {
                continue;
            };
            let path = hash(&[row.get("Path")]);
            let said = hash(&[
                row.get("DateModified"),
                row.get("Width"),
                row.get("Height"),
                row.get("Blurhash"),
            ]) | 1;
            let slot = self.images.entry((item, kind, path)).or_default();
            // Several of one kind and path (they are rows of their own) add up.
            *(if is_after { &mut slot.1 } else { &mut slot.0 }) ^= said;
        }
    }
}

/// Whether a row says that it is of an item or a user, and does not say which. (Nobody's
/// permissions, which have no user, are left over from the user's last change and are no loss.)
fn has_unreadable_id(table: &str, row: View<'_>) -> bool {
    let columns: &[&str] = match table {
        "BaseItems" | "Users" => &["Id"],
        // A text of any kind there.
        "ActivityLogs" => &[],
        _ => &["ItemId", "UserId"],
    };
    columns.iter().any(|column| {
        row.get(column).is_some_and(|value| *value != Value::Null && row.id(column).is_none())
    })
}

/// The sides that are there, the later one marked.
fn sided<'a>(
    before: Option<View<'a>>,
    after: Option<View<'a>>,
) -> impl Iterator<Item = (View<'a>, bool)> {
    before.into_iter().map(|row| (row, false)).chain(after.into_iter().map(|row| (row, true)))
}

fn hash(values: &[Option<&Value>]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    values.iter().for_each(|value| {
        hasher.update(format!("{value:?}\0").as_bytes());
    });
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// What of an item's `Data` differs for people: its members, or its details; nothing where only the
/// date of saving does.
fn data_fields(before: View<'_>, after: View<'_>) -> u32 {
    let read = |row: View<'_>| {
        row.text("Data").and_then(|text| {
            serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text).ok()
        })
    };
    let (Some(before), Some(after)) = (read(before), read(after)) else {
        return kinds::field("details");
    };
    let is_nothing = |value: Option<&serde_json::Value>| {
        value.is_none_or(|value| value.is_null() || value.as_array().is_some_and(Vec::is_empty))
    };
    let differs = |key: &String| {
        before.get(key) != after.get(key)
            && !(is_nothing(before.get(key)) && is_nothing(after.get(key)))
    };
    let mut bits = 0;
    for key in before.keys().chain(after.keys()).filter(|key| differs(key)) {
        bits |= match key.as_str() {
            "DateLastSaved" | "DateLastRefreshed" | "DateModified" | "DateLastMediaAdded" => 0,
            "LinkedChildren" | "Shares" => field("contents"),
            "Width"
            | "Height"
            | "Size"
            | "Container"
            | "TotalBitrate"
            | "DefaultVideoStreamIndex"
            | "HasSubtitles"
            | "SubtitleFiles" => field("streams"),
            _ => field("details"),
        };
    }
    bits
}
