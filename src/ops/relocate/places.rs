//! Where does a server see its directories: that of the snapshot, and the one that it moves to?

use rusqlite::{Connection, OptionalExtension};

use crate::manifest::{Directories, SnapshotRecord};
use crate::source::{Arrangement, xml_element};

use super::super::Error;
use super::item_id::Formula;
use super::items::failed;
use super::prefixes::rest_within;

/// What `config/system.xml` says of places and ids.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub metadata: Option<String>,
    /// Caches in places of their own.
    pub caches: Vec<String>,
    pub case_sensitive: bool,
    pub normalized_by_name: bool,
}

impl Settings {
    /// Of `config/system.xml` and `config/encoding.xml`.
    pub(super) fn of(xml: &[u8], encoding: &[u8]) -> Settings {
        // Both are on where nothing is said.
        let is_on = |name: &str| {
            xml_element(xml, name).is_none_or(|value| !value.eq_ignore_ascii_case("false"))
        };
        Settings {
            metadata: xml_element(xml, "MetadataPath"),
            caches: [(xml, "CachePath"), (encoding, "TranscodingTempPath")]
                .into_iter()
                .filter_map(|(xml, name)| xml_element(xml, name))
                .filter(|dir| dir.starts_with('/'))
                .collect(),
            case_sensitive: is_on("EnableCaseSensitiveItemIds"),
            normalized_by_name: is_on("EnableNormalizedItemByNameIds"),
        }
    }

    /// The formula of ids of a server with these settings and directories.
    pub(super) fn formula(&self, places: &Directories) -> Formula {
        let dir = |name: &str| places.get(name).cloned().unwrap_or_default();
        Formula {
            program_data: dir("programdata"),
            data: dir("data"),
            metadata: dir("metadata"),
            case_sensitive: self.case_sensitive,
            normalized_by_name: self.normalized_by_name,
        }
    }
}

/// The folder that has all libraries in it: its path tells where the server sees its data
/// directory.
const ROOT: &str = "MediaBrowser.Controller.Entities.AggregateFolder";

/// The data directory as the server sees it.
pub(super) fn program_data_of(db: &Connection) -> Result<Option<String>, Error> {
    let sql = "SELECT \"Path\" FROM \"BaseItems\" WHERE \"Type\" = ?1 AND \"Path\" IS NOT NULL";
    let root: Option<String> =
        db.query_row(sql, [ROOT], |row| row.get(0)).optional().map_err(failed)?;
    let root = root.as_deref().map(|root| root.trim_end_matches(['/', '\\']));
    Ok(root
        .and_then(|root| root.strip_suffix("/root").or_else(|| root.strip_suffix("\\root")))
        .map(str::to_owned))
}

/// Where the server of a snapshot saw its directories. Its database tells, for a container sees
/// others than its machine.
pub(super) fn seen_then(
    record: &SnapshotRecord,
    db: &Connection,
    settings: &Settings,
) -> Result<Directories, Error> {
    let host = &record.source.directories;
    let told = program_data_of(db)?
        .map(Ok)
        .or_else(|| named_here(db, host.get("programdata")?).transpose());
    let Some(data) = told.transpose()? else {
        return Err(Error::Refused {
            what: "the snapshot does not tell where its server saw its data directory: its database has no root folder".to_owned(),
            hint: "Choose a snapshot of a server that was set up (jellyvault list).".to_owned(),
        });
    };
    if is_windows(&data) {
        return Err(Error::Refused {
            what: format!("the snapshot is of a server on Windows (its data directory is {data}). How the ids of its items change on Linux is not known"),
            hint:
                "Its files can be restored with --to DIR. A new server can read the media again; watch state comes back with restore --user NAME --watch-state."
                    .to_owned(),
        });
    }
    let mut seen = in_data(&data);
    if let Some(config) = config_then(record, &data) {
        seen.insert("config".to_owned(), config);
    }
    if let Some(metadata) = &settings.metadata {
        seen.insert("metadata".to_owned(), metadata.trim_end_matches('/').to_owned());
    }
    add_beside(&mut seen);
    Ok(seen)
}

/// The data directory of the snapshot's machine, if the database has paths in it: then its server
/// saw it there, too.
fn named_here(db: &Connection, here: &str) -> Result<Option<String>, Error> {
    let sql = "SELECT 1 FROM \"BaseItems\" WHERE substr(\"Path\", 1, length(?1)) = ?1";
    let is_named = db
        .prepare(sql)
        .and_then(|mut statement| statement.exists([format!("{}/", here.trim_end_matches('/'))]))
        .map_err(failed)?;
    Ok(is_named.then(|| here.to_owned()))
}

/// Directories that lie in the data directory unless something else is said.
pub(super) fn in_data(data: &str) -> Directories {
    let below = |name: &str| format!("{}/{name}", data.trim_end_matches('/'));
    let mut places: Directories = ["data", "metadata", "plugins", "root"]
        .iter()
        .map(|name| ((*name).to_owned(), below(name)))
        .collect();
    places.insert("programdata".to_owned(), data.to_owned());
    places
}

