//! Where is the Jellyfin instance? A pure function of platform, environment and files, so that every platform is tested on one.
//!
//! The rules are the server's own (`reference/jellyfin.md` 1.1) and the packages' (1.2). Paths are strings with the platform's
//! own separator.

use super::find_error::FindError;
use super::found::{Instance, Missing, MissingPath, Named};
use super::xml;

/// An operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Linux, containers among it.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

/// What resolution may look at.
pub trait Surroundings {
    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
    /// Whether a directory is there.
    fn is_dir(&self, path: &str) -> bool;
    /// The bytes of a small file.
    fn read(&self, path: &str) -> Option<Vec<u8>>;
    /// Whether a file is there.
    fn is_file(&self, path: &str) -> bool {
        self.read(path).is_some()
    }
    /// Whether two paths lead to one place.
    fn is_same_place(&self, a: &str, b: &str) -> bool {
        a == b
    }
    /// A value of the Windows registry.
    fn registry(&self, _key: &str, _name: &str) -> Option<String> {
        None
    }
}

struct Finder<'a> {
    platform: Platform,
    at: &'a dyn Surroundings,
}

/// A place where an instance may be: data, configuration, how it was found.
struct Candidate {
    program_data: String,
    config: Option<String>,
    cache: Option<String>,
    log: Option<String>,
    how: String,
}

/// Finds the instance that the user means.
pub fn find(platform: Platform, named: &Named, at: &dyn Surroundings) -> Result<Instance, FindError> {
    let finder = Finder { platform, at };
    if let Some(data) = &named.data {
        return finder.named(data, named);
    }
    let candidates = finder.candidates();
    let looked = candidates.iter().map(|c| format!("{} ({})", c.program_data, c.how)).collect();
    let mut found: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        if finder.evidence(&candidate.program_data, candidate.config.as_deref()) && !found.iter().any(|f| f.program_data == candidate.program_data) {
            found.push(candidate);
        }
    }
    // What the environment or the service's settings name is the one that runs; defaults are only guesses beside it.
    if let Some(first) = found.iter().position(|c| c.how.starts_with("JELLYFIN_DATA_DIR") || c.how.starts_with("/etc/")) {
        found = vec![found.swap_remove(first)];
    }
    if found.len() > 1 {
        return Err(FindError::Several { found: found.into_iter().map(|c| (c.program_data, c.how)).collect() });
    }
    match found.pop() {
        Some(candidate) => Ok(finder.resolve(candidate, named)),
        None => Err(FindError::None { looked }),
    }
}

