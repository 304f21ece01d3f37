//! Which directories an instance has, once it is known where it is: as its settings, the
//! environment and the user say.

use crate::manifest::Directories;

use super::found::{Instance, Missing, MissingPath, Named};
use super::surroundings::{Finder, is_within};
use super::usual_places::Candidate;
use super::xml;

impl Finder<'_> {
    /// The instance in a place, with all that belongs to it.
    pub(super) fn resolve(&self, candidate: Candidate, named: &Named) -> Instance {
        let trusted = trusted(&candidate, named);
        let walked = walked(&candidate, named);
        let program_data = candidate.program_data;
        let data = self.join(&program_data, "data");
        let config =
            named.config.clone().or(candidate.config).filter(|config| self.at.is_dir(config));
        let read = |name: &str| self.read_setting(config.as_deref(), name);
        let default = self.join(&program_data, "metadata");
        let mut missing = Vec::new();
        let mut follow = |what: MissingPath, path: String, is_there: &dyn Fn(&str) -> bool| {
            let here = self.as_seen_here(&path, &program_data, is_there);
            if here.is_none() {
                missing.push(Missing { what, path });
            }
            here
        };
        let configured = self.path_setting(config.as_deref(), "system.xml", "MetadataPath");
        let settings = read("database.xml").as_deref().and_then(xml::database).unwrap_or_default();
        let of_database = settings.path.map(straight);
        let named_by_settings = places([("metadata", &configured), ("database", &of_database)]);
        let metadata = match (&named.metadata, configured) {
            (Some(named), _) => named.clone(),
            (None, Some(path)) => follow(MissingPath::Metadata, path, &|path| self.at.is_dir(path))
                .unwrap_or_else(|| default.clone()),
            (None, None) => default.clone(),
        };
        let is_file = |path: &str| self.at.is_file(path);
        let database = match of_database {
            _ if named.database.is_some() => named.database.clone(),
            _ if settings.plugin.is_some() => None,
            Some(path) => follow(MissingPath::Database, path, &is_file),
            None => Some(self.join(&data, "jellyfin.db")),
        };
        // linuxserver.io keeps caches and logs beside the settings.
        let beside = match &config {
            Some(config) if self.join(config, "data") == program_data => config.clone(),
            _ => program_data.clone(),
        };
        let log = named.log.clone().or(candidate.log).or_else(|| self.variable("JELLYFIN_LOG_DIR"));
        let caches = [
            log.clone(),
            named.cache.clone().or(candidate.cache).or_else(|| self.variable("JELLYFIN_CACHE_DIR")),
        ];
        let in_data = ["plugins", "root"].map(|name| self.join(&program_data, name));
        let mut own = [vec![data.clone(), metadata.clone()], in_data.to_vec()].concat();
        own.extend(config.clone().filter(|config| *config != beside));
        let (passing, strange) = self.passing(
            (&beside, &program_data),
            caches,
            self.caches_by_settings(config.as_deref()),
            &own,
        );
        let log = log.unwrap_or_else(|| self.usual_log(&beside, &program_data));
        Instance {
            how: candidate.how,
            // A link to the place that was named is that place: captured twice it would be restored
            // twice, or taken for something that is new.
            metadata_default: (!self.at.is_same_place(&metadata, &default)).then_some(default),
            root: self.join(&program_data, "root"),
            plugins: self.join(&program_data, "plugins"),
            database_plugin: settings.plugin,
            program_data,
            data,
            metadata,
            passing,
            log,
            database,
            named_by_settings,
            missing,
            linked: Vec::new(),
            trusted,
            strange_caches: strange,
            unread_settings: self.unread_settings(config.as_deref()),
            walked,
            config,
            follows_links: named.follow_roots,
        }
    }

    /// A file of the configuration.
    fn read_setting(&self, config: Option<&str>, name: &str) -> Option<Vec<u8>> {
        config.and_then(|config| self.at.read(&self.join(config, name)))
    }

    /// A path in a file of the configuration.
    fn path_setting(&self, config: Option<&str>, file: &str, name: &str) -> Option<String> {
        let xml = self.read_setting(config, file)?;
        xml::element(&xml, name).map(straight)
    }

    /// Files of the configuration that are there and are not XML.
    fn unread_settings(&self, config: Option<&str>) -> Vec<String> {
        // One that may not be read at all is told by the walk.
        let is_unread =
            |name: &&str| self.read_setting(config, name).is_some_and(|xml| !xml::is_sound(&xml));
        ["system.xml", "database.xml", "encoding.xml"]
            .into_iter()
            .filter(is_unread)
            .map(|name| format!("config/{name}"))
            .collect()
    }

    /// What the configuration calls a cache, by the setting.
    fn caches_by_settings(&self, config: Option<&str>) -> [(&'static str, Option<String>); 2] {
        let path = |file: &str, name: &str| self.path_setting(config, file, name);
        [
            ("CachePath in system.xml", path("system.xml", "CachePath")),
            ("TranscodingTempPath in encoding.xml", path("encoding.xml", "TranscodingTempPath")),
        ]
    }

    /// Where the logs are if nothing names the place.
    fn usual_log(&self, beside: &str, program_data: &str) -> String {
        let inside = self.join(beside, "log");
        if !self.at.is_dir(&inside) && program_data == "/var/lib/jellyfin" {
            "/var/log/jellyfin".to_owned()
        } else {
            inside
        }
    }

    /// Directories of what passes, and settings that call something else so.
    fn passing(
        &self,
        (beside, program_data): (&str, &str),
        named: [Option<String>; 2],
        by_settings: [(&'static str, Option<String>); 2],
        own: &[String],
    ) -> (Vec<String>, Vec<(&'static str, String)>) {
        let mut passing: Vec<String> = ["cache", "log", "logs", "transcodes"]
            .iter()
            .map(|name| self.join(beside, name))
            .collect();
        passing.extend(
            ["transcodes", "transcoding-temp", "cache"]
                .iter()
                .map(|name| self.join(program_data, name)),
        );
        passing.extend(named.into_iter().flatten());
        let mut strange = Vec::new();
        for (setting, path) in
            by_settings.into_iter().filter_map(|(setting, path)| Some((setting, path?)))
        {
            // What takes a folder of the server's own out of every snapshot is said.
            if own.iter().any(|own| is_within(&path, own) || is_within(own, &path)) {
                strange.push((setting, path.clone()));
            }
            // One that holds what must be captured is no cache.
            if !own.iter().any(|own| is_within(own, &path)) {
                passing.push(path);
            }
        }
        passing.sort();
        passing.dedup();
        (passing, strange)
    }

    /// A path of the configuration as this machine sees it: itself, or, where it is a container's
    /// view, the same below the data directory.
    fn as_seen_here(
        &self,
        path: &str,
        program_data: &str,
        is_there: &dyn Fn(&str) -> bool,
    ) -> Option<String> {
        if is_there(path) {
            return Some(path.to_owned());
        }
        ["/config/data/", "/config/"].iter().find_map(|view| {
            let here = self.join(program_data, path.strip_prefix(view)?);
            is_there(&here).then_some(here)
        })
    }
}

/// Those places that are named.
fn places(named: [(&str, &Option<String>); 2]) -> Directories {
    named.into_iter().filter_map(|(name, path)| Some((name.to_owned(), path.clone()?))).collect()
}

/// A path of a settings file without `.` and `..`: what it begins with says where it lies.
fn straight(path: String) -> String {
    if !path.starts_with('/') {
        return path;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// What a process of the server's user says, and where an earlier snapshot was taken.
fn walked(candidate: &Candidate, named: &Named) -> Vec<String> {
    let config = candidate.config.as_ref().filter(|_| !named.config_is_proposal);
    let proposed =
        std::iter::once(&candidate.program_data).chain(config).filter(|_| named.is_proposal);
    proposed.chain(&named.known).cloned().collect()
}

/// What the user named, and what only root could: the environment, the service's settings, the
/// usual places. What lies in the data directory is not named by that.
fn trusted(candidate: &Candidate, named: &Named) -> Vec<String> {
    let config = named.config.iter().filter(|_| !named.config_is_proposal);
    let by_user = config.chain([&named.metadata, &named.database].into_iter().flatten());
    let mut trusted: Vec<String> = by_user.cloned().collect();
    if !named.is_proposal {
        let found: Vec<&String> =
            named.data.iter().chain([&candidate.program_data]).chain(&candidate.config).collect();
        // What lies in another of them is reached from there: its owner could put something else in
        // its place.
        let is_outermost = |place: &&&String| {
            !found.iter().any(|other| *other != **place && is_within(place, other))
        };
        trusted.extend(found.iter().filter(is_outermost).map(|place| (*place).clone()));
    }
    trusted
}