/// The configuration lies to the data directory as it does on the machine that the snapshot was
/// taken on.
fn config_then(record: &SnapshotRecord, data: &str) -> Option<String> {
    if let Some(config) = record.source.seen_by_server.get("config") {
        return Some(config.clone());
    }
    let (data_here, config_here) =
        (record.source.directories.get("programdata")?, record.source.directories.get("config")?);
    if let Some(below) = config_here.strip_prefix(data_here.as_str()) {
        return Some(format!("{data}{below}"));
    }
    if let Some(below) = data_here.strip_prefix(config_here.as_str()) {
        return data.strip_suffix(below).map(str::to_owned);
    }
    (data == data_here).then(|| config_here.clone())
}

/// Cache and log lie where images and packages put them.
pub(super) fn add_beside(places: &mut Directories) {
    let beside = match (
        places.get("programdata").map(String::as_str),
        places.get("config").map(String::as_str),
    ) {
        (Some("/config"), _) => [("cache", "/cache"), ("log", "/config/log")],
        (Some("/config/data"), Some("/config")) => {
            [("cache", "/config/cache"), ("log", "/config/log")]
        }
        (Some("/var/lib/jellyfin"), _) => {
            [("cache", "/var/cache/jellyfin"), ("log", "/var/log/jellyfin")]
        }
        _ => return,
    };
    for (name, dir) in beside {
        places.entry(name.to_owned()).or_insert_with(|| dir.to_owned());
    }
}

/// Where a server of this kind sees its directories; those of this machine where it is no
/// container.
pub fn places_of_layout(layout: Arrangement, here: &Directories) -> Directories {
    let seen = layout.seen_by_server(here);
    let container = |data: &str, config: &str| {
        let mut places = in_data(data);
        places.insert("config".to_owned(), config.to_owned());
        places
    };
    let mut places = match layout {
        Arrangement::Docker => container("/config", "/config/config"),
        Arrangement::LinuxServer => container("/config/data", "/config"),
        Arrangement::Debian if here.is_empty() => {
            let mut places = in_data("/var/lib/jellyfin");
            places.insert("config".to_owned(), "/etc/jellyfin".to_owned());
            places
        }
        Arrangement::Debian | Arrangement::Portable => Directories::new(),
    };
    let is_container = matches!(layout, Arrangement::Docker | Arrangement::LinuxServer);
    for (name, dir) in seen {
        // A volume of its own is on this machine somewhere else than in the container, where it is
        // in its usual place.
        let is_seen = !is_container || rest_within(&dir, "/config").is_some();
        if is_seen && !matches!(name.as_str(), "database" | "metadata-default") {
            places.insert(name, dir);
        }
    }
    add_beside(&mut places);
    places
}

/// Whether the metadata is where a server has it that is not told otherwise.
pub(super) fn is_usual(places: &Directories) -> bool {
    let usual =
        places.get("programdata").map(|data| format!("{}/metadata", data.trim_end_matches('/')));
    places.get("metadata") == usual.as_ref()
}

/// Whether a path is one of Windows.
pub fn is_windows(path: &str) -> bool {
    let has_drive = matches!(path.as_bytes(), [drive, b':', ..] if drive.is_ascii_alphabetic());
    has_drive || path.starts_with("\\\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_tell_where_a_server_sees_its_directories() {
        let none = Directories::new();
        let place = |layout, name: &str| {
            places_of_layout(layout, &none).get(name).cloned().unwrap_or_default()
        };
        assert_eq!(place(Arrangement::Docker, "config"), "/config/config");
        assert_eq!(place(Arrangement::LinuxServer, "metadata"), "/config/data/metadata");
        assert_eq!(place(Arrangement::Debian, "cache"), "/var/cache/jellyfin");
        let here = Directories::from([
            ("programdata".to_owned(), "/srv/jf".to_owned()),
            ("config".to_owned(), "/srv/jf/config".to_owned()),
        ]);
        assert_eq!(
            places_of_layout(Arrangement::Docker, &here).get("config").unwrap(),
            "/config/config"
        );
        let apart = Directories::from([
            ("programdata".to_owned(), "/srv/jf".to_owned()),
            ("config".to_owned(), "/srv/etc".to_owned()),
        ]);
        assert_eq!(
            places_of_layout(Arrangement::Docker, &apart).get("config").unwrap(),
            "/config/config"
        );
        assert_eq!(
            places_of_layout(Arrangement::Portable, &here).get("programdata").unwrap(),
            "/srv/jf"
        );
        assert!(is_windows("C:\\ProgramData") && is_windows("C:/x") && !is_windows("/config"));
    }

    #[test]
    fn settings_are_read_as_the_server_does() {
        let settings = Settings::of(
            b"<S><EnableCaseSensitiveItemIds>false</EnableCaseSensitiveItemIds><MetadataPath /><CachePath>/c</CachePath></S>",
            b"<E><TranscodingTempPath></TranscodingTempPath></E>",
        );
        assert_eq!(settings.caches, ["/c"]);
        assert!(
            !settings.case_sensitive && settings.normalized_by_name && settings.metadata.is_none()
        );
    }
}