impl Finder<'_> {
    fn join(&self, base: &str, name: &str) -> String {
        let separator = if self.platform == Platform::Windows { '\\' } else { '/' };
        format!("{}{separator}{name}", base.trim_end_matches(['/', separator]))
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.at.variable(name).filter(|value| !value.trim().is_empty())
    }

    /// Whether a data directory and its configuration look like an instance.
    fn evidence(&self, program_data: &str, config: Option<&str>) -> bool {
        let data = self.join(program_data, "data");
        let in_data = ["jellyfin.db", "library.db", ".jellyfin-data"].iter().any(|name| self.at.is_file(&self.join(&data, name)));
        // The marker lies in the data directory and in its `data`: alone it does not tell which of the two this is.
        in_data
            || (self.at.is_dir(&data) && self.at.is_file(&self.join(program_data, ".jellyfin-data")))
            || config.is_some_and(|config| self.at.is_file(&self.join(config, "system.xml")))
    }

    fn candidates(&self) -> Vec<Candidate> {
        let mut list = Vec::new();
        let mut add = |program_data: String, config: Option<String>, how: &str| {
            list.push(Candidate { program_data, config, cache: None, log: None, how: how.to_owned() });
        };
        if let Some(data) = self.variable("JELLYFIN_DATA_DIR") {
            let config = self.variable("JELLYFIN_CONFIG_DIR").or_else(|| self.default_config(&data));
            add(data, config, "JELLYFIN_DATA_DIR in the environment");
        }
        match self.platform {
            Platform::Linux => {
                for file in ["/etc/default/jellyfin", "/etc/sysconfig/jellyfin"] {
                    if let Some(settings) = self.at.read(file).and_then(|bytes| String::from_utf8(bytes).ok()) {
                        let data = setting(&settings, "JELLYFIN_DATA_DIR").unwrap_or_else(|| "/var/lib/jellyfin".to_owned());
                        let config = setting(&settings, "JELLYFIN_CONFIG_DIR").unwrap_or_else(|| "/etc/jellyfin".to_owned());
                        add(data, Some(config), file);
                    }
                }
                add("/config".to_owned(), Some("/config/config".to_owned()), "the official container's layout");
                add("/config/data".to_owned(), Some("/config".to_owned()), "linuxserver.io's container layout");
                add("/var/lib/jellyfin".to_owned(), Some("/etc/jellyfin".to_owned()), "the distribution packages' layout");
                let home = self.variable("HOME");
                let share = self.variable("XDG_DATA_HOME").or_else(|| home.as_ref().map(|home| format!("{home}/.local/share")));
                if let Some(data) = share.map(|share| format!("{share}/jellyfin")) {
                    add(data.clone(), self.default_config(&data), "the portable server's layout");
                }
            }
            Platform::MacOs => {
                if let Some(home) = self.variable("HOME") {
                    let data = format!("{home}/Library/Application Support/jellyfin");
                    add(data.clone(), Some(self.join(&data, "config")), "the macOS layout");
                    let old = format!("{home}/.local/share/jellyfin");
                    let config = self.join(&old, "config");
                    let config = if self.at.is_dir(&config) { config } else { format!("{home}/.config/jellyfin") };
                    add(old, Some(config), "the older macOS layout");
                }
            }
            Platform::Windows => {
                if let Some(data) = self.at.registry(r"HKLM\SOFTWARE\WOW6432Node\Jellyfin\Server", "DataFolder") {
                    add(data.clone(), Some(self.join(&data, "config")), "the installer's entry in the registry");
                }
                if let Some(data) = self.variable("PROGRAMDATA").map(|base| format!(r"{base}\Jellyfin\Server")) {
                    add(data.clone(), Some(self.join(&data, "config")), "the Windows service's layout");
                }
                if let Some(data) = self.variable("LOCALAPPDATA").map(|base| format!(r"{base}\jellyfin")) {
                    add(data.clone(), Some(self.join(&data, "config")), "the Windows user's layout");
                }
            }
        }
        list
    }

    /// Where a server started with this data directory and nothing else keeps its configuration.
    fn default_config(&self, data: &str) -> Option<String> {
        let inside = self.join(data, "config");
        if self.platform != Platform::Linux || self.at.is_dir(&inside) {
            return Some(inside);
        }
        let base = self.variable("XDG_CONFIG_HOME").or_else(|| self.variable("HOME").map(|home| format!("{home}/.config")));
        base.map(|base| format!("{base}/jellyfin")).filter(|config| self.at.is_dir(config))
    }

    /// The instance in a directory that the user named.
    fn named(&self, dir: &str, named: &Named) -> Result<Instance, FindError> {
        let dir = match dir.trim_end_matches(['/', '\\']) {
            "" => dir,
            trimmed => trimmed,
        };
        if !self.at.is_dir(dir) {
            return Err(FindError::Missing { path: dir.to_owned() });
        }
        let nested = self.join(&self.join(dir, "data"), "data");
        let below = self.join(dir, "data");
        let candidate = |program_data: &str, config: Option<String>, how: &str| Candidate {
            program_data: program_data.to_owned(),
            config,
            cache: None,
            log: None,
            how: how.to_owned(),
        };
        // linuxserver.io's volume: settings on top, the data directory in `data`, its `data` in that.
        if self.at.is_dir(&nested) && self.at.is_file(&self.join(dir, "system.xml")) {
            let found = candidate(&below, Some(dir.to_owned()), "the given directory, in linuxserver.io's layout");
            return Ok(self.resolve(found, named));
        }
        // The inner `data`, which holds the database itself.
        let inner = self.at.is_file(&self.join(dir, "jellyfin.db")) && !self.at.is_dir(&below);
        if inner && let Some(at) = dir.rfind(['/', '\\']).filter(|at| *at > 0 && dir.get(at + 1..) == Some("data")) {
            let above = dir.get(..at).unwrap_or(dir);
            let found = candidate(above, self.config_beside(above, named), "the parent of the given directory, which contains the database itself");
            return Ok(self.resolve(found, named));
        }
        let config = self.config_beside(dir, named);
        let shaped = ["data", "metadata", "root", "plugins", "config"].iter().filter(|name| self.at.is_dir(&self.join(dir, name))).count();
        let is_known = named.is_known_place && self.at.is_file(&self.join(dir, ".jellyfin-data"));
        if !is_known && !self.evidence(dir, config.as_deref()) && !self.at.is_dir(&self.join(&self.join(dir, "metadata"), "library")) && shaped < 2 {
            let looked = vec![
                self.join(&below, "jellyfin.db"),
                self.join(&self.join(dir, "config"), "system.xml"),
                self.join(&below, ".jellyfin-data"),
                self.join(&self.join(dir, "metadata"), "library"),
            ];
            return Err(FindError::NotOne { path: dir.to_owned(), looked });
        }
        Ok(self.resolve(candidate(dir, config, "the given directory"), named))
    }

    /// The configuration that belongs to a named data directory.
    fn config_beside(&self, dir: &str, named: &Named) -> Option<String> {
        let inside = self.join(dir, "config");
        if named.config.is_some() || self.at.is_dir(&inside) {
            return named.config.clone().or(Some(inside));
        }
        let known = self.candidates().into_iter().find(|c| c.program_data == dir);
        known.and_then(|c| c.config).filter(|config| self.at.is_dir(config))
    }

    fn resolve(&self, candidate: Candidate, named: &Named) -> Instance {
        let trusted = trusted(&candidate, named);
        let proposed = std::iter::once(&candidate.program_data).chain(&candidate.config).filter(|_| named.is_proposal);
        let walked = proposed.chain(&named.known).cloned().collect();
        let program_data = candidate.program_data;
        let data = self.join(&program_data, "data");
        let config = named.config.clone().or(candidate.config).filter(|config| self.at.is_dir(config));
        let read = |name: &str| config.as_ref().and_then(|config| self.at.read(&self.join(config, name)));
        let default = self.join(&program_data, "metadata");
        let is_unread =
            |name: &&str| config.as_ref().is_some_and(|config| self.at.is_file(&self.join(config, name))) && !read(name).is_some_and(|xml| xml::is_sound(&xml));
        let unread_settings = ["system.xml", "database.xml", "encoding.xml"].into_iter().filter(is_unread).map(|name| format!("config/{name}")).collect();
        let mut missing = Vec::new();
        let mut follow = |what: MissingPath, path: String, is_there: &dyn Fn(&str) -> bool| {
            let here = self.as_seen_here(&path, &program_data, is_there);
            if here.is_none() {
                missing.push(Missing { what, path });
            }
            here
        };
        let system = read("system.xml");
        let configured = system.as_deref().and_then(|xml| xml::element(xml, "MetadataPath"));
        let metadata = match (&named.metadata, configured) {
            (Some(named), _) => named.clone(),
            (None, Some(path)) => follow(MissingPath::Metadata, path, &|path| self.at.is_dir(path)).unwrap_or_else(|| default.clone()),
            (None, None) => default.clone(),
        };
        let settings = read("database.xml").as_deref().and_then(xml::database).unwrap_or_default();
        let database = match settings.path {
            _ if named.database.is_some() => named.database.clone(),
            _ if settings.plugin.is_some() => None,
            Some(path) => follow(MissingPath::Database, path, &|path| self.at.is_file(path)),
            None => Some(self.join(&data, "jellyfin.db")),
        };
        let env = |name: &str| self.variable(name);
        let linuxserver = config.as_ref().is_some_and(|config| self.join(config, "data") == program_data);
        let beside = if linuxserver { config.clone().unwrap_or_default() } else { program_data.clone() };
        let log = named.log.clone().or(candidate.log).or_else(|| env("JELLYFIN_LOG_DIR"));
        let caches = [log.clone(), named.cache.clone().or(candidate.cache).or_else(|| env("JELLYFIN_CACHE_DIR"))];
        let settings_of_caches = [
            ("CachePath in system.xml", system.as_deref().and_then(|xml| xml::element(xml, "CachePath"))),
            ("TranscodingTempPath in encoding.xml", read("encoding.xml").as_deref().and_then(|xml| xml::element(xml, "TranscodingTempPath"))),
        ];
        let mut own = vec![data.clone(), metadata.clone(), self.join(&program_data, "plugins"), self.join(&program_data, "root")];
        own.extend(config.clone().filter(|config| *config != beside));
        let (passing, strange) = self.passing((&beside, &program_data), caches, settings_of_caches, &own);
        let log = log.unwrap_or_else(|| {
            let inside = self.join(&beside, "log");
            if !self.at.is_dir(&inside) && program_data == "/var/lib/jellyfin" { "/var/log/jellyfin".to_owned() } else { inside }
        });
        Instance {
            how: candidate.how,
            // A link to the place that was named is that place: captured twice it would be restored twice, or taken for something that is new.
            metadata_default: (!self.at.is_same_place(&metadata, &default)).then_some(default),
            root: self.join(&program_data, "root"),
            plugins: self.join(&program_data, "plugins"),
            database_plugin: settings.plugin,
            program_data,
            data,
            config,
            metadata,
            passing,
            log,
            database,
            missing,
            linked: Vec::new(),
            trusted,
            strange_caches: strange,
            unread_settings,
            walked,
            follows_links: named.follow_roots,
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
        let mut passing: Vec<String> = ["cache", "log", "logs", "transcodes"].iter().map(|name| self.join(beside, name)).collect();
        passing.extend(["transcodes", "transcoding-temp", "cache"].iter().map(|name| self.join(program_data, name)));
        passing.extend(named.into_iter().flatten());
        let mut strange = Vec::new();
        for (setting, path) in by_settings.into_iter().filter_map(|(setting, path)| Some((setting, path?))) {
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

    /// A path of the configuration as this machine sees it: itself, or, where it is a container's view, the same below the
    /// data directory.
    fn as_seen_here(&self, path: &str, program_data: &str, is_there: &dyn Fn(&str) -> bool) -> Option<String> {
        if is_there(path) {
            return Some(path.to_owned());
        }
        ["/config/data/", "/config/"].iter().find_map(|view| {
            let here = self.join(program_data, path.strip_prefix(view)?);
            is_there(&here).then_some(here)
        })
    }
}

/// Whether a path is another, or lies in it.
fn is_within(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches(['/', '\\']);
    path.trim_end_matches(['/', '\\']).strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '\\']))
}

/// What the user named, and what only root could: the environment, the service's settings, the usual places. What lies in the data directory is
/// not named by that.
fn trusted(candidate: &Candidate, named: &Named) -> Vec<String> {
    let by_user = [&named.config, &named.metadata, &named.database].into_iter().flatten();
    let mut trusted: Vec<String> = by_user.cloned().collect();
    if !named.is_proposal {
        let found: Vec<&String> = named.data.iter().chain([&candidate.program_data]).chain(&candidate.config).collect();
        // What lies in another of them is reached from there: its owner could put something else in its place.
        let is_outermost = |place: &&&String| !found.iter().any(|other| *other != **place && is_within(place, other));
        trusted.extend(found.iter().filter(is_outermost).map(|place| (*place).clone()));
    }
    trusted
}

/// A value of a service's settings file (`NAME="value"`).
fn setting(text: &str, name: &str) -> Option<String> {
    text.lines().rev().find_map(|line| {
        let value = line.trim().strip_prefix(name)?.trim_start().strip_prefix('=')?.trim();
        let value = value.trim_matches(['"', '\'']);
        (!value.is_empty()).then(|| value.to_owned())
    })
}

#[cfg(test)]
#[path = "instance_tests.rs"]
mod tests;
